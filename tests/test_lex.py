"""Utterances to Lex: the live stream, and what the real boto3 makes of it. Faults: see test_bridge.py."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import boto3
import gevent
import pytest
from conftest import Logged, Pauses
from rehearsal import wait_until
from rig import PATIENCE_S, flowers, settings, v2_bot

from lexbridge.breaker import OPEN_S, Breaker
from lexbridge.config import LexV1Bot
from lexbridge.dialog import DialogState
from lexbridge.errors import ConfigError, LexRejected, LexUnavailable
from lexbridge.lex import (
    Deadlines,
    PostContent,
    Question,
    RecognizeUtterance,
    Utterance,
    UtteranceStream,
    make_lex_runtime,
)
from lexbridge.logs import Log
from lexbridge.offline.local_lex import LexFault, LocalLex
from lexbridge.offline.recognition import ScriptedRecogniser
from lexbridge.offline.voice import SilentVoice

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
    with LocalLex(bots=[flowers()], recogniser=ScriptedRecogniser(list(heard)), voice=SilentVoice()) as local:
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
