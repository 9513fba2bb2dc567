"""The detector of our own: a model that knows speech, and a rule that knows the line.

Silero's model alone is late, misses short words, and hears the people in the background as well as the caller. The
level over the line's own floor is quick and misses nothing, but everything loud is voice to it. Together:

    a voice begins   where the model is fairly sure and the level stands out a little, or where the model does not
                     exclude it and the level stands out clearly for 60 ms: a short word; a click is shorter
    it goes on       while the model does not exclude it and the level is above the floor
    others' talk     in the background asks for more level: who calls is louder than who else is there. Until a line
                     has shown that nobody talks there, somebody does

While the line is at its floor the model sleeps; when something stirs, it hears the last 0.3 s first. The figures were
set on the development voices of bench/endpointing; docs/endpointing.md has what they do on others.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from lexbridge.audio.pcm import FRAME_MS, rms
from lexbridge.audio.vad.base import Detector, DetectorKind, DetectorOptions
from lexbridge.audio.vad.noise_floor import CALIBRATION_MS, NoiseFloor
from lexbridge.audio.vad.silero import PACKAGES, REQUIREMENTS, SileroModel, SpeechProbability

SURE, POSSIBLE, GOES_ON, IN_BACKGROUND = 0.4, 0.03, 0.15, 0.3
"""Probabilities of speech: enough to begin with a little level; with much; to go on; and for the background to talk."""

TALK_FROM, TALK_TO = 0.03, 0.10
"""Share of the background that is speech: the levels are those without talk below the one, with it above the other."""

_SMOOTHED_FRAMES = 4
_RELEASE_FRAMES = 6  # without voice, after which it has to begin anew
_SETTLED_FRAMES = 25  # without voice, after which the model has forgotten the caller
_ASLEEP_AFTER_FRAMES = 10
_KEPT_FRAMES = 16
_CALIBRATION_FRAMES = CALIBRATION_MS // FRAME_MS


def _ratio(decibels: float) -> float:
    return 10 ** (decibels / 10)


@dataclass(frozen=True, slots=True)
class _Levels:
    """Over the floor, dB: what stands out with a sure model, what stands out clearly, and what a voice goes on at."""

    stands_out_db: float
    clearly_db: float
    goes_on_db: float


QUIET = _Levels(2.0, 10.0, 1.5)
TALKING = _Levels(10.5, 14.0, 3.5)
"""The loudest words of a crowd are less than 10 dB over its median, smoothed over 80 ms."""

STIRS = _ratio(1.5)
"""Over the floor: enough to wake the model."""


TAIL = _ratio(-32.0)
"""Under the loudest of a voice it dies away: its reverberation, not its words."""

FADES = _ratio(-0.2)
"""Each frame, of what the loudest was: 10 dB a second."""


class _Background:
    """Whether others talk on the line."""

    _STEP = 0.004  # a frame at the floor: 10 s or so
    _STEP_BESIDE_CALLER = 0.0003  # else a crowd that is taken for the caller would be it for ever
    _FIRST_FRAMES = 25  # what is believed at first counts as much

    def __init__(self) -> None:
        self._talk = TALK_TO
        self._settled_frames = 0

    def learn(self, is_speech: bool, is_settled: bool) -> None:
        """A frame at the floor: louder ones may be the caller, not heard yet."""
        step = self._STEP_BESIDE_CALLER
        if is_settled:
            self._settled_frames += 1
            step = max(self._STEP, 1 / (self._settled_frames + self._FIRST_FRAMES))
        self._talk += (is_speech - self._talk) * step

    def between(self, quiet_db: float, talking_db: float) -> float:
        """The ratio, as far between the two as this background is."""
        share = min(1.0, max(0.0, (self._talk - TALK_FROM) / (TALK_TO - TALK_FROM)))
        return _ratio(quiet_db + (talking_db - quiet_db) * share)


class HybridDetector(Detector):
    """Voiced where the model and the line's level agree. See the module."""

    def __init__(self, model: SileroModel, margin_db: float = 0.0) -> None:
        """`margin_db`: asked for on top of every level, for a line where too much is taken for voice."""
        self._probability = SpeechProbability(model)
        self._newest = deque([0.0] * _SMOOTHED_FRAMES, _SMOOTHED_FRAMES)  # probabilities
        self._powers: deque[float] = deque(maxlen=_SMOOTHED_FRAMES)
        self._floor = NoiseFloor()
        self._margin = _ratio(margin_db)
        self._background = _Background()
        self._frames = 0
        self._loudest = 0.0
        self._unvoiced_frames = _SETTLED_FRAMES
        self._still_frames = 0
        self._slept_through: deque[bytes] = deque(maxlen=_KEPT_FRAMES)

    def is_voiced(self, frame: bytes) -> bool:
        self._frames += 1
        power = float(rms(frame) ** 2)
        self._powers.extend([power] * (1 if self._powers else _SMOOTHED_FRAMES))
        level = sum(self._powers) / _SMOOTHED_FRAMES
        self._newest.append(self._speech_in(frame, level))
        self._loudest = max(self._loudest * FADES, level)
        voiced = self._begins(level) or (self._is_on and self._goes_on())
        voiced = voiced and power >= self._loudest * TAIL
        self._unvoiced_frames = 0 if voiced else self._unvoiced_frames + 1
        self._floor.update(level, self._is_on)
        if level <= self._floor.power:
            is_settled = self._unvoiced_frames >= _SETTLED_FRAMES
            self._background.learn(self._newest[-1] >= IN_BACKGROUND, is_settled)
        return voiced

    @property
    def _is_on(self) -> bool:
        return self._unvoiced_frames <= _RELEASE_FRAMES

    def _speech_in(self, frame: bytes, level: float) -> float:
        """The probability of speech at the end of `frame`; 0 while the model sleeps."""
        stirs = self._is_on or level > self._floor.power * STIRS or self._frames <= _CALIBRATION_FRAMES
        self._still_frames = 0 if stirs else self._still_frames + 1
        self._slept_through.append(frame)
        if self._still_frames >= _ASLEEP_AFTER_FRAMES:
            return 0.0
        pcm = b"".join(self._slept_through)
        self._slept_through.clear()
        return self._probability.push(pcm)

    def _begins(self, level: float) -> bool:
        floor = self._floor.power * self._margin
        is_sure = sum(value >= SURE for value in self._newest) >= 2
        if is_sure and level >= floor * self._background.between(QUIET.stands_out_db, TALKING.stands_out_db):
            return True
        sustained = sorted(self._powers)[1]  # three of the four frames are as loud
        clearly = self._background.between(QUIET.clearly_db, TALKING.clearly_db)
        return max(self._newest) >= POSSIBLE and sustained >= floor * clearly

    def _goes_on(self) -> bool:
        level = (self._powers[-1] + self._powers[-2]) / 2
        goes_on = self._background.between(QUIET.goes_on_db, TALKING.goes_on_db)
        return self._newest[-1] >= GOES_ON and level >= self._floor.power * self._margin * goes_on


def _load(options: DetectorOptions) -> Callable[[], Detector]:
    model = SileroModel()
    return lambda: HybridDetector(model, options.voice_margin_db)


KIND = DetectorKind("model and level", _load, PACKAGES, REQUIREMENTS)
