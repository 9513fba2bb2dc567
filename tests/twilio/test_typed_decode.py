"""The quick decoding of the caller's audio: for any text at all it gives what the strict parser gives."""

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.call.events import Media
from lexbridge.errors import MediaStreamError
from lexbridge.twilio import media_messages
from lexbridge.twilio.media_messages import parse, parse_any
from tests.support.property_tests import examples
from tests.support.twilio_messages import dtmf_text, mark_text, media_text, start_text, stop_text

REAL = [
    media_text(123456, bytes(range(160))),
    media_text(20, b"\xff" * 159, "outbound"),
    media_text(0, b""),
    media_text(40, b"1234", "inbound"),
    start_text({"shop": "Bloemen & Zoon \u20ac \U0001f33b"}),
    stop_text(),
    mark_text("prompt 7"),
    dtmf_text("#"),
]

NUMBERS = [
    *"0 -0 40 -20 40.5 40.0 1e3 1E+3 1e-3 -1e12 1000000000000 1000000000001 1000000000000.0001 1e999 -1e999".split(),  # noqa: SIM905
    *"1e-400 040 00 +40 40. .5 1e 1e+ - 0x28 4_0 NaN Infinity -Infinity nan inf -inf INF Nan infinity".split(),  # noqa: SIM905
    *("9" * 18, "9" * 19, "9" * 20, "9" * 400, "0." + "3" * 40, "1" + "0" * 30 + "e-25", "-9223372036854775809"),
    *(" 40", "40 ", "\t40", "4\u06600", "\u0664\u0660", "true", "false", "null", "", "x", "40\\n", "\\u0034\\u0030"),
]
BASE64 = [
    *"//8= //9= /// / = == ==== =AAA A=== AA=A AA== AB== AAA= AAB= A=A= AA==AA== AA=== -_8= AAAA".split(),  # noqa: SIM905
    *(
        "",
        "AA AA",
        " AAAA",
        "AAAA ",
        "AAAA\\n",
        "AA\\nAA",
        "\\/\\/8=",
        "\\u0041AAA",
        "\u00c4AAA",
        "AAA\\u0000",
        "AAA\\\\",
    ),
    *("AAAA\\ud83c", "AAAA\ud83c", "AAAA\ud83c\udf3b", "AAAA\\ud83c\\udf3b", "A" * 5000, "A\nAA", "A\x7fAA", "A\\qAA"),
]
OTHERS = [
    '"inbound"',
    '"outbound"',
    '"inbound_track"',
    '"media"',
    '"stop"',
    '"start"',
    '"mark"',
    "[]",
    "{}",
    '"\\u0000"',
]
OTHERS += [
    "[" * 200 + "]" * 200,
    '{"a":' * 200 + "1" + "}" * 200,
    "[1,]",
    '{"a":1,}',
    '{"a" 1}',
    "[01]",
    "[NaN]",
    "tru",
]
FRAGMENTS = [*NUMBERS, *(f'"{text}"' for text in NUMBERS + BASE64), *OTHERS]
SPACES = ["", "", "", " ", "\n", "\r\n\t ", "\u00a0", "\ufeff", "\x00", "/**/"]


def outcome(read, text: str) -> object:
    """Return the event that `read` makes of a text, with the type of its timestamp, or the error's words."""
    try:
        event = read(text)
    except MediaStreamError as error:
        return str(error)
    return event, type(event), type(getattr(event, "timestamp_ms", None))


def parse_strictly(text: str) -> object:
    """Call `parse_any` from as deep in the stack as `parse` does: how deep a text may nest depends on it."""
    return parse_any(text)


def assert_both_agree(text: str) -> None:
    assert outcome(parse, text) == outcome(parse_strictly, text), ascii(text[:1000])


@pytest.fixture
def slow_messages(monkeypatch) -> list[str]:
    """Return the texts that were left to the strict parser, as they come."""
    texts: list[str] = []

    def parse_and_note(text: str) -> object:
        texts.append(text)
        return parse_any(text)

    monkeypatch.setattr(media_messages, "parse_any", parse_and_note)
    return texts


def test_the_callers_audio_is_decoded_in_one_step(slow_messages):
    sound = bytes(range(160))
    numbers = '{"media":{"payload":"//8=","new":[{}],"timestamp":40,"track":"inbound"},"event":"media"}'
    assert parse(media_text(20, sound)) == Media(20, True, sound)
    assert parse(numbers) == Media(40, True, b"\xff\xff")
    assert parse(media_text(1000, b"")) == Media(1000, True, b"")
    assert slow_messages == []
    outbound = media_text(20, sound, "outbound")
    assert parse(outbound) == Media(20, False, sound)
    assert slow_messages == [outbound]


def object_text(pairs: list[tuple[str, str]], spaces: list[str]) -> str:
    """Return a JSON object of keys and fragments. A key may come twice."""
    space = itertools.cycle(spaces)
    fields = (f"{next(space)}{key}{next(space)}:{next(space)}{value}{next(space)}" for key, value in pairs)
    return "{" + ",".join(fields) + "}"


