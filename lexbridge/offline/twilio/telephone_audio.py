"""Audio of a telephone line: voices at telephone quality, noise, coughs, key tones, and phones that send no silence."""

import math
from collections.abc import Iterator

import gevent
import numpy as np

from lexbridge.audio.pcm import (
    FRAME_MS,
    FULL_SCALE,
    MULAW_FRAME_BYTES,
    MULAW_SILENCE,
    PCM_FRAME_BYTES,
    RATE_HZ,
    decode_mulaw,
    encode_mulaw,
    frame_levels_dbfs,
)
from lexbridge.audio.resampler import Resampler
from lexbridge.offline.lex.voice import Voice

SUPPRESSED_BELOW_DBFS = -55.0

SUPPRESSED_AFTER_MS = 60

SILENT_FRAME = MULAW_SILENCE * MULAW_FRAME_BYTES

SPEECH_LEVEL_DBFS = -20.0

VOICED_BELOW_SPEECH_DB = 25.0  # a frame this far under the whole phrase's level is no part of the speech any more

KEY_ROWS_HZ = {697: "123A", 770: "456B", 852: "789C", 941: "*0#D"}

KEY_COLUMNS_HZ = (1209, 1336, 1477, 1633)


def frames_of(mulaw: bytes) -> Iterator[bytes]:
    """Whole frames; the last is filled up with silence."""
    for start in range(0, len(mulaw), MULAW_FRAME_BYTES):
        yield mulaw[start : start + MULAW_FRAME_BYTES].ljust(MULAW_FRAME_BYTES, MULAW_SILENCE)


class TelephoneVoice:
    """A voice as it comes out of a telephone: 8 kHz mu-law at one level, its silent ends cut off, kept by text."""

    def __init__(self, voice: Voice, level_dbfs: float = SPEECH_LEVEL_DBFS) -> None:
        self._voice = voice
        self._level_dbfs = level_dbfs
        self._spoken: dict[str, bytes] = {}

    def speak(self, text: str) -> bytes:
        """`text` as mu-law frames."""
        if text not in self._spoken:
            self._spoken[text] = for_telephone(self._voice.speak(text), self._voice.rate_hz, self._level_dbfs)
        return self._spoken[text]


def for_telephone(pcm: bytes, rate_hz: int, level_dbfs: float = SPEECH_LEVEL_DBFS) -> bytes:
    """Return 16-bit mono PCM of any rate as telephone mu-law: whole frames, no silent ends, speech at `level_dbfs`.

    Digital silence (of a voice that only takes time) keeps its length.
    """
    narrow = _resampled(pcm, rate_hz)
    narrow += bytes(-len(narrow) % PCM_FRAME_BYTES)
    levels_dbfs = frame_levels_dbfs(narrow)
    if not len(levels_dbfs) or levels_dbfs.max() <= -96:
        return encode_mulaw(narrow)
    power = 10 ** (levels_dbfs / 10)
    # The level of the speech, not of its pauses: the mean power of the frames within 25 dB of the loudest.
    spoken_dbfs = 10 * math.log10(power[levels_dbfs > levels_dbfs.max() - VOICED_BELOW_SPEECH_DB].mean())
    voiced = np.flatnonzero(levels_dbfs > spoken_dbfs - VOICED_BELOW_SPEECH_DB)
    cut = narrow[voiced[0] * PCM_FRAME_BYTES : (voiced[-1] + 1) * PCM_FRAME_BYTES]
    samples = np.frombuffer(cut, dtype="<i2") * 10 ** ((level_dbfs - spoken_dbfs) / 20)
    return encode_mulaw(np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes())


def _resampled(pcm: bytes, rate_hz: int) -> bytes:
    """Return `pcm` at 8 kHz. Works in pieces of 200 ms, so that the line's clock goes on meanwhile."""
    resampler = Resampler(rate_hz, RATE_HZ)
    piece_bytes = 2 * (rate_hz // 5)
    narrow = bytearray()
    for start in range(0, len(pcm), piece_bytes):
        narrow += resampler.push(pcm[start : start + piece_bytes])
        gevent.sleep(0)
    return bytes(narrow + resampler.flush())


class SilenceSuppression:
    """A phone that sends no audio while the caller is silent (silence suppression, DTX), as many internet phones do.

    The phone sends audio for SUPPRESSED_AFTER_MS after the last sound.
    """

    def __init__(self) -> None:
        self._silent_ms = SUPPRESSED_AFTER_MS

    def sends(self, frame: bytes) -> bool:
        """Return whether the caller's next `frame`, mu-law, is sent."""
        is_loud = float(frame_levels_dbfs(decode_mulaw(frame)).max()) >= SUPPRESSED_BELOW_DBFS
        self._silent_ms = 0 if is_loud else self._silent_ms + FRAME_MS
        return self._silent_ms <= SUPPRESSED_AFTER_MS


def line_noise(length_ms: int, peak: int, seed: int) -> bytes:
    """A quiet line: uniform noise of 16-bit samples within +-`peak`, as mu-law. The same seed is the same noise."""
    samples = np.random.default_rng(seed).integers(-peak, peak, RATE_HZ * length_ms // 1000, endpoint=True)
    return encode_mulaw(samples.astype("<i2").tobytes())


def cough_noise(level_dbfs: float = SPEECH_LEVEL_DBFS, length_ms: int = 150, seed: int = 1) -> bytes:
    """A cough as mu-law, whole frames: white noise of that level for `length_ms`, then silence to the frame's end."""
    count = RATE_HZ * length_ms // 1000
    noise = np.random.default_rng(seed).normal(0.0, FULL_SCALE * 10 ** (level_dbfs / 20), count)
    mulaw = encode_mulaw(np.clip(np.rint(noise), -32768, 32767).astype("<i2").tobytes())
    return b"".join(frames_of(mulaw))


def key_tone(digit: str, length_ms: int = 200) -> bytes:
    """The two tones of a key, as mu-law; silence for w (0.5 s) and W (1 s)."""
    if digit in "wW":
        return MULAW_SILENCE * (RATE_HZ // (2 if digit == "w" else 1))
    time_s = np.arange(RATE_HZ * length_ms // 1000) / RATE_HZ
    row_hz = next(hz for hz, keys in KEY_ROWS_HZ.items() if digit in keys)
    column_hz = KEY_COLUMNS_HZ[KEY_ROWS_HZ[row_hz].index(digit)]
    tones = np.sin(2 * np.pi * row_hz * time_s) + np.sin(2 * np.pi * column_hz * time_s)
    return encode_mulaw((tones * 0.1 * FULL_SCALE).astype("<i2").tobytes())


def tone(hz: int, length_ms: int) -> bytes:
    """Return a single tone as mu-law."""
    time_s = np.arange(RATE_HZ * length_ms // 1000) / RATE_HZ
    return encode_mulaw((np.sin(2 * np.pi * hz * time_s) * 0.2 * FULL_SCALE).astype("<i2").tobytes())
