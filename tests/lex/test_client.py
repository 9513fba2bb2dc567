"""A bot of either generation: deadlines, the second request, the breaker, sessions that cannot be put back."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from lexbridge.errors import LexError, LexRejected, LexUnavailable, LexUnreadable, NotPutBack
from lexbridge.lex import client as lex_client
from lexbridge.lex import response_body
from lexbridge.lex.circuit_breaker import OPEN_S, Breaker, Breakers
from lexbridge.lex.client import FORBIDDEN_FOR_S, LexClient
from lexbridge.lex.model import NO_DIALOG, DialogState, Message, MessageFormat, Reply
from lexbridge.lex.runtime import Deadlines, LexRequest
from lexbridge.lex.utterance import Utterance
from lexbridge.lex.v2 import pack
from lexbridge.lex.voice import ReplyAudio
from lexbridge.logs import Log
from lexbridge.offline.lex.faults import LexFault
from tests.support.answering_peers import answering, endless, whole
from tests.support.fixtures import Logged, Pauses
from tests.support.lexes import (
    FLOWERS,
    FRAME,
    GENERATIONS,
    KINDS,
    asked,
    heard_of,
    hum_of,
    lex_of,
    lines_of_lex,
    local_lex,
    spoken,
)
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, HummingVoice, flowers


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
        asking = gevent.spawn(lex.ask, LexRequest("CA-session", None, utterance), Log(turn=1))
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
        monkeypatch.setattr(lex, "_breaker", Breaker(lambda: now_s[0], max_failures=1))
        local.faults.append(LexFault(status=500, times=2))
        with pytest.raises(LexUnavailable, match="Lex answered 500"):
            lex.ask(asked(), Log())
        for _ in range(3):
            now_s[0] += OPEN_S / 4
            with pytest.raises(LexUnavailable, match="not asked"):
                lex.ask(asked(), Log())
            with pytest.raises(LexUnavailable, match="not asked"):
                lex.fetch_session("CA-session")
            with pytest.raises(LexUnavailable, match="not asked"):
                lex.speak(Message("Which day?"))
        assert len(local.requests) == 2
        now_s[0] += OPEN_S / 4
        assert lex.ask(asked(), Log()).reply.intent == "OrderFlowers"
        assert lex.fetch_session("CA-session") is not None
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


# Lex has answered 200: it has taken the turn


@GENERATIONS
@MODES
@pytest.mark.parametrize("kind", ["state odd", "state bomb"])
def test_an_answer_with_a_part_that_cannot_be_read_is_used_and_not_asked_for_again(
    generation: str, mode: str, kind: Any, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch, FLOWERS, "roses") as local:
        local.faults.append(LexFault(kind=kind))
        answer = lex_of(generation, mode, answer_s=PATIENCE_S).ask(asked(), Log())
        assert [message.text for message in answer.reply.messages] == [KINDS]
        assert answer.reply.odd_parts == (("slots",) if generation == "v1" else ("sessionState",))
        assert (answer.reply.intent == "OrderFlowers") == (generation == "v1")  # V2 has it in the state
        if answer.speech is not None:
            assert heard_of(answer.speech) == hum_of(KINDS)
        assert (answer.speech is not None) == (mode == "stream")
        assert len(local.requests) == 1
    assert lines_of_lex(logged) == []


@GENERATIONS
@MODES
@pytest.mark.parametrize("kind", ["empty", "foreign"])
def test_an_answer_of_which_nothing_can_be_used_is_not_asked_for_again(
    generation: str, mode: str, kind: Any, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        lex = lex_of(generation, mode, answer_s=PATIENCE_S)
        monkeypatch.setattr(lex, "_breaker", Breaker(time.monotonic, max_failures=1))
        local.faults.append(LexFault(kind=kind))
        with pytest.raises(LexUnreadable):
            lex.ask(asked(), Log())
        assert len(local.requests) == 1
        assert not lex._breaker.is_open
    assert lines_of_lex(logged) == []


@GENERATIONS
@MODES
def test_an_answer_that_ends_in_its_head_is_used_as_far_as_it_goes(
    generation: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind="truncated"))
        with suppress(LexUnreadable):  # it depends on the order of Lex's headers
            lex_of(generation, mode, answer_s=PATIENCE_S).ask(asked(), Log())
        assert len(local.requests) == 1


LONG_HEADER = f"X-Amz-Lex-Session-State: {'x' * 70_000}\n"
BROKEN_HEADS = {
    "a header of 70 KB": whole(f"HTTP/1.1 200 OK\n{LONG_HEADER}"),
    "200 headers": whole("HTTP/1.1 200 OK\n" + "".join(f"X-{number}: y\n" for number in range(200))),
    "headers without end": endless("HTTP/1.1 200 OK\n", b"X: y\r\n" * 10_000),
    "a length of 1 TB": lambda send: send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"),
}


@contextmanager
def answered_by(answer: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A peer in Lex's place."""
    with answering(answer) as peer:
        for name in ("LEX_RUNTIME_SERVICE", "LEX_RUNTIME_V2"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", f"http://127.0.0.1:{peer.port}")
        yield peer


@GENERATIONS
@pytest.mark.parametrize("what", BROKEN_HEADS)
def test_a_200_whose_head_cannot_be_read_is_not_asked_for_again(
    generation: str, what: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with answered_by(BROKEN_HEADS[what], monkeypatch) as peer:
        lex = lex_of(generation, answer_s=PATIENCE_S)
        with pytest.raises(LexUnreadable, match="Lex has answered 200, and its head cannot be read"):
            lex.ask(asked(), Log())
        assert len(peer.requests) == 1
    assert lines_of_lex(logged) == []


TEXT_HEAD = "HTTP/1.1 200 OK\nContent-Type: text/plain\nx-amz-lex-dialog-state: ElicitSlot\n"
V2_HEAD = f"{TEXT_HEAD}x-amz-lex-session-state: {pack({'dialogAction': {'type': 'ElicitSlot'}})}\n"


@GENERATIONS
@pytest.mark.parametrize("body", ["breaks off", "hangs", "is no chunk"])
def test_a_body_that_nobody_wants_costs_no_answer(generation: str, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    head = f"{V2_HEAD}{'Transfer-Encoding: chunked' if body == 'is no chunk' else 'Content-Length: 100'}\n\n"

    def answer(send: Any) -> None:
        send(head.replace("\n", "\r\n").encode() + b"zz\r\n")
        if body == "hangs":
            gevent.sleep(2 * PATIENCE_S)
        if body == "breaks off":
            raise ConnectionError

    with answered_by(answer, monkeypatch) as peer:
        lex = lex_of(generation, answer_s=PATIENCE_S)
        with gevent.Timeout(PATIENCE_S):
            assert lex.ask(asked(), Log()).reply.dialog_state is DialogState.ELICIT_SLOT
        assert len(peer.requests) == 1


@GENERATIONS
def test_a_body_that_nobody_wants_is_not_waited_for_beyond_the_deadline(
    generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(send: Any) -> None:
        gevent.sleep(0.15)
        send(f"{V2_HEAD}Content-Length: 100\n\n".replace("\n", "\r\n").encode())
        gevent.sleep(2 * PATIENCE_S)

    monkeypatch.setattr(response_body, "_DRAIN_WITHIN_S", 2 * PATIENCE_S)
    with answered_by(answer, monkeypatch), gevent.Timeout(PATIENCE_S):
        lex = lex_of(generation, answer_s=1)
        assert lex.ask(asked(), Log()).reply.dialog_state is DialogState.ELICIT_SLOT


@GENERATIONS
def test_a_voice_is_heard_though_nothing_else_of_the_answer_can_be_read(
    generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pcm = HummingVoice().speak(KINDS)
    with answered_by(whole("HTTP/1.1 200 OK\nContent-Type: audio/pcm; sample-rate=8000\n", pcm), monkeypatch) as peer:
        answer = lex_of(generation, "stream", answer_s=PATIENCE_S).ask(asked(), Log())
        assert answer.reply == Reply(DialogState.ELICIT_INTENT)
        assert answer.speech is not None
        audio = ReplyAudio("audio/pcm; sample-rate=8000")
        assert heard_of(answer.speech) == audio.push(pcm) + audio.flush()
        assert len(peer.requests) == 1


@GENERATIONS
@pytest.mark.parametrize("kind", ["audio/pcm; sample-rate=8000", "text/html"])
def test_an_answer_without_a_voice_and_without_anything_else_is_apologised_for(
    generation: str, kind: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with answered_by(whole(f"HTTP/1.1 200 OK\nContent-Type: {kind}\n"), monkeypatch) as peer:
        with pytest.raises(LexUnreadable):
            lex_of(generation, "stream", answer_s=PATIENCE_S).ask(asked(), Log())
        assert len(peer.requests) == 1
    assert lines_of_lex(logged) == []


@GENERATIONS
def test_a_voice_that_breaks_off_before_it_begins_is_none(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(send: Any) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nContent-Length: 9000\r\n\r\nxx")
        raise ConnectionError

    with answered_by(answer, monkeypatch) as peer:
        with pytest.raises(LexUnreadable):
            lex_of(generation, "stream", answer_s=PATIENCE_S).ask(asked(), Log())
        assert len(peer.requests) == 1


# Whose fault it is


def breaks(lex: LexClient, monkeypatch: pytest.MonkeyPatch, clock: Any = time.monotonic, failures: int = 1) -> Breaker:
    """The breaker of `lex`, which opens after so many turns."""
    breaker = Breaker(clock, failures)
    monkeypatch.setattr(lex, "_breaker", breaker)
    return breaker


@GENERATIONS
@pytest.mark.parametrize(
    ("fault", "opens"),
    [
        *[(LexFault(status=status), False) for status in (400, 403, 404, 408, 409, 424, 429, 502)],
        *[(LexFault(kind=kind), False) for kind in ("redirect", "error odd", "error endless", "empty", "foreign")],
        *[(LexFault(status=status), True) for status in (500, 503, 504)],
        *[(LexFault(kind=kind), True) for kind in ("reset", "hang")],
    ],
    ids=lambda value: f"{value.kind} {value.status}" if isinstance(value, LexFault) else "",
)
def test_only_lexs_own_faults_open_the_breaker(
    generation: str, fault: LexFault, opens: bool, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch) as local:
        local.faults.append(replace(fault, times=None))
        lex = lex_of(generation, answer_s=0.4 if fault.kind == "hang" else PATIENCE_S)
        breaker = breaks(lex, monkeypatch)
        with pytest.raises(LexError):
            lex.ask(asked(), Log())
        assert breaker.is_open is opens
    down = [line for line in logged() if line["event"] == "lex-down"]
    assert len(down) == opens
    if opens:
        assert down[0]["bot"] == ("OrderFlowers/prod" if generation == "v1" else f"{flowers().v2_id}/TSTALIASID/en_US")


@pytest.mark.parametrize("proof", [LexFault(status=424), LexFault(status=404), LexFault(status=429), None])
def test_whatever_shows_that_lex_is_up_starts_the_count_anew(
    proof: LexFault | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch, *[FLOWERS] * 3) as local:
        lex = lex_of("v2")
        breaker = breaks(lex, monkeypatch, failures=2)
        for fault in (LexFault(status=500), proof, LexFault(status=500)):
            if fault is None:
                lex.ask(asked(), Log())
                continue
            local.faults.append(replace(fault, times=1 if fault.status == 404 else 2))
            with pytest.raises(LexError):
                lex.ask(asked(), Log())
        assert not breaker.is_open
        local.faults.append(LexFault(status=500, times=2))
        with pytest.raises(LexError):
            lex.ask(asked(), Log())
        assert breaker.is_open


def test_a_lambda_that_fails_closes_the_breaker_and_the_turn_is_asked_once_more(
    monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    now_s = [1000.0]
    with local_lex(monkeypatch, FLOWERS) as local:
        lex = lex_of("v2")
        breaker = breaks(lex, monkeypatch, clock=lambda: now_s[0])
        assert breaker.record_failure()
        now_s[0] += OPEN_S
        local.faults.append(LexFault(status=424))
        assert lex.ask(asked(), Log()).reply.intent == "OrderFlowers"
        assert len(local.requests) == 2
    assert [line["event"] for line in lines_of_lex(logged)] == ["lex-request-failed", "lex-up"]


def test_one_bots_fault_does_not_touch_another(monkeypatch: pytest.MonkeyPatch) -> None:
    breakers = Breakers(time.monotonic)
    with local_lex(monkeypatch) as local:
        clients = [LexClient(lex_of("v2")._api, Deadlines(), breakers=breakers) for _ in range(2)]
        other = LexClient(lex_of("v1")._api, Deadlines(), breakers=breakers)
        assert clients[0]._breaker is clients[1]._breaker
        assert other._breaker is not clients[0]._breaker
        assert other.endpoint_url == local.url


ERROR_HEAD = "Content-Type: application/json\nx-amzn-ErrorType"


@GENERATIONS
def test_what_aws_says_of_its_error_is_in_the_log_in_one_line_and_cut(
    generation: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    words = "Lambda \x1b[31mtimed\nout\u2028 for +15551234567" + " word" * 99
    body = json.dumps({"message": words}).encode()
    head = f"HTTP/1.1 424 Failed\n{ERROR_HEAD}: DependencyFailedException\n"
    with answered_by(whole(head, body), monkeypatch), pytest.raises(LexUnavailable) as raised:
        lex_of(generation).ask(asked(), Log())
    said = str(raised.value)
    assert said.startswith("Lex answered 424 DependencyFailedException: Lambda [31mtimed out for ... word word")
    assert len(said) == len("Lex answered 424 DependencyFailedException: ") + 200
    assert [line["error"] for line in lines_of_lex(logged)] == [said, said]


def test_what_a_lambda_has_answered_is_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    words = 'Invalid Lambda Response: problem at [Source: {"message": "the caller said so"}; line: 1]'
    head = f"HTTP/1.1 502 Bad\n{ERROR_HEAD}: BadGatewayException\n"
    with answered_by(whole(head, json.dumps({"Message": words}).encode()), monkeypatch):
        lex = lex_of("v1")
        with pytest.raises(LexUnavailable, match=r"BadGatewayException: Invalid Lambda Response: problem at \.\.\.$"):
            lex.ask(asked(), Log())


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
            lex_of(generation, session_s=PATIENCE_S).fetch_session("CA-session")


@GENERATIONS
@pytest.mark.parametrize("body", [b"[]", b'{"sessionState": [], "dialogAction": [], "sessionAttributes": 7}', b'"x"'])
def test_a_session_of_another_shape_is_not_recalled(
    generation: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(whole("HTTP/1.1 200 OK\nContent-Type: application/json\n", body)) as peer:
        for name in ("LEX_RUNTIME_SERVICE", "LEX_RUNTIME_V2"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", f"http://127.0.0.1:{peer.port}")
        with pytest.raises(LexError):
            lex_of(generation).fetch_session("CA-session")


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
        lex = lex_of(generation, session_s=PATIENCE_S, answer_s=PATIENCE_S)
        with gevent.Timeout(PATIENCE_S):
            lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
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
            lex.synthesize("Goodbye.")
        assert lex.synthesize("Goodbye.")


@GENERATIONS
def test_who_may_not_put_a_session_back_is_told_so_and_does_not_try_again(
    generation: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(operation="PutSession", status=403, times=None))
        lex = lex_of(generation)
        for _ in range(2):
            with pytest.raises(NotPutBack):
                lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
        assert [request.operation for request in local.requests] == ["PutSession"]
        assert lex.ask(LexRequest("CA-1", None, spoken()), Log()).reply.intent == "OrderFlowers"
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
        lex = lex_of("v2", session_s=0.3)
        with pytest.raises(NotPutBack):
            lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
        assert not [request for request in local.requests if request.operation == "RecognizeUtterance"]
        lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
    assert [line["event"] for line in logged()].count("session-not-put-back") == 1


def test_putting_a_session_back_takes_none_of_the_time_that_the_answer_has(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(operation="PutSession", kind="hang"))
        lex = lex_of("v2", session_s=PATIENCE_S, answer_s=0.3)
        began_s = time.monotonic()
        with pytest.raises(NotPutBack, match="time"):
            lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())
        assert time.monotonic() - began_s < 2


def test_who_has_waited_already_waits_no_longer_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.think_s = PATIENCE_S
        lex = lex_of("v2", answer_s=2)
        began_s = time.monotonic()
        with pytest.raises(LexUnavailable, match=r"no answer within 0\.3 s"):
            lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=None, waited_s=1.7), Log())
        assert time.monotonic() - began_s < 1.5


def test_a_timeout_of_somebody_else_is_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        local.faults.append(LexFault(operation="PutSession", kind="hang"))
        lex = lex_of("v2")
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.2):
            lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=NO_DIALOG), Log())


def test_while_lex_is_down_no_session_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        lex = lex_of("v2")
        while not lex._breaker.is_open:
            lex._breaker.record_failure()
        with pytest.raises(NotPutBack):
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


def test_who_may_not_voice_words_asks_again_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
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