KEYS = ['"event"', '"media"', '"streamSid"', '"x"', '"\\u0065vent"', '"Event"', '"event\\u0000"', "event", '""']
MEDIA_KEYS = ['"timestamp"', '"payload"', '"track"', '"chunk"', '"pay\\u006coad"', '"is_inbound"', "payload"]


@st.composite
def hostile_messages(draw) -> str:
    """Return a media message whose fields are missing, doubled, or hold anything."""
    spaces = draw(st.lists(st.sampled_from(SPACES[:6]), min_size=1, max_size=3)) if draw(st.booleans()) else [""]
    fragment = st.sampled_from(FRAGMENTS)
    medias = []
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        inner = [
            ('"timestamp"', draw(st.sampled_from(["40", '"40"']) | fragment)),
            ('"payload"', draw(st.just('"//8="') | st.sampled_from([f'"{text}"' for text in BASE64]))),
            ('"track"', draw(st.just('"inbound"') | fragment)),
        ]
        inner = [pair for pair in inner if draw(st.sampled_from([True] * 9 + [False]))]
        inner += draw(st.lists(st.tuples(st.sampled_from(MEDIA_KEYS), fragment), max_size=2))
        medias.append(('"media"', object_text(draw(st.permutations(inner)), spaces)))
    outer = [('"event"', draw(st.sampled_from(['"media"'] * 5 + ['"\\u006dedia"', '"stop"', "1"]))), *medias]
    outer += draw(st.lists(st.tuples(st.sampled_from(KEYS), fragment | st.just('"media"')), max_size=2))
    around = st.sampled_from([*[""] * 20, *SPACES, "x", "{}", "]", "\ud800"])
    return draw(around) + object_text(draw(st.permutations(outer)), spaces) + draw(around)


@examples(1000)
@given(hostile_messages())
def test_a_hostile_message_is_read_alike_both_ways(text):
    assert_both_agree(text)


def changed(seed: int) -> Iterator[str]:
    """Yield real messages with one to three small changes each."""
    rolls = random.Random(seed)
    pieces = [
        *'{}[]",:\\/=0123456789.eE+-_ \t\n\x00\x1f\x7f',
        "\u00e9",
        "\ud800",
        "\ufeff",
        "\\u00",
        "null",
        "true",
        "NaN",
    ]
    for _ in range(20_000):
        text = rolls.choice(REAL)
        for _ in range(rolls.choice((1, 1, 2, 3))):
            at, until = sorted((rolls.randrange(len(text) + 1), rolls.randrange(len(text) + 1)))
            until = at + min(until - at, rolls.choice((0, 1, 1, 8, 1000)))
            put = rolls.choice((rolls.choice(pieces), rolls.choice(FRAGMENTS), text[at:until] * 2, ""))
            text = text[:at] + put + text[until:]
        yield text


def test_a_changed_message_is_read_alike_both_ways(slow_messages):
    texts = 0
    for text in changed(seed=16):
        texts += 1
        assert_both_agree(text)
    assert 0.02 * texts < texts - len(slow_messages) < 0.5 * texts  # both ways were taken


@pytest.mark.parametrize("form", ["{}", '"{}"', " {} ", "[{}]"])
@pytest.mark.parametrize("number", NUMBERS)
def test_any_number_as_a_timestamp_is_read_alike_both_ways(number, form):
    value = form.format(number)
    assert_both_agree(f'{{"event":"media","media":{{"track":"inbound","payload":"//8=","timestamp":{value}}}}}')


@examples(400)
@given(
    st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True) | st.floats().map(repr),
    st.sampled_from(["{}", '"{}"']),
)
def test_any_spelling_of_a_number_is_read_alike_both_ways(number, form):
    value = form.format(number)
    assert_both_agree(f'{{"event":"media","media":{{"track":"inbound","payload":"//8=","timestamp":{value}}}}}')


def test_any_spelling_of_base64_is_read_alike_both_ways():
    quads = ["".join(quad) for length in range(5) for quad in itertools.product("Ag/=-\u00e9 ", repeat=length)]
    some = [*random.Random(16).sample(quads, 40), "AAAA", "AAA=", "AA==", "A==="]
    for payload in itertools.chain(quads, map("".join, itertools.product(some, repeat=2))):
        assert_both_agree(f'{{"event":"media","media":{{"track":"inbound","payload":"{payload}","timestamp":"0"}}}}')


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":[', "]}")])
def test_nesting_in_an_unused_field_is_read_alike_both_ways(opening, closing):
    short = media_text(40, b"1234").removesuffix("}")
    for depth in [*range(1, 1100), 5000, 20_000, 60_000]:
        assert_both_agree(f'{short},"x":{opening * depth}{closing * depth}}}')
