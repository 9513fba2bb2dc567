"""Backgrounds of a line besides the caller: noise, other people, music, engines, mains hum, clicks."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bench.endpointing.recordings import Samples
from lexbridge.audio.pcm import RATE_HZ

BACKGROUNDS = ("white", "babble", "music", "car", "hum", "clicks")
BABBLE_VOICES = 6
CLICKS_A_SECOND = 1.0
CLICK_CREST_DB = 10.0
"""Level of the first milliseconds of a click above the level of a steady background, dB."""


class Backgrounds:
    """Maker of backgrounds about as loud as full scale; the line scales them. `talk`: voices for the babble."""

    def __init__(
        self, talk: Sequence[Callable[[float, np.random.Generator], Samples]], music: Sequence[Samples]
    ) -> None:
        self._talk = talk
        self._music = music
        self._makers: Mapping[str, Callable[[float, np.random.Generator], Samples]] = {
            "white": self._white,
            "babble": self._babble,
            "music": self._hold_music,
            "car": self._car,
            "hum": self._hum,
            "clicks": self._clicks,
        }

    def make(self, name: str, seconds: float, rng: np.random.Generator) -> Samples:
        """Return `seconds` of the background `name`. Its mean power is 1, except for clicks."""
        samples = self._makers[name](seconds, rng)
        return samples if name == "clicks" else samples / np.sqrt(np.mean(samples**2))

    def _white(self, seconds: float, rng: np.random.Generator) -> Samples:
        return rng.standard_normal(round(seconds * RATE_HZ))

    def _babble(self, seconds: float, rng: np.random.Generator) -> Samples:
        voices = rng.permutation(len(self._talk) * 2)[:BABBLE_VOICES] % len(self._talk)
        talks = [self._talk[voice](seconds, rng) * 10 ** (rng.uniform(-3, 3) / 20) for voice in voices]
        return np.asarray(np.sum(talks, axis=0))

    def _hold_music(self, seconds: float, rng: np.random.Generator) -> Samples:
        wanted, piece = round(seconds * RATE_HZ), self._music[int(rng.integers(len(self._music)))]
        start = int(rng.integers(max(1, len(piece) - wanted)))
        return np.resize(piece[start:], wanted)

    def _car(self, seconds: float, rng: np.random.Generator) -> Samples:
        """Return rolling noise that falls by 12 dB an octave above 100 Hz, and swells by a few dB."""
        noise = np.fft.rfft(rng.standard_normal(round(seconds * RATE_HZ)))
        hz = np.fft.rfftfreq(round(seconds * RATE_HZ), 1 / RATE_HZ)
        rolling = np.fft.irfft(noise / (1 + (hz / 100) ** 2), round(seconds * RATE_HZ))
        knots = rng.normal(0, 2, int(seconds) + 2)
        swell_db = np.interp(np.arange(len(rolling)) / RATE_HZ, np.arange(len(knots)), knots)
        return np.asarray(rolling * 10 ** (swell_db / 20))

    def _hum(self, seconds: float, rng: np.random.Generator) -> Samples:
        """Return mains hum at 50 or 60 Hz, with its harmonics."""
        time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
        mains_hz = rng.choice([50.0, 60.0])
        harmonics = [
            rng.uniform(0.5, 1) / n * np.sin(2 * np.pi * (n * mains_hz * time_s + rng.uniform()))
            for n in (1, 2, 3, 4, 5, 7, 9)
        ]
        return np.asarray(np.sum(harmonics, axis=0))

    def _clicks(self, seconds: float, rng: np.random.Generator) -> Samples:
        samples = np.zeros(round(seconds * RATE_HZ))
        for _ in range(rng.poisson(CLICKS_A_SECOND * seconds)):
            length = int(rng.integers(RATE_HZ // 1000, RATE_HZ // 100))
            start = int(rng.integers(len(samples) - length))
            decay = np.exp(-3 * np.arange(length) / length)
            samples[start : start + length] += 10 ** (CLICK_CREST_DB / 20) * decay * rng.standard_normal(length)
        return samples
