"""Telephone audio: mu-law and linear PCM, levels, sample rates, and the 20 ms frame.

One call's audio is 8 kHz mono. On Twilio's wire it is G.711 mu-law, a byte a sample; towards Lex and inside the
bridge it is 16-bit little-endian linear PCM. A *frame* is 20 ms of it and nothing else.
"""

import audioop  # the standard library's until 3.12, the package audioop-lts from 3.13
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

RATE_HZ = 8000
FRAME_MS = 20
FRAME_SAMPLES = RATE_HZ * FRAME_MS // 1000
MULAW_FRAME_BYTES = FRAME_SAMPLES
PCM_FRAME_BYTES = 2 * FRAME_SAMPLES
MULAW_BYTES_PER_MS = RATE_HZ // 1000
PCM_BYTES_PER_MS = 2 * RATE_HZ // 1000

MULAW_SILENCE = b"\xff"  # G.711: the code of a sample of 0
FULL_SCALE = 32768.0

AUDIBLE_RMS = 64
"""A frame that is louder can be heard on a telephone line: -54 dBFS. What is no louder is no part of a reply yet."""


def decode_mulaw(mulaw: bytes) -> bytes:
    """G.711 mu-law to 16-bit little-endian PCM, two bytes for each one."""
    return audioop.ulaw2lin(mulaw, 2)


def encode_mulaw(pcm: bytes) -> bytes:
    """16-bit little-endian PCM to G.711 mu-law, one byte for each two."""
    return audioop.lin2ulaw(pcm, 2)


def rms(pcm: bytes) -> int:
    """Root mean square of 16-bit PCM samples, 0 to 32768; 0 for no samples."""
    return audioop.rms(pcm, 2)


def first_audible_ms(mulaw: bytes) -> int | None:
    """Returns where the first frame begins that a caller can hear, ms from the beginning; None if there is none.

    A reply is late until this frame: in the bridge's log, in the demo's table and picture, and in the benches.
    """
    pcm = decode_mulaw(mulaw)
    starts = range(0, len(pcm), PCM_FRAME_BYTES)
    found = next((start for start in starts if rms(pcm[start : start + PCM_FRAME_BYTES]) > AUDIBLE_RMS), None)
    return None if found is None else found // PCM_BYTES_PER_MS


def frame_levels_dbfs(pcm: bytes) -> npt.NDArray[np.float64]:
    """Level of each whole frame of `pcm`, dB relative to full scale, floored at -96 (digital silence)."""
    samples = np.frombuffer(pcm, dtype="<i2")
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES).astype(np.float64)
    power = np.mean(frames**2, axis=1) / FULL_SCALE**2
    levels: npt.NDArray[np.float64] = 10.0 * np.log10(np.maximum(power, 10**-9.6))
    return levels


class Framer:
    """Cuts bytes of any length into whole frames; what is left waits for the next bytes.

    Twilio's payloads are 20 ms in practice, but their size is no part of its contract.
    """

    def __init__(self, frame_bytes: int = MULAW_FRAME_BYTES) -> None:
        self._frame_bytes = frame_bytes
        self._rest = b""

    def push(self, audio: bytes) -> Iterator[bytes]:
        """Yields each whole frame of `frame_bytes` bytes, in order. Consume it before the next push."""
        if not self._rest and len(audio) == self._frame_bytes:  # the common case, without a copy
            yield audio
            return
        audio = self._rest + audio
        whole = len(audio) - len(audio) % self._frame_bytes
        self._rest = audio[whole:]
        for start in range(0, whole, self._frame_bytes):
            yield audio[start : start + self._frame_bytes]


