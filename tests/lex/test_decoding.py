"""Lex's words: each boto3 response of tests/data/lex as a Reply, as far as it can be read."""

import base64
import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.errors import LexUnreadable
from lexbridge.lex import answer_parts, v1, v2
from lexbridge.lex.model import DialogState, Message, MessageFormat, Reply
from lexbridge.lex.v2 import pack
from tests.support.property_tests import examples
from tests.support.story import CALL_SID

DATA = Path(__file__).parents[1] / "data" / "lex"
DECODERS = {"v1": v1.reply_from_post_content, "v2": v2.reply_from_recognize_utterance}

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
            Message("Say a day."),
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
            Message("Say a day."),
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
NOT_HELD = {"slot": None, "intent": None, "attributes": {}}
ODD = {
    "v1_dialog_state_invalid": (flowers("ElicitIntent", slot="PickupDate"), "dialogState"),
    "v1_message_format_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message"),
    "v1_encoded_message_not_base64_invalid": (flowers("ElicitSlot", slot="PickupDate"), "encodedMessage"),
    "v1_encoded_transcript_not_utf8_invalid": (flowers("ElicitSlot", slot="PickupDate"), "inputTranscript"),
    "v1_composite_not_json_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message"),
    "v1_composite_list_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message"),
    "v1_composite_messages_object_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message.messages"),
    "v1_composite_part_text_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message.messages[0]"),
    "v1_composite_value_number_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message.messages[0].value"),
    "v1_composite_too_deep_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "message"),
    "v1_session_attributes_list_invalid": (
        flowers("ElicitSlot", slot="PickupDate", attributes={}),
        "sessionAttributes",
    ),
    "v2_session_state_missing_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_session_state_not_base64_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_session_state_not_gzip_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_session_state_cut_short_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_session_state_not_json_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_session_state_list_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_session_state_too_large_invalid": (flowers("ElicitIntent", **NOT_HELD), "sessionState"),
    "v2_dialog_action_invalid": (flowers("ElicitIntent", intent=None), "sessionState.dialogAction.type"),
    "v2_dialog_action_list_invalid": (flowers("ElicitIntent", intent=None), "sessionState.dialogAction.type"),
    "v2_intent_state_list_invalid": (flowers("Failed"), "sessionState.intent.state"),
    "v2_intent_text_invalid": (flowers("Failed", intent=None), "sessionState.intent"),
    "v2_intent_name_list_invalid": (flowers("Fulfilled", intent=None), "sessionState.intent.name"),
    "v2_messages_object_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "messages"),
    "v2_message_content_number_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "messages[0].content"),
    "v2_message_content_type_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "messages[0]"),
    "v2_card_list_invalid": (flowers("ElicitSlot", (), slot="PickupDate"), "messages[0].imageResponseCard"),
    "v2_card_title_number_invalid": (
        flowers("ElicitSlot", (), slot="PickupDate"),
        "messages[0].imageResponseCard.title",
    ),
    "v2_card_subtitle_object_invalid": (
        flowers("ElicitSlot", (Message("Flowers."),), slot="PickupDate"),
        "messages[0].imageResponseCard.subtitle",
    ),
    "v2_card_buttons_text_invalid": (
        flowers("ElicitSlot", (Message("Flowers."),), slot="PickupDate"),
        "messages[0].imageResponseCard.buttons",
    ),
    "v2_card_button_text_number_invalid": (
        flowers("ElicitSlot", (Message("Flowers."),), slot="PickupDate"),
        "messages[0].imageResponseCard.buttons[0].text",
    ),
}
UNREADABLE = ["v1_cut_short_invalid"]
V2_HELLO = [{"content": "Hello.", "contentType": "PlainText"}]


def response_of(name):
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def test_each_file_is_in_a_table():
    assert {path.stem for path in DATA.glob("*.json")} == {*GOOD, *ODD, *UNREADABLE}


@pytest.mark.parametrize("name", GOOD)
def test_what_lex_answers_becomes_a_reply(name):
    assert DECODERS[name[:2]](response_of(name)) == GOOD[name]


