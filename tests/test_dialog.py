"""Lex's words: each boto3 response of tests/data/lex as a Reply, or refused."""

import base64
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexbridge import dialog
from lexbridge.dialog import (
    DialogState,
    Message,
    MessageFormat,
    Reply,
    pack,
    reply_from_post_content,
    reply_from_recognize_utterance,
    reply_from_v1_session,
    reply_from_v2_session,
)
from lexbridge.errors import LexUnavailable
from tests.helpers import CALL_SID

DATA = Path(__file__).parent / "data" / "lex"
DECODERS = {"v1": reply_from_post_content, "v2": reply_from_recognize_utterance}

WHAT_DAY = (Message("What day do you want the roses to be picked up?"),)
ATTRIBUTES = {"lexbridge:call-sid": CALL_SID}


def flowers(state, messages=WHAT_DAY, intent="OrderFlowers", slot=None, attributes=ATTRIBUTES, transcript="roses"):
    return Reply(DialogState(state), messages, intent, slot, attributes, transcript)


GOOD = {
    "v1_elicit_slot": flowers("ElicitSlot", slot="PickupDate"),
    "v1_message_not_encoded": flowers("ElicitSlot", slot="PickupDate"),
    "v1_message_only_encoded": flowers(
        "ElicitSlot",
        (Message("Für welchen Tag möchten Sie die Rosen?"),),
        slot="PickupDate",
        transcript="schöne Rosen",
    ),
    "v1_composite": flowers(
        "ElicitSlot",
        (
            Message("Okay."),
            Message("<speak>Which <emphasis>day</emphasis>?</speak>", MessageFormat.SSML),
            Message('{"text": "Say a day."}', MessageFormat.CUSTOM_PAYLOAD),
        ),
        slot="PickupDate",
    ),
    "v1_fulfilled_without_message": flowers("Fulfilled", (), attributes={}),
    "v1_nothing_understood": flowers(
        "ElicitIntent", (Message("Sorry, what can I do for you?"),), intent=None, transcript=""
    ),
    "v1_failed": flowers("Failed"),
    "v1_confirm_intent": flowers("ConfirmIntent"),
    "v2_elicit_slot": flowers("ElicitSlot", slot="PickupDate"),
    "v2_elicit_intent": flowers("ElicitIntent", intent=None, transcript=""),
    "v2_confirm_intent": flowers("ConfirmIntent"),
    "v2_fulfilled": flowers("Fulfilled"),
    "v2_ready_for_fulfillment": flowers("ReadyForFulfillment"),
    "v2_failed": flowers("Failed"),
    "v2_closed_while_in_progress": flowers("Failed"),
    "v2_delegated": flowers("ElicitIntent"),
    "v2_none_and_fulfilled": flowers("Fulfilled"),
    "v2_without_messages": flowers("ElicitIntent", (), intent=None, attributes={}, transcript=None),
    "v2_several_messages": flowers(
        "ElicitSlot",
        (
            Message("Okay."),
            Message("<speak>Which <break/> day?</speak>", MessageFormat.SSML),
            Message("Days."),
            Message('{"speech": "Say a day."}', MessageFormat.CUSTOM_PAYLOAD),
        ),
        slot="PickupDate",
    ),
    "v2_card": flowers(
        "ElicitSlot",
        (
            Message("What flowers would you like?"),
            Message("Flowers. Fresh today! Roses, lilies, tulips."),
            Message("Schön, dass Sie da sind: Ja, nein."),
        ),
        slot="FlowerType",
    ),
}
INVALID = {
    "v1_cut_short_invalid": "Lex's answer has an unknown dialogState: 'None'",
    "v1_dialog_state_invalid": "Lex's answer has an unknown dialogState: 'Confirmation'",
    "v1_message_format_invalid": "Lex's answer has an unknown message format: 'Markdown'",
    "v1_encoded_message_not_base64_invalid": "Lex's answer has a broken encodedMessage",
    "v1_encoded_transcript_not_utf8_invalid": "Lex's answer has a broken encodedInputTranscript",
    "v1_composite_not_json_invalid": "Lex's answer has a broken message",
    "v1_composite_list_invalid": "Lex's answer has a broken message",
    "v1_composite_messages_object_invalid": "Lex's answer has a broken message.messages",
    "v1_composite_part_text_invalid": "Lex's answer has a broken message.messages",
    "v1_composite_value_number_invalid": "Lex's answer has a message that is not a text",
    "v1_composite_too_deep_invalid": "Lex's answer has a broken message",
    "v1_session_attributes_list_invalid": "Lex's answer has a broken sessionAttributes",
    "v2_session_state_missing_invalid": "Lex's answer has no sessionState",
    "v2_session_state_not_base64_invalid": "Lex's answer has a broken sessionState",
    "v2_session_state_not_gzip_invalid": "Lex's answer has a broken sessionState",
    "v2_session_state_cut_short_invalid": "Lex's answer has a broken sessionState",
    "v2_session_state_not_json_invalid": "Lex's answer has a broken sessionState",
    "v2_session_state_list_invalid": "Lex's answer has a broken sessionState",
    "v2_session_state_too_large_invalid": "Lex's answer has a broken sessionState",
    "v2_dialog_action_invalid": "Lex's answer has an unknown dialog action: 'ElicitMood'",
    "v2_dialog_action_list_invalid": "Lex's answer has a broken sessionState.dialogAction.type",
    "v2_intent_state_list_invalid": "Lex's answer has a broken sessionState.intent.state",
    "v2_intent_text_invalid": "Lex's answer has a broken sessionState.intent",
    "v2_intent_name_list_invalid": "Lex's answer has a broken sessionState.intent.name",
    "v2_messages_object_invalid": "Lex's answer has a broken messages",
    "v2_message_content_number_invalid": "Lex's answer has a message that is not a text",
    "v2_message_content_type_invalid": "Lex's answer has an unknown message format: 'Haiku'",
    "v2_card_list_invalid": "Lex's answer has a broken imageResponseCard",
    "v2_card_title_number_invalid": "Lex's answer has a broken imageResponseCard.title",
    "v2_card_subtitle_object_invalid": "Lex's answer has a broken imageResponseCard.subtitle",
    "v2_card_buttons_text_invalid": "Lex's answer has a broken imageResponseCard.buttons",
    "v2_card_button_text_number_invalid": "Lex's answer has a broken imageResponseCard.buttons.text",
}


