"""What a turn sounds like: a square wave whose level tells the turn's number. Not a measurement itself.

The bridge has to give Lex the caller's exact samples, so the counting Lex reads the number back from them: what is
heard is exactly one whole utterance of one turn, or it is no turn.
"""

from base64 import b64encode

from lexbridge.audio import decode_mulaw

FRAME_MS = 20
FRAME_BYTES = 160
SPEECH_MS = 400
SILENCE = b"\xff" * FRAME_BYTES
MOST_TURNS = 60


def frame_of(turn: int) -> bytes:
    """20 ms of the turn, mu-law: full positive and negative samples of its level, 4 kHz."""
    if not 1 <= turn <= MOST_TURNS:
        raise ValueError(f"turn {turn} has no sound of its own")
    return bytes((0x80 + turn, turn)) * (FRAME_BYTES // 2)  # mu-law 0x80 and 0x00 are the loudest, and levels fall


def _level_of(turn: int) -> int:
    return int.from_bytes(decode_mulaw(frame_of(turn))[:2], "little", signed=True)


_FRAME_PCM = {turn: decode_mulaw(frame_of(turn)) for turn in range(1, MOST_TURNS + 1)}
_TURN_OF = {_level_of(turn): turn for turn in range(1, MOST_TURNS + 1)}
PAYLOADS = {frames: b64encode(SILENCE * frames).decode() for frames in (1, 2)}
"""Silence as a message's payload, by frames in it."""


def turn_in(pcm: bytes) -> int | None:
    """The turn whose whole utterance `pcm` is, silence around it; None: it is cut, doubled, changed or not there."""
    loud = pcm.lstrip(b"\0")
    at = (len(pcm) - len(loud)) // 2 * 2  # the low byte of the first sample may be 0
    turn = _TURN_OF.get(int.from_bytes(pcm[at : at + 2], "little", signed=True))
    if turn is None:
        return None
    speech = _FRAME_PCM[turn] * (SPEECH_MS // FRAME_MS)
    end = at + len(speech)
    return turn if pcm[at:end] == speech and not pcm[end:].strip(b"\0") else None
