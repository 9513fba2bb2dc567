"""Simulated telephone lines: what a caller says on them, where the speech really is, and what else is heard.

A seeded generator makes everything. Levels are dBov of the active speech (in the sense of ITU-T P.56: pauses do not
count); the level of a background is that of the speech less the signal-to-noise ratio. All of it goes through mu-law
once, as in a call.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.endpointing.background import Backgrounds
from bench.endpointing.recordings import Recording, Samples
from lexbridge.audio.endpointing import Listening
from lexbridge.audio.hangover import Expected
from lexbridge.audio.pcm import FRAME_SAMPLES, FULL_SCALE, PCM_FRAME_BYTES, RATE_HZ, decode_mulaw, encode_mulaw

STEP_SAMPLES = RATE_HZ // 100
"""Resolution of the truth, samples: 10 ms."""

ACTIVE_DB = 30.0
"""Level below the 95th percentile of a recording, dB, down to which it counts as speech."""

FLUENT_PAUSE_MS = 300
"""Longest pause within a recording that counts as fluent, ms."""

PAUSE_MEDIAN_S, PAUSE_SIGMA, LONGEST_PAUSE_S = 0.5, 0.6, 2.0
"""Pause of a caller who hesitates, seconds: log-normal. That, and one pause an utterance, are assumptions."""

OPEN_SHARE = 0.5
"""Share of the sentences that answer an open question; the others are the value of a slot.

Callers hesitate in both: an assumption too.
"""

LONG_NUMBER_S = 7.0
"""Longest part of a number that is said at once, seconds, because more might exceed the longest utterance."""

LEAD_S, GAP_S = (1.5, 3.0), (2.6, 4.0)
"""Time from the start of a line to the first utterance, and from one to the next, seconds: the bot speaks then."""

COMFORT_NOISE_DBOV = -66.0
SPEECH_DBOV = -26.0

Kind = Literal["short", "fluent", "hesitant", "digits"]
Change = Callable[[Samples, np.random.Generator], Samples]


@dataclass(frozen=True, slots=True)
class Spoken:
    """Utterance on a line: its kind, its beginning and end (media time), and what the bot has asked."""

    kind: Kind
    start_ms: int
    end_ms: int
    asked: Expected


@dataclass(frozen=True, slots=True)
class Truth:
    """Content of a line. `condition`: name of its Condition."""

    condition: str
    snr_db: int | None
    length_s: float
    spoken: tuple[Spoken, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """Stretch of a call. `pcm`: whole frames as the service decodes them.

    `listening`: by number of the frame, how the service listens while a prompt plays.
    """

    pcm: bytes = field(repr=False)
    truth: Truth
    listening: Mapping[int, Listening] = field(default_factory=dict, repr=False)

    def mulaw_frames(self) -> Iterator[bytes]:
        """Yield each frame as it came over the line: mu-law, of which the PCM was decoded."""
        for at in range(0, len(self.pcm) - PCM_FRAME_BYTES + 1, PCM_FRAME_BYTES):
            yield encode_mulaw(self.pcm[at : at + PCM_FRAME_BYTES])


def level(dbov: float) -> float:
    """Return the RMS of 16-bit samples at a level relative to full scale."""
    return FULL_SCALE * 10 ** (dbov / 20)


def comfort_noise(length: int, rng: np.random.Generator) -> Samples:
    """Return the hiss of a line on which nobody speaks."""
    return rng.standard_normal(length) * level(COMFORT_NOISE_DBOV)


def unchanged(samples: Samples, _: np.random.Generator) -> Samples:
    """Return the samples unchanged."""
    return samples


@dataclass(frozen=True, slots=True)
class Condition:
    """Condition of a line.

    `background`: one of Backgrounds at `snr_db` under the speech, or None. `hiss`: the noise that is always there.
    `change`: alters all that is on the line, before it is coded.
    """

    name: str
    background: str | None = None
    snr_db: int | None = None
    speech_dbov: float = SPEECH_DBOV
    hiss: Callable[[int, np.random.Generator], Samples] = comfort_noise
    change: Change = unchanged


@dataclass(frozen=True, slots=True)
class _Clip:
    """Speech of one recording, without the silence around it, at 0 dBov."""

    kind: Kind
    samples: Samples
    name: str


class Voice:
    """One caller: makes utterances of each kind of the recordings."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        clips = [clip for recording in recordings if (clip := _clip(recording)) is not None]
        self._short = [clip for clip in clips if clip.kind == "short"]
        self._fluent = [clip for clip in clips if clip.kind == "fluent"]
        self._digits = [clip for clip in clips if _is_digit(clip.name)]

    def say(self, kind: Kind, rng: np.random.Generator) -> tuple[Samples, Expected]:
        """Return samples at 0 dBov that begin and end with speech, and what they answer."""
        if kind == "short":
            return _pick(self._short, rng).samples, Expected.CLOSED
        if kind == "digits":
            return self._number(rng), Expected.DIGITS
        samples = _pick(self._fluent, rng).samples
        if kind == "hesitant":
            samples = _with_pause(samples, rng)
        return samples, Expected.OPEN if rng.random() < OPEN_SHARE else Expected.PHRASE

    def _number(self, rng: np.random.Generator) -> Samples:
        """Return digits read out in groups of three or four."""
        pieces: list[Samples] = []
        for group in range(int(rng.integers(2, 4))):
            if group:
                pieces.append(_silence(_pause_s(rng)))
            for n in range(int(rng.integers(3, 5))):
                if n:
                    pieces.append(_silence(rng.uniform(0.03, 0.15)))
                pieces.append(_pick(self._digits, rng).samples)
            if sum(map(len, pieces)) > LONG_NUMBER_S * RATE_HZ:
                break
        return np.concatenate(pieces)

    def talk(self, seconds: float, rng: np.random.Generator) -> Samples:
        """Return speech without end, at about 0 dBov: a voice of a babble."""
        pieces: list[Samples] = []
        while sum(map(len, pieces)) < seconds * RATE_HZ:
            pieces += [_pick(self._fluent, rng).samples, _silence(rng.uniform(0.05, 0.4))]
        return np.concatenate(pieces)[: round(seconds * RATE_HZ)]


