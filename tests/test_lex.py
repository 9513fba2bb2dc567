"""Utterances to Lex: the live stream, and what the real boto3 makes of it. Faults: see test_bridge.py."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import boto3
import gevent
import pytest
from conftest import Logged, Pauses
from rehearsal import wait_until
from rig import PATIENCE_S, HummingVoice, flowers, settings, v2_bot

from lexbridge.audio import resample
from lexbridge.breaker import OPEN_S, Breaker
from lexbridge.config import LexV1Bot
from lexbridge.dialog import NO_DIALOG, DialogState
from lexbridge.errors import ConfigError, LexRejected, LexUnavailable, NotPutBack
from lexbridge.lex import (
    Deadlines,
    PostContent,
    Question,
    RecognizeUtterance,
    Speech,
    Utterance,
    UtteranceStream,
    make_lex_runtime,
)
from lexbridge.logs import Log
from lexbridge.offline.local_lex import LexFault, LocalLex
from lexbridge.offline.recognition import ScriptedRecogniser
from lexbridge.offline.voice import SilentVoice
from lexbridge.reply_audio import ReplyAudio

FRAME = bytes(range(160)) * 2


def test_a_stream_waits_for_audio_and_returns_it_as_it_comes() -> None:
    utterance = Utterance()
    reads: list[bytes] = []

    def read_to_the_end() -> None:
        stream = UtteranceStream(utterance)
        while pcm := stream.read(8192):
            reads.append(pcm)

    reader = gevent.spawn(read_to_the_end)
    gevent.idle()
    assert reads == []
    utterance.append(FRAME)
    gevent.idle()
    assert reads == [FRAME]
    utterance.append(FRAME)
    utterance.append(FRAME)
    gevent.idle()
    assert reads == [FRAME, FRAME * 2]
    utterance.close()
    reader.join(PATIENCE_S)
    assert reader.successful()
    assert utterance.whole() == FRAME * 3


def test_a_stream_gives_no_more_than_it_is_asked_for() -> None:
    utterance = Utterance()
    utterance.append(FRAME)
    utterance.close()
    stream = UtteranceStream(utterance)
    assert [stream.read(200), stream.read(200), stream.read(200)] == [FRAME[:200], FRAME[200:], b""]
    assert UtteranceStream(utterance).read() == FRAME


def test_an_utterance_tells_that_it_is_complete() -> None:
    utterance, told = Utterance(), []
    utterance.call_at_end(lambda: told.append("first"))
    utterance.append(FRAME)
    assert told == []
    utterance.close()
    utterance.call_at_end(lambda: told.append("late"))
    assert told == ["first", "late"]


def test_the_deadline_holds_where_the_request_never_reads_its_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve: nothing of the utterance is ever sent."""
    lex = make_lex_runtime(settings(), Deadlines(answer_s=0.2))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: gevent.sleep(10 * PATIENCE_S))
    utterance = Utterance()
    utterance.append(FRAME)
    utterance.close()
    with gevent.Timeout(PATIENCE_S), pytest.raises(LexUnavailable, match=r"no answer within 0\.2 s"):
        lex.ask(Question("CA-session", None, utterance), Log())


def test_the_whole_of_an_utterance_waits_for_its_end() -> None:
    utterance = Utterance()
    utterance.append(FRAME)
    whole = gevent.spawn(utterance.whole)
    gevent.idle()
    assert not whole.ready()
    utterance.append(FRAME)
    utterance.close()
    assert whole.get(timeout=PATIENCE_S) == FRAME * 2


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_both_generations_send_live_audio_and_first_attributes(
    generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = v2_bot(flowers()) if generation == "v2" else {}
    recogniser = ScriptedRecogniser(["I would like to order flowers", "roses"])
    with LocalLex(bots=[flowers()], recogniser=recogniser, voice=SilentVoice()) as local:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", local.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", local.url)
        lex = make_lex_runtime(settings(**bot), Deadlines())
        assert isinstance(lex, RecognizeUtterance if generation == "v2" else PostContent)
        for attributes in ({"lexbridge:call-sid": "CA1"}, None):  # None leaves what was sent before
            utterance = Utterance()
            asked = gevent.spawn(lex.ask, Question("CA-session", attributes, utterance), Log())
            for _ in range(20):
                utterance.append(FRAME)
            utterance.close()
            reply = asked.get(timeout=PATIENCE_S).reply
            assert reply.dialog_state is DialogState.ELICIT_SLOT
            assert reply.intent == "OrderFlowers"
            assert reply.session_attributes["lexbridge:call-sid"] == "CA1"
            assert len(reply.messages) == 1
        assert [request.audio for request in local.requests] == [FRAME * 20] * 2
        assert {request.api for request in local.requests} == {generation}


