"""Telephone audio: mu-law and linear PCM, levels, and the 20 ms frame.

A call's audio is 8 kHz mono. Twilio sends and takes G.711 mu-law, one byte a sample. Lex and the code here use 16-bit
little-endian linear PCM. A *frame* is always 20 ms of audio.
"""

import audioop  # the standard library's until 3.12, the package audioop-lts from 3.13
from collections.abc import Sequence

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
"""Loudest frame that a caller does not hear on a telephone line: -54 dBFS. A reply begins with the first louder one."""


def decode_mulaw(mulaw: bytes | bytearray) -> bytes:
    """Return G.711 mu-law as 16-bit little-endian PCM, two bytes for each one."""
    return audioop.ulaw2lin(mulaw, 2)


def encode_mulaw(pcm: bytes) -> bytes:
    """Return 16-bit little-endian PCM as G.711 mu-law, one byte for each two."""
    return audioop.lin2ulaw(pcm, 2)


def rms(pcm: bytes) -> int:
    """Return the root mean square of 16-bit PCM samples, 0 to 32768, or 0 if there are no samples."""
    return audioop.rms(pcm, 2)


def first_audible_ms(mulaw: bytes) -> int | None:
    """Return where the first audible frame begins, in ms from the start, or None if the caller hears nothing.

    The log, the demo and the benchmarks all measure a reply's delay up to this frame.
    """
    pcm = decode_mulaw(mulaw)
    starts = range(0, len(pcm), PCM_FRAME_BYTES)
    found = next((start for start in starts if rms(pcm[start : start + PCM_FRAME_BYTES]) > AUDIBLE_RMS), None)
    return None if found is None else found // PCM_BYTES_PER_MS


def frame_levels_dbfs(pcm: bytes) -> npt.NDArray[np.float64]:
    """Return the level of each whole frame in dB relative to full scale, at least -96 (digital silence)."""
    samples = np.frombuffer(pcm, dtype="<i2")
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES).astype(np.float64)
    power = np.mean(frames**2, axis=1) / FULL_SCALE**2
    levels: npt.NDArray[np.float64] = 10.0 * np.log10(np.maximum(power, 10**-9.6))
    return levels


class Framer:
    """A cutter of bytes into whole frames, which keeps the rest for the next bytes.

    Twilio's payloads hold 20 ms in practice, but its documentation does not promise that.
    """

    def __init__(self, frame_bytes: int = MULAW_FRAME_BYTES) -> None:
        self._frame_bytes = frame_bytes
        self._rest = b""

    @property
    def has_rest(self) -> bool:
        """Whether a part of a frame is kept."""
        return bool(self._rest)

    def push(self, audio: bytes) -> Sequence[bytes]:
        """Return the whole frames, in order."""
        if not self._rest and len(audio) == self._frame_bytes:  # the usual case, without a copy
            return (audio,)
        audio = self._rest + audio
        whole = len(audio) - len(audio) % self._frame_bytes
        self._rest = audio[whole:]
        return [audio[start : start + self._frame_bytes] for start in range(0, whole, self._frame_bytes)]
