"""Answers of Lex that are malformed or break off: the parts that are used, and whether the turn is sent again."""

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import gevent
import pytest

from lexbridge.errors import LexUnavailable, LexUnreadable
from lexbridge.lex import response_body
from lexbridge.lex.circuit_breaker import Breaker
from lexbridge.lex.model import NO_DIALOG, DialogState, Reply
from lexbridge.lex.runtime import LexRequest
from lexbridge.lex.v2 import pack
from lexbridge.lex.voice import ReplyAudio
from lexbridge.logs import Log
from lexbridge.offline.lex.faults import LexFault
from tests.support.answering_peers import TEXT_HEAD, answered_by, endless, whole
from tests.support.fixtures import Logged
from tests.support.flower_order import FLOWERS, KINDS_ASKED
from tests.support.lexes import GENERATIONS, asked, heard_of, hum_of, lex_of, lines_of_lex, local_lex, spoken
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, HummingVoice

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


# Lex has answered 200, so it has taken the turn


@GENERATIONS
@MODES
@pytest.mark.parametrize("kind", ["state odd", "state bomb"])
def test_an_answer_with_an_unreadable_part_is_used(
    generation: str, mode: str, kind: Any, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    """An answer with a part that cannot be read is used, and Lex is not asked again."""
    with local_lex(monkeypatch, FLOWERS, "roses") as local:
        local.faults.append(LexFault(kind=kind))
        answer = lex_of(generation, mode, answer_s=PATIENCE_S).ask(asked(), Log())
        assert [message.text for message in answer.reply.messages] == [KINDS_ASKED]
        assert answer.reply.odd_parts == (("slots",) if generation == "v1" else ("sessionState",))
        assert (answer.reply.intent == "OrderFlowers") == (generation == "v1")  # V2 has it in the state
        if answer.speech is not None:
            assert heard_of(answer.speech) == hum_of(KINDS_ASKED)
        assert (answer.speech is not None) == (mode == "stream")
        assert len(local.requests) == 1
    assert lines_of_lex(logged) == []


@GENERATIONS
@MODES
@pytest.mark.parametrize("kind", ["empty", "foreign"])
def test_a_useless_answer_is_not_asked_for_again(
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
def test_an_answer_that_ends_in_its_head_is_used_so_far(
    generation: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind="truncated"))
        with suppress(LexUnreadable):  # which it is depends on the order of Lex's headers
            lex_of(generation, mode, answer_s=PATIENCE_S).ask(asked(), Log())
        assert len(local.requests) == 1


LONG_HEADER = f"X-Amz-Lex-Session-State: {'x' * 70_000}\n"


BROKEN_HEADS = {
    "a header of 70 KB": whole(f"HTTP/1.1 200 OK\n{LONG_HEADER}"),
    "200 headers": whole("HTTP/1.1 200 OK\n" + "".join(f"X-{number}: y\n" for number in range(200))),
    "headers without end": endless("HTTP/1.1 200 OK\n", b"X: y\r\n" * 10_000),
    "a length of 1 TB": lambda send: send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"),
}


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


V2_HEAD = f"{TEXT_HEAD}x-amz-lex-session-state: {pack({'dialogAction': {'type': 'ElicitSlot'}})}\n"


@GENERATIONS
@pytest.mark.parametrize("body", ["breaks off", "hangs", "is no chunk"])
def test_a_body_that_is_not_needed_costs_no_answer(generation: str, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_an_unwanted_body_is_not_waited_for_past_the_deadline(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(send: Any) -> None:
        gevent.sleep(0.15)
        send(f"{V2_HEAD}Content-Length: 100\n\n".replace("\n", "\r\n").encode())
        gevent.sleep(2 * PATIENCE_S)

    monkeypatch.setattr(response_body, "_DRAIN_WITHIN_S", 2 * PATIENCE_S)
    with answered_by(answer, monkeypatch), gevent.Timeout(PATIENCE_S):
        lex = lex_of(generation, answer_s=3)
        assert lex.ask(asked(), Log()).reply.dialog_state is DialogState.ELICIT_SLOT


@GENERATIONS
def test_a_voice_is_heard_where_nothing_else_can_be_read(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pcm = HummingVoice().speak(KINDS_ASKED)
    with answered_by(whole("HTTP/1.1 200 OK\nContent-Type: audio/pcm; sample-rate=8000\n", pcm), monkeypatch) as peer:
        answer = lex_of(generation, "stream", answer_s=PATIENCE_S).ask(asked(), Log())
        assert answer.reply == Reply(DialogState.ELICIT_INTENT)
        assert answer.speech is not None
        audio = ReplyAudio("audio/pcm; sample-rate=8000")
        assert heard_of(answer.speech) == audio.push(pcm) + audio.flush()
        assert len(peer.requests) == 1


@GENERATIONS
@pytest.mark.parametrize("kind", ["audio/pcm; sample-rate=8000", "text/html"])
def test_an_answer_without_voice_or_words_is_apologised_for(
    generation: str, kind: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with answered_by(whole(f"HTTP/1.1 200 OK\nContent-Type: {kind}\n"), monkeypatch) as peer:
        with pytest.raises(LexUnreadable):
            lex_of(generation, "stream", answer_s=PATIENCE_S).ask(asked(), Log())
        assert len(peer.requests) == 1
    assert lines_of_lex(logged) == []


@GENERATIONS
def test_a_voice_that_breaks_off_at_once_counts_as_none(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(send: Any) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nContent-Length: 9000\r\n\r\nxx")
        raise ConnectionError

    with answered_by(answer, monkeypatch) as peer:
        with pytest.raises(LexUnreadable):
            lex_of(generation, "stream", answer_s=PATIENCE_S).ask(asked(), Log())
        assert len(peer.requests) == 1


# -- bodies that are not needed, and audio that cannot be played


@GENERATIONS
def test_an_endless_body_is_not_read_unless_audio_is_wanted(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind="endless"))
        lex = lex_of(generation, answer_s=PATIENCE_S)
        with gevent.Timeout(PATIENCE_S):
            assert lex.ask(asked(), Log()).reply.intent == "OrderFlowers"
        assert len(local.requests) == 1
        wait_until(lambda: len(local._connections) == 0)  # it is closed


@GENERATIONS
def test_a_session_is_restored_by_an_answer_without_end(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is restored although the answer to PutSession does not end."""
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
        assert [message.text for message in answer.reply.messages] == [KINDS_ASKED]
        assert len(local.requests) == 1
    (line,) = [line for line in logged() if line["event"] == "lex-audio-failed"]
    assert "Content-Encoding" in line["error"]


@GENERATIONS
@pytest.mark.parametrize("kind", ["compressed", "bomb"])
def test_a_compressed_body_without_audio_does_not_matter(
    generation: str, kind: Any, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind=kind))
        assert lex_of(generation).ask(asked(), Log()).reply.intent == "OrderFlowers"
        assert len(local.requests) == 1
    assert lines_of_lex(logged) == []


@GENERATIONS
@pytest.mark.parametrize("kind", ["endless", "compressed", "bomb", "redirect", "error endless"])
def test_a_phrase_without_an_end_is_not_used(generation: str, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        local.faults.append(LexFault(kind=kind, operation="PutSession"))
        lex = lex_of(generation, "stream", answer_s=PATIENCE_S)
        with gevent.Timeout(PATIENCE_S), pytest.raises(LexUnavailable):
            lex.synthesize("Goodbye.")
        assert lex.synthesize("Goodbye.")
