"""Documents of any kind: the simulated Twilio reads each, or refuses it by one of Twilio's codes. Pure."""

import random
from xml.sax.saxutils import escape, quoteattr

import pytest

from lexbridge.offline.twilio.twiml_document import parse_twiml
from lexbridge.offline.twilio.twiml_shapes import NOT_SIMULATED, SHAPES
from lexbridge.offline.twilio.verbs import TwimlError

NAMES = [*SHAPES, *sorted(NOT_SIMULATED), "Robot"]
ATTRIBUTES = [*sorted({name for shape in SHAPES.values() for name in shape.attributes}), "volume"]
TEXTS = [
    "",
    "+12065550123",
    "sip:a@b.example?X-A=1&User-to-User=%zz&=&X-B",
    "sip:a@[::1]",
    "ann",
    '{"intent": 1}',
    "[",
    "\u2028 é \x7f",
    "true",
    "https://a.example/",
    "http://[",
    "http://a:port/",
    "//[",
    "a" * 300,
    "WW" + "0" * 32,
    "-1",
    "9" * 30,
]


def element(depth: int, chance: random.Random) -> str:
    """Return an element with children of any kind, `depth` levels of them."""
    name = chance.choice(NAMES)
    chosen = chance.sample(ATTRIBUTES, chance.randrange(4))
    attributes = "".join(f" {each}={quoteattr(chance.choice(TEXTS))}" for each in chosen)
    children = "".join(element(depth - 1, chance) for _ in range(chance.randrange(4))) if depth else ""
    return f"<{name}{attributes}>{escape(chance.choice(TEXTS))}{children}{escape(chance.choice(TEXTS))}</{name}>"


@pytest.mark.parametrize("base_url", ["https://voice.example.com/twiml", None])
def test_any_document_is_read_or_refused(base_url: str | None) -> None:
    codes = set()
    for seed in range(3000):
        chance = random.Random(seed)
        text = "".join(element(2, chance) for _ in range(chance.randrange(1, 4)))
        try:
            codes |= {warning.code for warning in parse_twiml(f"<Response>{text}</Response>", base_url).warnings}
        except TwimlError as error:
            codes.add(error.code)
    assert {11100, 12200, 13215, 13223, 13320, 13750, 14204, 14300} <= codes
    assert all(10_000 <= code < 40_000 for code in codes)
