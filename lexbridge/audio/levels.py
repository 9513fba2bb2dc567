"""Levels of audio, frame by frame, without numpy: what a turn or a prompt costs is a few microseconds a frame."""

import audioop  # the standard library's until 3.12, the package audioop-lts from 3.13
import math

from lexbridge.audio.pcm import FULL_SCALE, MULAW_FRAME_BYTES, PCM_FRAME_BYTES, decode_mulaw, rms

LEAST_DBFS = -96.0
"""Level of digital silence, dB relative to full scale: about that of the least bit of 16."""

_WIDE_BYTES = 4  # a sample of 16 bits in the upper half of 32: its RMS has 16 binary digits behind the point
_WIDE_FULL_SCALE = FULL_SCALE * 65536


def frame_levels(mulaw: bytes) -> list[int]:
    """Return the RMS of each frame of mu-law, as of 16-bit samples."""
    pcm = decode_mulaw(mulaw)
    return [rms(pcm[start : start + PCM_FRAME_BYTES]) for start in range(0, len(pcm), PCM_FRAME_BYTES)]


def level_percentile_dbfs(mulaw: bytes, *percents: int) -> list[float]:
    """Return the levels in dB relative to full scale that so many percent of the frames of mu-law do not exceed.

    A level between two frames is interpolated. There must be a frame.
    """
    wide = audioop.ulaw2lin(mulaw, _WIDE_BYTES)
    frame_bytes = MULAW_FRAME_BYTES * _WIDE_BYTES
    starts = range(0, len(wide) - frame_bytes + 1, frame_bytes)
    levels = sorted([audioop.rms(wide[start : start + frame_bytes], _WIDE_BYTES) for start in starts])
    return [_percentile_dbfs(levels, percent) for percent in percents]


def _percentile_dbfs(levels: list[int], percent: int) -> float:
    below, part = divmod((len(levels) - 1) * percent, 100)
    lower, upper = _dbfs(levels[below]), _dbfs(levels[min(below + 1, len(levels) - 1)])
    return lower + (upper - lower) * part / 100


def _dbfs(wide_rms: int) -> float:
    return max(LEAST_DBFS, 20 * math.log10(wide_rms / _WIDE_FULL_SCALE)) if wide_rms else LEAST_DBFS
