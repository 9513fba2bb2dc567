"""The hybrid detector: Silero's model and the line's level together.

The model alone is late, misses short words, and hears people in the background as well as the caller. The level over
the noise floor is quick and misses nothing, but takes everything loud for voice. Together:

    a voice begins    if the model is fairly sure and the level stands out a little; or if the model does not exclude
                      speech and the level stands out clearly for 60 ms, which a short word does and a click does not
    a voice goes on   while the model does not exclude speech and the level is above the floor
    background talk   raises the level that is needed, because the caller is louder than the people around. A new line
                      counts as one with background talk until it has shown that there is none

While the line is at its noise floor, the model sleeps. When it wakes, it hears the last 0.3 s first. The figures here
were set on the development voices of bench/endpointing; docs/endpointing.md shows what they do on other voices.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from lexbridge.audio.pcm import FRAME_MS, rms
from lexbridge.audio.vad.base import Detector, DetectorKind, DetectorOptions
from lexbridge.audio.vad.noise_floor import CALIBRATION_MS, NoiseFloor
from lexbridge.audio.vad.silero import PACKAGES, REQUIREMENTS, SileroModel, SpeechProbability

SURE, POSSIBLE, GOES_ON, IN_BACKGROUND = 0.4, 0.03, 0.15, 0.3
"""Least probability of speech for: a voice that begins with a little level; one that begins with much level; one that
goes on; and talk in the background."""

TALK_FROM, TALK_TO = 0.03, 0.10
"""Share of the background that is speech: below the first, the levels in QUIET hold; above the second, TALKING."""

_SMOOTHED_FRAMES = 4
_RELEASE_FRAMES = 6  # frames without voice after which a voice has to begin anew
_SETTLED_FRAMES = 25  # frames without voice after which the model has forgotten the caller
_ASLEEP_AFTER_FRAMES = 10
_KEPT_FRAMES = 16
_CALIBRATION_FRAMES = CALIBRATION_MS // FRAME_MS


def _ratio(decibels: float) -> float:
    return 10 ** (decibels / 10)


@dataclass(frozen=True, slots=True)
class _Levels:
    """Levels over the noise floor in dB: to stand out if the model is sure, to stand out clearly, and to go on."""

    stands_out_db: float
    clearly_db: float
    goes_on_db: float


QUIET = _Levels(2.0, 10.0, 1.5)
TALKING = _Levels(10.5, 14.0, 3.5)
"""Thresholds on a line with background talk, where a crowd's loudest words, smoothed over 80 ms, are less than 10 dB
over its median."""

STIRS = _ratio(1.5)
"""Ratio over the noise floor that wakes the model."""

TAIL = _ratio(-32.0)
"""Ratio to the loudest frame of a voice below which only its reverberation is left."""

FADES = _ratio(-0.2)
"""Factor by which the memory of the loudest frame fades with each frame: 10 dB a second."""


class _Background:
    """An estimate of whether other people talk in the background."""

    _STEP = 0.004  # weight of each frame at the noise floor: the estimate follows within about 10 s
    # Weight beside the caller's voice. Not 0, because a crowd that was taken for the caller has to be learnt too.
    _STEP_BESIDE_CALLER = 0.0003
    _FIRST_FRAMES = 25  # weight of the first assumption, in frames

    def __init__(self) -> None:
        self._talk = TALK_TO
        self._settled_frames = 0

    def learn(self, is_speech: bool, is_settled: bool) -> None:
        """Take in a frame at the noise floor. Louder frames may be the caller, and say nothing of the background."""
        step = self._STEP_BESIDE_CALLER
        if is_settled:
            self._settled_frames += 1
            step = max(self._STEP, 1 / (self._settled_frames + self._FIRST_FRAMES))
        self._talk += (is_speech - self._talk) * step

    def between(self, quiet_db: float, talking_db: float) -> float:
        """Return a power ratio between the two levels, according to how much the background talks."""
        share = min(1.0, max(0.0, (self._talk - TALK_FROM) / (TALK_TO - TALK_FROM)))
        return _ratio(quiet_db + (talking_db - quiet_db) * share)


class HybridDetector(Detector):
    """A detector by Silero's model and the line's level, which have to agree."""

    def __init__(self, model: SileroModel, margin_db: float = 0.0) -> None:
        """`margin_db`: added to every level, for a line on which too much counts as voice."""
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
        """Return the probability of speech at the end of `frame`, or 0 while the model sleeps."""
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
