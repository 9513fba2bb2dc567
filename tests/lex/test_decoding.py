"""The decoding of Lex's answers: each boto3 response of tests/data/lex as a Reply."""

import base64
import gzip
import json
from typing import Any

import pytest

from lexbridge.errors import LexUnreadable
from lexbridge.lex import answer_parts, v1, v2
from lexbridge.lex.model import DialogState, Message, MessageFormat, Reply
from lexbridge.lex.v2 import pack
from tests.support.lex_answers import (
    DATA,
    DECODERS,
    GOOD,
    ODD,
    UNREADABLE,
    V2_HELLO,
    V2_MESSAGES,
    V2_STATE,
    WHAT_DAY,
    response_of,
)
from tests.support.twilio_messages import CALL_SID


def test_each_file_is_in_a_table():
    assert {path.stem for path in DATA.glob("*.json")} == {*GOOD, *ODD, *UNREADABLE}


@pytest.mark.parametrize("name", GOOD)
def test_what_lex_answers_becomes_a_reply(name):
    assert DECODERS[name[:2]](response_of(name)) == GOOD[name]


@pytest.mark.parametrize("name", ODD)
def test_the_sound_parts_of_an_odd_answer_are_used(name):
    """The sound parts of an odd answer are used, and its odd parts are named."""
    reply, odd_part = ODD[name]
    found = DECODERS[name[:2]](response_of(name))
    assert found == reply
    assert found.odd_parts == (odd_part,)
    assert (found.checkpoint is None) == (odd_part != "inputTranscript")  # then the position of the dialog is unknown


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unusable_answer_is_unreadable(name):
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


def test_an_unreadable_transcript_is_not_an_empty_one():
    """A transcript that cannot be read does not mean that Lex heard nothing."""
    packed = {"sessionState": pack(V2_STATE), "messages": pack(V2_MESSAGES)}
    for transcript, heard_nothing in ((pack("roses"), False), (pack(""), True), (None, True), ("%", False)):
        reply = v2.reply_from_recognize_utterance({**packed, "inputTranscript": transcript})
        assert reply.heard_nothing is heard_nothing, transcript


def test_an_answer_cut_off_has_no_empty_transcript():
    """An answer that is cut off does not mean that Lex heard nothing."""
    cut_off = base64.b64encode(b'{"FlowerType": "ro').decode()
    reply = v1.reply_from_post_content({"dialogState": "ElicitSlot", "slots": cut_off})
    assert (reply.odd_parts, reply.messages, reply.heard_nothing) == (("slots",), (), False)


@pytest.mark.parametrize("state", ["Escalated", "", 7])
def test_an_intent_state_that_is_new_is_named(state):
    state = {"dialogAction": {"type": "Close"}, "intent": {"name": "Order", "state": state}}
    reply = v2.reply_from_session({"sessionState": state})
    assert (reply.dialog_state, reply.odd_parts) == (DialogState.FAILED, ("sessionState.intent.state",))


def test_attributes_that_are_no_texts_are_read_as_json():
    """Attributes that are no texts are read as JSON, and null is no attribute."""
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
def test_a_payload_becomes_its_words_or_its_names(payload, message, unspoken):
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
def test_a_dialog_is_closed_when_the_intent_succeeds_or_fails(state, is_closed, is_fulfilled):
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
def test_what_unpacks_too_large_is_left_out_unread(field, what, monkeypatch):
    """A compressed field that is larger than any of Lex's is left out before it is read."""
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


@pytest.mark.parametrize(
    ("slot", "value"),
    [
        (None, None),
        ("roses", None),
        ({"value": {"originalValue": "rose", "interpretedValue": "roses"}}, "roses"),
        ({"value": None}, None),
        ({"value": {"interpretedValue": 7}}, None),
        ({"shape": "List", "values": [{"value": {"interpretedValue": "red"}}, 5, {"value": None}]}, "red"),
        ({"values": [{"value": {"interpretedValue": "red"}}, {"value": {"interpretedValue": "blue"}}]}, "red, blue"),
        ({"values": [{"values": [{"value": {"interpretedValue": "deep"}}]}]}, None),
    ],
)
def test_the_value_of_a_v2_slot_is_what_lex_understood(slot: Any, value: str | None) -> None:
    state = {"intent": {"name": "OrderFlowers", "slots": {"FlowerType": slot}}}
    assert v2.reply_from_session({"sessionState": state}).slots == {"FlowerType": value}


def test_the_value_of_a_v1_slot_is_its_text() -> None:
    response = {**response_of("v1_elicit_slot"), "slots": {"FlowerType": "roses", "PickupDate": None, "Odd": 7}}
    reply = v1.reply_from_post_content(response)
    assert reply.slots == {"FlowerType": "roses", "PickupDate": None, "Odd": None}
    assert reply.raw["dialogState"] == response["dialogState"]
    assert "audioStream" not in reply.raw
