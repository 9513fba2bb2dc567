"""Key tones (DTMF) on the line: as loud as voice, and no speech. Twilio leaves them in the audio of a stream."""

import numpy as np

from lexbridge.audio import FRAME_SAMPLES, RATE_HZ

_LOW_HZ = (697, 770, 852, 941)
_HIGH_HZ = (1209, 1336, 1477, 1633)  # ITU-T Q.23: a key is one of each, together

SHARE = 0.85
"""Of a frame's power that its two tones hold. Voice has more than two partials."""

LEAST_OF_BOTH = 0.1
"""Of the two tones' power that each of them holds: the levels of a key's tones differ by a few dB at most."""

_TIME_S = np.arange(FRAME_SAMPLES) / RATE_HZ
_WAVES = np.exp(-2j * np.pi * np.outer((*_LOW_HZ, *_HIGH_HZ), _TIME_S)) * (2 / FRAME_SAMPLES)


def is_key_tone(frame: bytes) -> bool:
    """Whether `frame` (20 ms, 320 bytes of 16-bit little-endian PCM at 8 kHz) is the tone of a key and nothing else."""
    samples = np.frombuffer(frame, dtype="<i2").astype(np.float64)
    power = float(np.mean(samples**2))
    if power == 0:
        return False
    tones = np.abs(_WAVES @ samples) ** 2 / 2  # the power of a sine of that frequency
    low, high = float(tones[:4].max()), float(tones[4:].max())
    return low + high >= SHARE * power and min(low, high) >= LEAST_OF_BOTH * (low + high)
