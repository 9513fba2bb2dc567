"""Sessions that are restored, and messages that Lex speaks: deadlines and refusals."""

import time
from dataclasses import replace
from types import SimpleNamespace

import gevent
import pytest

from lexbridge.errors import LexRejected, LexUnavailable, SessionNotRestored
from lexbridge.lex import client as lex_client
from lexbridge.lex.client import FORBIDDEN_FOR_S
from lexbridge.lex.model import NO_DIALOG, Message, MessageFormat
from lexbridge.lex.runtime import LexRequest
from lexbridge.logs import Log
from lexbridge.offline.lex.faults import LexFault
from tests.support.fixtures import Logged
from tests.support.flower_order import FLOWERS
from tests.support.lexes import GENERATIONS, lex_of, local_lex, spoken
from tests.support.rig import PATIENCE_S


@GENERATIONS
def test_a_forbidden_put_session_is_not_tried_again(
    generation: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    """A forbidden PutSession is logged, and it is not tried again."""
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(operation="PutSession", status=403, times=None))
        lex = lex_of(generation)
        for _ in range(2):
            with pytest.raises(SessionNotRestored):
                lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
        assert [request.operation for request in local.requests] == ["PutSession"]
        assert lex.ask(LexRequest("CA-1", None, spoken()), Log()).reply.intent == "OrderFlowers"
    (line,) = [line for line in logged() if line["event"] == "session-not-put-back"]
    assert line["level"] == "error"
    assert "ACCESS_KEY_ID" in line["error"]


@pytest.mark.parametrize(
    "fault", [LexFault(status=500), LexFault(status=400), LexFault(kind="hang"), LexFault(kind="reset")]
)
def test_a_session_not_restored_once_may_be_the_next_time(
    fault: LexFault, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(replace(fault, operation="PutSession", times=1))
        lex = lex_of("v2", session_s=3 if fault.kind == "hang" else PATIENCE_S)
        with pytest.raises(SessionNotRestored):
            lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
        assert not [request for request in local.requests if request.operation == "RecognizeUtterance"]
        lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
    assert [line["event"] for line in logged()].count("session-not-put-back") == 1


def test_restoring_a_session_takes_no_time_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(operation="PutSession", kind="hang"))
        lex = lex_of("v2", session_s=PATIENCE_S, answer_s=0.3)
        began_s = time.monotonic()
        with pytest.raises(SessionNotRestored, match="time"):
            lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
        assert time.monotonic() - began_s < PATIENCE_S / 2


def test_time_already_waited_is_taken_off_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.think_s = PATIENCE_S
        lex = lex_of("v2", answer_s=2)
        with pytest.raises(LexUnavailable, match=r"no answer within 0\.3 s"):
            lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=None, waited_s=1.7), Log())


def test_a_timeout_of_the_caller_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        local.faults.append(LexFault(operation="PutSession", kind="hang"))
        lex = lex_of("v2")
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.2):
            lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())


def test_while_lex_is_down_no_session_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        lex = lex_of("v2")
        while not lex._breaker.is_open:
            lex._breaker.record_failure()
        with pytest.raises(SessionNotRestored):
            lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
        assert local.requests == []


@GENERATIONS
def test_words_are_voiced_in_sessions_of_their_own(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        lex = lex_of(generation)
        for message in (Message("Which day?"), Message("<speak>Now</speak>", MessageFormat.SSML)):
            speech = lex.speak(message)
            list(iter(speech.read, b""))
            speech.close()
        assert [request.said for request in local.requests] == ["Which day?", "<speak>Now</speak>"]
        assert len({request.session_id for request in local.requests}) == 2
        assert {request.session_id[:10] for request in local.requests} == {"lexbridge-"}


def test_words_that_are_not_voiced_soon_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(operation="PutSession", kind="hang"))
        with pytest.raises(LexUnavailable, match=r"no answer within 0\.2 s"):
            lex_of("v2", session_s=0.2, answer_s=PATIENCE_S).speak(Message("Which day?"))


def test_forbidden_speech_is_tried_again_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(operation="PutSession", status=403))
        lex = lex_of("v2")
        with pytest.raises(LexRejected):
            lex.speak(Message("Which day?"))
        with pytest.raises(LexUnavailable, match="forbidden just now"):
            lex.speak(Message("Which day?"))
        assert len(local.requests) == 1
        monkeypatch.setattr(lex_client, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + FORBIDDEN_FOR_S))
        lex.speak(Message("Which day?")).close()
