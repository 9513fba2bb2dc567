"""Directives of a bot in session attributes: each one is followed, or named and ignored."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.hangover import Expected
from lexbridge.call.attributes import ATTRIBUTES
from lexbridge.call.directives import CallAction, Directives
from lexbridge.call.dtmf import KeyRules
from lexbridge.lex.model import DialogState, Reply
from tests.support.property_tests import examples

NUMBER = "+12065550100"
INTERRUPT = "x-amz-lex:allow-interrupt"


def asked(attributes, state=DialogState.ELICIT_SLOT, intent="OrderFlowers", slot="PickupDate"):
    return Directives.from_reply(Reply(state, intent=intent, slot_to_elicit=slot, session_attributes=attributes))


def test_a_bot_that_asks_nothing_leaves_the_settings_as_they_are():
    assert asked({}) == Directives(None, None, None, None, None, None, True, KeyRules("#", "*", 2000, None), ())


@pytest.mark.parametrize(
    ("name", "value", "directives"),
    [
        ("lexbridge:transfer-to", NUMBER, Directives(transfer_to=NUMBER)),
        ("lexbridge:voice", "Polly.Vicki-Neural_2", Directives(voice="Polly.Vicki-Neural_2")),
        ("lexbridge:no-input-s", "1", Directives(no_input_s=1)),
        ("lexbridge:no-input-s", "7.5", Directives(no_input_s=7.5)),
        ("lexbridge:no-input-s", "120", Directives(no_input_s=120)),
        ("lexbridge:no-input-limit", "0", Directives(no_input_limit=0)),
        ("lexbridge:no-input-limit", "20", Directives(no_input_limit=20)),
        ("lexbridge:expects", "open", Directives(expects=Expected.OPEN)),
        ("lexbridge:expects", "closed", Directives(expects=Expected.CLOSED)),
        ("lexbridge:expects", "digits", Directives(expects=Expected.DIGITS)),
        (INTERRUPT, "false", Directives(allow_interrupt=False)),
        (INTERRUPT, "False", Directives(allow_interrupt=False)),
        (INTERRUPT, "true", Directives(allow_interrupt=True)),
        ("x-amz-lex:dtmf:end-character", "D", Directives(keys=KeyRules(end_character="D"), asks_for_keys=True)),
        ("x-amz-lex:dtmf:end-character", "*", Directives(keys=KeyRules(end_character="*"), asks_for_keys=True)),
        (
            "x-amz-lex:dtmf:deletion-character",
            "9",
            Directives(keys=KeyRules(deletion_character="9"), asks_for_keys=True),
        ),
        ("x-amz-lex:dtmf:end-timeout-ms", "5000", Directives(keys=KeyRules(end_timeout_ms=5000), asks_for_keys=True)),
        ("x-amz-lex:dtmf:max-length", "1", Directives(keys=KeyRules(longest=1), asks_for_keys=True)),
        ("x-amz-lex:dtmf:max-length", "1024", Directives(keys=KeyRules(longest=1024), asks_for_keys=True)),
        ("x-amz-lex:audio:start-timeout-ms", "4000", Directives(no_input_s=4)),
        ("x-amz-lex:audio:end-timeout-ms", "640", Directives(hangover_ms=640)),
        ("x-amz-lex:audio:end-timeout-ms", "601", Directives(hangover_ms=620)),
        ("x-amz-lex:audio:max-length-ms", "13000", Directives(max_utterance_ms=13_000)),
        ("x-amz-lex:start-silence-threshold-ms", "4000", Directives(no_input_s=4)),
        ("x-amz-lex:end-silence-threshold-ms:*:*", "640", Directives(hangover_ms=640)),
        ("x-amz-lex:max-speech-duration-ms:*:PickupDate", "13000", Directives(max_utterance_ms=13_000)),
        ("x-amz-lex:barge-in-enabled:OrderFlowers:*", "false", Directives(allow_interrupt=False)),
        ("lexbridge:voice", "", Directives()),
        ("shop", "7", Directives()),
    ],
)
def test_each_attribute_asks_one_thing(name, value, directives):
    assert asked({name: value}) == directives


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lexbridge:voice", 'Polly.Vicki"/><Hangup/>'),
        ("lexbridge:voice", "Polly.Vicki\n"),
        ("lexbridge:voice", "a" * 101),
        ("lexbridge:no-input-s", "0.999"),
        ("lexbridge:no-input-s", "120.001"),
        ("lexbridge:no-input-s", "nan"),
        ("lexbridge:no-input-s", "1e1"),
        ("lexbridge:no-input-s", "-5"),
        ("lexbridge:no-input-limit", "21"),
        ("lexbridge:no-input-limit", "1.0"),
        ("lexbridge:no-input-limit", "٣"),
        ("lexbridge:no-input-limit", "9" * 5000),
        ("lexbridge:expects", "DIGITS"),
        ("lexbridge:expects", "number"),
        (INTERRUPT, "no"),
        ("x-amz-lex:dtmf:end-character", "E"),
        ("x-amz-lex:dtmf:end-character", "##"),
        ("x-amz-lex:dtmf:end-character", "#\n"),
        ("x-amz-lex:dtmf:deletion-character", "d"),
        ("x-amz-lex:dtmf:deletion-character", "#"),
        ("x-amz-lex:dtmf:end-timeout-ms", "0"),
        ("x-amz-lex:dtmf:end-timeout-ms", "60001"),
        ("x-amz-lex:dtmf:max-length", "0"),
        ("x-amz-lex:dtmf:max-length", "1025"),
        ("x-amz-lex:audio:start-timeout-ms", "4 s"),
        ("x-amz-lex:audio:end-timeout-ms", "-1"),
        ("x-amz-lex:audio:max-length-ms", "13000.5"),
    ],
)
def test_an_invalid_value_is_ignored_and_its_attribute_named(name, value):
    assert asked({name: value}) == Directives(ignored=(name,))


@pytest.mark.parametrize(
    ("name", "value", "directives"),
    [
        ("x-amz-lex:audio:start-timeout-ms", "0", Directives(no_input_s=1)),
        ("x-amz-lex:audio:start-timeout-ms", "999999999", Directives(no_input_s=120)),
        ("x-amz-lex:audio:end-timeout-ms", "1", Directives(hangover_ms=100)),
        ("x-amz-lex:audio:end-timeout-ms", "5001", Directives(hangover_ms=5000)),
        ("x-amz-lex:audio:max-length-ms", "1000", Directives(max_utterance_ms=4000)),
        ("x-amz-lex:audio:max-length-ms:*:*", "15000", Directives(max_utterance_ms=14_800)),
    ],
)
def test_a_time_out_of_range_is_the_nearest_in_range(name, value, directives):
    """A time that is too short or too long is the nearest that is not, and its attribute is named."""
    assert asked({name: value}) == dataclasses.replace(directives, limited=(name,))


def test_lexbridges_and_newer_attribute_names_win():
    """lexbridge's own attribute for the silence wins, and a newer name of Lex over an older one."""
    start = {"x-amz-lex:audio:start-timeout-ms:OrderFlowers:PickupDate": "4000"}
    assert asked(start | {"lexbridge:no-input-s": "7"}).no_input_s == 7
    assert asked(start | {"x-amz-lex:start-silence-threshold-ms": "5000"}).no_input_s == 4