@pytest.mark.parametrize("name", ODD)
def test_of_an_odd_answer_the_rest_is_used_and_what_is_odd_is_named(name):
    reply, odd_part = ODD[name]
    found = DECODERS[name[:2]](response_of(name))
    assert found == reply
    assert found.odd_parts == (odd_part,)
    assert (found.checkpoint is None) == (odd_part != "inputTranscript")  # where the dialog stands is not known


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_answer_of_which_nothing_can_be_used_is_unreadable(name):
    with pytest.raises(LexUnreadable, match=r"^nothing of Lex's answer can be used$"):
        DECODERS[name[:2]](response_of(name))


def test_a_header_that_boto3_could_not_have_read_is_odd():
    response = {**response_of("v1_elicit_slot"), v1.UNREADABLE_HEADERS: ("slots",)}
    del response["slots"]
    reply = v1.reply_from_post_content(response)
    assert reply == GOOD["v1_elicit_slot"]
    assert (reply.checkpoint, reply.odd_parts) == (None, ("slots",))


def test_what_could_not_be_read_of_an_unreadable_answer_is_named():
    with pytest.raises(LexUnreadable, match=r"can be used: sessionState, messages$") as raised:
        v2.reply_from_recognize_utterance({"sessionState": "%", "messages": "%", "inputTranscript": pack("roses")})
    assert raised.value.parts == ("sessionState", "messages")


@pytest.mark.parametrize(
    ("messages", "texts", "odd_parts"),
    [
        ([*V2_HELLO, {"contentType": "VideoCard", "content": "x"}], ["Hello."], ("messages[1]",)),
        ([{"content": "No type."}], ["No type."], ("messages[0].contentType",)),
        ([{"content": "No type.", "contentType": 7}], ["No type."], ("messages[0].contentType",)),
        ([{"contentType": "PlainText"}], [], ("messages[0].content",)),
        ([{"content": "", "contentType": "PlainText"}], [], ()),
        ([7, {"content": "Hello.", "contentType": "PlainText"}], ["Hello."], ("messages[0]",)),
        ([{"imageResponseCard": {"title": "Size?"}}], ["Size?"], ("messages[0].contentType",)),
        ([{"content": None, "contentType": "PlainText"}] * 2, [], ("messages[0].content", "messages[1].content")),
    ],
)
def test_each_message_is_read_by_itself(messages, texts, odd_parts):
    reply = v2.reply_from_recognize_utterance({"sessionState": pack(V2_STATE), "messages": pack(messages)})
    assert [message.text for message in reply.messages] == texts
    assert reply.odd_parts == odd_parts


def test_a_transcript_that_cannot_be_read_does_not_say_that_nothing_was_heard():
    packed = {"sessionState": pack(V2_STATE), "messages": pack(V2_MESSAGES)}
    for transcript, heard_nothing in ((pack("roses"), False), (pack(""), True), (None, True), ("%", False)):
        reply = v2.reply_from_recognize_utterance({**packed, "inputTranscript": transcript})
        assert reply.heard_nothing is heard_nothing, transcript


def test_an_answer_that_is_cut_off_does_not_say_that_nothing_was_heard():
    cut_off = base64.b64encode(b'{"FlowerType": "ro').decode()
    reply = v1.reply_from_post_content({"dialogState": "ElicitSlot", "slots": cut_off})
    assert (reply.odd_parts, reply.messages, reply.heard_nothing) == (("slots",), (), False)


@pytest.mark.parametrize("state", ["Escalated", "", 7])
def test_an_intent_state_that_is_new_is_named(state):
    state = {"dialogAction": {"type": "Close"}, "intent": {"name": "Order", "state": state}}
    reply = v2.reply_from_session({"sessionState": state})
    assert (reply.dialog_state, reply.odd_parts) == (DialogState.FAILED, ("sessionState.intent.state",))


def test_attributes_that_are_no_texts_are_read_as_json_and_null_is_none():
    state = {**V2_STATE, "sessionAttributes": {"a": None, "n": 3, "b": True, "o": {"x": 1}, "t": "text"}}
    reply = v2.reply_from_session({"sessionState": state})
    assert reply.session_attributes == {"n": "3", "b": "true", "o": '{"x": 1}', "t": "text"}
    assert reply.odd_parts == ()


