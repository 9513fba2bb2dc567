"""A bot of either generation: deadlines, the second request, the breaker, sessions that cannot be put back."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from answering_peers import answering, whole
from conftest import Logged, Pauses
from lexes import FLOWERS, FRAME, GENERATIONS, KINDS, asked, lex_of, lines_of_lex, local_lex, spoken
from rehearsal import wait_until
from rig import PATIENCE_S

from lexbridge import lex_client
from lexbridge.breaker import OPEN_S, Breaker
from lexbridge.dialog import NO_DIALOG, Message, MessageFormat
from lexbridge.errors import LexRejected, LexUnavailable, NotPutBack
from lexbridge.lex import Question, Utterance
from lexbridge.lex_client import FORBIDDEN_FOR_S
from lexbridge.logs import Log
from lexbridge.offline.local_lex import LexFault


@contextmanager
def address_that_never_answers() -> Iterator[str]:
    """A listener whose queue is full: whoever connects waits, as behind a firewall that drops."""
    with socket.socket() as listener, ExitStack() as queue:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_the_deadline_holds_where_the_request_never_reads_its_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve: nothing of the utterance is ever sent."""
    lex = lex_of("v1", answer_s=0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: gevent.sleep(10 * PATIENCE_S))
    with gevent.Timeout(PATIENCE_S), pytest.raises(LexUnavailable, match=r"no answer within 0\.2 s"):
        lex.ask(asked(), Log())


@pytest.mark.parametrize(
    ("status", "shortest_s", "longest_s"), [(500, 0.05, 0.15), (424, 0.05, 0.15), (429, 0.3, 0.9), (409, 0.3, 0.9)]
)
def test_the_second_request_comes_after_a_pause_longer_if_lex_is_crowded(
    status: int, shortest_s: float, longest_s: float, monkeypatch: pytest.MonkeyPatch, pauses: Pauses
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(status=status))
        lex = lex_of("v1")
        asking = gevent.spawn(lex.ask, asked(), Log())
        asking.get(timeout=PATIENCE_S)
        assert len(local.requests) == 2
    (pause_s,) = pauses(asking)
    assert shortest_s <= pause_s <= longest_s