def response_of(name):
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def test_each_file_is_in_a_table():
    assert {path.stem for path in DATA.glob("*.json")} == {*GOOD, *INVALID}


@pytest.mark.parametrize("name", GOOD)
def test_what_lex_answers_becomes_a_reply(name):
    assert DECODERS[name[:2]](response_of(name)) == GOOD[name]


@pytest.mark.parametrize("name", INVALID)
def test_what_lex_does_not_answer_is_refused_with_a_sentence(name):
    with pytest.raises(LexUnavailable) as raised:
        DECODERS[name[:2]](response_of(name))
    assert str(raised.value) == INVALID[name]


@pytest.mark.parametrize(
    ("card", "text"),
    [
        ({"title": "Flowers"}, "Flowers."),
        ({"title": "Flowers?", "subtitle": "Say one:"}, "Flowers? Say one:"),
        ({"title": "Flowers (cut)", "buttons": [{"text": "Roses", "value": "roses"}]}, "Flowers (cut). Roses."),
        ({"title": " \n", "buttons": [{"text": " red  roses\n", "value": "r"}, {"text": " "}, {}]}, "red roses."),
        ({"title": "花はどれですか。", "subtitle": None, "buttons": None}, "花はどれですか。"),
    ],
)
def test_a_card_is_read_aloud_without_a_word_that_is_not_on_it(card, text):
    messages = [{"contentType": "ImageResponseCard", "imageResponseCard": {**card, "imageUrl": "https://example.com"}}]
    assert reply_from_v2_session({"sessionState": V2_STATE, "messages": messages}).messages == (Message(text),)


@pytest.mark.parametrize("card", [None, {}, {"title": None}, {"title": " ", "subtitle": "", "buttons": [{"text": ""}]}])
def test_a_card_with_nothing_to_say_is_left_out(card):
    messages = [{"contentType": "ImageResponseCard", "imageResponseCard": card}, *V2_MESSAGES]
    assert reply_from_v2_session({"sessionState": V2_STATE, "messages": messages}).messages == WHAT_DAY