@pytest.mark.parametrize(
    ("payload", "message", "unspoken"),
    [
        ('{"text": "Say a day."}', Message("Say a day."), ()),
        ('{"ssml": "<speak>A day?</speak>"}', Message("<speak>A day?</speak>", MessageFormat.SSML), ()),
        ('{"image": "https://example.com/a.png", "id": 7}', None, (("image", "id"),)),
        (" ", None, ()),
    ],
)
def test_of_a_payload_there_is_what_it_says_or_its_keys(payload, message, unspoken):
    messages = [{"content": payload, "contentType": "CustomPayload"}]
    v1_answer = {"dialogState": "ElicitIntent", "message": payload, "messageFormat": "CustomPayload"}
    for reply in (
        v2.reply_from_session({"sessionState": V2_STATE, "messages": messages}),
        v1.reply_from_post_content(v1_answer),
    ):
        assert reply.messages == ((message,) if message else ())
        assert all(message.is_unvoiced for message in reply.messages)
        assert (reply.unspoken_payloads, reply.odd_parts) == (unspoken, ())


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
    assert v2.reply_from_session({"sessionState": V2_STATE, "messages": messages}).messages == (Message(text),)


@pytest.mark.parametrize("card", [None, {}, {"title": None}, {"title": " ", "subtitle": "", "buttons": [{"text": ""}]}])
def test_a_card_with_nothing_to_say_is_left_out(card):
    messages = [{"contentType": "ImageResponseCard", "imageResponseCard": card}, *V2_MESSAGES]
    assert v2.reply_from_session({"sessionState": V2_STATE, "messages": messages}).messages == WHAT_DAY


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
def test_what_unpacks_to_more_than_lex_tells_is_left_out_before_it_is_read(field, what, monkeypatch):
    read = []
    monkeypatch.setattr(
        answer_parts.json, "loads", lambda text, loads=json.loads: read.append(len(text)) or loads(text)
    )
    bomb = base64.b64encode(gzip.compress(BOMBS[what])).decode()
    packed = {"sessionState": pack(V2_STATE), "messages": pack(V2_MESSAGES)}
    assert v2.reply_from_recognize_utterance({**packed, field: bomb}).odd_parts == (field,)
    assert not [length for length in read if length > 10_000]


def test_as_much_as_lex_may_tell_is_read():
    """A hundred slots with as much in each as they can hold, and session attributes of 16 KB."""
    value = {"originalValue": "x" * 200, "interpretedValue": "y" * 200, "resolvedValues": ["z" * 200] * 5}
    slots = {f"Slot{number}": {"shape": "Scalar", "value": value} for number in range(100)}
    state = {**V2_STATE, "intent": {"name": "Order", "slots": slots}, "sessionAttributes": {"a": "," * 16_000}}
    assert v2.reply_from_recognize_utterance({"sessionState": pack(state)}).session_attributes == {"a": "," * 16_000}


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


def check(reply):
    """All of a reply is of the right type."""
    assert all(isinstance(text, str | None) for text in (reply.intent, reply.slot_to_elicit, reply.transcript))
    assert all(isinstance(message.text, str) and message.text.strip() for message in reply.messages)
    assert all(isinstance(text, str) for attribute in reply.session_attributes.items() for text in attribute)
    assert reply.checkpoint is None or json.loads(json.dumps(reply.checkpoint)) == reply.checkpoint
    assert reply.checkpoint is None or not {*reply.odd_parts} - {"inputTranscript"}


@examples(100)
@given(SOME_STATE, SOME_MESSAGES, JSON_VALUES)
def test_whatever_v2_answers_it_is_a_reply_or_unreadable(state, messages, transcript):
    response = {"sessionState": pack(state), "messages": pack(messages), "inputTranscript": pack(transcript)}
    try:
        reply = v2.reply_from_recognize_utterance(response)
    except LexUnreadable:
        assert not state
        return
    check(reply)


@examples(50)
@given(JSON_VALUES, st.sampled_from(["Composite", "PlainText", "SSML", "CustomPayload", "New", 7, None]))
def test_whatever_message_v1_answers_it_is_a_reply(message, message_format):
    for text in (json.dumps(message), json.dumps({"messages": message}), json.dumps({"messages": [message]}), message):
        check(
            v1.reply_from_post_content({"dialogState": "ElicitSlot", "message": text, "messageFormat": message_format})
        )