def test_an_address_that_never_answers_is_noticed_while_the_caller_speaks(
    monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with address_that_never_answers() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", address)
        lex = lex_of("v1", connect_s=0.2, answer_s=PATIENCE_S)
        utterance = Utterance()
        utterance.append(FRAME)
        asking = gevent.spawn(lex.ask, Question("CA-session", None, utterance), Log(turn=1))
        wait_until(lambda: lines_of_lex(logged))
        (line,) = lines_of_lex(logged)
        assert line["error"].startswith("ConnectTimeoutError")
        assert (line["event"], line["attempt"], line["turn"]) == ("lex-request-failed", 1, 1)
        utterance.close()
        with pytest.raises(LexUnavailable, match="ConnectTimeoutError"):
            asking.get(timeout=PATIENCE_S)


def test_turns_that_are_not_asked_do_not_keep_the_breaker_open(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """Or a Lex that is back would never be asked again by a busy process."""
    now_s = [1000.0]
    with local_lex(monkeypatch, *[FLOWERS] * 3) as local:
        lex = lex_of("v1")
        monkeypatch.setattr(lex, "_breaker", Breaker(lambda: now_s[0], failures=1))
        local.faults.append(LexFault(status=500, times=2))
        with pytest.raises(LexUnavailable, match="Lex answered 500"):
            lex.ask(asked(), Log())
        for _ in range(3):
            now_s[0] += OPEN_S / 4
            with pytest.raises(LexUnavailable, match="not asked"):
                lex.ask(asked(), Log())
            with pytest.raises(LexUnavailable, match="not asked"):
                lex.recall("CA-session")
            with pytest.raises(LexUnavailable, match="not asked"):
                lex.voice(Message("Which day?"))
        assert len(local.requests) == 2
        now_s[0] += OPEN_S / 4
        assert lex.ask(asked(), Log()).reply.intent == "OrderFlowers"
        assert lex.recall("CA-session") is not None
    assert [line["event"] for line in logged() if line["event"].startswith("lex-")][-2:] == ["lex-down", "lex-up"]


MODES = pytest.mark.parametrize("mode", ["stream", "call-update"])
ODD = {
    "redirect": LexFault(kind="redirect"),
    "307": LexFault(status=307),
    "error without end": LexFault(kind="error endless"),
    "error without end, 403": LexFault(kind="error endless", status=403),
    "error that is no object": LexFault(kind="error odd"),
    "error that is no object, 400": LexFault(kind="error odd", status=400),
    "100 Continue without end": LexFault(kind="infos"),
    "state that is no JSON": LexFault(kind="state odd"),
    "state that is a bomb": LexFault(kind="state bomb"),
}


@GENERATIONS
@MODES
@pytest.mark.parametrize("what", ODD)
def test_an_answer_that_is_not_in_lexs_form_is_asked_for_again(
    generation: str, mode: str, what: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch, FLOWERS, "roses") as local:
        local.faults.append(replace(ODD[what]))
        with gevent.Timeout(PATIENCE_S):
            answer = lex_of(generation, mode, answer_s=PATIENCE_S).ask(asked(), Log())
        assert answer.reply.intent == "OrderFlowers"
        assert len(local.requests) == 2
    (line,) = lines_of_lex(logged)
    assert (line["event"], line["attempt"]) == ("lex-request-failed", 1)
    assert ("too long" in line["error"]) == ("without end" in what)
    assert len(line["error"]) < 500


@GENERATIONS
def test_a_redirect_twice_is_no_wrong_setting(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        local.faults.append(LexFault(kind="redirect", times=2))
        with pytest.raises(LexUnavailable, match="Lex answered 302"):
            lex_of(generation).ask(asked(), Log())


@GENERATIONS
@pytest.mark.parametrize("fault", [LexFault(kind="error odd"), LexFault(kind="error endless"), LexFault(kind="infos")])
def test_a_session_that_is_not_told_in_lexs_form_is_not_recalled(
    generation: str, fault: LexFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch) as local:
        local.faults.append(replace(fault, operation="GetSession"))
        with gevent.Timeout(PATIENCE_S), pytest.raises(LexUnavailable):
            lex_of(generation, recall_s=PATIENCE_S).recall("CA-session")


@GENERATIONS
@pytest.mark.parametrize("body", [b"[]", b'{"sessionState": [], "dialogAction": [], "sessionAttributes": 7}', b'"x"'])
def test_a_session_of_another_shape_is_not_recalled(
    generation: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(whole("HTTP/1.1 200 OK\nContent-Type: application/json\n", body)) as peer:
        for name in ("LEX_RUNTIME_SERVICE", "LEX_RUNTIME_V2"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", f"http://127.0.0.1:{peer.port}")
        with pytest.raises(LexUnavailable):
            lex_of(generation).recall("CA-session")


# A body that nobody wants, and audio that cannot be played


@GENERATIONS
def test_a_body_without_end_is_not_read_where_no_voice_is_wanted(
    generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind="endless"))
        lex = lex_of(generation, answer_s=PATIENCE_S)
        with gevent.Timeout(PATIENCE_S):
            assert lex.ask(asked(), Log()).reply.intent == "OrderFlowers"
        assert len(local.requests) == 1
        wait_until(lambda: len(local._connections) == 0)  # it is closed


@GENERATIONS
def test_a_session_is_put_back_though_the_answer_to_that_does_not_end(
    generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind="endless", operation="PutSession"))
        lex = lex_of(generation, recall_s=PATIENCE_S, answer_s=PATIENCE_S)
        with gevent.Timeout(PATIENCE_S):
            lex.ask(Question("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
        assert [request.operation == "PutSession" for request in local.requests] == [True, False]


@GENERATIONS
@pytest.mark.parametrize("kind", ["compressed", "bomb"])
def test_compressed_audio_is_never_played_and_its_words_are_kept(
    generation: str, kind: Any, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind=kind))
        answer = lex_of(generation, "stream").ask(asked(), Log())
        assert answer.speech is None
        assert [message.text for message in answer.reply.messages] == [KINDS]
        assert len(local.requests) == 1
    (line,) = [line for line in logged() if line["event"] == "lex-audio-failed"]
    assert "Content-Encoding" in line["error"]


@GENERATIONS
@pytest.mark.parametrize("kind", ["compressed", "bomb"])
def test_without_a_voice_a_compressed_body_is_of_no_account(
    generation: str, kind: Any, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind=kind))
        assert lex_of(generation).ask(asked(), Log()).reply.intent == "OrderFlowers"
        assert len(local.requests) == 1
    assert lines_of_lex(logged) == []


@GENERATIONS
@pytest.mark.parametrize("kind", ["endless", "compressed", "bomb", "redirect", "error endless"])
def test_a_sentence_of_ours_is_not_spoken_by_an_odd_answer(
    generation: str, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch) as local:
        local.faults.append(LexFault(kind=kind, operation="PutSession"))
        lex = lex_of(generation, "stream", answer_s=PATIENCE_S)
        with gevent.Timeout(PATIENCE_S), pytest.raises(LexUnavailable):
            lex.speak("Goodbye.")
        assert lex.speak("Goodbye.")


@GENERATIONS
def test_who_may_not_put_a_session_back_is_told_so_and_does_not_try_again(
    generation: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(operation="PutSession", status=403, times=None))
        lex = lex_of(generation)
        for _ in range(2):
            with pytest.raises(NotPutBack):
                lex.ask(Question("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
        assert [request.operation for request in local.requests] == ["PutSession"]
        assert lex.ask(Question("CA-1", None, spoken()), Log()).reply.intent == "OrderFlowers"
    (line,) = [line for line in logged() if line["event"] == "session-not-put-back"]
    assert line["level"] == "error"
    assert "ACCESS_KEY_ID" in line["error"]


@pytest.mark.parametrize(
    "fault", [LexFault(status=500), LexFault(status=400), LexFault(kind="hang"), LexFault(kind="reset")]
)
def test_a_session_that_is_not_put_back_once_may_be_the_next_time(
    fault: LexFault, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(replace(fault, operation="PutSession", times=1))
        lex = lex_of("v2", recall_s=0.3)
        with pytest.raises(NotPutBack):
            lex.ask(Question("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
        assert not [request for request in local.requests if request.operation == "RecognizeUtterance"]
        lex.ask(Question("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
    assert [line["event"] for line in logged()].count("session-not-put-back") == 1


def test_putting_a_session_back_takes_none_of_the_time_that_the_answer_has(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(operation="PutSession", kind="hang"))
        lex = lex_of("v2", recall_s=PATIENCE_S, answer_s=0.3)
        began_s = time.monotonic()
        with pytest.raises(NotPutBack, match="time"):
            lex.ask(Question("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
        assert time.monotonic() - began_s < 2


def test_who_has_waited_already_waits_no_longer_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.think_s = PATIENCE_S
        lex = lex_of("v2", answer_s=2)
        began_s = time.monotonic()
        with pytest.raises(LexUnavailable, match=r"no answer within 0\.3 s"):
            lex.ask(Question("CA-1", None, spoken(), checkpoint=None, waited_s=1.7), Log())
        assert time.monotonic() - began_s < 1.5


def test_a_timeout_of_somebody_else_is_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        local.faults.append(LexFault(operation="PutSession", kind="hang"))
        lex = lex_of("v2")
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.2):
            lex.ask(Question("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())


def test_while_lex_is_down_no_session_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        lex = lex_of("v2")
        while not lex._breaker.is_open:
            lex._breaker.failed()
        with pytest.raises(NotPutBack):
            lex.ask(Question("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
        assert local.requests == []


@GENERATIONS
def test_words_are_voiced_in_sessions_of_their_own(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        lex = lex_of(generation)
        for message in (Message("Which day?"), Message("<speak>Now</speak>", MessageFormat.SSML)):
            speech = lex.voice(message)
            list(iter(speech.read, b""))
            speech.close()
        assert [request.said for request in local.requests] == ["Which day?", "<speak>Now</speak>"]
        assert len({request.session_id for request in local.requests}) == 2
        assert {request.session_id[:10] for request in local.requests} == {"lexbridge-"}


def test_words_that_are_not_voiced_soon_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(operation="PutSession", kind="hang"))
        with pytest.raises(LexUnavailable, match=r"no answer within 0\.2 s"):
            lex_of("v2", recall_s=0.2, answer_s=PATIENCE_S).voice(Message("Which day?"))


def test_who_may_not_voice_words_asks_again_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(operation="PutSession", status=403))
        lex = lex_of("v2")
        with pytest.raises(LexRejected):
            lex.voice(Message("Which day?"))
        with pytest.raises(LexUnavailable, match="forbidden just now"):
            lex.voice(Message("Which day?"))
        assert len(local.requests) == 1
        monkeypatch.setattr(lex_client, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + FORBIDDEN_FOR_S))
        lex.voice(Message("Which day?")).close()