def test_a_bot_that_does_not_exist_is_a_rejection_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with LocalLex(bots=[flowers()], recogniser=ScriptedRecogniser([]), voice=SilentVoice()) as local:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", local.url)
        lex = make_lex_runtime(settings(LEX_BOT_NAME="NoSuchBot"), Deadlines())
        utterance = Utterance()
        utterance.append(FRAME)
        utterance.close()
        with pytest.raises(LexRejected, match=r"Lex answered 404 NotFoundException; check LEX_BOT_NAME, LEX_BOT_ALIAS"):
            lex.ask(Question("CA-session", None, utterance), Log())
        assert len(local.requests) <= 1
    assert logged() == []


@pytest.mark.parametrize(
    "environment", [{"AWS_PROFILE": "no-such-profile"}, {"AWS_ACCESS_KEY_ID": "half a pair"}], ids=str
)
def test_what_boto3_cannot_read_is_a_problem_with_the_settings(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"AWS_\*: boto3 says: "):
        make_lex_runtime(settings(ACCESS_KEY_ID="", SECRET_ACCESS_KEY=""), Deadlines())


def without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 finds none anywhere."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")


def test_no_credentials_anywhere_is_a_problem_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)
    with pytest.raises(ConfigError, match="ACCESS_KEY_ID: is not set and boto3 finds no AWS credentials"):
        make_lex_runtime(settings(ACCESS_KEY_ID="", SECRET_ACCESS_KEY=""), Deadlines())


@contextmanager
def local_lex(monkeypatch: pytest.MonkeyPatch, *heard: str) -> Iterator[LocalLex]:
    """A local Lex that boto3 finds by itself, and that hears the lines of `heard`, whatever is said."""
    with LocalLex(bots=[flowers()], recogniser=ScriptedRecogniser(list(heard)), voice=HummingVoice()) as local:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", local.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", local.url)
        yield local


