"""The caller's voice on its way from the browser to the line. It comes in bursts, and goes out evenly.

Whatever makes it late, a busy browser or a busy process of ours, no word is cut: pauses are shortened instead.
"""

from collections import deque

from lexbridge.audio.pcm import decode_mulaw, rms

START_FRAMES = 5
"""Frames that wait before a voice begins: 100 ms, because a busy machine is late by that often."""

SPARE_FRAMES = 5
"""Frames that may wait all the time: 100 ms, because a caller does not notice that."""

MOST_FRAMES = 15
"""Frames that may wait now and then: 300 ms, because beyond that two people talk at the same time."""

LONGEST_FRAMES = 200
"""Frames that wait at most: 4 s, because beyond that the words belong to another moment of the call."""

LOOK_BACK_FRAMES = 250
"""Frames over which the waiting ones are watched: 5 s, because a machine that was busy then may be so again."""

PAUSE_FRAMES = 10
"""Quiet frames in a row that are a pause: 200 ms, because no sound within a word is quiet for so long."""

BREAK_FRAMES = 25
"""Frames without a voice after which it begins anew: 0.5 s, because a voice that is only late is back by then."""

QUIET_RMS = 200
"""Level under which a frame is quiet in any room: -44 dBFS, because quiet microphones make speech of no more."""

_FLOOR_RISE = 1.01  # of the noise floor in a frame: it doubles in 1.4 s, and any speech has gaps more often


class WaitingVoice:
    """The frames that wait. `starved_frames`: those that came too late. `dropped_frames`: those that nobody hears."""

    def __init__(self) -> None:
        self.starved_frames = 0
        self.dropped_frames = 0
        self._waiting: deque[tuple[bytes, bool]] = deque()  # each with whether it is quiet
        self._floor_rms = float(QUIET_RMS)
        self._is_on = False
        self._missing_in_row = 0
        self._quiet_in_row = 0
        self._least_waiting = LONGEST_FRAMES
        self._watched_frames = 0
        self._surplus_frames = 0  # that waited all the time

    def add(self, mulaw: bytes) -> None:
        """Take a frame of mu-law. The oldest one is dropped where too many wait."""
        level_rms = rms(decode_mulaw(mulaw))
        self._floor_rms = min(max(level_rms, 1.0), self._floor_rms * _FLOOR_RISE)
        self._waiting.append((mulaw, level_rms <= max(QUIET_RMS, 2 * self._floor_rms)))
        if len(self._waiting) > LONGEST_FRAMES:
            self._drop()

    def next(self) -> bytes | None:
        """Return the next frame, or None if there is none yet."""
        if not self._is_on and len(self._waiting) < START_FRAMES:
            return None
        if not self._waiting:
            self._miss()
            return None
        self._is_on = True
        self._missing_in_row = 0
        self._shorten_pause()
        mulaw, is_quiet = self._waiting.popleft()
        self._quiet_in_row = self._quiet_in_row + 1 if is_quiet else 0
        self._watch()
        return mulaw

    def _miss(self) -> None:
        self._missing_in_row += 1
        if self._missing_in_row == BREAK_FRAMES:
            self._is_on = False  # the caller is muted, or has no microphone any more
            self._missing_in_row = 0
            self.starved_frames -= BREAK_FRAMES
        self.starved_frames += 1

    def _shorten_pause(self) -> None:
        """Drop a frame of a pause if more wait than may: one for each that goes out, so that a pause stays one."""
        is_pause = self._quiet_in_row >= PAUSE_FRAMES and self._waiting[0][1]
        if is_pause and (len(self._waiting) > MOST_FRAMES or (self._surplus_frames and len(self._waiting) > 1)):
            self._surplus_frames = max(0, self._surplus_frames - 1)
            self._drop()

    def _watch(self) -> None:
        """Find out how many frames wait all the time."""
        self._least_waiting = min(self._least_waiting, len(self._waiting))
        self._watched_frames += 1
        if self._watched_frames == LOOK_BACK_FRAMES:
            self._surplus_frames = max(0, self._least_waiting - SPARE_FRAMES)
            self._watched_frames, self._least_waiting = 0, LONGEST_FRAMES

    def _drop(self) -> None:
        self._waiting.popleft()
        self.dropped_frames += 1
