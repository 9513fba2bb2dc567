"""Answers of Lex and Twilio: they are read within limits, and the loop goes on meanwhile."""

import gzip
import socket
import ssl
import tracemalloc
from collections.abc import Callable
from typing import Any

import boto3
import botocore.config
import botocore.httpsession
import gevent
import pytest
import requests
import urllib3
import urllib3.poolmanager
from botocore.awsrequest import AWSHTTPConnectionPool
from botocore.exceptions import BotoCoreError

from lexbridge.lex.boto import make_lex_runtime
from lexbridge.lex.runtime import Deadlines
from lexbridge.logs import Log
from lexbridge.net import capped_http
from lexbridge.net.capped_http import AnswerTooLong, CappedAdapter, cap_lex, capped_session, is_too_long
from lexbridge.offline.odd_answers import bomb
from tests.support.answering_peers import MOST_BYTES, answering, chunk, endless, whole
from tests.support.fixtures import Logged
from tests.support.flower_order import FLOWERS
from tests.support.lexes import asked, lex_of, local_lex
from tests.support.rig import PATIENCE_S, settings

TAKEN_AT_MOST = 20_000_000
"""Most bytes that a peer can send of an endless answer, because some MB wait in the kernel's buffers."""

OK = "HTTP/1.1 200 OK\n"
CHUNKED = "Transfer-Encoding: chunked\n\n"
LONG = "Content-Length: 4000000000\n\n"
WITHOUT_END = {
    "an error, in chunks": endless(f"HTTP/1.1 500 Error\n{CHUNKED}", chunk(b" " * 65536)),
    "an error with a length": endless(f"HTTP/1.1 503 Error\n{LONG}", b" " * 65536),
    "an error without a length": endless("HTTP/1.1 400 Error\n\n", b" " * 65536),
    "a redirect": endless(f"HTTP/1.1 302 Found\nLocation: /\n{CHUNKED}", chunk(b" " * 65536)),
    "a success, in chunks": endless(f"{OK}{CHUNKED}", chunk(b" " * 65536)),
    "a success with a length": endless(f"{OK}{LONG}", b" " * 65536),
    "chunks of one byte": endless(f"{OK}{CHUNKED}", chunk(b" ") * 10_000),
    "chunks with extensions": endless(f"{OK}{CHUNKED}", (b"1;" + b"x" * 60_000 + b"\r\n \r\n") * 10),
    "a chunk's head": endless(f"{OK}{CHUNKED}", b"0" * 65536),
    "trailers": endless(f"{OK}{CHUNKED}0\n", b"X: y\r\n" * 10_000),
    "100 Continue": endless("", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "100 Continue with headers": endless("", b"HTTP/1.1 100 Continue\r\n" + b"X: y\r\n" * 90 + b"\r\n"),
    "headers": endless(OK, b"X: y\r\n" * 10_000),
    "a header": endless(f"{OK}X: ", b"y" * 65536),
    "a status line": endless("HTTP/1.1 200 ", b"y" * 65536),
}


def session_of_lex(port: int) -> Any:
    """Return the answer of Lex V1's GetSession at `port`, read by a client with limits."""
    client = boto3.client(
        "lex-runtime",
        region_name="us-west-2",
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="secret",
        endpoint_url=f"http://127.0.0.1:{port}",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )
    cap_lex(client)
    return client.get_session(botName="OrderFlowers", botAlias="prod", userId="CA-1")


def document_of(port: int) -> bytes:
    """Return the answer of a GET at `port`, read by the requests library within limits."""
    return capped_session().get(f"http://127.0.0.1:{port}/", allow_redirects=False).content


@pytest.mark.parametrize("ask", [session_of_lex, document_of], ids=["boto3", "requests"])
@pytest.mark.parametrize("what", WITHOUT_END)
def test_an_answer_without_end_is_given_up_early(what: str, ask: Callable[[int], Any]) -> None:
    """An answer without end is given up early, and takes no memory."""
    with answering(WITHOUT_END[what]) as peer:
        tracemalloc.start()
        try:
            with gevent.Timeout(PATIENCE_S), pytest.raises((BotoCoreError, requests.RequestException)):
                ask(peer.port)
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()
        assert len(peer.requests) == 1
        assert peer.sent_bytes < TAKEN_AT_MOST < MOST_BYTES


@pytest.mark.parametrize("ask", [session_of_lex, document_of], ids=["boto3", "requests"])
def test_what_was_wrong_with_it_is_known(ask: Callable[[int], Any]) -> None:
    for answer in (WITHOUT_END["a success with a length"], WITHOUT_END["100 Continue"]):
        with answering(answer) as peer, pytest.raises((BotoCoreError, requests.RequestException)) as raised:
            ask(peer.port)
        assert is_too_long(raised.value)
    with answering(whole("nonsense\n")) as peer, pytest.raises((BotoCoreError, requests.RequestException)) as raised:
        ask(peer.port)
    assert not is_too_long(raised.value)


@pytest.mark.parametrize(
    "body", [b"z" * 150_000, chunk(b"z") * 25_000 + b"0\r\n\r\n"], ids=["length", "chunks of 1 byte"]
)
@pytest.mark.parametrize("response_class", [capped_http._LexResponse, capped_http._DocumentResponse])
def test_others_go_on_while_a_ready_answer_is_read(body: bytes, response_class: Any) -> None:
    server_end, client_end = socket.socketpair()
    with server_end, client_end:
        for end in (server_end, client_end):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        kind = b"Content-Length: 150000" if body[:1] == b"z" else b"Transfer-Encoding: chunked"
        server_end.sendall(b"HTTP/1.1 200 OK\r\n" + kind + b"\r\n\r\n" + body)
        turns: list[None] = []
        other = gevent.spawn(lambda: [turns.append(gevent.sleep(0)) for _ in iter(int, 1)])
        gevent.sleep(0)
        before = len(turns)
        response = response_class(client_end, method="GET")
        response.begin()
        assert response.read() in (b"z" * 150_000, b"z" * 25_000)
        other.kill()
        assert len(turns) - before >= len(body) // capped_http.PAUSE_EVERY_BYTES - 1


def test_a_deadline_fires_while_data_is_at_hand() -> None:
    speech = f"{OK}Content-Type: audio/pcm\n{CHUNKED}"
    with answering(endless(speech, chunk(bytes(65536)))) as peer:
        response = capped_http._LexConnection("127.0.0.1", peer.port)
        response.request("POST", "/", preload_content=False)
        stream = response.getresponse()
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.001):
            stream.read(26_000_000)


