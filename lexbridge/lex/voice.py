"""Lex's speech as Twilio plays it: 16-bit linear PCM in, 8 kHz mu-law in whole 20 ms frames out.

What is no such PCM is refused: played as if it were, it would be loud noise in somebody's ear.
"""

import re

from lexbridge.audio.pcm import MULAW_FRAME_BYTES, MULAW_SILENCE, RATE_HZ, encode_mulaw
from lexbridge.audio.resampler import Resampler
from lexbridge.errors import LexUnavailable

DEFAULT_RATE_HZ = 16000
"""Of a bare `audio/pcm`: "16 KHz in 16-bit, little-endian format", says RecognizeUtterance's responseContentType."""

# RFC 2586 has audio/l16 big-endian. Lex does not: it takes audio/l16 as input and says that PCM "must be in
# little-endian byte order" (https://docs.aws.amazon.com/lexv2/latest/APIReference/API_UtteranceSpecification.html),
# as Polly, which speaks for it, makes PCM. So here all of them are little-endian, unless one says that it is not.
_PCM = ("audio/pcm", "audio/lpcm", "audio/l16", "audio/x-l16")
_OTHER_NAMES = {"sample-rate": "rate", "channel-count": "channels"}
_REQUIRED = {"channels": "1", "sample-size-bits": "16", "is-big-endian": "false"}
_RATES_HZ = range(8000, 48001, 25)  # every rate in use; 8001 Hz would take a filter of a million taps


class ReplyAudio:
    """One reply's speech, pushed in pieces of any length. The same audio gives the same frames, however it was cut.

    `rate_hz`: the rate it comes in. `is_rate_assumed`: its Content-Type named none, and `audio/pcm` has one by Lex's
    documents.
    """

    def __init__(self, content_type: str | None) -> None:
        """`content_type`: of Lex's answer. Raises LexUnavailable if it is not 16-bit mono PCM of 8 to 48 kHz."""
        rate_hz = _rate_of(content_type)
        self.is_rate_assumed = rate_hz is None
        self.rate_hz = rate_hz or DEFAULT_RATE_HZ
        self._resampler = Resampler(self.rate_hz, RATE_HZ)
        self._half_sample = b""
        self._rest = b""

    def push(self, audio: bytes) -> bytes:
        """mu-law, as many whole frames as are ready; b"" if none is."""
        pcm = self._half_sample + audio
        whole = len(pcm) - len(pcm) % 2
        self._half_sample = pcm[whole:]
        mulaw = self._rest + encode_mulaw(self._resampler.push(pcm[:whole]))
        whole = len(mulaw) - len(mulaw) % MULAW_FRAME_BYTES
        self._rest = mulaw[whole:]
        return mulaw[:whole]

    def flush(self) -> bytes:
        """The end of the speech: what is left as mu-law, its last frame filled up with silence. Nothing is pushed after
        it. Half a sample that was never completed is dropped."""
        mulaw = self._rest + encode_mulaw(self._resampler.flush())
        return mulaw + MULAW_SILENCE * (-len(mulaw) % MULAW_FRAME_BYTES)


def _rate_of(content_type: str | None) -> int | None:
    """Sample rate, Hz; None for PCM that names none and has one by default."""
    kind, *parts = [part.strip() for part in (content_type or "").lower().split(";")]
    told: dict[str, str] = {}
    is_clear = kind in _PCM
    for part in parts:  # parameters that we do not know are ignored, as RFC 2045 has it
        name, _, value = (piece.strip(' \t"') for piece in part.partition("="))
        is_clear &= told.setdefault(_OTHER_NAMES.get(name, name), value) == value
    is_clear &= all(told.get(name, value) == value for name, value in _REQUIRED.items())
    rate = told.get("rate")
    if is_clear and rate is None and kind == "audio/pcm":
        return None
    if is_clear and rate is not None and re.fullmatch("[0-9]{4,5}", rate) and int(rate) in _RATES_HZ:
        return int(rate)
    raise LexUnavailable(f"Lex's answer is not speech that can be played: {str(content_type)[:60]!r}")
