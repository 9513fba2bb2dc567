"""The requests of Lex V2, as boto3 checks and writes them."""

import base64
import gzip
import json
from typing import Any

import pytest

from lexbridge.config.bots import LexV2Bot
from lexbridge.lex.content_types import PCM, SPEECH, TEXT
from lexbridge.lex.model import NO_DIALOG, DialogState, Message
from lexbridge.lex.v2 import LexV2, pack
from tests.support.recording_boto import RecordingBoto

SESSION = {"botId": "ABCDEFGHIJ", "botAliasId": "TSTALIASID", "localeId": "en_US", "sessionId": "CA-session"}


def lex_v2(response: dict[str, Any] | None = None) -> tuple[LexV2, RecordingBoto]:
    """Return a V2 bot over a client that sends nothing, and that client."""
    boto = RecordingBoto("lexv2-runtime", response or {})
    return LexV2(boto.client, LexV2Bot("ABCDEFGHIJ", "TSTALIASID", "en_US")), boto


def unpacked(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text)))


def test_the_bot_is_named_for_the_log() -> None:
    lex, _ = lex_v2()
    assert (lex.alias, lex.endpoint_url) == ("ABCDEFGHIJ/TSTALIASID/en_US", "http://lex.test")


@pytest.mark.parametrize(
    ("attributes", "member"),
    [(None, {}), ({}, {"sessionAttributes": {}}), ({"a": "1"}, {"sessionAttributes": {"a": "1"}})],
)
def test_attributes_replace_those_of_the_session(attributes: Any, member: dict[str, Any]) -> None:
    lex, boto = lex_v2()
    lex.send_input("CA-session", attributes, SPEECH, b"\1\2", PCM)
    lex.begin_intent("CA-session", attributes, "OrderFlowers", TEXT)
    (sent_by, sent), (begun_by, begun) = boto.requests
    state = sent.pop("sessionState", None)
    assert (sent_by, unpacked(state) if state else {}) == ("RecognizeUtterance", member)
    assert sent == {**SESSION, "requestContentType": SPEECH, "responseContentType": PCM, "inputStream": b"\1\2"}
    state = {**member, "dialogAction": {"type": "Delegate"}, "intent": {"name": "OrderFlowers"}}
    assert (begun_by, begun) == ("PutSession", {**SESSION, "responseContentType": TEXT, "sessionState": state})


def test_an_answer_and_a_session_become_replies() -> None:
    state = {"dialogAction": {"type": "ElicitSlot", "slotToElicit": "Kind"}}
    lex, boto = lex_v2({"sessionState": state})
    assert lex.read_reply({"sessionState": pack(state)}).dialog_state is DialogState.ELICIT_SLOT
    assert lex.get_session("CA-session").slot_to_elicit == "Kind"
    assert boto.requests == [("GetSession", SESSION)]


def test_a_session_is_restored_to_a_checkpoint_or_emptied() -> None:
    lex, boto = lex_v2()
    state = {"dialogAction": {"type": "ElicitIntent"}, "sessionAttributes": {"a": "1"}}
    lex.restore_session("CA-session", {"sessionState": state})
    lex.restore_session("CA-session", NO_DIALOG)
    empty = {"dialogAction": {"type": "ElicitIntent"}, "sessionAttributes": {}, "activeContexts": []}
    assert [sent for _, sent in boto.requests] == [
        {**SESSION, "responseContentType": TEXT, "sessionState": state},
        {**SESSION, "responseContentType": TEXT, "sessionState": empty},
    ]


def test_the_bot_says_a_message() -> None:
    lex, boto = lex_v2()
    lex.speak("CA-session", Message("Now."))
    said = {
        "sessionState": {"dialogAction": {"type": "ElicitIntent"}},
        "messages": [{"content": "Now.", "contentType": "PlainText"}],
    }
    assert boto.requests == [("PutSession", {**SESSION, "responseContentType": PCM, **said})]