def test_the_limits_are_as_the_documents_have_them() -> None:
    """An answer just as long as its limit is read."""
    for size, status in ((capped_http.JSON_BYTES, 200), (capped_http.ERROR_BYTES, 500)):
        with answering(whole(f"HTTP/1.1 {status} X\n", b" " * size)) as peer:
            assert len(document_of(peer.port)) == size
        with (
            answering(whole(f"HTTP/1.1 {status} X\n", b" " * (size + 1))) as peer,
            pytest.raises(requests.RequestException),
        ):
            document_of(peer.port)
    five_minutes_bytes = 300 * 48_000 * 2
    assert five_minutes_bytes <= capped_http.VOICE_BYTES


def test_large_heads_are_read_and_interim_answers_skipped() -> None:
    head = OK + "".join(f"X-{number}: {'y' * 16_000}\n" for number in range(4))
    answer = whole(f"HTTP/1.1 100 Continue\n\nHTTP/1.1 100 Continue\nX: y\n\n{head}", b"here")
    with answering(answer) as peer:
        assert document_of(peer.port) == b"here"


def test_a_connection_serves_the_next_request_too() -> None:
    with answering(whole(OK, b"{}")) as peer:
        session = capped_session()
        for _ in range(3):
            assert session.get(f"http://127.0.0.1:{peer.port}/").json() == {}
        assert (peer.connections, len(peer.requests)) == (1, 3)


def test_a_limit_is_one_answers_and_not_its_connections() -> None:
    with answering(whole(OK, b" " * 200_000)) as peer:
        session = capped_session()
        for _ in range(3):
            assert len(session.get(f"http://127.0.0.1:{peer.port}/").content) == 200_000
        assert peer.connections == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_a_compressed_document_is_not_unpacked(encoding: str) -> None:
    with answering(whole(f"{OK}Content-Encoding: {encoding}\n", gzip.compress(b"{}"))) as peer:
        with pytest.raises(requests.exceptions.ContentDecodingError):
            document_of(peer.port)
        assert b"\r\nAccept-Encoding: identity\r\n" in peer.requests[0]


def test_a_redirect_is_not_followed() -> None:
    with answering(whole("HTTP/1.1 302 Found\nLocation: /elsewhere\n")) as peer:
        answer = capped_session().get(f"http://127.0.0.1:{peer.port}/")
        assert (answer.status_code, len(peer.requests)) == (302, 1)


