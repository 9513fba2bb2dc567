"""Spans in which Twilio surely spoke, in call-update mode: its voice is not on the stream, but the documents are known.

A caller who interrupts has to speak for longer then, as `call/output/call_update.py` has it.
"""

from collections.abc import Iterable
from xml.etree import ElementTree

import msgspec

from lexbridge.call.documents import speaking_ms
from lexbridge.call.output.call_update import SURELY_SPEAKING

_TELLING = (b'"update-made"', b'"filler-said"')


def spoken_spans(events: Iterable[bytes], stream_sid: str) -> list[tuple[int, int]]:
    """Return the spans of a stream's media time in which Twilio spoke an answer. `events`: those of a call, as JSON.

    A filler does not count: the answer comes when it comes, and the caller is heard at once.
    """
    spans: list[tuple[int, int]] = []
    is_filler = False
    for encoded in events:
        if not any(name in encoded for name in _TELLING):
            continue
        _, of_stream, media_ms, _, name, _, words, *_ = msgspec.json.decode(encoded)
        if of_stream != stream_sid:
            continue
        if name == "filler-said":
            is_filler = True
        elif is_filler:
            is_filler = False
        elif name == "update-made":
            if spans and spans[-1][1] > media_ms:  # the new document stops the one before
                spans[-1] = spans[-1][0], media_ms
            spans.append((media_ms, media_ms + round(spoken_ms(words.get("twiml")) * SURELY_SPEAKING)))
    return [(start, end) for start, end in spans if end > start]


def spoken_ms(twiml: object) -> int:
    """Return how long the first prompt of a document takes; 0 if it cannot be read. Reprompts come after it."""
    try:
        document = ElementTree.fromstring(str(twiml))  # noqa: S314 - expat refuses entities that blow up
    except ElementTree.ParseError:
        return 0
    gather = document.find("Gather")
    says = (document if gather is None else gather).findall("Say")
    return sum(speaking_ms("".join(say.itertext())) for say in says)
