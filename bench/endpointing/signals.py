"""Sounds of the telephone network itself, none of them speech: keys, ringing, busy, information tones, a fax."""

from collections.abc import Mapping, Sequence

import numpy as np

from bench.endpointing.line import level
from bench.endpointing.recordings import Samples
from lexbridge.audio.pcm import RATE_HZ

LOW_HZ, HIGH_HZ = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
"""Frequencies of ITU-T Q.23: a key is one of each, together."""

LOUDEST_DBOV, SOFTEST_DBOV = -12.0, -26.0
"""Levels between which each tone is, dBov."""

ONE_COUNTRY_S = 30

Cadence = Sequence[tuple[Sequence[float], float]]
"""Frequencies in Hz, or none, for so many seconds; repeated."""

_SILENT: Sequence[float] = ()
_SIT: Cadence = [((985.2,), 0.33), ((1370.6,), 0.33), ((1776.7,), 0.33), (_SILENT, 2.0)]
CADENCES: Mapping[str, Sequence[Cadence]] = {
    "ringback": [
        [((440, 480), 2.0), (_SILENT, 4.0)],  # US
        [((425,), 1.0), (_SILENT, 4.0)],  # most of Europe
        [((400, 450), 0.4), (_SILENT, 0.2), ((400, 450), 0.4), (_SILENT, 2.0)],  # UK
    ],
    "busy": [
        [((480, 620), 0.5), (_SILENT, 0.5)],
        [((425,), 0.48), (_SILENT, 0.48)],
        [((400,), 0.375), (_SILENT, 0.375)],
        [((480, 620), 0.25), (_SILENT, 0.25)],  # congestion, US
    ],
    "dial tone": [[((350, 440), 10.0)], [((425,), 10.0)], [((350, 450), 10.0)]],
    "information tones": [_SIT],
    "fax calling": [[((1100,), 0.5), (_SILENT, 3.0)]],
}


def tone(frequencies_hz: Sequence[float], seconds: float, dbov: float, rng: np.random.Generator) -> Samples:
    """Return sines of these frequencies, each at `dbov`; silence if there are none."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    samples = np.zeros(len(time_s))
    for hz in frequencies_hz:
        samples += np.sin(2 * np.pi * (hz * time_s + rng.uniform())) * level(dbov) * np.sqrt(2)
    return samples


def keys(seconds: float, rng: np.random.Generator) -> Samples:
    """Return the tones of keys pressed quickly and slowly. The two tones of a key differ by up to 4 dB."""
    samples, at = np.zeros(round(seconds * RATE_HZ)), RATE_HZ
    while at < len(samples) - RATE_HZ:
        dbov, length_s = rng.uniform(SOFTEST_DBOV, LOUDEST_DBOV), rng.uniform(0.06, 0.4)
        key = tone([float(rng.choice(LOW_HZ))], length_s, dbov, rng)
        key += tone([float(rng.choice(HIGH_HZ))], length_s, dbov + rng.uniform(-4, 4), rng)
        samples[at : at + len(key)] += key
        at += len(key) + round(rng.uniform(0.06, 1.5) * RATE_HZ)
    return samples


def cadence(name: str, seconds: float, rng: np.random.Generator) -> Samples:
    """Return one of CADENCES: of one country after the other, each for half a minute at a level of its own."""
    pieces: list[Samples] = []
    while sum(map(len, pieces)) < seconds * RATE_HZ:
        pattern = CADENCES[name][int(rng.integers(len(CADENCES[name])))]
        dbov, until = rng.uniform(SOFTEST_DBOV, LOUDEST_DBOV), sum(map(len, pieces)) + ONE_COUNTRY_S * RATE_HZ
        while sum(map(len, pieces)) < until:
            pieces += [tone(frequencies_hz, length_s, dbov, rng) for frequencies_hz, length_s in pattern]
    return np.concatenate(pieces)[: round(seconds * RATE_HZ)]
