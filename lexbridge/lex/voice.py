"""Lex's speech as Twilio plays it: 16-bit linear PCM in, 8 kHz mu-law in whole 20 ms frames out.

Audio of any other kind is refused, because played as PCM it would be loud noise in the caller's ear.
"""

import re

from lexbridge.audio.pcm import MULAW_FRAME_BYTES, MULAW_SILENCE, RATE_HZ, encode_mulaw
from lexbridge.audio.resampler import Resampler
from lexbridge.errors import LexUnavailable

DEFAULT_RATE_HZ = 16000
"""The sample rate of `audio/pcm` without parameters, because RecognizeUtterance's responseContentType says so.

"16 KHz in 16-bit, little-endian format" are its words.
"""

# RFC 2586 defines audio/l16 as big-endian. Lex differs: it takes audio/l16 as input and says that PCM "must be in
# little-endian byte order" (https://docs.aws.amazon.com/lexv2/latest/APIReference/API_UtteranceSpecification.html).
# Polly, which speaks for Lex, makes little-endian PCM, too. So all of these types are read as little-endian, unless a
# parameter says otherwise.
_PCM = ("audio/pcm", "audio/lpcm", "audio/l16", "audio/x-l16")
_OTHER_NAMES = {"sample-rate": "rate", "channel-count": "channels"}
_REQUIRED = {"channels": "1", "sample-size-bits": "16", "is-big-endian": "false"}
_RATES_HZ = range(8000, 48001, 25)  # every rate in use; for 8001 Hz the filter would need a million taps


class ReplyAudio:
    """One reply's speech, pushed in pieces of any length. The frames do not depend on how the audio was cut.

    `rate_hz`: the sample rate of the audio. `is_rate_assumed`: whether the Content-Type named no rate, so that it is
    the one that Lex's documentation gives `audio/pcm`.
    """

    def __init__(self, content_type: str | None) -> None:
        """Raise LexUnavailable if `content_type`, that of Lex's answer, is not 16-bit mono PCM of 8 to 48 kHz."""
        rate_hz = _rate_of(content_type)
        self.is_rate_assumed = rate_hz is None
        self.rate_hz = rate_hz or DEFAULT_RATE_HZ
        self._resampler = Resampler(self.rate_hz, RATE_HZ)
        self._half_sample = b""
        self._rest = b""

    def push(self, audio: bytes) -> bytes:
        """Take more PCM. Return the mu-law frames that are complete, or b"" if none is."""
        pcm = self._half_sample + audio
        whole = len(pcm) - len(pcm) % 2
        self._half_sample = pcm[whole:]
        mulaw = self._rest + encode_mulaw(self._resampler.push(pcm[:whole]))
        whole = len(mulaw) - len(mulaw) % MULAW_FRAME_BYTES
        self._rest = mulaw[whole:]
        return mulaw[:whole]

    def flush(self) -> bytes:
        """Return the rest of the speech, its last frame filled up with silence. Nothing may be pushed after it."""
        # Half a sample that was never completed is dropped.
        mulaw = self._rest + encode_mulaw(self._resampler.flush())
        return mulaw + MULAW_SILENCE * (-len(mulaw) % MULAW_FRAME_BYTES)


def _rate_of(content_type: str | None) -> int | None:
    """Return the sample rate in Hz, or None for PCM that names none and has a default. Raise LexUnavailable."""
    kind, *parts = [part.strip() for part in (content_type or "").lower().split(";")]
    parameters: dict[str, str] = {}
    is_clear = kind in _PCM
    for part in parts:  # unknown parameters are ignored, as RFC 2045 demands
        name, _, value = (piece.strip(' \t"') for piece in part.partition("="))
        is_clear &= parameters.setdefault(_OTHER_NAMES.get(name, name), value) == value
    is_clear &= all(parameters.get(name, value) == value for name, value in _REQUIRED.items())
    rate = parameters.get("rate")
    if is_clear and rate is None and kind == "audio/pcm":
        return None
    if is_clear and rate is not None and re.fullmatch("[0-9]{4,5}", rate) and int(rate) in _RATES_HZ:
        return int(rate)
    raise LexUnavailable(f"Lex's answer is not speech that can be played: {str(content_type)[:60]!r}")