def _is_digit(name: str) -> bool:
    folder, _, digit = name.partition("/")
    return folder == "digits" and len(digit) == 1 and digit.isdigit()


def _pick(clips: Sequence[_Clip], rng: np.random.Generator) -> _Clip:
    return clips[int(rng.integers(len(clips)))]


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ))


def _pause_s(rng: np.random.Generator) -> float:
    return min(LONGEST_PAUSE_S, float(rng.lognormal(np.log(PAUSE_MEDIAN_S), PAUSE_SIGMA)))


def _levels_db(samples: Samples) -> npt.NDArray[np.float64]:
    steps = samples[: len(samples) // STEP_SAMPLES * STEP_SAMPLES].reshape(-1, STEP_SAMPLES)
    return np.asarray(10 * np.log10(np.maximum(np.mean(steps**2, axis=1), 1e-3)))


def _clip(recording: Recording) -> _Clip | None:
    """Return the recording without the silence around it, or None if it is neither a short word nor fluent."""
    levels = _levels_db(recording.samples)
    active = levels > np.percentile(levels, 95) - ACTIVE_DB
    where = np.flatnonzero(active)
    first, last = int(where[0]), int(where[-1]) + 1
    samples = recording.samples[first * STEP_SAMPLES : last * STEP_SAMPLES]
    power = np.mean(samples.reshape(-1, STEP_SAMPLES)[active[first:last]] ** 2)
    samples = samples * (FULL_SCALE / np.sqrt(power))
    length_ms, pauses = (last - first) * 10, np.diff(where) * 10 - 10
    if 80 <= length_ms <= 600:
        return _Clip("short", samples, recording.name)
    if 800 <= length_ms <= 6000 and pauses.max(initial=0) <= FLUENT_PAUSE_MS:
        return _Clip("fluent", samples, recording.name)
    return None


def _with_pause(samples: Samples, rng: np.random.Generator) -> Samples:
    """Return `samples` with a pause near their quietest place: between words."""
    levels = np.convolve(_levels_db(samples), np.ones(4) / 4, "same")
    inside = levels[30:-30]
    at = (30 + int(np.argmin(inside + rng.normal(0, 6, len(inside))))) * STEP_SAMPLES
    return np.concatenate([_faded(samples[:at]), _silence(_pause_s(rng)), samples[at:]])


def _faded(samples: Samples) -> Samples:
    faded = samples.copy()
    faded[-80:] *= np.linspace(1, 0, 80)
    return faded


def line_of(
    samples: Samples,
    condition: Condition,
    spoken: tuple[Spoken, ...] = (),
    listening: Mapping[int, Listening] | None = None,
) -> Line:
    """Return a mu-law line of `samples`, in units of 16-bit PCM. An incomplete frame at the end is left out."""
    samples = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]
    pcm = np.clip(np.rint(samples), -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()
    truth = Truth(condition.name, condition.snr_db, len(samples) / RATE_HZ, spoken)
    return Line(decode_mulaw(encode_mulaw(pcm)), truth, listening or {})


class Lines:
    """Maker of lines with the voices of one side of the split."""

    def __init__(self, voices: Sequence[Voice], music: Sequence[Samples]) -> None:
        self._voices = voices
        self.backgrounds = Backgrounds([voice.talk for voice in voices], music)

    def voice(self, rng: np.random.Generator) -> Voice:
        """Return one of the voices."""
        return self._voices[int(rng.integers(len(self._voices)))]

    def spoken_on(self, condition: Condition, kinds: Sequence[Kind], rng: np.random.Generator) -> Line:
        """Return a line on which one caller says an utterance of each of `kinds`."""
        voice = self.voice(rng)
        pieces, spoken = [_silence(rng.uniform(*LEAD_S))], []
        for kind in kinds:
            at = sum(map(len, pieces))
            samples, asked = voice.say(kind, rng)
            spoken.append(Spoken(kind, at * 1000 // RATE_HZ, (at + len(samples)) * 1000 // RATE_HZ, asked))
            pieces += [samples, _silence(rng.uniform(*GAP_S))]
        speech = np.concatenate(pieces) * 10 ** (condition.speech_dbov / 20)
        return self._line(speech, condition, rng, tuple(spoken))

    def without_speech(self, condition: Condition, seconds: float, rng: np.random.Generator) -> Line:
        """Return a line on which nobody speaks, with a background as loud as beside speech."""
        return self._line(_silence(seconds), condition, rng, ())

    def _line(
        self, speech: Samples, condition: Condition, rng: np.random.Generator, spoken: tuple[Spoken, ...]
    ) -> Line:
        samples = speech + condition.hiss(len(speech), rng)
        if condition.background is not None and condition.snr_db is not None:
            noise = self.backgrounds.make(condition.background, len(speech) / RATE_HZ, rng)[: len(speech)]
            samples[: len(noise)] += noise * level(condition.speech_dbov - condition.snr_db)
        return line_of(condition.change(samples, rng), condition, spoken)
