"""A recording of a call as the bridge would have heard it: one channel of a wav file, at 8 kHz, as mu-law has it."""

import audioop  # the standard library's until 3.12, the package audioop-lts from 3.13
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lexbridge.audio.pcm import FRAME_MS, PCM_FRAME_BYTES, RATE_HZ, decode_mulaw, encode_mulaw
from lexbridge.audio.resampler import Resampler

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_FASTEST_HZ = 192_000


class SoundFileError(Exception):
    """The file cannot be heard. The message is a sentence for whoever gave it."""


@dataclass(frozen=True, slots=True)
class _Format:
    code: int
    channels: int
    rate_hz: int
    bits: int


def read_channel(path: Path, channel: int) -> bytes:
    """Channel `channel` (from 1) of a wav file as 16-bit little-endian PCM at 8 kHz, once through mu-law.

    PCM of 8 to 32 bits, 32-bit float, mu-law and A-law, at any rate. Raises SoundFileError.
    """
    try:
        found, samples = _wav(path.read_bytes())
    except OSError as error:
        raise SoundFileError(f"{path} cannot be read: {error.strerror}") from error
    except (struct.error, ValueError) as error:
        raise SoundFileError(f"{path} is no wav file: {error}") from error
    if found.rate_hz > _FASTEST_HZ:
        raise SoundFileError(f"{path} has {found.rate_hz} samples a second; at most {_FASTEST_HZ} are taken")
    if not 1 <= channel <= found.channels:
        raise SoundFileError(f"{path} has no channel {channel}, but 1 to {found.channels}")
    pcm = _pcm(path, found, samples)
    whole = np.frombuffer(pcm, "<i2")[: len(pcm) // 2 // found.channels * found.channels]
    one = whole.reshape(-1, found.channels)[:, channel - 1].astype("<i2").tobytes()
    resampler = Resampler(found.rate_hz, RATE_HZ)
    heard = decode_mulaw(encode_mulaw(resampler.push(one) + resampler.flush()))
    if len(heard) < PCM_FRAME_BYTES:
        raise SoundFileError(f"{path} has no sound in it: less than {FRAME_MS} ms")
    return heard


def _wav(content: bytes) -> tuple[_Format, bytes]:
    """Return the format of a wav file and its samples. Raises ValueError or struct.error."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError("it does not begin with RIFF and WAVE")
    found = None
    for name, inside in _parts(content):
        if name == b"fmt ":
            code, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", inside[:16])
            if code == _EXTENSIBLE:
                (code,) = struct.unpack("<H", inside[24:26])
            found = _Format(code, channels, rate_hz, bits)
        elif name == b"data" and found is not None:
            if not found.channels or not found.rate_hz:
                raise ValueError(f"it has {found.channels} channels at {found.rate_hz} Hz")
            return found, inside
    raise ValueError("it has no sound in it")


def _parts(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack("<4sI", content[at : at + 8])
        yield name, content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _pcm(path: Path, found: _Format, samples: bytes) -> bytes:
    """The samples as 16-bit PCM, channels interleaved. Raises SoundFileError for a coding that is not known."""
    width = found.bits // 8
    samples = samples[: len(samples) // max(1, width) * max(1, width)]
    if (found.code, found.bits) == (_MULAW, 8):
        return decode_mulaw(samples)
    if (found.code, found.bits) == (_ALAW, 8):
        return audioop.alaw2lin(samples, 2)
    if (found.code, found.bits) == (_PCM, 8):
        return audioop.lin2lin(audioop.bias(samples, 1, -128), 1, 2)
    if found.code == _PCM and width in (2, 3, 4):
        return audioop.lin2lin(samples, width, 2)
    if (found.code, found.bits) == (_FLOAT, 32):
        full = np.clip(np.nan_to_num(np.frombuffer(samples, "<f4").astype(np.float64)), -1.0, 1.0)
        return (full * 32767).astype("<i2").tobytes()
    raise SoundFileError(f"{path} is coded in a way that is not known here (format {found.code}, {found.bits} bits)")
