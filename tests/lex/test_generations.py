"""The requests of both generations, sent by the real boto3: Lex does the same for both."""

import json
from dataclasses import replace

import gevent
import pytest

from lexbridge.errors import LexRejected
from lexbridge.lex.boto import make_lex_runtime
from lexbridge.lex.model import NO_DIALOG, DialogState
from lexbridge.lex.runtime import Deadlines, LexRequest
from lexbridge.lex.utterance import Utterance
from lexbridge.logs import Log
from tests.support.fixtures import Logged
from tests.support.flower_order import FLOWERS, KINDS_ASKED
from tests.support.lexes import (
    FRAME,
    GENERATIONS,
    SpokenUtterance,
    asked,
    heard_of,
    hum_of,
    lex_of,
    lines_of_lex,
    local_lex,
    spoken,
    state_of,
    voice_of,
)
from tests.support.rig import PATIENCE_S, settings


@GENERATIONS
def test_both_generations_send_live_audio_and_first_attributes(
    generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch, FLOWERS, "roses") as local:
        lex = lex_of(generation)
        for attributes in ({"lexbridge:call-sid": "CA1"}, None):  # None keeps what was sent before
            utterance = SpokenUtterance()
            answer = gevent.spawn(lex.ask, LexRequest("CA-session", attributes, utterance), Log())
            for _ in range(20):
                utterance.speaks()
            utterance.close()
            reply = answer.get(timeout=PATIENCE_S).reply
            assert reply.dialog_state is DialogState.ELICIT_SLOT
            assert reply.intent == "OrderFlowers"
            assert reply.session_attributes["lexbridge:call-sid"] == "CA1"
            assert len(reply.messages) == 1
        assert [request.audio for request in local.requests] == [FRAME * 20] * 2
        assert {request.api for request in local.requests} == {generation}


@GENERATIONS
@pytest.mark.parametrize("mode", ["stream", "call-update"])
def test_the_bot_begins_a_dialog_with_an_intent(generation: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        lex = lex_of(generation, mode)
        answer = lex.ask(LexRequest("CA-session", {"lexbridge:call-sid": "CA1"}, Utterance(""), "OrderFlowers"), Log())
        assert [message.text for message in answer.reply.messages] == [KINDS_ASKED]
        assert (answer.reply.intent, answer.reply.slot_to_elicit) == ("OrderFlowers", "FlowerType")
        assert answer.reply.session_attributes["lexbridge:call-sid"] == "CA1"
        assert answer.reply.dialog_state is DialogState.ELICIT_SLOT
        assert (answer.speech is not None) == (mode == "stream")
        if answer.speech is not None:
            assert heard_of(answer.speech) == hum_of(KINDS_ASKED)
        (request,) = local.requests
        assert (request.operation, request.api, request.session_id) == ("PutSession", generation, "CA-session")
        recalled = lex.fetch_session("CA-session")
        assert recalled is not None
        assert recalled.messages == answer.reply.messages


@GENERATIONS
def test_an_intent_that_the_bot_does_not_have_is_a_rejection(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch), pytest.raises(LexRejected, match="Lex answered 400"):
        lex_of(generation, "stream").ask(LexRequest("CA-session", None, Utterance(""), "NoSuchIntent"), Log())


def test_a_missing_bot_is_a_rejection_naming_the_setting(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    with local_lex(monkeypatch) as local:
        lex = make_lex_runtime(settings(LEX_BOT_NAME="NoSuchBot"), Deadlines())
        with pytest.raises(
            LexRejected,
            match="404 NotFoundException: no bot NoSuchBot here; check LEX_BOT_NAME",
        ):
            lex.ask(asked(), Log())
        assert len(local.requests) <= 1
    assert lines_of_lex(logged) == []


@GENERATIONS
def test_keys_are_a_turn_of_text(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        reply = lex_of(generation, "stream").ask(LexRequest("CA-session", None, Utterance("42")), Log()).reply
        (request,) = local.requests
        assert (request.audio, request.is_text, request.transcript) == (b"42", True, "42")
        assert reply.transcript == "42"


@GENERATIONS
def test_a_complete_utterance_is_sent_with_its_length(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A complete utterance is sent with its length, and a live one in HTTP chunks."""
    sent: list[dict[str, str]] = []
    with local_lex(monkeypatch, FLOWERS, "roses"):
        lex = lex_of(generation, "stream")
        lex._api.client.meta.events.register("before-send", lambda request, **_: sent.append(dict(request.headers)))
        heard_of(voice_of(lex, asked()))
        live = SpokenUtterance()
        live.speaks()
        answer = gevent.spawn(lex.ask, LexRequest("CA-session", None, live), Log())
        gevent.idle()
        live.speaks()
        live.close()
        assert answer.get(timeout=PATIENCE_S).reply.messages
    whole, chunked = sent
    assert whole["Content-Length"] == str(20 * len(FRAME))
    assert "Transfer-Encoding" not in whole
    assert chunked["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in chunked


# -- restored sessions


@GENERATIONS
def test_a_restored_session_is_as_before_the_answer(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS, "roses", "tulips", FLOWERS, "tulips") as local:
        lex = lex_of(generation)
        first = lex.ask(LexRequest("CA-1", {"shop": "7"}, spoken()), Log()).reply
        lex.ask(LexRequest("CA-1", {"shop": "8", "own": "1"}, spoken()), Log())
        reply = lex.ask(LexRequest("CA-1", None, spoken(), checkpoint=first.checkpoint), Log()).reply
        assert "tulips" in reply.messages[0].text
        assert reply.session_attributes == {"shop": "7"}
        put = [request.operation for request in local.requests][2]
        assert put == "PutSession"
        lex.ask(LexRequest("CA-2", {"shop": "7"}, spoken()), Log())
        lex.ask(LexRequest("CA-2", None, spoken()), Log())
        assert state_of(lex, "CA-1") == state_of(lex, "CA-2")


@GENERATIONS
def test_a_session_is_restored_to_its_beginning(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = "I would like to order some roses"
    with local_lex(monkeypatch, FLOWERS, whole, whole):
        lex = lex_of(generation)
        lex.ask(LexRequest("CA-1", {"shop": "7", "own": "1"}, spoken()), Log())
        lex.ask(LexRequest("CA-1", {"shop": "7"}, spoken(), checkpoint=NO_DIALOG), Log())
        lex.ask(LexRequest("CA-2", {"shop": "7"}, spoken()), Log())
        assert state_of(lex, "CA-1") == state_of(lex, "CA-2")


@GENERATIONS
@pytest.mark.parametrize("heard", [["cars", "cars"], [FLOWERS, "roses", "today", "at 5 pm", "no"]])
def test_every_state_of_a_dialog_can_be_restored(
    heard: list[str], generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch, *heard):
        lex = lex_of(generation)
        for _ in heard:
            reply = lex.ask(LexRequest("CA-1", {}, spoken()), Log()).reply
            assert reply.checkpoint is not None
            lex._api.restore_session("CA-1", json.loads(json.dumps(reply.checkpoint)))
            recalled = lex.fetch_session("CA-1")
            assert recalled == replace(reply, transcript=None)
            assert recalled.checkpoint is not None
            stands = {name: recalled.checkpoint[name] for name in reply.checkpoint}  # V1's GetSession returns more
            assert stands == reply.checkpoint
