"""The local Lex's speech, sent bit by bit, and what goes wrong with it."""

import socket
import time
from typing import Any

import gevent
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ResponseStreamingError
from gevent.event import Event

from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.wire import LPCM_8KHZ
from tests.support.local_lex import FLOWERS, SECOND, TEXT, V1_ADDRESS, V2_ADDRESS, LexClients, lex_clients, until

HELP_S = 0.06 * len(FLOWERS.intents[3].closing[0].text)  # SilentVoice
HELP_BYTES = round(HELP_S * 32000)


def a_spoken_help(clients: LexClients, generation: str = "v1") -> Any:
    """The request, and its answer with the speech unread."""
    if generation == "v1":
        asked = {"contentType": TEXT, "accept": "audio/pcm", "inputStream": b"help"}
        return clients.v1.post_content(**V1_ADDRESS, **asked)
    asked = {"requestContentType": TEXT, "responseContentType": "audio/pcm", "inputStream": b"help"}
    return clients.v2.recognize_utterance(**{**V2_ADDRESS, "botId": FLOWERS.v2_id}, **asked)


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_speech_may_be_sent_at_a_pace_of_its_own(clients: LexClients, generation: str) -> None:
    clients.lex.audio_pace = HELP_S / 0.5  # all of it takes half a second
    first_was_read = Event()
    clients.lex.before_piece = lambda request: request.speech_bytes == 0 or first_was_read.wait()
    asked_s = time.monotonic()
    answer = a_spoken_help(clients, generation)
    assert answer["ResponseMetadata"]["HTTPHeaders"]["transfer-encoding"] == "chunked"
    first = answer["audioStream"].read(320)
    assert len(first) == 320
    assert clients.request.speech_began is not None
    assert clients.request.speech_bytes < HELP_BYTES / 2
    first_was_read.set()
    rest = answer["audioStream"].read()
    assert len(first + rest) == HELP_BYTES
    until(lambda: clients.request.speech_bytes == HELP_BYTES)
    assert clients.request.speech_ended is not None
    assert clients.request.speech_ended - asked_s >= 0.3
    assert clients.request.answered is not None
    assert clients.request.answered <= clients.request.speech_began
    assert clients.post_content("help")["intentName"] == "HelpIntent"


def test_speech_that_is_sent_at_once_is_on_record_too(clients: LexClients) -> None:
    clients.post_content("help", accept="audio/pcm")
    until(lambda: clients.request.speech_ended is not None)
    assert clients.request.speech_bytes == HELP_BYTES
    clients.post_content("help")
    assert (clients.request.speech_began, clients.request.speech_bytes) == (None, 0)


def test_speech_that_breaks_off(clients: LexClients) -> None:
    clients.lex.faults.append(LexFault(kind="broken", after_bytes=6400))
    answer = a_spoken_help(clients)
    assert answer["message"].startswith("You can order")
    assert len(answer["audioStream"].read(6400)) == 6400
    with pytest.raises((ResponseStreamingError, ConnectionClosedError)):
        answer["audioStream"].read(1)
    assert clients.request.speech_bytes == 6400
    assert clients.post_content("help", accept="audio/pcm")["audioStream"]


def test_speech_that_stalls(clients: LexClients) -> None:
    clients.lex.faults.append(LexFault(kind="stalled", after_bytes=6400))
    answer = a_spoken_help(clients)
    assert len(answer["audioStream"].read(6400)) == 6400
    with gevent.Timeout(0.2, False):
        answer["audioStream"].read(1)
        pytest.fail("there was more of it")
    answer["audioStream"].close()
    assert clients.post_content("help")["intentName"] == "HelpIntent"


def test_speech_that_drips_is_whole_in_the_end(clients: LexClients) -> None:
    clients.lex.faults.append(LexFault(kind="dripping", piece_bytes=9999, every_s=0.01))
    answer = a_spoken_help(clients)
    assert len(answer["audioStream"].read()) == HELP_BYTES
    until(lambda: clients.request.speech_bytes == HELP_BYTES)
    assert clients.request.speech_ended is not None
    assert clients.request.speech_began is not None
    assert clients.request.speech_ended - clients.request.speech_began >= 0.01 * (HELP_BYTES // 9999 - 1)


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
    clients: LexClients, generation: str, content_type: str, length: int
) -> None:
    clients.lex.faults.append(LexFault(kind="mistyped", content_type=content_type))
    answer = a_spoken_help(clients, generation)
    assert answer["contentType"] == content_type
    assert len(answer["audioStream"].read()) == pytest.approx(length, abs=4)


