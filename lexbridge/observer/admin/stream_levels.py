"""Levels of a caller's audio, frame by frame, as the call's own detector sees them."""

import math
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lexbridge.audio.pcm import FRAME_MS, FRAME_SAMPLES, FULL_SCALE, MULAW_FRAME_BYTES, decode_mulaw, rms
from lexbridge.audio.vad import Detector, Gauge, Gauged
from lexbridge.observer.calls.kept_audio import Track

LEAST_DBFS = -96.0
"""Level of digital silence, dB relative to full scale."""

UNKNOWN = -32768
"""Mark of a frame without a threshold or a floor, in tenths of a dB: no level is so low."""

SLICE_FRAMES = 250
"""Frames that are measured in one go, because with a model that takes up to 50 ms, for which all else waits."""


PEAK_FRAMES = 3000
"""Frames whose peaks are found in one go, because a minute of samples takes 2 MB, and an hour would take 115."""


class Part:
    """Levels of audio without a hole, in tenths of a dB, from `from_ms` on."""

    __slots__ = ("floor", "from_ms", "level", "threshold", "voiced")

    def __init__(self, from_ms: int) -> None:
        self.from_ms = from_ms
        self.level = array("h")
        self.threshold = array("h")
        self.floor = array("h")
        self.voiced = bytearray()

    @property
    def end_ms(self) -> int:
        """Place behind the last frame."""
        return self.from_ms + len(self.level) * FRAME_MS


class StreamLevels:
    """Levels of one media stream, which grow as its audio does."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.parts: list[Part] = []

    def measure(self, track: Track, most_frames: int = SLICE_FRAMES) -> bool:
        """Measure up to `most_frames` more of the caller's audio. Return whether more of it is left."""
        left = most_frames
        for at, run in enumerate(track.runs):
            if at >= len(self.parts):
                self.parts.append(Part(run.start_ms))
            part = self.parts[at]
            if part.from_ms != run.start_ms:  # the audio was forgotten, and other audio came since
                self.parts = [Part(run.start_ms)]
                return True
            done = len(part.level) * MULAW_FRAME_BYTES
            while len(run.mulaw) - done >= MULAW_FRAME_BYTES:
                if not left:
                    return True
                self._push(part, bytes(run.mulaw[done : done + MULAW_FRAME_BYTES]))
                done += MULAW_FRAME_BYTES
                left -= 1
        return False

    def view(self, stream_sid: str, began_s: float, bot: Track, after_ms: int, to_ms: int) -> Iterator[dict[str, Any]]:
        """Yield what the console draws of each part between two places. `bot`: what the bot says meanwhile."""
        for part in self.parts:
            first = max(0, math.ceil((after_ms - part.from_ms) / FRAME_MS))
            frames = slice(first, max(first, math.ceil((to_ms - part.from_ms) / FRAME_MS)))
            level = part.level[frames]
            if not level:
                continue
            from_ms = part.from_ms + first * FRAME_MS
            yield {
                "stream_sid": stream_sid,
                "began_s": began_s,
                "from_ms": from_ms,
                "frame_ms": FRAME_MS,
                "level_dbfs": [one / 10 for one in level],
                "threshold_dbfs": _curve(part.threshold[frames]),
                "floor_dbfs": _curve(part.floor[frames]),
                "voiced": list(part.voiced[frames]),
                "bot_peak": peaks(bot, from_ms, len(level)),
            }

    def _push(self, part: Part, mulaw: bytes) -> None:
        pcm = decode_mulaw(mulaw)
        detector = self._detector
        gauge = detector.gauge() if isinstance(detector, Gauged) else Gauge(None, None)
        part.level.append(_tenths(rms(pcm)))
        part.threshold.append(UNKNOWN if gauge.threshold_rms is None else _tenths(gauge.threshold_rms))
        part.floor.append(UNKNOWN if gauge.floor_rms is None else _tenths(gauge.floor_rms))
        part.voiced.append(detector.is_voiced(pcm))


def peaks(track: Track, from_ms: int, frames: int) -> list[float]:
    """Return the peak of each frame from `from_ms` on, as a share of full scale: 0 where nothing is."""
    if not track.runs:
        return [0.0] * frames
    found: list[float] = []
    for first in range(0, frames, PEAK_FRAMES):
        found += _peaks(track, from_ms + first * FRAME_MS, min(PEAK_FRAMES, frames - first))
    return found


def _peaks(track: Track, from_ms: int, frames: int) -> list[float]:
    samples = np.zeros(frames * FRAME_SAMPLES, dtype=np.int32)
    for start_ms, mulaw in track.between(from_ms, from_ms + frames * FRAME_MS):
        pcm = np.frombuffer(decode_mulaw(mulaw), dtype="<i2")
        start = (start_ms - from_ms) * FRAME_SAMPLES // FRAME_MS
        samples[start : start + len(pcm)] = pcm[: len(samples) - start]
    found = np.abs(samples).reshape(frames, FRAME_SAMPLES).max(axis=1) / FULL_SCALE
    return [round(float(one), 3) for one in found]


def measure_all(levels: StreamLevels, track: Track, give_way: Callable[[], object]) -> None:
    """Measure all of the caller's audio. `give_way` is called between slices, so that nobody waits for long."""
    while levels.measure(track):
        give_way()


def _curve(tenths: "array[int]") -> list[float | None] | None:
    """Return levels in dB, None where there is none; or None if there are none at all."""
    if all(one == UNKNOWN for one in tenths):
        return None
    return [None if one == UNKNOWN else one / 10 for one in tenths]


def _tenths(rms_level: float) -> int:
    level_dbfs = 20 * math.log10(rms_level / FULL_SCALE) if rms_level > 0 else LEAST_DBFS
    return round(max(LEAST_DBFS, min(level_dbfs, 99.0)) * 10)