class Resampler:
    """Mono 16-bit PCM from one rate to another, with a windowed-sinc filter whose state is kept between pushes.

    Because the state is kept, audio pushed in pieces comes out the same as audio pushed whole: no clicks at the
    seams. The filter passes up to 92 % of the lower Nyquist frequency unchanged (3.7 kHz of 4: all of the telephone's
    band) and stops what is above it, 80 dB down. It looks 64 samples of the lower rate ahead: 8 ms at 8 kHz.
    """

    _ZERO_CROSSINGS = 64
    _CUTOFF = 0.96  # of the lower Nyquist frequency: the middle of the slope
    _BLOCK = 1600  # outputs made at once: their windows are copied, `_BLOCK` times the filter's length

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """`from_hz` and `to_hz`: sample rates, Hz, both positive. Raises ValueError otherwise."""
        if from_hz <= 0 or to_hz <= 0:
            raise ValueError(f"sample rates are positive: {from_hz} Hz to {to_hz} Hz")
        divisor = math.gcd(from_hz, to_hz)
        self._up, self._down = to_hz // divisor, from_hz // divisor
        widest = max(self._up, self._down)
        half = self._ZERO_CROSSINGS * widest
        time = np.arange(-half, half + 1) / widest
        taps = np.sinc(time * self._CUTOFF) * np.kaiser(2 * half + 1, 8.0)
        taps *= self._up / taps.sum()
        # One row a phase: output n is the product of row (n * down) % up with the newest inputs, oldest first.
        length = -(-len(taps) // self._up)
        padded = np.zeros(length * self._up)
        padded[: len(taps)] = taps
        self._phases = padded.reshape(length, self._up).T[:, ::-1]
        self._history = np.zeros(length - 1)
        self._next = 0  # position of the next output on the up-sampled time line, from the first new input
        self._to_skip = half // self._down  # outputs of the filter's own delay, cut off the start
        self._missing = 0  # what did not come out yet, on the up-sampled time line

    def push(self, pcm: bytes) -> bytes:
        """The audio that `pcm` (whole 16-bit samples) lets come out; it lags by the filter's half length."""
        if self._up == self._down:
            return pcm
        new = np.frombuffer(pcm, dtype="<i2").astype(np.float64)
        line = np.concatenate([self._history, new])
        positions = np.arange(self._next, len(new) * self._up, self._down)
        self._next = self._next + len(positions) * self._down - len(new) * self._up
        self._history = line[len(line) - len(self._history) :]
        out = self._decimated(line, positions) if self._up == 1 else self._interpolated(line, positions)
        out = out[min(len(out), self._to_skip) :]
        self._to_skip -= len(positions) - len(out)
        self._missing += len(new) * self._up - len(out) * self._down
        return bytes(np.clip(np.rint(out), -32768, 32767).astype("<i2").tobytes())

    def flush(self) -> bytes:
        """What is still in the filter at the end of the audio. The resampler is not used after it."""
        if self._up == self._down:
            return b""  # nothing was filtered, so nothing is kept back
        missing = -(-self._missing // self._down)
        return self.push(bytes(2 * len(self._history)))[: 2 * missing]

    def _decimated(self, line: npt.NDArray[np.float64], positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The outputs at `positions`, to a rate that is a whole part of the other: each `_down`th tap by itself, which
        is a convolution and several times as fast as a product for each output."""
        out = np.zeros(len(positions))
        for phase in range(self._down if len(positions) else 0):
            every = line[positions[0] + phase :: self._down]
            out += np.correlate(every, self._phases[0, phase :: self._down], "valid")[: len(positions)]
        return out

    def _interpolated(self, line: npt.NDArray[np.float64], positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The outputs at `positions`, to any rate: a product for each."""
        out = np.empty(len(positions))
        for start in range(0, len(positions), self._BLOCK):
            at = positions[start : start + self._BLOCK]
            windows = np.lib.stride_tricks.sliding_window_view(line, self._phases.shape[1])[at // self._up]
            out[start : start + len(at)] = np.einsum("ij,ij->i", windows, self._phases[at % self._up])
        return out


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Whole 16-bit PCM audio at another rate, as long as before to less than a sample."""
    resampler = Resampler(from_hz, to_hz)
    return resampler.push(pcm) + resampler.flush()