@pytest.mark.parametrize("kind", ["broken", "stalled", "dripping", "mistyped"])
def test_what_befalls_the_speech_leaves_an_answer_in_text_alone(clients: LexClients, kind: Any) -> None:
    clients.lex.faults.append(LexFault(kind=kind))
    assert clients.post_content("help")["intentName"] == "HelpIntent"


@pytest.mark.parametrize("operation", ["PutSession", "GetSession"])
def test_a_fault_for_one_operation(clients: LexClients, operation: str) -> None:
    clients.lex.faults.append(LexFault(status=500, operation=operation))
    clients.post_content("help")
    with pytest.raises(clients.v1.exceptions.InternalFailureException):
        clients.v1.put_session(**V1_ADDRESS) if operation == "PutSession" else clients.v1.get_session(**V1_ADDRESS)
    assert clients.v1.put_session(**V1_ADDRESS)["dialogState"] == "Fulfilled"
    assert clients.v1.get_session(**V1_ADDRESS)["dialogAction"]["type"] == "Close"


def test_put_session_thinks_and_fails_like_an_utterance(clients: LexClients) -> None:
    clients.lex.faults.append(LexFault(kind="broken", after_bytes=640, operation="PutSession"))
    action = {"type": "Delegate", "intentName": "OrderFlowers"}
    answer = clients.v1.put_session(**V1_ADDRESS, dialogAction=action, accept="audio/pcm")
    with pytest.raises((ResponseStreamingError, ConnectionClosedError)):
        answer["audioStream"].read()
    clients.lex.think_s = 0.1
    clients.v1.put_session(**V1_ADDRESS, dialogAction=action)
    assert clients.request.ended is not None
    assert clients.request.answered is not None
    assert clients.request.answered - clients.request.ended >= 0.1


def test_a_fault_for_one_session_as_often_as_it_asks(clients: LexClients) -> None:
    clients.lex.faults.append(LexFault(status=500, times=None, session="unlucky"))
    for _ in range(3):
        with pytest.raises(ClientError):
            clients.post_content("help", userId="unlucky")
        assert clients.post_content("help")["intentName"] == "HelpIntent"


@pytest.mark.parametrize("when", ["start", "middle"])
@pytest.mark.parametrize("kind", ["hang", "unread"])
def test_leaving_it_does_not_wait_for_an_upload_that_hangs(kind: Any, when: Any) -> None:
    """A client that has sent some of its body, and will send no more of it."""
    with lex_clients() as clients, socket.socket() as client, gevent.Timeout(60):
        clients.lex.faults.append(LexFault(kind=kind, when=when))
        client.connect(("127.0.0.1", int(clients.lex.url.rpartition(":")[2])))
        head = (
            "POST /bot/OrderFlowers/alias/prod/user/caller/content HTTP/1.1",
            "Host: lex",
            f"Content-Type: {LPCM_8KHZ}",
        )
        client.sendall("\r\n".join([*head, f"Accept: {TEXT}", "Content-Length: 1000000", "", ""]).encode())
        client.sendall(bytes(200_000))
        until(lambda: clients.lex.requests)
        gevent.sleep(0.1)
        clients.lex.stop()
        assert clients.lex.requests[0].status is None


def test_dropped_connections_are_replaced(clients: LexClients) -> None:
    ports = []
    for _ in range(2):
        clients.post_content("help")
        ports.append(clients.request.client_port)
    clients.lex.drop_connections()
    clients.post_content("help")
    assert ports[0] == ports[1] != clients.request.client_port


def test_leaving_it_closes_what_hangs() -> None:
    with lex_clients() as clients:
        clients.lex.faults.append(LexFault(kind="hang"))
        hanging = gevent.spawn(clients.post_content, SECOND)
        until(lambda: clients.lex.requests and clients.request.ended is not None)
    with gevent.Timeout(60), pytest.raises(ConnectionClosedError):
        hanging.get()