@pytest.mark.parametrize(
    ("state", "is_closed", "is_fulfilled"),
    [
        ("ElicitIntent", False, False),
        ("ConfirmIntent", False, False),
        ("ElicitSlot", False, False),
        ("Fulfilled", True, True),
        ("ReadyForFulfillment", True, True),
        ("Failed", True, False),
    ],
)
def test_a_dialog_is_closed_when_the_intent_is_done_with_well_or_badly(state, is_closed, is_fulfilled):
    assert DialogState(state).is_closed is is_closed
    assert Reply(DialogState(state)).is_fulfilled is is_fulfilled


@pytest.mark.parametrize("name", GOOD)
def test_no_word_that_was_spoken_shows_when_a_reply_is_printed(name):
    reply = GOOD[name]
    shown = repr(DECODERS[name[:2]](response_of(name)))
    assert not [message for message in reply.messages if message.text in shown]
    assert "roses" not in shown.lower()
    assert CALL_SID not in shown


BOMBS = {
    "spaces": b" " * (20 << 20),
    "objects": b"[" + b"{}," * 30_000 + b"{}]",
    "numbers": b"[" + b"1," * 30_000 + b"1]",
    "lists": b"[" * 100_000,
    "names": b"{" + b",".join(b'"%d":1' % number for number in range(25_000)) + b"}",
}


@pytest.mark.parametrize("what", BOMBS)
@pytest.mark.parametrize("field", ["sessionState", "messages", "inputTranscript"])
def test_what_unpacks_to_more_than_lex_tells_is_refused_before_it_is_read(field, what, monkeypatch):
    read = []
    monkeypatch.setattr(dialog.json, "loads", lambda text, loads=json.loads: read.append(len(text)) or loads(text))
    bomb = base64.b64encode(gzip.compress(BOMBS[what])).decode()
    with pytest.raises(LexUnavailable, match=f"Lex's answer has a broken {field}"):
        reply_from_recognize_utterance({"sessionState": pack(V2_STATE), field: bomb})
    assert not [length for length in read if length > 10_000]


def test_as_much_as_lex_may_tell_is_read():
    """A hundred slots with as much in each as they can hold, and session attributes of 16 KB."""
    value = {"originalValue": "x" * 200, "interpretedValue": "y" * 200, "resolvedValues": ["z" * 200] * 5}
    slots = {f"Slot{number}": {"shape": "Scalar", "value": value} for number in range(100)}
    state = {**V2_STATE, "intent": {"name": "Order", "slots": slots}, "sessionAttributes": {"a": "," * 16_000}}
    assert reply_from_recognize_utterance({"sessionState": pack(state)}).session_attributes == {"a": "," * 16_000}


def test_what_is_packed_is_gzip_in_base64_in_ascii():
    packed = pack({"sessionAttributes": {"city": "Zürich"}})
    assert json.loads(gzip.decompress(base64.b64decode(packed))) == {"sessionAttributes": {"city": "Zürich"}}
    assert packed.isascii()


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["Close", "PlainText", "Fulfilled"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=8), values, max_size=3),
    max_leaves=5,
)
SOME_STATE = st.fixed_dictionaries(
    {},
    optional={
        "dialogAction": JSON_VALUES | st.fixed_dictionaries({"type": JSON_VALUES, "slotToElicit": JSON_VALUES}),
        "intent": JSON_VALUES | st.fixed_dictionaries({"name": JSON_VALUES, "state": JSON_VALUES}),
        "sessionAttributes": JSON_VALUES,
    },
)
SOME_MESSAGES = JSON_VALUES | st.lists(
    st.fixed_dictionaries({}, optional={"content": JSON_VALUES, "contentType": JSON_VALUES})
    | st.fixed_dictionaries(
        {
            "contentType": st.just("ImageResponseCard"),
            "imageResponseCard": JSON_VALUES
            | st.fixed_dictionaries({}, optional=dict.fromkeys(("title", "subtitle", "buttons"), JSON_VALUES)),
        }
    ),
    max_size=3,
)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(SOME_STATE, SOME_MESSAGES, JSON_VALUES)
def test_whatever_v2_answers_it_is_a_reply_or_lex_unavailable(state, messages, transcript):
    response = {"sessionState": pack(state), "messages": pack(messages), "inputTranscript": pack(transcript)}
    try:
        reply = reply_from_recognize_utterance(response)
    except LexUnavailable:
        return
    assert all(isinstance(text, str | None) for text in (reply.intent, reply.slot_to_elicit, reply.transcript))
    assert all(isinstance(message.text, str) for message in reply.messages)
    assert all(isinstance(text, str) for attribute in reply.session_attributes.items() for text in attribute)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(JSON_VALUES, st.sampled_from(["Composite", "PlainText", "SSML", None]))
