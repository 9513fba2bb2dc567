"""Tones on the line: as loud as voice, and no speech. Twilio leaves a caller's key tones (DTMF) in the audio of a
stream; ringing, busy and fax tones come in where a call is forwarded or conferenced."""

from enum import Enum

import numpy as np

from lexbridge.audio.pcm import FRAME_SAMPLES, RATE_HZ

_LOW_HZ = (697, 770, 852, 941)
_HIGH_HZ = (1209, 1336, 1477, 1633)  # ITU-T Q.23: a key is one of each, together
_PROGRESS_HZ = (
    (440, 480),  # North America: ringing
    (480, 620),  # busy, reorder
    (350, 440),  # dial tone
    (350, 450),  # of the United Kingdom
    (400, 450),  # the United Kingdom: ringing
    (400,),  # busy
    (425,),  # most of Europe: ringing, busy, dial tone (ITU-T E.180)
    # The special information tones, in a row: 950, 1400 and 1800 Hz, each 50 Hz up or down (ITU-T E.180). North
    # America has either end of the first two, and 1776.7. Together these span all that lies between.
    (913.8, 950, 985.2),
    (1370.6, 1400, 1428.5),
    (1776.7, 1800),
    (1100,),  # a calling fax
    (2100,),  # an answering one
)

KEY_SHARE = 0.85
"""Of a frame's power that the two tones of a key hold. Voice has more than two partials."""

LEAST_OF_BOTH = 0.1
"""Of the two tones' power that each of them holds: the levels of a key's tones differ by a few dB at most."""

PROGRESS_SHARE = 0.97
"""Of a frame's power that a progress tone holds. They lie where voices are strongest: nearly nothing else may be there.
"""


class Tone(Enum):
    """What kind of tone."""

    KEY = "key"
    PROGRESS = "progress"


def _basis(*frequencies_hz: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Orthonormal rows that span every sum of these tones, whatever their phases: shape (2 for each, FRAME_SAMPLES)."""
    angles = 2 * np.pi * np.outer(frequencies_hz, np.arange(FRAME_SAMPLES) / RATE_HZ)
    rows, _ = np.linalg.qr(np.concatenate((np.cos(angles), np.sin(angles))).T)
    return rows.T.astype(np.float32)


_KEYS = len(_LOW_HZ) + len(_HIGH_HZ)
_ROWS = np.concatenate([_basis(hz) for hz in (*_LOW_HZ, *_HIGH_HZ)] + [_basis(*pair) for pair in _PROGRESS_HZ])
_STARTS = np.cumsum([0, *[2] * _KEYS, *(2 * len(pair) for pair in _PROGRESS_HZ)])[:-1]


def tone_of(frame: bytes) -> Tone | None:
    """The tone that `frame` (20 ms, 320 bytes of 16-bit little-endian PCM at 8 kHz) is, and nothing else; or None."""
    samples = np.frombuffer(frame, dtype="<i2").astype(np.float32)
    energy = float(samples.dot(samples))
    if energy == 0:
        return None
    parts = _ROWS.dot(samples)
    tones = np.add.reduceat(parts * parts, _STARTS).tolist()  # the energy that each explains
    low, high = max(tones[: len(_LOW_HZ)]), max(tones[len(_LOW_HZ) : _KEYS])
    if low + high >= KEY_SHARE * energy and min(low, high) >= LEAST_OF_BOTH * (low + high):
        return Tone.KEY
    return Tone.PROGRESS if max(tones[_KEYS:]) >= PROGRESS_SHARE * energy else None
