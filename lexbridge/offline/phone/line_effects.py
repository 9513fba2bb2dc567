"""Faults of the line between the browser and Twilio: noise, lost frames and coughs on what the caller says."""

import random
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lexbridge.audio.pcm import FULL_SCALE, MULAW_FRAME_BYTES, RATE_HZ, decode_mulaw, encode_mulaw
from lexbridge.offline.twilio.telephone_audio import SILENT_FRAME, SPEECH_LEVEL_DBFS, cough_noise, frames_of

NOISE_LOOP_FRAMES = 500
"""Frames after which the noise repeats: 10 s, because nobody hears a pattern that long."""

COUGH_EVERY_FRAMES = 35
"""Frames from one cough to the next while the button is held: 700 ms, because people cough about that often."""

HELD_NOISE_DBFS = SPEECH_LEVEL_DBFS - 6
"""Level of the noise while its button is held, dBFS: 6 dB under speech, because a passing lorry is about that loud."""

BURST_FRAMES = 3
"""Frames that are lost in a row, at most: 60 ms, because a network loses packets in bursts."""


@dataclass(frozen=True, slots=True)
class LineQuality:
    """A quality of the line. `noise_dbfs`: level of its noise, None for none. `lost_share`: of the frames, 0 to 1."""

    label: str
    noise_dbfs: float | None = None
    lost_share: float = 0.0


QUALITIES = {
    "clean": LineQuality("Clean"),
    "noise-20": LineQuality("Noise 20 dB under speech", SPEECH_LEVEL_DBFS - 20),
    "noise-10": LineQuality("Noise 10 dB under speech", SPEECH_LEVEL_DBFS - 10),
    "loss": LineQuality("Every tenth frame is lost", lost_share=0.1),
}
"""The qualities that the page offers, by name, the best first."""


class LineEffects:
    """The faults that are on now. `apply` puts them on 20 ms of the caller's audio."""

    def __init__(self, seed: int = 1) -> None:
        self.quality = QUALITIES["clean"]
        self.is_coughing = False
        self.is_noisy = False
        self.began_cough = False
        """Whether a cough begins in the frame that `apply` returned last."""
        self._random = random.Random(seed)
        self._hiss = _hiss(seed)
        self._place = 0
        self._lost_frames = 0
        self._cough: deque[bytes] = deque()
        self._until_cough_frames = 0

    def apply(self, frame: bytes) -> bytes:
        """Return a frame of mu-law with the faults that are on now."""
        if self._is_lost():
            return SILENT_FRAME
        sounds = []
        if self.quality.noise_dbfs is not None:
            sounds.append(self._noise(self.quality.noise_dbfs))
        if self.is_noisy:
            sounds.append(self._noise(HELD_NOISE_DBFS))
        if cough := self._next_cough():
            sounds.append(np.frombuffer(decode_mulaw(cough), "<i2").astype(np.float64))
        if not sounds:
            return frame
        mixed = np.frombuffer(decode_mulaw(frame), "<i2") + np.sum(sounds, axis=0)
        return encode_mulaw(np.clip(np.rint(mixed), -32768, 32767).astype("<i2").tobytes())

    def _is_lost(self) -> bool:
        if not self.quality.lost_share:
            return False
        if not self._lost_frames and self._random.random() < self.quality.lost_share * 2 / (BURST_FRAMES + 1):
            self._lost_frames = self._random.randint(1, BURST_FRAMES)
        if not self._lost_frames:
            return False
        self._lost_frames -= 1
        return True

    def _noise(self, level_dbfs: float) -> npt.NDArray[np.float64]:
        self._place = (self._place + 1) % NOISE_LOOP_FRAMES
        return np.asarray(self._hiss[self._place] * 10 ** (level_dbfs / 20))

    def _next_cough(self) -> bytes | None:
        self.began_cough = False
        self._until_cough_frames -= 1
        if self.is_coughing and self._until_cough_frames <= 0:
            self._until_cough_frames = COUGH_EVERY_FRAMES
            self._cough.extend(frames_of(cough_noise(seed=self._random.randrange(1000))))
            self.began_cough = True
        return self._cough.popleft() if self._cough else None


def _hiss(seed: int) -> npt.NDArray[np.float64]:
    """Return noise at 0 dBFS, a row for each frame: softer towards high frequencies, as a room is."""
    count = NOISE_LOOP_FRAMES * MULAW_FRAME_BYTES
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0.0, 1.0, count))
    hz = np.fft.rfftfreq(count, 1 / RATE_HZ)
    shaped = np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, 100.0)), count)
    return np.asarray(shaped / shaped.std() * FULL_SCALE).reshape(NOISE_LOOP_FRAMES, MULAW_FRAME_BYTES)
