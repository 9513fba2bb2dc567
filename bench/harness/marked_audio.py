"""Audio that tells its content: turns of the caller, and words of the bot.

A turn is a square wave whose level is the number of the turn. The service has to give Lex the caller's exact samples,
so the counting Lex reads the number from them: Lex hears either exactly one whole utterance of one turn, or no turn.

The bot's words are a murmur: each frame of 20 ms holds all of the words, one sample for each half byte. The murmur is
so soft that its echo cannot be taken for speech. The service has to play each frame unchanged, so the lightweight
Twilio reads the words back.
"""

from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache

from lexbridge.audio.pcm import decode_mulaw

FRAME_MS = 20
FRAME_BYTES = 160
SPEECH_MS = 400
SILENCE = b"\xff" * FRAME_BYTES
MOST_TURNS = 60
LONGEST_SAY_S = 1.0
"""Longest time that the bot speaks, seconds, unless a measurement says otherwise: longer words are spoken faster."""

_HALF_BYTE = 0x60  # mu-law: 16 levels below 1 % of full scale
_NO_MORE = 0x70
_FIRST, _LAST = 1, 2
_LONGEST_WORDS = (FRAME_BYTES - 1) // 2  # bytes; a murmur leaves out the rest of longer words


def frame_of(turn: int) -> bytes:
    """Return 20 ms of the turn, mu-law: positive and negative samples of its level in turn, 4 kHz."""
    if not 1 <= turn <= MOST_TURNS:
        raise ValueError(f"turn {turn} has no sound of its own")
    return bytes((0x80 + turn, turn)) * (FRAME_BYTES // 2)  # mu-law 0x80 and 0x00 are the loudest, and levels fall


def _level_of(turn: int) -> int:
    return int.from_bytes(decode_mulaw(frame_of(turn))[:2], "little", signed=True)


_FRAME_PCM = {turn: decode_mulaw(frame_of(turn)) for turn in range(1, MOST_TURNS + 1)}
_TURN_OF = {_level_of(turn): turn for turn in range(1, MOST_TURNS + 1)}
PAYLOADS = {frames: b64encode(SILENCE * frames).decode() for frames in (1, 2)}
"""Silence as the payload of a media message, by the number of frames in it."""


def turn_in(pcm: bytes) -> int | None:
    """Return the turn of which `pcm` is a whole utterance, with silence around it, or None if it is not one."""
    loud = pcm.lstrip(b"\0")
    at = (len(pcm) - len(loud)) // 2 * 2  # the low byte of the first sample may be 0
    turn = _TURN_OF.get(int.from_bytes(pcm[at : at + 2], "little", signed=True))
    if turn is None:
        return None
    speech = _FRAME_PCM[turn] * (SPEECH_MS // FRAME_MS)
    end = at + len(speech)
    return turn if pcm[at:end] == speech and not pcm[end:].strip(b"\0") else None


@dataclass(frozen=True, slots=True)
class Words:
    """Words that a frame tells, and whether it is their first or last frame."""

    text: str
    is_first: bool
    is_last: bool


def murmur(text: str, length_s: float) -> bytes:
    """Return `text` as mu-law audio of `length_s`, in whole frames, at least one."""
    halves = [half for byte in text.encode()[:_LONGEST_WORDS] for half in divmod(byte, 16)]
    body = bytes(_HALF_BYTE | half for half in halves).ljust(FRAME_BYTES - 1, bytes([_NO_MORE]))
    frames = max(1, round(length_s * 1000 / FRAME_MS))
    marks = [_FIRST * (at == 0) | _LAST * (at == frames - 1) for at in range(frames)]
    return b"".join(bytes([_HALF_BYTE | mark]) + body for mark in marks)


@lru_cache(maxsize=4096)
def words_in(frame: bytes) -> Words | None:
    """Return the words that the frame tells, or None if it is no frame of a murmur."""
    levels = frame.rstrip(bytes([_NO_MORE]))
    if len(frame) != FRAME_BYTES or len(levels) % 2 == 0 or any(level >> 4 != _HALF_BYTE >> 4 for level in levels):
        return None
    halves = [level & 0x0F for level in levels]
    text = bytes(high << 4 | low for high, low in zip(halves[1::2], halves[2::2], strict=True))
    return Words(text.decode(errors="replace"), bool(halves[0] & _FIRST), bool(halves[0] & _LAST))
