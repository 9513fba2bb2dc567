"""The caller's track put in order: whole frames without holes, whatever the media stream brought."""

from collections.abc import Iterator

from lexbridge.audio.pcm import FRAME_MS, MULAW_BYTES_PER_MS, MULAW_FRAME_BYTES, MULAW_SILENCE, Framer
from lexbridge.call.events import Media

MAX_FILL_MS = 6_000
"""Silence put where audio is missing, at most: longer than the longest hangover, so that it ends an utterance. A
timestamp that jumps further tells of no audio: media time goes on behind it."""

SET_BACK_MS = 2_000
"""Audio that is late by more than this is not late: Twilio's time line has begun anew."""

LATE_RUN_MS = 500
"""So much late audio in a row, without a hole and with nothing new between, is a time line that has begun anew, too."""

_SILENT_FRAME = MULAW_SILENCE * MULAW_FRAME_BYTES


class InboundAudio:
    """The inbound track put in order: whole frames without holes, whatever came.

    Time missing between two messages becomes silence: Twilio may skip it. Of a message whose time was partly heard the
    rest is taken; one whose time has all been heard is a repeated or late one and is dropped. A difference under a
    frame is Twilio's rounding, and is let be. A time line that jumps back is taken as it comes from then on.

    Where no message came, `silence` stands for what the caller did not say. Timestamps that tell of the same time later
    do not bring it once more; and audio that follows without a gap is all heard, as it may be the time line alone that
    stood still.
    """

    def __init__(self) -> None:
        self._framer = Framer()
        self._heard_to_ms: float | None = None  # end of the audio taken so far, on Twilio's time line
        self._made_up_ms = 0  # silence since the last message
        self._late_to_ms = 0.0  # end of the last late message
        self._late_run_ms = 0.0  # late audio in a row
        self.late_messages = 0
        """Messages dropped because their time had been heard already."""
        self.filled_ms = 0
        """Silence put where audio was missing, milliseconds."""
        self.silent_ms = 0
        """Silence put where no message came, milliseconds."""

    def silence(self, ms: int) -> Iterator[bytes]:
        """Yields `ms` of silence, in which no message came, as whole frames. What is less than a frame is not."""
        for _ in range(ms // FRAME_MS):
            self._made_up_ms += FRAME_MS
            self.silent_ms += FRAME_MS
            yield from self._framer.push(_SILENT_FRAME)

    def push(self, media: Media) -> Iterator[bytes]:
        """Yields the frames that `media` completes, MULAW_FRAME_BYTES bytes of mu-law each. Other tracks than the
        caller's yield nothing."""
        if not media.is_inbound:
            return
        if self._heard_to_ms is None:
            self._heard_to_ms = media.timestamp_ms or 0.0
        duration_ms = len(media.mulaw) / MULAW_BYTES_PER_MS
        missing_ms = 0.0 if media.timestamp_ms is None else media.timestamp_ms - self._heard_to_ms
        if duration_ms + missing_ms <= 0:
            if not self._is_set_back(self._heard_to_ms + missing_ms, -missing_ms, duration_ms):
                self.late_messages += 1
                return
            self._heard_to_ms += missing_ms
            missing_ms = 0.0
        self._late_run_ms = 0.0
        made_up_ms, self._made_up_ms = self._made_up_ms, 0
        mulaw = media.mulaw
        if missing_ms >= FRAME_MS:
            self._heard_to_ms += missing_ms // FRAME_MS * FRAME_MS
            for _ in range(int(min(missing_ms - made_up_ms, MAX_FILL_MS) // FRAME_MS)):
                self.filled_ms += FRAME_MS
                yield from self._framer.push(_SILENT_FRAME)
        elif missing_ms <= -FRAME_MS:  # its beginning has been heard
            mulaw = mulaw[int(-missing_ms // FRAME_MS) * MULAW_FRAME_BYTES :]
        self._heard_to_ms += len(mulaw) / MULAW_BYTES_PER_MS
        yield from self._framer.push(mulaw)

    def _is_set_back(self, at_ms: float, late_ms: float, duration_ms: float) -> bool:
        """Whether audio of `at_ms`, which is late by `late_ms`, is the beginning of a new time line."""
        if abs(at_ms - self._late_to_ms) >= FRAME_MS:
            self._late_run_ms = 0.0
        self._late_to_ms = at_ms + duration_ms
        self._late_run_ms += duration_ms
        return late_ms > SET_BACK_MS or self._late_run_ms > LATE_RUN_MS