def spoken(frames: int = 20) -> Utterance:
    """A whole utterance."""
    utterance = Utterance()
    utterance.append(FRAME * frames)
    utterance.close()
    return utterance


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_the_turns_of_a_call_go_over_one_connection(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = v2_bot(flowers()) if generation == "v2" else {}
    with local_lex(monkeypatch, "I would like to order flowers", "roses", "tomorrow") as local:
        lex = make_lex_runtime(settings(**bot), Deadlines())
        for _ in range(3):
            lex.ask(Question("CA-session", None, spoken()), Log())
        assert len({request.client_port for request in local.requests}) == 1


def test_as_many_connections_are_kept_as_there_may_be_calls(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    calls = 12  # botocore keeps ten unless told
    with local_lex(monkeypatch, *["I would like to order flowers"] * 2 * calls) as local:
        lex = make_lex_runtime(settings(MAX_CALLS=str(calls)), Deadlines())
        for _ in range(2):
            utterances = [Utterance() for _ in range(calls)]
            asked = [
                gevent.spawn(lex.ask, Question(f"CA-session-{number}", None, utterance), Log())
                for number, utterance in enumerate(utterances)
            ]
            already = len(local.requests)
            for utterance in utterances:
                utterance.append(FRAME)
            wait_until(lambda already=already: len(local.requests) == already + calls)  # all at the same time
            for utterance in utterances:
                utterance.close()
            for each in asked:
                each.get(timeout=PATIENCE_S)
        assert len({request.client_port for request in local.requests}) == calls
    assert logged() == []  # urllib3 warns of each connection that it does not keep


@pytest.mark.parametrize(
    ("status", "shortest_s", "longest_s"), [(500, 0.05, 0.15), (424, 0.05, 0.15), (429, 0.3, 0.9), (409, 0.3, 0.9)]
)
def test_the_second_request_comes_after_a_pause_longer_if_lex_is_crowded(
    status: int, shortest_s: float, longest_s: float, monkeypatch: pytest.MonkeyPatch, pauses: Pauses
) -> None:
    with local_lex(monkeypatch, "I would like to order flowers") as local:
        local.faults.append(LexFault(status=status))
        lex = make_lex_runtime(settings(), Deadlines())
        asked = gevent.spawn(lex.ask, Question("CA-session", None, spoken()), Log())
        asked.get(timeout=PATIENCE_S)
        assert len(local.requests) == 2
    (pause_s,) = pauses(asked)
    assert shortest_s <= pause_s <= longest_s


def test_no_credentials_at_the_time_of_a_request_are_a_rejection_that_names_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as of a task role that was taken away."""
    without_credentials(monkeypatch)
    client = boto3.client("lex-runtime", region_name="us-west-2", endpoint_url="http://127.0.0.1:9")
    lex = PostContent(client, LexV1Bot("OrderFlowers", "prod"), Deadlines())
    with pytest.raises(LexRejected, match="no AWS credentials; check ACCESS_KEY_ID and SECRET_ACCESS_KEY or the task"):
        lex.ask(Question("CA-session", None, spoken()), Log())


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


def test_an_address_that_never_answers_is_noticed_while_the_caller_speaks(
    monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with address_that_never_answers() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", address)
        lex = make_lex_runtime(settings(), Deadlines(connect_s=0.2, answer_s=PATIENCE_S))
        utterance = Utterance()
        utterance.append(FRAME)
        asked = gevent.spawn(lex.ask, Question("CA-session", None, utterance), Log(turn=1))
        wait_until(logged)
        (line,) = logged()
        assert line["error"].startswith("ConnectTimeoutError")
        assert (line["event"], line["attempt"], line["turn"]) == ("lex-request-failed", 1, 1)
        utterance.close()
        with pytest.raises(LexUnavailable, match="ConnectTimeoutError"):
            asked.get(timeout=PATIENCE_S)


def test_turns_that_are_not_asked_do_not_keep_the_breaker_open(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """Or a Lex that is back would never be asked again by a busy process."""
    now_s = [1000.0]
    with local_lex(monkeypatch, *["I would like to order flowers"] * 3) as local:
        lex = make_lex_runtime(settings(), Deadlines())
        monkeypatch.setattr(lex, "_breaker", Breaker(lambda: now_s[0], failures=1))
        local.faults.append(LexFault(status=500, times=2))
        with pytest.raises(LexUnavailable, match="Lex answered 500"):
            lex.ask(Question("CA-session", None, spoken()), Log())
        for _ in range(3):
            now_s[0] += OPEN_S / 4
            with pytest.raises(LexUnavailable, match="not asked"):
                lex.ask(Question("CA-session", None, spoken()), Log())
            with pytest.raises(LexUnavailable, match="not asked"):
                lex.recall("CA-session")
        assert len(local.requests) == 2
        now_s[0] += OPEN_S / 4
        assert lex.ask(Question("CA-session", None, spoken()), Log()).reply.intent == "OrderFlowers"
        assert lex.recall("CA-session") is not None
    assert [line["event"] for line in logged() if line["event"].startswith("lex-")][-2:] == ["lex-down", "lex-up"]


# In stream mode Lex speaks

GENERATIONS = pytest.mark.parametrize("generation", ["v1", "v2"])
KINDS = "What type of flowers would you like to order?"
FLOWERS = "I would like to order flowers"


def speaking(generation: str = "v1", answer_s: float = 5.0, **changes: str) -> PostContent | RecognizeUtterance:
    """A Lex whose replies are asked for as audio."""
    bot = v2_bot(flowers()) if generation == "v2" else {}
    return make_lex_runtime(settings(**{"REPLY_MODE": "stream", **bot, **changes}), Deadlines(answer_s=answer_s))


def voice_of(lex: PostContent | RecognizeUtterance, question: Question) -> Speech:
    """The voice of its answer."""
    speech = lex.ask(question, Log()).speech
    assert speech is not None
    return speech


def heard_of(speech: Speech) -> bytes:
    """All of it, mu-law."""
    return b"".join(iter(speech.read, b""))


def hum_of(text: str) -> bytes:
    """What is to be heard of `text`, mu-law."""
    audio = ReplyAudio("audio/pcm")
    return audio.push(resample(HummingVoice().speak(text), 8000, 16000)) + audio.flush()


def asked() -> Question:
    return Question("CA-session", None, spoken())


@GENERATIONS
@pytest.mark.parametrize("mode", ["stream", "call-update"])
def test_a_voice_is_asked_for_in_stream_mode_only(generation: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        answer = speaking(generation, REPLY_MODE=mode).ask(asked(), Log())
        assert [message.text for message in answer.reply.messages] == [KINDS]
        if mode == "stream":
            assert answer.speech is not None
            assert heard_of(answer.speech) == hum_of(KINDS)
        else:
            assert answer.speech is None
            assert local.requests[0].speech_bytes == 0


@GENERATIONS
def test_a_voice_that_was_heard_to_its_end_leaves_its_connection_to_the_next(
    generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
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
def test_a_voice_that_nobody_wants_to_hear_on_is_broken_off(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_voice_that_drips_is_cut_off_when_it_would_have_been_silent_for_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind="dripping", piece_bytes=333, every_s=0.05))  # a fifth of what is played
        speech = voice_of(speaking(answer_s=0.5), asked())
        began_s = time.monotonic()
        heard: list[bytes] = []
        with gevent.Timeout(PATIENCE_S), pytest.raises(LexUnavailable, match="its audio does not come"):
            heard.extend(iter(speech.read, b""))
        played_s = len(b"".join(heard)) / 8000
        assert 0.5 <= time.monotonic() - began_s - played_s < 1.0
        speech.close()
        wait_until(lambda: len(local._connections) == 0)


def test_a_voice_that_comes_as_fast_as_it_plays_may_take_longer_than_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.audio_pace = 1.5
        began_s = time.monotonic()
        assert heard_of(voice_of(speaking(answer_s=0.5), asked())) == hum_of(KINDS)
        assert time.monotonic() - began_s > 1


@pytest.mark.parametrize("think_s", [0.0, 0.4])
def test_a_voice_has_to_begin_while_the_answer_is_awaited(think_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the end of the utterance on: an answer without a voice does not take twice as long."""
    with local_lex(monkeypatch, FLOWERS) as local:
        local.think_s = think_s
        local.faults.append(LexFault(kind="stalled", after_bytes=0))
        lex = speaking(answer_s=0.6)
        began_s = time.monotonic()
        speech = voice_of(lex, asked())
        with gevent.Timeout(PATIENCE_S), pytest.raises(LexUnavailable, match="its audio does not come"):
            speech.read()
        assert 0.6 <= time.monotonic() - began_s < 0.9
        speech.close()


@pytest.mark.parametrize("kind", ["broken", "truncated"])
def test_a_voice_that_breaks_off_is_told(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind=kind, after_bytes=9_999))
        speech = voice_of(speaking(), asked())
        with pytest.raises(LexUnavailable, match="its audio breaks off: "):
            heard_of(speech)
        speech.close()


@GENERATIONS
def test_a_voice_that_cannot_be_played_leaves_the_words_and_asks_once(
    generation: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(kind="mistyped"))
        answer = speaking(generation).ask(asked(), Log(turn=1))
        assert [message.text for message in answer.reply.messages] == [KINDS]
        assert answer.speech is None
        assert len(local.requests) == 1
        wait_until(lambda: len(local._connections) == 0)
    (line,) = [line for line in logged() if line["event"] == "lex-audio-failed"]
    assert (line["level"], line["turn"]) == ("error", 1)
    assert "audio/mpeg" in line["error"]


@GENERATIONS
@pytest.mark.parametrize("mode", ["stream", "call-update"])
def test_the_bot_begins_a_dialog_with_an_intent(generation: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        lex = speaking(generation, REPLY_MODE=mode)
        utterance = Utterance()
        utterance.close()
        answer = lex.ask(Question("CA-session", {"lexbridge:call-sid": "CA1"}, utterance, "OrderFlowers"), Log())
        assert [message.text for message in answer.reply.messages] == [KINDS]
        assert (answer.reply.intent, answer.reply.slot_to_elicit) == ("OrderFlowers", "FlowerType")
        assert answer.reply.session_attributes["lexbridge:call-sid"] == "CA1"
        assert answer.reply.dialog_state is DialogState.ELICIT_SLOT
        assert (answer.speech is not None) == (mode == "stream")
        if answer.speech is not None:
            assert heard_of(answer.speech) == hum_of(KINDS)
        (request,) = local.requests
        assert (request.operation, request.api, request.session_id) == ("PutSession", generation, "CA-session")
        recalled = lex.recall("CA-session")
        assert recalled is not None
        assert recalled.messages == answer.reply.messages


@GENERATIONS
def test_an_intent_that_the_bot_does_not_have_is_a_rejection(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch):
        utterance = Utterance()
        utterance.close()
        with pytest.raises(LexRejected, match="Lex answered 400"):
            speaking(generation).ask(Question("CA-session", None, utterance, "NoSuchIntent"), Log())


@GENERATIONS
def test_keys_are_a_turn_of_text(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        reply = speaking(generation).ask(Question("CA-session", None, Utterance("42")), Log()).reply
        (request,) = local.requests
        assert (request.audio, request.is_text, request.transcript) == (b"42", True, "42")
        assert reply.transcript == "42"


@GENERATIONS
def test_an_utterance_that_is_complete_is_sent_with_its_length_and_a_live_one_in_chunks(
    generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, str]] = []
    with local_lex(monkeypatch, FLOWERS, "roses"):
        lex = speaking(generation)
        lex._client.meta.events.register("before-send", lambda request, **_: sent.append(dict(request.headers)))
        heard_of(voice_of(lex, asked()))
        live = Utterance()
        live.append(FRAME)
        answer = gevent.spawn(lex.ask, Question("CA-session", None, live), Log())
        gevent.idle()
        live.append(FRAME)
        live.close()
        assert answer.get(timeout=PATIENCE_S).reply.messages
    whole, chunked = sent
    assert whole["Content-Length"] == str(20 * len(FRAME))
    assert "Transfer-Encoding" not in whole
    assert chunked["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in chunked


# -- a session that is put back


def lex_of(generation: str, **deadlines: float) -> PostContent | RecognizeUtterance:
    bot = v2_bot(flowers()) if generation == "v2" else {}
    return make_lex_runtime(settings(**bot), Deadlines(**deadlines))


def state_of(lex: PostContent | RecognizeUtterance, session_id: str) -> dict[str, Any]:
    """All that GetSession tells, but for names that no two sessions share."""
    if isinstance(lex, PostContent):
        told = lex._client.get_session(botName="OrderFlowers", botAlias="prod", userId=session_id)
    else:
        told = lex._client.get_session(
            botId=flowers().v2_id, botAliasId="TSTALIASID", localeId="en_US", sessionId=session_id
        )
        del told["sessionState"]["originatingRequestId"]
        del told["interpretations"]  # how sure Lex is of the last utterance
    return {name: value for name, value in told.items() if name not in ("ResponseMetadata", "sessionId")}


@GENERATIONS
def test_a_session_that_is_put_back_is_as_if_the_answer_had_never_been(
    generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch, FLOWERS, "roses", "tulips", FLOWERS, "tulips") as local:
        lex = lex_of(generation)
        first = lex.ask(Question("CA-1", {"shop": "7"}, spoken()), Log()).reply
        lex.ask(Question("CA-1", {"shop": "8", "own": "1"}, spoken()), Log())
        reply = lex.ask(Question("CA-1", None, spoken(), checkpoint=first.checkpoint), Log()).reply
        assert "tulips" in reply.messages[0].text
        assert reply.session_attributes == {"shop": "7"}
        put = [request.operation for request in local.requests][2]
        assert put == "PutSession"
        lex.ask(Question("CA-2", {"shop": "7"}, spoken()), Log())
        lex.ask(Question("CA-2", None, spoken()), Log())
        assert state_of(lex, "CA-1") == state_of(lex, "CA-2")


@GENERATIONS
def test_a_session_is_put_back_to_where_nothing_had_been_said(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = "I would like to order some roses"
    with local_lex(monkeypatch, FLOWERS, whole, whole):
        lex = lex_of(generation)
        lex.ask(Question("CA-1", {"shop": "7", "own": "1"}, spoken()), Log())
        lex.ask(Question("CA-1", {"shop": "7"}, spoken(), checkpoint=NO_DIALOG), Log())
        lex.ask(Question("CA-2", {"shop": "7"}, spoken()), Log())
        assert state_of(lex, "CA-1") == state_of(lex, "CA-2")


@GENERATIONS
@pytest.mark.parametrize("heard", [["cars", "cars"], [FLOWERS, "roses", "today", "at 5 pm", "no"]])
def test_every_state_of_a_dialog_can_be_put_back(
    heard: list[str], generation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch, *heard):
        lex = lex_of(generation)
        for _ in heard:
            reply = lex.ask(Question("CA-1", {}, spoken()), Log()).reply
            assert reply.checkpoint is not None
            lex._put("CA-1", json.loads(json.dumps(reply.checkpoint)))
            recalled = lex.recall("CA-1")
            assert recalled == replace(reply, transcript=None)
            assert recalled.checkpoint is not None
            stands = {name: recalled.checkpoint[name] for name in reply.checkpoint}  # V1 tells more when it is asked
            assert stands == reply.checkpoint


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