# What a mutation puts in the place of a part. DROP: nothing.
DROP = object()
JUNK = st.sampled_from(
    [DROP, None, "", "%", "Elicit-something new", 7, -1.5, True, [], ["x"], {}, {"x": 1}, [[]], "\ud800", "[" * 2000]
)
PACKED = ("sessionState", "messages", "inputTranscript", "interpretations")  # fmt: skip


def places_in(value, path=()):
    """Where there is something in a JSON value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*path, key)
        yield from places_in(member, (*path, key))


def mutated(value, path, junk):
    """`value` with `junk` at `path`; itself, if that is not there any more."""
    if not path:
        return junk
    key, *rest = path
    is_there = (isinstance(value, dict) and key in value) or (
        isinstance(value, list) and isinstance(key, int) and key < len(value)
    )
    if not is_there:
        return value
    copy = value.copy()
    if junk is DROP and not rest:
        del copy[key]
    else:
        copy[key] = mutated(value[key], rest, junk)
    return copy


def unpacked(response):
    """A response, with what is packed in it as JSON."""
    return {
        name: json.loads(gzip.decompress(base64.b64decode(value))) if name in PACKED and value else value
        for name, value in response.items()
    }


def packed_again(answer, broken):
    """What `unpacked` took apart. `broken`: the header of that name is no base64 any more."""
    response = {name: pack(value) if name in PACKED and value else value for name, value in answer.items()}
    return {name: f"%{value}" if name == broken else value for name, value in response.items()}


@examples(600)
@given(st.sampled_from([*GOOD, *ODD]), st.data())
def test_a_recorded_answer_that_is_mutated_is_used_as_far_as_it_goes(name, data):
    """Fields dropped, types changed, values unknown, headers broken: only where nothing is left it is unreadable."""
    is_v2 = name.startswith("v2")
    response = response_of(name)
    answer = unpacked(response) if is_v2 and name in GOOD else response
    for _ in range(data.draw(st.integers(1, 3))):
        answer = mutated(answer, data.draw(st.sampled_from(sorted(places_in(answer), key=str))), data.draw(JUNK))
        if not answer:
            return
    broken = data.draw(st.sampled_from([None, *PACKED[:3], "encodedMessage"]))
    if is_v2 and name in GOOD:
        response = packed_again(answer, broken)
    else:
        response = {key: f"%{value}" if key == broken else value for key, value in answer.items()}
    try:
        reply = DECODERS[name[:2]](response)
    except LexUnreadable:
        is_state_lost = broken == "sessionState" or not isinstance(answer.get("sessionState"), dict)
        assert not words_of(answer, broken)
        assert name.startswith("v1") or name in ODD or is_state_lost or not answer["sessionState"]
        return
    check(reply)
    assert set(words_of(answer, broken)) <= {message.text for message in reply.messages}


def words_of(answer, broken):
    """The plain texts of V2 that are there to be read, in the simplest way."""
    messages = answer.get("messages")
    if broken == "messages" or not isinstance(messages, list):
        return []
    return [
        message["content"]
        for message in messages
        if isinstance(message, dict)
        and message.get("contentType") == "PlainText"
        and isinstance(message.get("content"), str)
        and message["content"].strip()
    ]


@pytest.mark.parametrize("name", GOOD)
def test_a_part_that_is_broken_costs_no_other_part(name):
    whole, response = GOOD[name], response_of(name)
    for field in ("messages", "inputTranscript", "encodedInputTranscript", "interpretations", "slots", "botVersion"):
        for junk in ("%", 7, ["x"], None):
            reply = DECODERS[name[:2]]({**response, field: junk})
            assert replace(reply, messages=(), transcript=None) == replace(whole, messages=(), transcript=None)
            assert field == "messages" or reply.messages == whole.messages


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
    assert v1.reply_from_session({"dialogAction": V1_ACTION, "sessionAttributes": ATTRIBUTES}) == pending
    assert v2.reply_from_session({"sessionState": V2_STATE, "messages": V2_MESSAGES}) == pending


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
    assert v1.reply_from_session({"dialogAction": action}).dialog_state is state


def test_a_v2_session_that_is_closed_is_as_its_intent():
    state = {"dialogAction": {"type": "Close"}, "intent": {"name": "GoodbyeIntent", "state": "Fulfilled"}}
    assert v2.reply_from_session({"sessionState": state}).is_fulfilled


@pytest.mark.parametrize(
    ("decode", "response", "odd_part"),
    [
        (v1.reply_from_session, {"dialogAction": {"type": "Close"}}, "dialogAction.fulfillmentState"),
        (
            v1.reply_from_session,
            {"dialogAction": {"type": "Close", "fulfillmentState": "Sideways"}},
            "dialogAction.fulfillmentState",
        ),
        (v1.reply_from_session, {"dialogAction": {**V1_ACTION, "message": 7}}, "dialogAction.message"),
        (
            v2.reply_from_session,
            {"sessionState": V2_STATE, "messages": [{"content": 7, "contentType": "PlainText"}]},
            "messages[0].content",
        ),
    ],
)
def test_of_a_session_that_is_odd_the_rest_is_used(decode, response, odd_part):
    reply = decode(response)
    assert reply.odd_parts == (odd_part,)
    assert reply.checkpoint is None


@pytest.mark.parametrize(
    ("decode", "response"),
    [
        (v1.reply_from_session, {"dialogAction": "Close"}),
        (v1.reply_from_session, {"dialogAction": {"type": ["Close"]}}),
        (v2.reply_from_session, {"sessionState": [], "messages": {}}),
    ],
)
def test_a_session_of_which_nothing_can_be_used_is_unreadable(decode, response):
    with pytest.raises(LexUnreadable):
        decode(response)


# -- checkpoints


V1_OPEN = {"FlowerType": "roses", "PickupDate": None}
V2_OPEN = {"FlowerType": {"shape": "Scalar", "value": {"interpretedValue": "roses"}}, "PickupDate": None}
CONTEXTS = [{"name": "ordering", "timeToLive": {"turnsToLive": 1, "timeToLiveInSeconds": 90}, "parameters": {}}]


def test_the_checkpoint_of_a_v1_answer_is_what_puts_the_dialog_there_again():
    reply = v1.reply_from_post_content(
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
    reply = v1.reply_from_post_content({"dialogState": "Failed", "intentName": "OrderFlowers"})
    action = {"type": "Close", "fulfillmentState": "Failed", "intentName": "OrderFlowers"}
    assert reply.checkpoint == {"dialogAction": action, "sessionAttributes": {}, "activeContexts": []}


def test_the_checkpoint_of_a_v1_session_knows_the_recent_intents():
    recent = [{"intentName": "OrderFlowers", "dialogActionType": "ElicitSlot", "slots": V1_OPEN}]
    reply = v1.reply_from_session({"dialogAction": V1_ACTION, "recentIntentSummaryView": recent})
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
    assert v2.reply_from_recognize_utterance(response).checkpoint == {
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
    assert v2.reply_from_session({"sessionState": state}).checkpoint == {"sessionState": kept}


def test_where_an_answer_that_is_nested_too_deep_stands_is_not_known():
    slots = {}
    for _ in range(5000):
        slots = {"subSlots": slots}
    reply = v2.reply_from_session({"sessionState": {"intent": {"name": "OrderFlowers", "slots": slots}}})
    assert (reply.intent, reply.checkpoint, reply.odd_parts) == ("OrderFlowers", None, ("slots",))


def test_answers_are_the_same_though_their_checkpoints_are_not():
    state = {"dialogAction": {"type": "ElicitIntent"}}
    first, second = ({**state, "activeContexts": [{"timeToLive": seconds}]} for seconds in (90, 89))
    assert v2.reply_from_session({"sessionState": first}) == v2.reply_from_session({"sessionState": second})


@pytest.mark.parametrize("name", GOOD)
def test_a_checkpoint_is_json_without_a_null_and_does_not_show_when_a_reply_is_printed(name):
    reply = DECODERS[name[:2]](response_of(name))
    written = json.dumps(reply.checkpoint or {})
    assert json.loads(written) == (reply.checkpoint or {})
    assert (reply.checkpoint is None) == bool(reply.odd_parts)
    assert "null" not in written
    assert "checkpoint" not in repr(reply)
