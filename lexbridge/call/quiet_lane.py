"""The quiet lane: a short way for the media of a caller who is silent while nothing is due.

                             nothing is due yet, a whole frame on time, unvoiced
    CallSession.receive_all ----------------------------------------------------> QuietLane: keeps the frame, counts it
                       \\
                        `---> settle(): media time and positions as if all had gone the long way
                              the long way: InboundAudio, Hearing, Endpointer, the rules
                              open(): again, up to the media time at which a rule is due next

Nearly all messages of a call are such frames. The lane is a small object and one function, because a message finds the
objects of its call out of the processor's caches: what is not touched costs nothing.
"""

import math
from collections.abc import Iterator

from lexbridge.audio.endpointing import Endpointer
from lexbridge.audio.pcm import FRAME_MS, MULAW_FRAME_BYTES
from lexbridge.call.events import CallEvent, Media
from lexbridge.call.hearing import Answer, Hearing

NEVER_MS = math.inf
"""Due time where no rule waits for its time, milliseconds."""

MAX_OPEN_MS = 60_000
"""Longest time for which the lane is opened at once, milliseconds, because a due time may be infinite."""


class QuietLane:
    """The short way of one call's media. It is closed when it is made, and after each `settle`."""

    __slots__ = (
        "_ask",
        "_audio",
        "_endpointer",
        "_frames",
        "_frames_left",
        "_keep",
        "_next_at_ms",
        "answer",
        "is_open",
        "is_quiet",
    )

    def __init__(self, hearing: Hearing, endpointer: Endpointer) -> None:
        self._audio = hearing.audio
        self._endpointer = endpointer
        self._ask = hearing.ask
        self._keep = endpointer.keep
        self._frames = 0  # that may be taken before something is due
        self._frames_left = 0
        self._next_at_ms = 0.0  # timestamp of the next frame
        self.answer: Answer | None = None
        """The detector's answer to the frame that `take` gave back, or None if the detector was not asked."""
        self.is_open = False
        """Whether media may be taken. It is still True after the last frame that might be."""
        self.is_quiet = False
        """Whether nothing happens on the line, as the last `open` said; False while the lane is closed."""

    @property
    def taken_ms(self) -> int:
        """Media that was taken since the lane opened, milliseconds."""
        return (self._frames - self._frames_left) * FRAME_MS

    def take(self, events: Iterator[CallEvent]) -> CallEvent | None:
        """Take media from `events` while nothing can happen in it.

        Return the first event that has to go the long way, or None at the end. While the lane is closed, each has to.
        """
        if not self._frames_left:
            return next(events, None)
        ask, keep, frames_left, next_at_ms = self._ask, self._keep, self._frames_left, self._next_at_ms
        try:
            for event in events:
                if type(event) is not Media or not frames_left:
                    return event
                mulaw, at_ms = event.mulaw, event.timestamp_ms
                if len(mulaw) != MULAW_FRAME_BYTES or at_ms is None or not event.is_inbound:
                    return event
                if not -FRAME_MS < at_ms - next_at_ms < FRAME_MS:
                    return event
                answer = ask(mulaw)
                if answer is not False:
                    self.answer = answer
                    return event
                keep(mulaw)
                next_at_ms += FRAME_MS
                frames_left -= 1
        finally:
            self._frames_left, self._next_at_ms = frames_left, next_at_ms
        return None

    def settle(self) -> Answer | None:
        """Close the lane, and bring the call up to what it took. Return `answer`, once."""
        frames = self._frames - self._frames_left
        answer, self.answer = self.answer, None
        self._frames = self._frames_left = 0
        self.is_open = self.is_quiet = False
        if frames:
            self._audio.pass_frames(frames)
            self._endpointer.pass_rest(frames * FRAME_MS)
        return answer

    def open(self, due_ms: float, *, is_quiet: bool) -> None:
        """Open the lane, which is closed, up to the frame with which media time reaches `due_ms`.

        It stays closed if the caller may be speaking, or the next message may have to be put in order.

        `is_quiet`: whether nothing happens on the line. The lane may also be open while Lex thinks, or Twilio speaks.
        """
        endpointer, next_at_ms = self._endpointer, self._audio.next_at_ms
        if next_at_ms is None or not endpointer.is_at_rest:
            return
        left_ms = min(due_ms, endpointer.due_ms, endpointer.now_ms + MAX_OPEN_MS) - endpointer.now_ms
        frames = int((left_ms - 1) // FRAME_MS)
        if frames > 0:
            self._frames = self._frames_left = frames
            self._next_at_ms = next_at_ms
            self.is_open = True
            self.is_quiet = is_quiet