@pytest.mark.parametrize("state", DialogState)
def test_rules_for_keys_ask_for_keys_in_an_open_dialog(state):
    """A bot that says how keys are collected asks for keys, unless the dialog is closed."""
    assert asked({"x-amz-lex:dtmf:max-length": "4"}, state).asks_for_keys is not state.is_closed
    assert not asked({"x-amz-lex:dtmf:max-length:*:Other": "4", "x-amz-lex:dtmf:end-timeout-ms": "x"}).asks_for_keys


@pytest.mark.parametrize("state", DialogState)
@pytest.mark.parametrize(("value", "action"), [("hangup", CallAction.HANG_UP), ("transfer", CallAction.TRANSFER)])
def test_only_a_closed_dialog_acts_on_the_call(state, value, action):
    assert asked({"lexbridge:action": value}, state).action is (action if state.is_closed else None)


def test_an_unknown_action_is_named_when_it_would_be_done():
    assert asked({"lexbridge:action": "Hangup"}, DialogState.FULFILLED) == Directives(ignored=("lexbridge:action",))
    assert asked({"lexbridge:action": "Hangup"}) == Directives()


BY_SPECIFICITY = [
    f"{INTERRUPT}:OrderFlowers:PickupDate",
    f"{INTERRUPT}:OrderFlowers:*",
    f"{INTERRUPT}:*:PickupDate",
    f"{INTERRUPT}:*:*",
    INTERRUPT,
]


@pytest.mark.parametrize("at", range(len(BY_SPECIFICITY)))
def test_the_most_specific_attribute_wins(at):
    """The most specific one of several attributes for this intent and slot wins."""
    names = BY_SPECIFICITY[at:]
    assert not asked(dict.fromkeys(reversed(names), "true") | {names[0]: "false"}).allow_interrupt


@pytest.mark.parametrize(
    "name",
    [
        f"{INTERRUPT}:OrderCoffee:*",
        f"{INTERRUPT}:*:CoffeeKind",
        f"{INTERRUPT}:OrderFlowers:CoffeeKind",
        f"{INTERRUPT}:OrderFlowers",
        f"{INTERRUPT}:orderflowers:*",
        "X-Amz-Lex:allow-interrupt",
        "lexbridge:voice:*:*",
    ],
)
def test_an_attribute_of_another_intent_or_slot_is_ignored(name):
    assert asked({name: "false"}) == Directives()


