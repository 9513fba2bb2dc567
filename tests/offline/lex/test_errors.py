"""The local Lex's own errors, and its faults on demand."""

import base64
import socket
from dataclasses import replace
from typing import Any

import boto3
import gevent
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError, ResponseStreamingError
from gevent.event import Event

from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.wire import LPCM_8KHZ
from tests.support.local_lex import (
    FLOWERS,
    FRAME,
    SECOND,
    TEXT,
    V1_ADDRESS,
    LexClients,
    Upload,
    lex_clients,
    pack,
    until,
)

# --- Lex's own errors ---


def test_an_unknown_bot(clients: LexClients) -> None:
    with pytest.raises(clients.v1.exceptions.NotFoundException, match="no bot OrderCars here"):
        clients.post_content("help", botName="OrderCars")
    with pytest.raises(clients.v2.exceptions.ResourceNotFoundException, match="no bot"):
        clients.recognize("help", botId="AAAAAAAAAA")
    assert clients.request.status == 404
    with pytest.raises(clients.v1.exceptions.NotFoundException):
        clients.post_content(SECOND, botName="OrderCars")


def test_an_unknown_alias_or_locale() -> None:
    with lex_clients(bots=[replace(FLOWERS, aliases=frozenset({"prod"}))]) as clients:
        assert clients.post_content("help")["botVersion"] == "1"
        assert clients.post_content("help", botAlias="$LATEST")["botVersion"] == "$LATEST"
        with pytest.raises(clients.v1.exceptions.NotFoundException, match="alias test"):
            clients.post_content("help", botAlias="test")
        with pytest.raises(clients.v2.exceptions.ResourceNotFoundException, match="locale de_DE"):
            clients.recognize("help", botId=FLOWERS.v2_id, botAliasId="TSTALIASID", localeId="de_DE")


@pytest.mark.parametrize(
    "content_type", ["audio/wav", "audio/lpcm; sample-rate=44100", "audio/x-cbr-opus-with-preamble"]
)
def test_a_content_type_lex_has_not(clients: LexClients, content_type: str) -> None:
    with pytest.raises(clients.v1.exceptions.UnsupportedMediaTypeException):
        clients.post_content(SECOND, contentType=content_type)
    with pytest.raises(clients.v2.exceptions.ValidationException) as caught:
        clients.recognize(SECOND, requestContentType=content_type)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_answer_it_cannot_synthesise(clients: LexClients) -> None:
    with pytest.raises(clients.v1.exceptions.NotAcceptableException, match="answers audio/pcm and text/plain"):
        clients.post_content("help", accept="audio/mpeg")
    with pytest.raises(clients.v2.exceptions.ValidationException, match="not audio/ogg"):
        clients.recognize("help", responseContentType="audio/ogg")


def test_speech_over_fifteen_seconds(clients: LexClients) -> None:
    assert clients.post_content(15 * SECOND)["dialogState"] == "ElicitIntent"
    with pytest.raises(clients.v1.exceptions.RequestTimeoutException) as caught:
        clients.post_content(15 * SECOND + FRAME)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 408
    with pytest.raises(clients.v2.exceptions.ValidationException):
        clients.recognize(15 * SECOND + FRAME)


@pytest.mark.parametrize("text", ["", "a" * 1025])
def test_a_text_of_a_wrong_length(clients: LexClients, text: str) -> None:
    with pytest.raises(clients.v1.exceptions.BadRequestException):
        clients.post_content(text)


def test_headers_that_cannot_be_read(clients: LexClients) -> None:
    for state in ("????", pack([1]), pack({"dialogAction": 7}), base64.b64encode(b"plain").decode()):
        with pytest.raises(clients.v2.exceptions.ValidationException):
            clients.recognize("help", sessionState=state)
    assert clients.recognize("help")["sessionState"]["intent"]["name"] == "HelpIntent"


def test_two_requests_at_once_for_one_session() -> None:
    with lex_clients("help", "help") as clients:
        upload = Upload()
        first = gevent.spawn(clients.post_content, upload)
        upload.send(FRAME)
        until(lambda: clients.lex.requests and clients.request.first_audio is not None)
        with pytest.raises(clients.v1.exceptions.ConflictException):
            clients.post_content("help")
        with pytest.raises(clients.v1.exceptions.ConflictException):
            clients.v1.delete_session(**V1_ADDRESS)
        assert clients.post_content("help", userId="someone-else")["intentName"] == "HelpIntent"
        upload.end()
        assert first.get(timeout=120)["intentName"] == "HelpIntent"
        assert clients.post_content("help")["intentName"] == "HelpIntent"


def raw(clients: LexClients, request: bytes) -> bytes:
    """Send bytes as they are. Return what the server sends until it closes."""
    host, port = clients.lex.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while more := connection.recv(65536):
            answer += more
        return answer


