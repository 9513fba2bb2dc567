"""An utterance that is sent while the caller speaks, and a voice that is read while it arrives."""

import time
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from lexbridge.errors import LexUnavailable
from lexbridge.lex import speech as speech_module
from lexbridge.lex.client import LexClient
from lexbridge.lex.utterance import UtteranceStream
from lexbridge.logs import Log
from lexbridge.offline.lex.faults import LexFault
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
    local_lex,
    voice_of,
)
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S


def test_a_stream_waits_for_audio_and_returns_it_as_it_comes() -> None:
    utterance = SpokenUtterance()
    reads: list[bytes] = []

    def read_to_the_end() -> None:
        stream = UtteranceStream(utterance)
        while pcm := stream.read(8192):
            reads.append(pcm)

    reader = gevent.spawn(read_to_the_end)
    gevent.idle()
    assert reads == []
    utterance.speaks()
    gevent.idle()
    assert reads == [FRAME]
    utterance.speaks()
    utterance.speaks()
    gevent.idle()
    assert reads == [FRAME, FRAME * 2]
    utterance.close()
    reader.join(PATIENCE_S)
    assert reader.successful()
    assert utterance.read_all() == FRAME * 3


def test_a_stream_gives_no_more_than_it_is_asked_for() -> None:
    utterance = SpokenUtterance()
    utterance.speaks()
    utterance.close()
    stream = UtteranceStream(utterance)
    assert [stream.read(200), stream.read(200), stream.read(200)] == [FRAME[:200], FRAME[200:], b""]
    assert UtteranceStream(utterance).read() == FRAME


def test_an_utterance_tells_that_it_is_complete() -> None:
    utterance, told = SpokenUtterance(), []
    utterance.on_close(lambda: told.append("first"))
    utterance.speaks()
    assert told == []
    utterance.close()
    utterance.on_close(lambda: told.append("late"))
    assert told == ["first", "late"]


def test_the_whole_of_an_utterance_waits_for_its_end() -> None:
    utterance = SpokenUtterance()
    utterance.speaks()
    whole = gevent.spawn(utterance.read_all)
    gevent.idle()
    assert not whole.ready()
    utterance.speaks()
    utterance.close()
    assert whole.get(timeout=PATIENCE_S) == FRAME * 2


# -- Lex's voice, in stream mode


def speaking(generation: str = "v1", **deadlines: float) -> LexClient:
    """Return a client that asks for replies as audio."""
    return lex_of(generation, "stream", **deadlines)


@GENERATIONS
@pytest.mark.parametrize("mode", ["stream", "call-update"])
def test_a_voice_is_asked_for_in_stream_mode_only(generation: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        answer = lex_of(generation, mode).ask(asked(), Log())
        assert [message.text for message in answer.reply.messages] == [KINDS_ASKED]
        if mode == "stream":
            assert answer.speech is not None
            assert heard_of(answer.speech) == hum_of(KINDS_ASKED)
        else:
            assert answer.speech is None
            assert local.requests[0].speech_bytes == 0


@GENERATIONS
def test_a_voice_heard_to_its_end_leaves_its_connection(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS, "roses", "tomorrow") as local:
        local.audio_pace = 100  # in chunks, without a length
        lex = speaking(generation)
        for pace in (100, None, None):
            local.audio_pace = pace
            speech = voice_of(lex, asked())
            assert heard_of(speech)
            assert speech.read() == b""
            speech.close()
        assert len({request.client_port for request in local.requests}) == 1


@GENERATIONS
def test_a_voice_that_is_closed_early_is_broken_off(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS, "roses") as local:
        local.audio_pace = 1
        lex = speaking(generation)
        speech = voice_of(lex, asked())
        assert speech.read()
        speech.close()
        wait_until(lambda: len(local._connections) == 0)
        local.audio_pace = None
        assert heard_of(voice_of(lex, asked()))
        assert len({request.client_port for request in local.requests}) == 2


def test_a_dripping_voice_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A voice that arrives slowly is cut off once the caller would have heard too much silence."""
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(
            LexFault(kind="dripping", piece_bytes=333, every_s=0.05)
        )  # a fifth of the speed at which it plays
        speech = voice_of(speaking(answer_s=1.5), asked())
        began_s = time.monotonic()
        heard: list[bytes] = []
        with gevent.Timeout(PATIENCE_S), pytest.raises(LexUnavailable, match="its audio does not come"):
            heard.extend(iter(speech.read, b""))
        played_s = len(b"".join(heard)) / 8000
        assert time.monotonic() - began_s - played_s >= 1.5
        speech.close()
        wait_until(lambda: len(local._connections) == 0)


def test_a_voice_as_fast_as_it_plays_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A voice that arrives as fast as it plays may take longer than an answer."""
    with local_lex(monkeypatch, FLOWERS) as local:
        local.audio_pace = 1.1
        began_s = time.monotonic()
        assert heard_of(voice_of(speaking(answer_s=1.5), asked())) == hum_of(KINDS_ASKED)
        assert time.monotonic() - began_s > 1.5


@pytest.mark.parametrize("think_s", [0.0, 0.4])
def test_a_voice_has_to_begin_while_the_answer_is_awaited(think_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for the voice to begin counts from the end of the utterance, not from the answer."""
    with local_lex(monkeypatch, FLOWERS) as local:
        local.think_s = think_s
        local.faults.append(LexFault(kind="stalled", after_bytes=0))
        waited_s: list[float] = []

        def expires_at_once(seconds: float, error: Exception) -> gevent.Timeout:
            waited_s.append(seconds)
            return gevent.Timeout(0.001, error)

        monkeypatch.setattr(speech_module, "gevent", SimpleNamespace(Timeout=expires_at_once))
        speech = voice_of(speaking(answer_s=PATIENCE_S), asked())
        with pytest.raises(LexUnavailable, match="its audio does not come"):
            speech.read()
        assert waited_s[0] <= PATIENCE_S - think_s
        speech.close()


@pytest.mark.parametrize("kind", ["broken", "truncated"])
def test_a_voice_that_breaks_off_is_an_error(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind=kind, after_bytes=9_999))
        speech = voice_of(speaking(), asked())
        with pytest.raises(LexUnavailable, match="its audio breaks off: "):
            heard_of(speech)
        speech.close()


@GENERATIONS
def test_a_voice_without_end_is_heard_for_five_minutes(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind="endless"))
        speech = voice_of(speaking(generation), asked())
        with gevent.Timeout(PATIENCE_S):
            heard = heard_of(speech)
        assert heard.startswith(hum_of(KINDS_ASKED)[:-160])
        assert 300 <= len(heard) / 8000 <= 301
        assert speech.is_cut
        assert speech.read() == b""
        speech.close()
        wait_until(lambda: len(local._connections) == 0)


@GENERATIONS
def test_an_unplayable_voice_leaves_the_words_and_asks_once(
    generation: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind="mistyped"))
        answer = speaking(generation).ask(asked(), Log(turn=1))
        assert [message.text for message in answer.reply.messages] == [KINDS_ASKED]
        assert answer.speech is None
        assert len(local.requests) == 1
        wait_until(lambda: len(local._connections) == 0)
    (line,) = [line for line in logged() if line["event"] == "lex-audio-failed"]
    assert (line["level"], line["turn"]) == ("error", 1)
    assert "audio/mpeg" in line["error"]
