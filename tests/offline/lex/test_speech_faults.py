"""The local Lex's speech, sent bit by bit, and what goes wrong with it."""

import socket
from typing import Any

import gevent
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ResponseStreamingError

from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.wire import LPCM_8KHZ
from tests.support.local_lex import FLOWERS, SECOND, TEXT, V1_ADDRESS, V2_ADDRESS, World, a_world, until

HELP_S = 0.06 * len(FLOWERS.intents[3].closing[0].text)  # SilentVoice
HELP_BYTES = round(HELP_S * 32000)


def a_spoken_help(world: World, generation: str = "v1") -> Any:
    """The request, and its answer with the speech unread."""
    if generation == "v1":
        asked = {"contentType": TEXT, "accept": "audio/pcm", "inputStream": b"help"}
        return world.v1.post_content(**V1_ADDRESS, **asked)
    asked = {"requestContentType": TEXT, "responseContentType": "audio/pcm", "inputStream": b"help"}
    return world.v2.recognize_utterance(**{**V2_ADDRESS, "botId": FLOWERS.v2_id}, **asked)


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_speech_may_be_sent_at_a_pace_of_its_own(world: World, generation: str) -> None:
    world.lex.audio_pace = HELP_S / 0.5  # all of it takes half a second
    answer = a_spoken_help(world, generation)
    assert answer["ResponseMetadata"]["HTTPHeaders"]["transfer-encoding"] == "chunked"
    first = answer["audioStream"].read(320)
    assert len(first) == 320
    assert world.request.speech_began is not None
    assert world.request.speech_bytes < HELP_BYTES / 2
    rest = answer["audioStream"].read()
    assert len(first + rest) == HELP_BYTES
    until(lambda: world.request.speech_bytes == HELP_BYTES)
    assert world.request.speech_ended is not None
    assert world.request.speech_ended - world.request.speech_began >= 0.3
    assert world.request.answered is not None
    assert world.request.answered <= world.request.speech_began
    assert world.post_content("help")["intentName"] == "HelpIntent"


def test_speech_that_is_sent_at_once_is_on_record_too(world: World) -> None:
    world.post_content("help", accept="audio/pcm")
    until(lambda: world.request.speech_ended is not None)
    assert world.request.speech_bytes == HELP_BYTES
    world.post_content("help")
    assert (world.request.speech_began, world.request.speech_bytes) == (None, 0)


def test_speech_that_breaks_off(world: World) -> None:
    world.lex.faults.append(LexFault(kind="broken", after_bytes=6400))
    answer = a_spoken_help(world)
    assert answer["message"].startswith("You can order")
    assert len(answer["audioStream"].read(6400)) == 6400
    with pytest.raises((ResponseStreamingError, ConnectionClosedError)):
        answer["audioStream"].read(1)
    assert world.request.speech_bytes == 6400
    assert world.post_content("help", accept="audio/pcm")["audioStream"]


def test_speech_that_stalls(world: World) -> None:
    world.lex.faults.append(LexFault(kind="stalled", after_bytes=6400))
    answer = a_spoken_help(world)
    assert len(answer["audioStream"].read(6400)) == 6400
    with gevent.Timeout(0.2, False):
        answer["audioStream"].read(1)
        pytest.fail("there was more of it")
    answer["audioStream"].close()
    assert world.post_content("help")["intentName"] == "HelpIntent"