def test_requests_that_are_none_of_lexs(clients: LexClients) -> None:
    assert b"404" in raw(clients, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").split(b"\r\n")[0]
    path = b"/bot/OrderFlowers/alias/prod/user/caller/content"
    assert b"400" in raw(clients, b"PUT " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = raw(clients, b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert b"x-amzn-ErrorType: BadRequestException" in answer
    assert b"there is no Content-Type" in answer


def test_a_client_that_goes_away_in_the_middle_of_its_upload(clients: LexClients) -> None:
    head = (
        b"POST /bot/OrderFlowers/alias/prod/user/caller/content HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n"
        b"Content-Type: " + LPCM_8KHZ.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert raw(clients, head + b"140\r\n" + FRAME + b"\r\n14") == b""
    until(lambda: clients.request.aborted)
    assert clients.request.status is None
    assert clients.request.audio == FRAME
    assert clients.post_content("help")["intentName"] == "HelpIntent"  # the session is free again


# --- faults on demand ---


@pytest.mark.parametrize(
    ("status", "v1", "v2"),
    [
        (400, "BadRequestException", "ValidationException"),
        (403, "AccessDeniedException", "AccessDeniedException"),
        (404, "NotFoundException", "ResourceNotFoundException"),
        (409, "ConflictException", "ConflictException"),
        (424, "DependencyFailedException", "DependencyFailedException"),
        (429, "LimitExceededException", "ThrottlingException"),
        (500, "InternalFailureException", "InternalServerException"),
        (502, "BadGatewayException", "BadGatewayException"),
    ],
)
def test_a_status_on_demand(clients: LexClients, status: int, v1: str, v2: str) -> None:
    clients.lex.faults.append(LexFault(status=status, times=2))
    for send, name in ((clients.post_content, v1), (clients.recognize, v2)):
        with pytest.raises(ClientError) as caught:
            send(SECOND)
        assert caught.value.response["Error"]["Code"] == name
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert clients.request.status == status
        assert clients.request.fault is clients.lex.faults[0]
    assert clients.post_content("help")["intentName"] == "HelpIntent"


@pytest.mark.parametrize("when", ["start", "middle"])
def test_a_status_before_the_upload_ended_breaks_the_connection(clients: LexClients, when: Any) -> None:
    clients.lex.faults.append(LexFault(status=500, when=when))
    upload = Upload()
    answer = gevent.spawn(clients.post_content, upload)
    broken = Event()
    answer.link(lambda _: broken.set())
    with gevent.Timeout(5):
        while not broken.is_set():
            upload.send(FRAME)
            gevent.sleep(0.001)
    assert answer.exception is not None
    assert clients.request.status == 500
    assert clients.request.ended is None
    assert clients.post_content("help")["intentName"] == "HelpIntent"


@pytest.mark.parametrize("when", ["start", "middle", "end"])
def test_a_reset(clients: LexClients, when: Any) -> None:
    clients.lex.faults.append(LexFault(kind="reset", when=when))
    with pytest.raises(ConnectionClosedError):
        clients.post_content(SECOND)
    assert clients.request.status is None
    assert clients.post_content("help")["intentName"] == "HelpIntent"


@pytest.mark.parametrize("status", [503, 504])
@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_a_proxy_before_lex_answers_with_a_page(clients: LexClients, status: int, generation: str) -> None:
    clients.lex.faults.append(LexFault(status=status))
    with pytest.raises(ClientError) as raised:
        clients.post_content("help") if generation == "v1" else clients.recognize("help")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert clients.request.status == status


@pytest.mark.parametrize("kind", ["empty", "foreign"])
@pytest.mark.parametrize("when", ["middle", "end"])
def test_an_answer_that_is_not_lexs(clients: LexClients, kind: Any, when: Any) -> None:
    clients.lex.faults.append(LexFault(kind=kind, when=when))
    answer = clients.v1.post_content(**V1_ADDRESS, contentType=LPCM_8KHZ, accept=TEXT, inputStream=SECOND)
    assert "dialogState" not in answer
    assert clients.request.status == 200
    assert clients.request.dialog_state is None  # the dialog did not go on
    assert clients.post_content("help")["intentName"] == "HelpIntent"


def test_a_slow_answer_is_the_right_one(clients: LexClients) -> None:
    clients.lex.faults.append(LexFault(kind="slow", after_s=0.2))
    assert clients.post_content("help")["intentName"] == "HelpIntent"
    assert clients.request.ended is not None
    assert clients.request.answered is not None
    assert clients.request.answered - clients.request.ended >= 0.2


@pytest.mark.parametrize(
    ("kind", "when"), [("hang", "start"), ("hang", "end"), ("unread", "start"), ("unread", "middle")]
)
def test_a_request_that_is_never_answered(clients: LexClients, kind: Any, when: Any) -> None:
    clients.lex.faults.append(LexFault(kind=kind, when=when))
    impatient = boto3.client(
        "lex-runtime",
        endpoint_url=clients.lex.url,
        region_name="us-east-1",
        aws_access_key_id="offline",
        aws_secret_access_key="offline",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=0.2),
    )
    with pytest.raises((ReadTimeoutError, ConnectionClosedError)):
        impatient.post_content(**V1_ADDRESS, contentType=LPCM_8KHZ, accept=TEXT, inputStream=SECOND)
    impatient.close()

    def is_free() -> bool:
        try:
            return bool(clients.post_content("help")["intentName"] == "HelpIntent")
        except clients.v1.exceptions.ConflictException:
            return False

    until(is_free)


def test_a_truncated_answer(clients: LexClients) -> None:
    clients.lex.faults.append(LexFault(kind="truncated"))
    with pytest.raises(ResponseStreamingError):
        clients.post_content("help", accept="audio/pcm")
    assert clients.post_content("help", accept="audio/pcm")["audioStream"]


def test_a_truncated_answer_without_speech_ends_in_its_head(clients: LexClients) -> None:
    clients.lex.faults.append(LexFault(kind="truncated"))
    assert "message" not in clients.post_content("help")
    assert clients.post_content("help")["message"]


def test_an_answer_in_drips(clients: LexClients) -> None:
    clients.lex.faults.append(LexFault(kind="drip", every_s=0.0001))
    assert clients.post_content("help")["intentName"] == "HelpIntent"
