"""The requests of Lex V1, as boto3 checks and writes them, and the headers that boto3 cannot read."""

import base64
from typing import Any

import pytest

from lexbridge.config.bots import LexV1Bot
from lexbridge.errors import LexUnreadable
from lexbridge.lex.content_types import PCM, SPEECH, TEXT
from lexbridge.lex.model import NO_DIALOG, DialogState, Message, MessageFormat
from lexbridge.lex.v1 import UNREADABLE_HEADERS, LexV1
from tests.support.recording_boto import RecordingBoto

BOT = {"botName": "OrderFlowers", "botAlias": "prod"}
SESSION = {**BOT, "userId": "CA-session"}


def lex_v1(response: dict[str, Any] | None = None) -> tuple[LexV1, RecordingBoto]:
    """Return a V1 bot over a client that sends nothing, and that client."""
    boto = RecordingBoto("lex-runtime", response or {})
    return LexV1(boto.client, LexV1Bot("OrderFlowers", "prod")), boto


def test_the_bot_is_named_for_the_log() -> None:
    lex, _ = lex_v1()
    assert (lex.alias, lex.endpoint_url) == ("OrderFlowers/prod", "http://lex.test")


@pytest.mark.parametrize(
    ("attributes", "member"),
    [(None, {}), ({}, {"sessionAttributes": {}}), ({"a": "1"}, {"sessionAttributes": {"a": "1"}})],
)
def test_attributes_replace_those_of_the_session(attributes: Any, member: dict[str, Any]) -> None:
    lex, boto = lex_v1()
    lex.send_input("CA-session", attributes, SPEECH, b"\1\2", PCM)
    lex.begin_intent("CA-session", attributes, "OrderFlowers", TEXT)
    sent = {**SESSION, **member, "accept": PCM, "contentType": SPEECH, "inputStream": b"\1\2"}
    action = {"type": "Delegate", "intentName": "OrderFlowers"}
    begun = {**SESSION, **member, "accept": TEXT, "dialogAction": action}
    assert boto.requests == [("PostContent", sent), ("PutSession", begun)]


def test_an_answer_and_a_session_become_replies() -> None:
    lex, boto = lex_v1({"dialogAction": {"type": "ElicitSlot", "slotToElicit": "Kind"}})
    assert lex.read_reply({"dialogState": "ElicitSlot"}).dialog_state is DialogState.ELICIT_SLOT
    assert lex.get_session("CA-session").slot_to_elicit == "Kind"
    assert boto.requests == [("GetSession", SESSION)]


def test_an_answer_that_tells_nothing_is_unreadable() -> None:
    lex, _ = lex_v1()
    with pytest.raises(LexUnreadable) as caught:
        lex.read_reply({"dialogState": "", "sessionAttributes": 3})
    assert caught.value.parts == ("sessionAttributes",)


def test_an_answer_without_a_state_is_used_and_named() -> None:
    lex, _ = lex_v1()
    reply = lex.read_reply({"message": "Which day?"})
    assert (reply.dialog_state, reply.odd_parts) == (DialogState.ELICIT_INTENT, ("dialogState",))


def test_a_session_is_restored_to_a_checkpoint_or_emptied() -> None:
    lex, boto = lex_v1()
    lex.restore_session("CA-session", {"dialogAction": {"type": "ElicitIntent"}, "sessionAttributes": {"a": "1"}})
    lex.restore_session("CA-session", NO_DIALOG)
    action = {"dialogAction": {"type": "ElicitIntent"}}
    empty = {"sessionAttributes": {}, "activeContexts": [], "recentIntentSummaryView": []}
    assert [sent for _, sent in boto.requests] == [
        {**SESSION, "accept": TEXT, **action, "sessionAttributes": {"a": "1"}},
        {**SESSION, "accept": TEXT, **action, **empty},
    ]


def test_the_bot_says_a_message() -> None:
    lex, boto = lex_v1()
    lex.speak("CA-session", Message("<speak>Now</speak>", MessageFormat.SSML))
    action = {"type": "ElicitIntent", "message": "<speak>Now</speak>", "messageFormat": "SSML"}
    assert boto.requests == [("PutSession", {**SESSION, "accept": PCM, "dialogAction": action})]


@pytest.mark.parametrize(
    ("slots", "dropped"),
    [(base64.b64encode(b'{"Kind": "roses"}'), ()), (base64.b64encode(b'{"Kind": "ro'), ("slots",)), (b"%", ("slots",))],
    ids=["whole", "cut off", "no base64"],
)
def test_a_header_that_boto3_cannot_read_is_dropped_and_named(slots: bytes, dropped: tuple[str, ...]) -> None:
    _, boto = lex_v1()
    headers, response = {"x-amz-lex-slots": slots.decode(), "x-amz-lex-intent-name": "OrderFlowers"}, {}
    boto.client.meta.events.emit(
        "before-parse.lex-runtime-service.PostContent",
        operation_model=boto.client.meta.service_model.operation_model("PostContent"),
        response_dict={"headers": headers},
        customized_response_dict=response,
    )
    assert ("x-amz-lex-slots" in headers) != bool(dropped)
    assert response.get(UNREADABLE_HEADERS, ()) == dropped
