"""The caller's track put in order: whole frames without holes, whatever the media stream brought."""

from collections.abc import Sequence

from lexbridge.audio.pcm import FRAME_MS, MULAW_BYTES_PER_MS, MULAW_FRAME_BYTES, MULAW_SILENCE, Framer
from lexbridge.call.events import Media

MAX_FILL_MS = 6_000
"""Most silence put where audio is missing, milliseconds.

It is longer than the longest hangover, so that it ends any utterance. Where a timestamp jumps further, no audio was
lost: media time goes on behind the jump."""

SET_BACK_MS = 2_000
"""Most that audio may be late and be dropped for it, milliseconds. Beyond that, the time line has begun anew."""

LATE_RUN_MS = 500
"""Most late audio in a row that is dropped, milliseconds, without a hole and with nothing new between.

Beyond that, too, the time line has begun anew."""

_SILENT_FRAME = MULAW_SILENCE * MULAW_FRAME_BYTES


class InboundAudio:
    """The caller's track as whole frames without holes, whatever came.

    Time that is missing between two messages becomes silence, because the carrier may skip silence. If a part of a
    message was heard before, the rest of it is taken; if all of it was, the message is late or repeated, and is
    dropped. A difference of less than a frame is the carrier's rounding, and is ignored. Where the time line jumps
    back, audio is taken as it comes from then on.

    `silence` stands in for time in which no message came and the caller said nothing. Timestamps that tell of the same
    time later do not add it once more. Audio that follows without a gap is all heard, because perhaps only the time
    line stood still.
    """

    __slots__ = (
        "_framer",
        "_heard_to_ms",
        "_late_run_ms",
        "_late_to_ms",
        "_made_up_ms",
        "filled_ms",
        "late_messages",
        "silent_ms",
    )

    def __init__(self) -> None:
        self._framer = Framer()
        self._heard_to_ms: float | None = None  # end of the audio taken so far, on the carrier's time line
        self._made_up_ms = 0  # silence made up since the last message
        self._late_to_ms = 0.0  # end of the last late message
        self._late_run_ms = 0.0  # late audio in a row
        self.late_messages = 0
        """How many messages were dropped because their time had been heard already."""
        self.filled_ms = 0
        """Silence put where audio was missing, milliseconds."""
        self.silent_ms = 0
        """Silence put where no message came, milliseconds."""

    @property
    def next_at_ms(self) -> float | None:
        """Timestamp of a whole frame that would follow without a gap; None while only `push` can tell what follows."""
        return None if self._framer.has_rest else self._heard_to_ms

    def pass_frames(self, count: int) -> None:
        """Note that `count` messages of a whole frame each (1 or more) came on time and were taken without `push`."""
        self._heard_to_ms = (self._heard_to_ms or 0.0) + count * FRAME_MS
        self._late_run_ms, self._made_up_ms = 0.0, 0

    def silence(self, ms: int) -> Sequence[bytes]:
        """Return `ms` of silence, in which no message came, as whole frames. A rest of less than a frame is dropped."""
        frames = ms // FRAME_MS
        self._made_up_ms += frames * FRAME_MS
        self.silent_ms += frames * FRAME_MS
        return self._framer.push(_SILENT_FRAME * frames)

    def push(self, media: Media) -> Sequence[bytes]:
        """Return the frames that `media` completes: mu-law, MULAW_FRAME_BYTES bytes each.

        Tracks other than the caller's have none.
        """
        if not media.is_inbound:
            return ()
        if self._heard_to_ms is None:
            self._heard_to_ms = media.timestamp_ms or 0.0
        mulaw = media.mulaw
        duration_ms = len(mulaw) / MULAW_BYTES_PER_MS
        missing_ms = 0.0 if media.timestamp_ms is None else media.timestamp_ms - self._heard_to_ms
        if duration_ms + missing_ms <= 0:
            if not self._is_set_back(self._heard_to_ms + missing_ms, -missing_ms, duration_ms):
                self.late_messages += 1
                return ()
            self._heard_to_ms += missing_ms
            missing_ms = 0.0
        self._late_run_ms = 0.0
        made_up_ms, self._made_up_ms = self._made_up_ms, 0
        if missing_ms >= FRAME_MS:
            self._heard_to_ms += missing_ms // FRAME_MS * FRAME_MS
            fill_frames = max(0, int(min(missing_ms - made_up_ms, MAX_FILL_MS) // FRAME_MS))
            self.filled_ms += fill_frames * FRAME_MS
            mulaw = _SILENT_FRAME * fill_frames + mulaw
        elif missing_ms <= -FRAME_MS:  # its beginning was heard before
            mulaw = mulaw[int(-missing_ms // FRAME_MS) * MULAW_FRAME_BYTES :]
            duration_ms = len(mulaw) / MULAW_BYTES_PER_MS
        self._heard_to_ms += duration_ms
        return self._framer.push(mulaw)

    def _is_set_back(self, at_ms: float, late_ms: float, duration_ms: float) -> bool:
        """Return whether audio of `at_ms`, which is late by `late_ms`, begins a new time line."""
        if abs(at_ms - self._late_to_ms) >= FRAME_MS:
            self._late_run_ms = 0.0
        self._late_to_ms = at_ms + duration_ms
        self._late_run_ms += duration_ms
        return late_ms > SET_BACK_MS or self._late_run_ms > LATE_RUN_MS