def test_whatever_message_v1_answers_it_is_a_reply_or_lex_unavailable(message, message_format):
    for text in (json.dumps(message), json.dumps({"messages": message}), json.dumps({"messages": [message]})):
        try:
            reply = reply_from_post_content(
                {"dialogState": "ElicitSlot", "message": text, "messageFormat": message_format}
            )
        except LexUnavailable:
            continue
        assert all(isinstance(message.text, str) for message in reply.messages)


# -- GetSession

V1_ACTION = {
    "type": "ElicitSlot",
    "intentName": "OrderFlowers",
    "slotToElicit": "PickupDate",
    "message": "What day do you want the roses to be picked up?",
    "messageFormat": "PlainText",
}
V2_STATE = {
    "dialogAction": {"type": "ElicitSlot", "slotToElicit": "PickupDate"},
    "intent": {"name": "OrderFlowers", "state": "InProgress"},
    "sessionAttributes": ATTRIBUTES,
}
V2_MESSAGES = [{"content": "What day do you want the roses to be picked up?", "contentType": "PlainText"}]


def test_a_session_tells_what_the_bot_said_last():
    pending = flowers("ElicitSlot", slot="PickupDate", transcript=None)
    assert reply_from_v1_session({"dialogAction": V1_ACTION, "sessionAttributes": ATTRIBUTES}) == pending
    assert reply_from_v2_session({"sessionState": V2_STATE, "messages": V2_MESSAGES}) == pending


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ({"type": "Close", "fulfillmentState": "Fulfilled"}, DialogState.FULFILLED),
        ({"type": "Close", "fulfillmentState": "Failed"}, DialogState.FAILED),
        ({"type": "ConfirmIntent"}, DialogState.CONFIRM_INTENT),
        ({"type": "ElicitIntent"}, DialogState.ELICIT_INTENT),
        ({"type": "Delegate"}, DialogState.ELICIT_INTENT),
        ({}, DialogState.ELICIT_INTENT),
    ],
)
def test_a_v1_session_tells_where_the_dialog_stands(action, state):
    assert reply_from_v1_session({"dialogAction": action}).dialog_state is state


def test_a_v2_session_that_is_closed_is_as_its_intent():
    state = {"dialogAction": {"type": "Close"}, "intent": {"name": "GoodbyeIntent", "state": "Fulfilled"}}
    assert reply_from_v2_session({"sessionState": state}).is_fulfilled


@pytest.mark.parametrize(
    ("decode", "response"),
    [
        (reply_from_v1_session, {"dialogAction": "Close"}),
        (reply_from_v1_session, {"dialogAction": {"type": "Close"}}),
        (reply_from_v1_session, {"dialogAction": {"type": ["Close"]}}),
        (reply_from_v1_session, {"dialogAction": {"type": "Close", "fulfillmentState": "Sideways"}}),
        (reply_from_v1_session, {"dialogAction": {**V1_ACTION, "message": 7}}),
        (reply_from_v2_session, {"sessionState": [], "messages": {}}),
        (reply_from_v2_session, {"sessionState": V2_STATE, "messages": [{"content": 7, "contentType": "PlainText"}]}),
    ],
)
def test_a_session_that_is_not_what_lex_tells_is_refused(decode, response):
    with pytest.raises(LexUnavailable, match="Lex's answer has"):
        decode(response)


# -- checkpoints


V1_OPEN = {"FlowerType": "roses", "PickupDate": None}
V2_OPEN = {"FlowerType": {"shape": "Scalar", "value": {"interpretedValue": "roses"}}, "PickupDate": None}
CONTEXTS = [{"name": "ordering", "timeToLive": {"turnsToLive": 1, "timeToLiveInSeconds": 90}, "parameters": {}}]


