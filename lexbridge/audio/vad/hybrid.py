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

import math
from collections.abc import Callable
from dataclasses import dataclass

from lexbridge.audio.pcm import MULAW_FRAME_BYTES, decode_mulaw, rms
from lexbridge.audio.vad.base import Detector, DetectorKind, DetectorOptions, Gauge, JudgedAtOnce, Window
from lexbridge.audio.vad.noise_floor import NoiseFloor
from lexbridge.audio.vad.silero import PACKAGES, REQUIREMENTS, SileroModel, SileroWindows, shared_model

SURE, POSSIBLE, GOES_ON, IN_BACKGROUND = 0.4, 0.03, 0.15, 0.3
"""Least probability of speech for: a voice that begins with a little level; one that begins with much level; one that
goes on; and talk in the background."""

TALK_FROM, TALK_TO = 0.03, 0.10
"""Share of the background that is speech: below the first, the levels in QUIET hold; above the second, TALKING."""

_SMOOTHED_FRAMES = 4
_RELEASE_FRAMES = 6  # frames without voice after which a voice has to begin anew
_SETTLED_FRAMES = 25  # frames without voice after which the model has forgotten the caller
_ASLEEP_AFTER_FRAMES = 10
_FORGOTTEN_AFTER_FRAMES = _ASLEEP_AFTER_FRAMES + _SMOOTHED_FRAMES  # still frames after which no probability counts
_KEPT_BYTES = 16 * MULAW_FRAME_BYTES


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
    """An estimate of whether other people talk in the background, and what it makes of the levels that are needed."""

    __slots__ = ("_settled_frames", "_talk", "_talk_of_ratios", "clearly", "goes_on", "stands_out")

    _STEP = 0.004  # weight of each frame at the noise floor: the estimate follows within about 10 s
    # Weight beside the caller's voice. Not 0, because a crowd that was taken for the caller has to be learnt too.
    _STEP_BESIDE_CALLER = 0.0003
    _FIRST_FRAMES = 25  # weight of the first assumption, in frames
    _LAST_SETTLED = 225  # frames after which each weighs _STEP: 1 / (225 + 25)

    def __init__(self) -> None:
        self._talk = self._talk_of_ratios = TALK_TO
        self._settled_frames = 0
        self.stands_out = _ratio(TALKING.stands_out_db)
        self.clearly = _ratio(TALKING.clearly_db)
        self.goes_on = _ratio(TALKING.goes_on_db)

    def learn(self, is_speech: bool, is_settled: bool) -> None:
        """Take in a frame at the noise floor. Louder frames may be the caller, and say nothing of the background."""
        if not is_settled:
            step = self._STEP_BESIDE_CALLER
        elif self._settled_frames < self._LAST_SETTLED:
            self._settled_frames += 1
            step = 1 / (self._settled_frames + self._FIRST_FRAMES)
        else:
            step = self._STEP
        self._talk += (is_speech - self._talk) * step

    def set_ratios(self) -> None:
        """Set the power ratios according to how much the background talks now. Call it before they are read."""
        if self._talk == self._talk_of_ratios:
            return
        self._talk_of_ratios = self._talk
        share = min(1.0, max(0.0, (self._talk - TALK_FROM) / (TALK_TO - TALK_FROM)))
        self.stands_out = _ratio(QUIET.stands_out_db + (TALKING.stands_out_db - QUIET.stands_out_db) * share)
        self.clearly = _ratio(QUIET.clearly_db + (TALKING.clearly_db - QUIET.clearly_db) * share)
        self.goes_on = _ratio(QUIET.goes_on_db + (TALKING.goes_on_db - QUIET.goes_on_db) * share)