def test_speech_that_drips_is_whole_in_the_end(world: World) -> None:
    world.lex.faults.append(LexFault(kind="dripping", piece_bytes=9999, every_s=0.01))
    answer = a_spoken_help(world)
    assert len(answer["audioStream"].read()) == HELP_BYTES
    until(lambda: world.request.speech_bytes == HELP_BYTES)
    assert world.request.speech_ended is not None
    assert world.request.speech_began is not None
    assert world.request.speech_ended - world.request.speech_began >= 0.01 * (HELP_BYTES // 9999 - 1)


@pytest.mark.parametrize(
    ("content_type", "length"),
    [
        ("audio/mpeg", 14_400),
        ("audio/pcm;sample-rate=8000", HELP_BYTES // 2),
        ("audio/pcm; sample-rate=16000", HELP_BYTES),
        ("audio/pcm", HELP_BYTES),
    ],
)
@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_speech_may_be_of_another_type_than_asked(
    world: World, generation: str, content_type: str, length: int
) -> None:
    world.lex.faults.append(LexFault(kind="mistyped", content_type=content_type))
    answer = a_spoken_help(world, generation)
    assert answer["contentType"] == content_type
    assert len(answer["audioStream"].read()) == pytest.approx(length, abs=4)


@pytest.mark.parametrize("kind", ["broken", "stalled", "dripping", "mistyped"])
def test_what_befalls_the_speech_leaves_an_answer_in_text_alone(world: World, kind: Any) -> None:
    world.lex.faults.append(LexFault(kind=kind))
    assert world.post_content("help")["intentName"] == "HelpIntent"


@pytest.mark.parametrize("operation", ["PutSession", "GetSession"])
def test_a_fault_for_one_operation(world: World, operation: str) -> None:
    world.lex.faults.append(LexFault(status=500, operation=operation))
    world.post_content("help")
    with pytest.raises(world.v1.exceptions.InternalFailureException):
        world.v1.put_session(**V1_ADDRESS) if operation == "PutSession" else world.v1.get_session(**V1_ADDRESS)
    assert world.v1.put_session(**V1_ADDRESS)["dialogState"] == "Fulfilled"
    assert world.v1.get_session(**V1_ADDRESS)["dialogAction"]["type"] == "Close"


def test_put_session_thinks_and_fails_like_an_utterance(world: World) -> None:
    world.lex.faults.append(LexFault(kind="broken", after_bytes=640, operation="PutSession"))
    action = {"type": "Delegate", "intentName": "OrderFlowers"}
    answer = world.v1.put_session(**V1_ADDRESS, dialogAction=action, accept="audio/pcm")
    with pytest.raises((ResponseStreamingError, ConnectionClosedError)):
        answer["audioStream"].read()
    world.lex.think_s = 0.1
    world.v1.put_session(**V1_ADDRESS, dialogAction=action)
    assert world.request.ended is not None
    assert world.request.answered is not None
    assert world.request.answered - world.request.ended >= 0.1


def test_a_fault_for_one_session_as_often_as_it_asks(world: World) -> None:
    world.lex.faults.append(LexFault(status=500, times=None, session="unlucky"))
    for _ in range(3):
        with pytest.raises(ClientError):
            world.post_content("help", userId="unlucky")
        assert world.post_content("help")["intentName"] == "HelpIntent"


@pytest.mark.parametrize("when", ["start", "middle"])
@pytest.mark.parametrize("kind", ["hang", "unread"])
def test_leaving_it_does_not_wait_for_an_upload_that_hangs(kind: Any, when: Any) -> None:
    """A client that has sent some of its body, and will send no more of it."""
    with a_world() as world, socket.socket() as client, gevent.Timeout(5):
        world.lex.faults.append(LexFault(kind=kind, when=when))
        client.connect(("127.0.0.1", int(world.lex.url.rpartition(":")[2])))
        head = (
            "POST /bot/OrderFlowers/alias/prod/user/caller/content HTTP/1.1",
            "Host: lex",
            f"Content-Type: {LPCM_8KHZ}",
        )
        client.sendall("\r\n".join([*head, f"Accept: {TEXT}", "Content-Length: 1000000", "", ""]).encode())
        client.sendall(bytes(200_000))
        until(lambda: world.lex.requests)
        gevent.sleep(0.1)
        world.lex.stop()
        assert world.lex.requests[0].status is None


def test_dropped_connections_are_replaced(world: World) -> None:
    ports = []
    for _ in range(2):
        world.post_content("help")
        ports.append(world.request.client_port)
    world.lex.drop_connections()
    world.post_content("help")
    assert ports[0] == ports[1] != world.request.client_port


def test_leaving_it_closes_what_hangs() -> None:
    with a_world() as world:
        world.lex.faults.append(LexFault(kind="hang"))
        hanging = gevent.spawn(world.post_content, SECOND)
        until(lambda: world.lex.requests and world.request.ended is not None)
    with gevent.Timeout(5), pytest.raises(ConnectionClosedError):
        hanging.get()