def test_where_no_slot_is_asked_for_only_any_slot_fits():
    attributes = {f"{INTERRUPT}:*:None": "false", f"{INTERRUPT}:None:*": "false", f"{INTERRUPT}::": "false"}
    assert asked(attributes, intent=None, slot=None).allow_interrupt
    assert not asked({f"{INTERRUPT}:*:*": "false"}, intent=None, slot=None).allow_interrupt
    assert not asked({f"{INTERRUPT}:OrderFlowers:*": "false"}, slot=None).allow_interrupt


def test_where_the_most_specific_is_broken_the_next_one_holds():
    attributes = {BY_SPECIFICITY[0]: "perhaps", BY_SPECIFICITY[1]: "", BY_SPECIFICITY[3]: "false"}
    assert asked(attributes) == Directives(allow_interrupt=False, ignored=(BY_SPECIFICITY[0],))


def test_keys_are_ruled_for_each_slot():
    attributes = {
        "x-amz-lex:dtmf:max-length:OrderFlowers:Pin": "4",
        "x-amz-lex:dtmf:max-length:*:*": "16",
        "x-amz-lex:dtmf:end-timeout-ms:*:Pin": "3000",
    }
    assert asked(attributes, slot="Pin").keys == KeyRules("#", "*", 3000, 4)
    assert asked(attributes).keys == KeyRules("#", "*", 2000, 16)


def test_a_key_that_completes_the_keys_does_not_delete_one():
    attributes = {"x-amz-lex:dtmf:end-character": "*", "x-amz-lex:dtmf:deletion-character": "*"}
    assert asked(attributes).ignored == ("x-amz-lex:dtmf:deletion-character",)
    attributes = {"x-amz-lex:dtmf:end-character": "*", "x-amz-lex:dtmf:deletion-character": "#"}
    assert asked(attributes).keys == KeyRules("*", "#")


NAMES = [attribute.name for attribute in ATTRIBUTES]


@examples(100)
@given(
    st.dictionaries(st.sampled_from(NAMES + [f"{name}:*:*" for name in NAMES]), st.text(max_size=8)),
    st.sampled_from(DialogState),
)
def test_whatever_a_bot_asks_it_is_done_or_named_but_never_told(attributes, state):
    directives = asked(attributes, state)
    assert set(directives.ignored) <= set(attributes)
    again = {name: value for name, value in attributes.items() if name not in directives.ignored}
    assert asked(again, state) == dataclasses.replace(directives, ignored=())


def test_printed_directives_do_not_show_the_number_to_dial():
    assert NUMBER not in repr(asked({"lexbridge:transfer-to": NUMBER}))


def test_each_attribute_is_in_the_table_once_and_a_row_is_a_row():
    assert len(NAMES) == len(set(NAMES)) == 30
    for attribute in ATTRIBUTES:
        assert attribute.set_by in ("bot", "lexbridge")
        assert "|" not in attribute.help
        assert "\n" not in attribute.help


KINDS = {"AccountNumber": "digits", "Size": "closed", "Story": "open"}


@pytest.mark.parametrize(
    ("state", "slot", "says", "expected"),
    [
        (DialogState.ELICIT_INTENT, None, None, Expected.OPEN),
        (DialogState.CONFIRM_INTENT, None, None, Expected.CLOSED),
        (DialogState.ELICIT_SLOT, "AccountNumber", None, Expected.DIGITS),
        (DialogState.ELICIT_SLOT, "Size", None, Expected.CLOSED),
        (DialogState.ELICIT_SLOT, "Story", None, Expected.OPEN),
        (DialogState.ELICIT_SLOT, "PickupDate", None, Expected.PHRASE),
        (DialogState.ELICIT_SLOT, None, None, Expected.PHRASE),
        (DialogState.FULFILLED, "AccountNumber", None, Expected.OPEN),
        (DialogState.ELICIT_SLOT, "AccountNumber", "open", Expected.OPEN),
        (DialogState.CONFIRM_INTENT, None, "digits", Expected.DIGITS),
        (DialogState.CONFIRM_INTENT, None, "a number", Expected.CLOSED),
    ],
)
def test_the_bot_tells_before_the_dialog_what_is_asked_for(state, slot, says, expected):
    """The bot tells what the caller is asked for, or else the dialog does, or else the setting."""
    attributes = {} if says is None else {"lexbridge:expects": says}
    reply = Reply(state, slot_to_elicit=slot, session_attributes=attributes)
    assert Directives.from_reply(reply).expected_after(reply, KINDS) is expected


def test_a_long_whisper_is_cut_at_a_word():
    found = asked({"lexbridge:whisper": "A caller with a question about an order. " * 10})
    assert found.limited == ("lexbridge:whisper",)
    assert found.whisper is not None
    assert len(found.whisper) <= 200
    assert found.whisper.rpartition(" ")[2] in ("A", "caller", "with", "a", "question", "about", "an", "order.")
