"""Words in the bot's audio: a recogniser that looks for a few phrases. English only."""

import re
from collections.abc import Iterable, Sequence

from lexbridge.audio.pcm import decode_mulaw
from lexbridge.offline.lex.recognition import Recogniser
from lexbridge.offline.twilio.call import PhoneCall

# Short words of many sounds: what speech without the phrase that is looked for is heard as.
_OTHER = """a the of to in is you it he for on are they at be this i have or by what there can said do how them so some
like time could no first been who now people made over did only way find use may water very after word just where most
know"""
_BYTES_A_MS = 8  # mu-law at 8 kHz


def speech_of(call: PhoneCall, spans: Iterable[tuple[float, float]]) -> list[bytes]:
    """Return what the caller heard in each span of the call, as 16-bit PCM at 8 kHz."""
    heard = bytes(call.line.bot_mulaw)
    places = [(max(0, round(1000 * call.line_s(at_s)) * _BYTES_A_MS) for at_s in span) for span in spans]
    return [decode_mulaw(heard[begin:end]) for begin, end in places]


def is_sentence(recogniser: Recogniser, pcm: bytes, sentences: Sequence[str]) -> bool:
    """Return whether it is one of these sentences, from its beginning to its end, and nothing else."""
    phrases = [words for sentence in sentences if (words := _words(sentence))]
    return recogniser.recognise(pcm, _grammar(" | ".join(phrases))) in phrases


def has_phrase(recogniser: Recogniser, pcm: bytes, phrase: str) -> bool:
    """Return whether it holds the phrase, or one that sounds like it, with whatever before and after it."""
    words = _words(phrase)
    return bool(words) and words in recogniser.recognise(pcm, _grammar(f"[<other>+] {words} [<other>+]"))


def _grammar(phrases: str) -> str:
    other = " | ".join(_OTHER.split())
    return f"#JSGF V1.0;\ngrammar heard;\n<other> = ({other});\npublic <heard> = {phrases} | <other>+;\n"


def _words(text: str) -> str:
    return " ".join(re.findall("[a-z']+", text.lower()))
