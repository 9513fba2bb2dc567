"""Tones on the line, which are as loud as a voice and are no speech.

Twilio leaves the tones of the caller's keypad (DTMF) in a stream's audio. Ringing, busy and fax tones come in where a
call is forwarded or put into a conference.
"""

from enum import Enum

import numpy as np

from lexbridge.audio.pcm import FRAME_SAMPLES, RATE_HZ

_LOW_HZ = (697, 770, 852, 941)
_HIGH_HZ = (1209, 1336, 1477, 1633)  # ITU-T Q.23: a key sounds one low and one high tone together
_PROGRESS_HZ = (
    (440, 480),  # ringing, North America
    (480, 620),  # busy and reorder, North America
    (350, 440),  # dial tone, North America
    (350, 450),  # dial tone, United Kingdom
    (400, 450),  # ringing, United Kingdom
    (400,),  # busy, United Kingdom
    (425,),  # ringing, busy and dial tone in most of Europe (ITU-T E.180)
    # The three special information tones: 950, 1400 and 1800 Hz, each up to 50 Hz higher or lower (ITU-T E.180). North
    # America uses the lowest or highest value of the first two, and 1776.7 Hz. The sums of the tones in a row here
    # cover every frequency between them.
    (913.8, 950, 985.2),
    (1370.6, 1400, 1428.5),
    (1776.7, 1800),
    (1100,),  # a fax that calls
    (2100,),  # a fax that answers
)

KEY_SHARE = 0.85
"""Least share of a frame's power in the two tones of a key. A voice has less, because it has more than two partials."""

LEAST_OF_BOTH = 0.1
"""Least share of that power in each of the two tones, because their levels differ by a few dB at most."""

PROGRESS_SHARE = 0.97
"""Least share of a frame's power in a progress tone. It is high because these tones lie where voices are strongest."""


class Tone(Enum):
    """Kind of tone: of the caller's keypad, or of a call's progress (ringing, busy, fax)."""

    KEY = "key"
    PROGRESS = "progress"


def _basis(*frequencies_hz: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return orthonormal rows that span every sum of these tones in any phase; shape (2 for each, FRAME_SAMPLES)."""
    angles = 2 * np.pi * np.outer(frequencies_hz, np.arange(FRAME_SAMPLES) / RATE_HZ)
    rows, _ = np.linalg.qr(np.concatenate((np.cos(angles), np.sin(angles))).T)
    return rows.T.astype(np.float32)


_KEYS = len(_LOW_HZ) + len(_HIGH_HZ)
_ROWS = np.concatenate([_basis(hz) for hz in (*_LOW_HZ, *_HIGH_HZ)] + [_basis(*pair) for pair in _PROGRESS_HZ])
_STARTS = np.cumsum([0, *[2] * _KEYS, *(2 * len(pair) for pair in _PROGRESS_HZ)])[:-1]


def find_tone(frame: bytes) -> Tone | None:
    """Return the tone in `frame`, or None if the frame holds anything else.

    A frame is 20 ms: 320 bytes of 16-bit little-endian PCM at 8 kHz.
    """
    samples = np.frombuffer(frame, dtype="<i2").astype(np.float32)
    energy = float(samples.dot(samples))
    if energy == 0:
        return None
    parts = _ROWS.dot(samples)
    tones = np.add.reduceat(parts * parts, _STARTS).tolist()  # energy in each tone
    if max(tones) < KEY_SHARE / 2 * energy:  # most voices: not even one tone of a key
        return None
    low, high = max(tones[: len(_LOW_HZ)]), max(tones[len(_LOW_HZ) : _KEYS])
    if low + high >= KEY_SHARE * energy and min(low, high) >= LEAST_OF_BOTH * (low + high):
        return Tone.KEY
    return Tone.PROGRESS if max(tones[_KEYS:]) >= PROGRESS_SHARE * energy else None
