"""A call's requests to Lex: the log names what is left out of an answer, and what is no answer."""

from typing import Any

import gevent
import pytest

from lexbridge.bridge.lex_requests import MAX_NAMED, LexRequests
from lexbridge.call.actions import SendKeys
from lexbridge.call.events import LexEvent, LexFailed, LexReplied, SessionFetched, SessionFetchFailed
from lexbridge.errors import LexUnreadable
from lexbridge.lex.v2 import pack
from tests.support.answering_peers import answering, whole
from tests.support.fixtures import Logged
from tests.support.lexes import lex_of
from tests.support.rig import PATIENCE_S

STATE = {"dialogAction": {"type": "ElicitEmotion"}, "intent": {"name": "Order", "state": "InProgress"}}
PICTURE = {"contentType": "CustomPayload", "content": '{"image": "https://example.com/a.png", "pin": 1234}'}
MESSAGES = [{"contentType": "PlainText", "content": "Hello."}, {"contentType": "VideoCard", "content": "x"}, PICTURE]


def told_of(answer: Any, monkeypatch: pytest.MonkeyPatch, recalls: bool = False) -> LexEvent:
    """Return the event that comes of the one request that the call makes."""
    told: list[LexEvent] = []
    with answering(answer) as peer:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", f"http://127.0.0.1:{peer.port}")
        requests = LexRequests(lex_of("v2"), told.append)
        if recalls:
            requests.fetch_session("CA-session")
        else:
            requests.open(SendKeys(1, "CA-session", None, "1"))
        with gevent.Timeout(PATIENCE_S):
            while not told:
                gevent.sleep(0.005)
        assert len(peer.requests) == 1
    return told[0]


def warnings(logged: Logged) -> list[dict[str, Any]]:
    """Return the log lines of the level "warning", without time and place."""
    keys = ("event", "parts", "keys", "error", "turn")
    return [{key: line[key] for key in keys if key in line} for line in logged() if line["level"] == "warning"]


def odd_head(messages: Any) -> str:
    return (
        "HTTP/1.1 200 OK\nContent-Type: text/plain\n"
        f"x-amz-lex-session-state: {pack(STATE)}\nx-amz-lex-messages: {pack(messages)}\n"
    )


def test_what_an_answer_lost_is_named_without_its_values(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    told = told_of(whole(odd_head(MESSAGES)), monkeypatch)
    assert isinstance(told, LexReplied)
    assert [message.text for message in told.reply.messages] == ["Hello."]
    assert warnings(logged) == [
        {"event": "lex-answer-odd", "parts": ["messages[1]", "sessionState.dialogAction.type"], "turn": 1},
        {"event": "payload-not-spoken", "keys": ["image", "pin"], "turn": 1},
    ]


def test_the_log_names_only_some_parts_of_an_answer(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    told_of(whole(odd_head([PICTURE, 7] * 50)), monkeypatch)
    odd, *payloads = warnings(logged)
    assert (len(odd["parts"]), len(payloads)) == (MAX_NAMED, MAX_NAMED)


def test_an_unusable_answer_is_logged(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    head = "HTTP/1.1 200 OK\nContent-Type: text/plain\nx-amz-lex-session-state: %\n"
    told = told_of(whole(head), monkeypatch)
    assert isinstance(told, LexFailed)
    assert isinstance(told.error, LexUnreadable)
    error = "nothing of Lex's answer can be used: sessionState"
    assert warnings(logged) == [{"event": "lex-answer-unreadable", "error": error, "turn": 1}]


def test_what_is_left_out_of_a_session_is_named_too(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    body = b'{"sessionId": "CA-session", "sessionState": {"dialogAction": {"type": "ElicitEmotion"}}, "messages": []}'
    told = told_of(whole("HTTP/1.1 200 OK\nContent-Type: application/json\n", body), monkeypatch, recalls=True)
    assert isinstance(told, SessionFetched)
    assert warnings(logged) == [{"event": "lex-answer-odd", "parts": ["sessionState.dialogAction.type"]}]


def test_an_unusable_session_is_a_failed_fetch(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    told = told_of(whole("HTTP/1.1 200 OK\nContent-Type: application/json\n", b"{}"), monkeypatch, recalls=True)
    assert told == SessionFetchFailed()
    assert [line["event"] for line in warnings(logged)] == ["session-not-recalled"]


def test_the_time_of_an_answer_is_told_for_those_who_measure(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """The head of an answer and its end are timed from the end of the utterance, in a line that is seldom written."""
    told_of(whole(odd_head(MESSAGES)), monkeypatch)
    (line,) = [line for line in logged() if line["event"] == "lex-timed"]
    assert (line["level"], line["turn"]) == ("debug", 1)
    assert 0 <= line["first_byte_ms"] <= line["total_ms"] < PATIENCE_S * 1000