def test_a_bomb_takes_no_memory() -> None:
    with answering(whole(f"{OK}Content-Encoding: gzip\n", bomb())) as peer:
        tracemalloc.start()
        try:
            with pytest.raises(requests.RequestException):
                document_of(peer.port)
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()


def test_a_document_that_names_no_charset_is_utf_8() -> None:
    """Check that requests does not guess the encoding, which would take seconds for 1 MB."""
    with answering(whole(OK, '{"a": "ü"}'.encode())) as peer:
        assert capped_session().get(f"http://127.0.0.1:{peer.port}/").text == '{"a": "ü"}'


# TLS


@pytest.fixture(scope="module")
def anonymous() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS contexts of a server and a client without a certificate."""
    contexts = []
    for protocol in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
        context = ssl.SSLContext(protocol)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # the last version with such ciphers
        contexts.append(context)
    return contexts[0], contexts[1]


@pytest.mark.parametrize("connection_class", [capped_http._LexTlsConnection, capped_http._DocumentTlsConnection])
def test_answers_over_tls_are_held_to_the_same(
    connection_class: Any, anonymous: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server_context, client_context = anonymous
    for what in ("an error, in chunks", "100 Continue"):
        with answering(WITHOUT_END[what], server_context) as peer:
            connection = connection_class("127.0.0.1", peer.port, ssl_context=client_context, cert_reqs="CERT_NONE")
            with gevent.Timeout(PATIENCE_S), pytest.raises((AnswerTooLong, urllib3.exceptions.HTTPError)) as raised:
                _read(connection)
            assert is_too_long(raised.value)
            assert peer.sent_bytes < TAKEN_AT_MOST
            connection.close()
    with answering(whole(OK, b"here"), server_context) as peer:
        connection = connection_class("127.0.0.1", peer.port, ssl_context=client_context, cert_reqs="CERT_NONE")
        assert [_read(connection), _read(connection)] == [b"here", b"here"]
        assert peer.connections == 1
        connection.close()


def _read(connection: Any) -> bytes:
    connection.request("GET", "/", preload_content=False)
    return bytes(connection.getresponse().read())


# Which clients are capped


def test_no_other_client_is_touched() -> None:
    botocores = botocore.httpsession.URLLib3Session()._manager.pool_classes_by_scheme
    assert botocores["http"] is AWSHTTPConnectionPool
    capped_session()
    assert urllib3.poolmanager.pool_classes_by_scheme["http"] is urllib3.HTTPConnectionPool
    assert requests.Session().get_adapter("http://x/").poolmanager.pool_classes_by_scheme["http"] is (
        urllib3.HTTPConnectionPool
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_connection_of_our_clients_is_capped(scheme: str) -> None:
    """Connections through a proxy are capped, too."""
    lex = make_lex_runtime(settings(), Deadlines())._api.client._endpoint.http_session
    for manager in (lex._manager, lex._get_proxy_manager("http://127.0.0.1:9")):
        pool = manager.connection_from_url(f"{scheme}://127.0.0.1:9/")
        assert issubclass(pool.ConnectionCls.response_class, capped_http._CappedResponse)
    adapter = capped_session().get_adapter(f"{scheme}://127.0.0.1:9/")
    assert isinstance(adapter, CappedAdapter)
    for manager in (adapter.poolmanager, adapter.proxy_manager_for("http://127.0.0.1:9")):
        pool = manager.connection_from_url(f"{scheme}://127.0.0.1:9/")
        assert issubclass(pool.ConnectionCls.response_class, capped_http._CappedResponse)


@pytest.mark.parametrize("changed", ["_pool_classes_by_scheme", "_manager"])
def test_a_botocore_that_is_built_otherwise_stops_the_start(changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("lex-runtime", region_name="us-west-2")
    session = client._endpoint.http_session
    if changed == "_manager":
        monkeypatch.setattr(session._manager, "pool_classes_by_scheme", dict(session._pool_classes_by_scheme))
    else:
        monkeypatch.delattr(session, changed)
    with pytest.raises((AttributeError, TypeError)):
        cap_lex(client)


def test_a_real_request_goes_through_it(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    read: list[str] = []
    begin = capped_http._LexResponse.begin

    def noted(response: Any) -> None:
        begin(response)
        read.append(response._method)

    monkeypatch.setattr(capped_http._LexResponse, "begin", noted)
    with local_lex(monkeypatch, FLOWERS):
        lex = lex_of("v2")
        lex.ask(asked(), Log())
        lex.fetch_session("CA-session")
    assert read == ["POST", "GET"]
    assert [line for line in logged() if line["event"] == "lex-request-failed"] == []