def test_the_checkpoint_of_a_v1_answer_is_what_puts_the_dialog_there_again():
    reply = reply_from_post_content(
        {
            "dialogState": "ElicitSlot",
            "intentName": "OrderFlowers",
            "slots": V1_OPEN,
            "slotToElicit": "PickupDate",
            "sessionAttributes": {"shop": "7"},
            "activeContexts": CONTEXTS,
            "message": "Which day?",
            "messageFormat": "PlainText",
        }
    )
    assert reply.checkpoint == {
        "dialogAction": {
            "type": "ElicitSlot",
            "intentName": "OrderFlowers",
            "slots": {"FlowerType": "roses"},
            "slotToElicit": "PickupDate",
            "message": "Which day?",
            "messageFormat": "PlainText",
        },
        "sessionAttributes": {"shop": "7"},
        "activeContexts": CONTEXTS,
    }


def test_the_checkpoint_of_a_closed_v1_dialog_closes_it():
    reply = reply_from_post_content({"dialogState": "Failed", "intentName": "OrderFlowers"})
    action = {"type": "Close", "fulfillmentState": "Failed", "intentName": "OrderFlowers"}
    assert reply.checkpoint == {"dialogAction": action, "sessionAttributes": {}, "activeContexts": []}


def test_the_checkpoint_of_a_v1_session_knows_the_recent_intents():
    recent = [{"intentName": "OrderFlowers", "dialogActionType": "ElicitSlot", "slots": V1_OPEN}]
    reply = reply_from_v1_session({"dialogAction": V1_ACTION, "recentIntentSummaryView": recent})
    assert reply.checkpoint["recentIntentSummaryView"] == [{**recent[0], "slots": {"FlowerType": "roses"}}]


def test_the_checkpoint_of_a_v2_answer_is_what_puts_the_dialog_there_again():
    state = {
        "dialogAction": {"type": "ElicitSlot", "slotToElicit": "PickupDate"},
        "intent": {
            "name": "OrderFlowers",
            "slots": V2_OPEN,
            "state": "InProgress",
            "confirmationState": "None",
            "kendraResponse": {},
        },
        "activeContexts": CONTEXTS,
        "sessionAttributes": {"shop": "7"},
        "originatingRequestId": "a-request",
    }
    messages = [{"content": "Which day?", "contentType": "PlainText"}]
    response = {"sessionState": pack(state), "messages": pack(messages)}
    intent = {name: state["intent"][name] for name in ("name", "state", "confirmationState")}
    assert reply_from_recognize_utterance(response).checkpoint == {
        "sessionState": {
            "dialogAction": state["dialogAction"],
            "intent": {**intent, "slots": {"FlowerType": V2_OPEN["FlowerType"]}},
            "activeContexts": CONTEXTS,
            "sessionAttributes": {"shop": "7"},
        },
        "messages": messages,
    }


def test_what_a_v2_answer_leaves_out_is_emptied_and_not_kept():
    state = {"dialogAction": {"type": "ElicitIntent"}}
    kept = {**state, "sessionAttributes": {}, "activeContexts": []}
    assert reply_from_v2_session({"sessionState": state}).checkpoint == {"sessionState": kept}


def test_an_answer_that_is_nested_too_deep_is_refused():
    slots = {}
    for _ in range(5000):
        slots = {"subSlots": slots}
    with pytest.raises(LexUnavailable, match=r"^Lex's answer is nested too deep$"):
        reply_from_v2_session({"sessionState": {"intent": {"name": "OrderFlowers", "slots": slots}}})


def test_answers_are_the_same_though_their_checkpoints_are_not():
    state = {"dialogAction": {"type": "ElicitIntent"}}
    first, second = ({**state, "activeContexts": [{"timeToLive": seconds}]} for seconds in (90, 89))
    assert reply_from_v2_session({"sessionState": first}) == reply_from_v2_session({"sessionState": second})


@pytest.mark.parametrize("name", GOOD)
def test_a_checkpoint_is_json_without_a_null_and_does_not_show_when_a_reply_is_printed(name):
    reply = DECODERS[name[:2]](response_of(name))
    written = json.dumps(reply.checkpoint)
    assert json.loads(written) == reply.checkpoint
    assert "null" not in written
    assert "checkpoint" not in repr(reply)