class HybridDetector(JudgedAtOnce):
    """A detector by Silero's model and the line's level, which have to agree."""

    __slots__ = (
        "_background",
        "_floor",
        "_is_asked",
        "_level",
        "_loudest",
        "_margin",
        "_newest",
        "_powers",
        "_slept_through",
        "_still_frames",
        "_unvoiced_frames",
        "_windows",
    )

    def __init__(self, model: SileroModel, margin_db: float = 0.0) -> None:
        """`margin_db`: added to every level, for a line on which too much counts as voice."""
        self._windows = SileroWindows(model)
        self._newest = (0.0, 0.0, 0.0, 0.0)  # probabilities of the newest frames
        self._powers: tuple[float, ...] = ()  # of the same frames
        self._level = 0.0  # the mean of `_powers`
        self._floor = NoiseFloor()
        self._margin = _ratio(margin_db)
        self._background = _Background()
        self._loudest = 0.0
        self._unvoiced_frames = _SETTLED_FRAMES
        self._still_frames = _FORGOTTEN_AFTER_FRAMES
        # Audio that the model has not heard, as mu-law.
        self._slept_through = bytearray()
        self._is_asked = False

    def window(self, frame: bytes, mulaw: bytes) -> Window | None:
        loudness = rms(frame)
        power = loudness * loudness
        _, first, second, third = self._powers or (power,) * _SMOOTHED_FRAMES
        self._powers = first, second, third, power
        self._level = level = (first + second + third + power) / _SMOOTHED_FRAMES
        if level > self._floor.power * STIRS or self._unvoiced_frames <= _RELEASE_FRAMES:
            self._still_frames = 0
        else:
            self._still_frames += 1
        if self._still_frames >= _ASLEEP_AFTER_FRAMES:
            self._slept_through += mulaw
            del self._slept_through[:-_KEPT_BYTES]
            self._is_asked = False
            return None
        if self._slept_through:
            frame = decode_mulaw(self._slept_through[MULAW_FRAME_BYTES - _KEPT_BYTES :]) + frame
            self._slept_through.clear()
        window = self._windows.push(frame)
        self._is_asked = window is not None
        return window

    def decide(self, probability: float | None) -> bool:
        level = self._level
        self._loudest *= FADES
        if level > self._loudest:
            self._loudest = level
        voiced = self._still_frames < _FORGOTTEN_AFTER_FRAMES and self._is_voiced(self._probability(probability))
        self._unvoiced_frames = 0 if voiced else self._unvoiced_frames + 1
        self._floor.update(level, self._unvoiced_frames <= _RELEASE_FRAMES)
        if level <= self._floor.power:
            is_settled = self._unvoiced_frames >= _SETTLED_FRAMES
            self._background.learn(self._newest[3] >= IN_BACKGROUND, is_settled)
        return voiced

    def gauge(self) -> Gauge:
        floor = self._floor.power
        if math.isinf(floor):  # nothing was heard yet
            return Gauge(None, None)
        background = self._background
        background.set_ratios()
        ratio = background.stands_out if self._unvoiced_frames > _RELEASE_FRAMES else background.goes_on
        return Gauge(math.sqrt(floor * self._margin * ratio), math.sqrt(floor))

    def _probability(self, judged: float | None) -> float:
        """Return the probability of speech at the end of the newest frame, or 0 while the model sleeps."""
        if judged is not None:
            return judged
        if self._still_frames >= _ASLEEP_AFTER_FRAMES:
            return 0.0
        # If the model failed, the level decides alone. Otherwise the frame has completed no window.
        return 1.0 if self._is_asked else self._newest[3]

    def _is_voiced(self, probability: float) -> bool:
        _, second, third, fourth = self._newest
        self._newest = second, third, fourth, probability
        floor, background = self._floor.power * self._margin, self._background
        background.set_ratios()
        if not self._begins(floor, background):
            if self._unvoiced_frames > _RELEASE_FRAMES or probability < GOES_ON:
                return False
            if (self._powers[3] + self._powers[2]) / 2 < floor * background.goes_on:
                return False
        return self._powers[3] >= self._loudest * TAIL

    def _begins(self, floor: float, background: _Background) -> bool:
        first, second, third, fourth = self._newest
        is_sure = (first >= SURE) + (second >= SURE) + (third >= SURE) + (fourth >= SURE) >= 2
        if is_sure and self._level >= floor * background.stands_out:
            return True
        # Three of the four frames are as loud.
        return max(self._newest) >= POSSIBLE and sorted(self._powers)[1] >= floor * background.clearly


def _load(options: DetectorOptions) -> Callable[[], Detector]:
    model = shared_model()
    return lambda: HybridDetector(model, options.voice_margin_db)


KIND = DetectorKind("model and level", _load, PACKAGES, REQUIREMENTS)
