"""Turns that lexbridge sends itself: the bytes on the wire, the results and the errors are those of boto3."""

import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any

import boto3
import gevent
import pytest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from lexbridge.config.bots import LexV1Bot, LexV2Bot
from lexbridge.errors import LexUnavailable
from lexbridge.lex.aws_clock import AwsClock, follow_aws_clock
from lexbridge.lex.boto import make_lex_runtime
from lexbridge.lex.content_types import PCM, SPEECH, TEXT
from lexbridge.lex.direct import DirectTurns
from lexbridge.lex.faults import BOTO_ERRORS
from lexbridge.lex.runtime import LexRequest
from lexbridge.lex.utterance import UtteranceStream
from lexbridge.lex.v1 import LexV1
from lexbridge.lex.v2 import LexV2
from lexbridge.logs import Log
from lexbridge.net.capped_http import cap_lex
from tests.support.fixtures import Logged
from tests.support.flower_order import FLOWERS
from tests.support.lexes import FRAME, GENERATIONS, heard_of, hum_of, local_lex, spoken
from tests.support.raw_lex import OK, RawLex, raw_lex
from tests.support.rig import PATIENCE_S, PATIENT, flowers, settings, v2_bot

NOW = datetime(2026, 11, 28, 23, 59, 59, tzinfo=UTC)


class Pair:
    """boto3's way to send a turn to one Lex, and the direct way, with the same credentials at the same time."""

    def __init__(self, lex_url: str, generation: str, keys: Credentials | None = None) -> None:
        self.credentials = keys or Credentials("AKIAEXAMPLE", "secret")
        session = boto3.Session(region_name="eu-west-1")
        session._session._credentials = self.credentials
        service = "lex-runtime" if generation == "v1" else "lexv2-runtime"
        config = Config(retries={"total_max_attempts": 1}, read_timeout=0.5)
        client = session.client(service, endpoint_url=lex_url, config=config)  # type: ignore[call-overload]
        cap_lex(client)
        self.clock = follow_aws_clock(client)
        if generation == "v1":
            self.boto3: Callable[..., Mapping[str, Any]] = client.post_content
            self.direct = DirectTurns(client, "PostContent", self.credentials, self.clock)
            api: type[LexV1] | type[LexV2] = LexV1
            self._api = lambda send: api(client, LexV1Bot("Order Flowers", "prod"), send)  # type: ignore[arg-type]
        else:
            self.boto3 = client.recognize_utterance
            self.direct = DirectTurns(client, "RecognizeUtterance", self.credentials, self.clock)
            self._api = lambda send: LexV2(client, LexV2Bot("ABCDEFGHIJ", "TSTALIASID", "en_US"), send)

    def parameters(self, session: str, attributes: Mapping[str, str] | None, kind: str, accept: str) -> dict[str, Any]:
        """Return the parameters of a turn, but for its body."""
        kept: dict[str, Any] = {}
        self._api(lambda **parameters: kept.update(parameters) or {}).send_input(session, attributes, kind, b"", accept)
        del kept["inputStream"]
        return kept


@pytest.fixture(autouse=True)
def always_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass for signatures, and give all requests the same id."""
    monkeypatch.setattr(AwsClock, "now", lambda _: NOW)
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=1))


def live() -> UtteranceStream:
    """Return a body that is read live."""
    return UtteranceStream(spoken(1))


BODIES: dict[str, Callable[[], Any]] = {"live": live, "whole": lambda: FRAME * 9, "empty": lambda: b""}
TURNS: dict[str, tuple[str, Mapping[str, str] | None, str, str]] = {
    "speech": ("CA-session", None, SPEECH, TEXT),
    "speech with a voice": ("CA-session", {}, SPEECH, PCM),
    "keys and attributes": ("CA-session", {"name": "Zoë  Ångström", "n": "1 "}, TEXT, TEXT),
    "an id to be escaped": ("a b/ü~*:@+", {"x": "y" * 5000}, SPEECH, TEXT),
}


@GENERATIONS
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("base", ["", "/base/of%20all"])
def test_a_turn_has_the_bytes_that_boto3_sends(generation: str, body: str, turn: str, base: str) -> None:
    with raw_lex() as lex:
        pair = Pair(lex.url + base, generation)
        parameters = pair.parameters(*TURNS[turn])
        pair.direct(**pair.parameters("first-one", None, SPEECH, TEXT), inputStream=b"first")
        results = [send(**{**parameters, "inputStream": BODIES[body]()}) for send in (pair.boto3, pair.direct)]
        _, by_boto3, direct = lex.requests
    assert direct == by_boto3
    voices = [result.pop("audioStream").read() for result in results]  # type: ignore[attr-defined]
    assert voices == [b"", b""]
    assert comparable(results[0]) == comparable(results[1])


def comparable(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return boto3's response without the member that says whether boto3 would try again: nothing reads it."""
    meta = {name: value for name, value in response["ResponseMetadata"].items() if name != "MaxAttemptsReached"}
    return {**response, "ResponseMetadata": meta}


@GENERATIONS
def test_temporary_keys_sign_with_their_token_and_are_renewed(generation: str) -> None:
    with raw_lex() as lex:
        pair = Pair(lex.url, generation, Credentials("ASIAFIRST", "secret", "token"))
        parameters = pair.parameters("CA-session", None, SPEECH, TEXT) | {"inputStream": b"pcm"}
        pair.direct(**parameters)
        for keys in (("ASIASECOND", "another secret", "another token"), ("AKIATHIRD", "third", None)):
            pair.credentials.access_key, pair.credentials.secret_key, pair.credentials.token = keys
            pair.boto3(**parameters)
            pair.direct(**parameters)
            assert lex.requests[-1] == lex.requests[-2]
            assert keys[0].encode() in lex.requests[-1]


def test_the_key_of_the_day_ends_with_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_lex() as lex:
        pair = Pair(lex.url, "v2")
        parameters = pair.parameters("CA-session", None, SPEECH, TEXT) | {"inputStream": b"pcm"}
        pair.direct(**parameters)
        for later_s in (0, 1):
            monkeypatch.setattr(AwsClock, "now", lambda _, later_s=later_s: NOW + timedelta(seconds=later_s))
            pair.boto3(**parameters)
            pair.direct(**parameters)
            assert lex.requests[-1] == lex.requests[-2]
        assert b"/20261129/" in lex.requests[-1]


def refusal(status: int, code: str, message: str = "no") -> bytes:
    """Return an answer of AWS's that refuses a request."""
    body = b'{"message": "%s"}' % message.encode()
    head = f"HTTP/1.1 {status} X\r\nx-amzn-ErrorType: {code}:http://x/\r\nContent-Length: {len(body)}\r\n"
    return f"{head}x-amzn-RequestId: 1\r\nDate: {formatdate(time.time(), usegmt=True)}\r\n\r\n".encode() + body


FAULTS = {
    "400": refusal(400, "BadRequestException"),
    "403": refusal(403, "AccessDeniedException"),
    "404": refusal(404, "ResourceNotFoundException"),
    "409": refusal(409, "ConflictException"),
    "424": refusal(424, "DependencyFailedException"),
    "429": refusal(429, "ThrottlingException"),
    "500": refusal(500, "InternalServerException"),
    "502": refusal(502, "BadGatewayException"),
    "503": b"HTTP/1.1 503 X\r\nContent-Length: 3\r\n\r\n<x>",
    "a redirect": b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
    "hangs up": b"",
    "no HTTP": b"hello\r\n\r\n",
    "a head that ends": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a late answer": b"HTTP/1.1 ",
    "too long": b"HTTP/1.1 200 OK\r\nContent-Length: 99000000000\r\n\r\n",
}


def outcome(send: Callable[..., Any], parameters: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the error that a turn ends with, in a form that can be compared."""
    with pytest.raises(BOTO_ERRORS) as raised:
        send(**parameters)
    error = raised.value
    if isinstance(error, ClientError):
        response = comparable(error.response)
        return type(error).__name__, response["Error"], response["ResponseMetadata"]
    return type(error).__name__, str(error), isinstance(error, BotoCoreError)


@GENERATIONS
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_the_error_that_boto3_raises(generation: str, fault: str) -> None:
    with raw_lex(OK, FAULTS[fault], FAULTS[fault]) as lex:
        pair = Pair(lex.url, generation)
        parameters = pair.parameters("CA-session", None, SPEECH, TEXT) | {"inputStream": b"pcm"}
        pair.direct(**parameters)["audioStream"].read()
        assert outcome(pair.direct, parameters) == outcome(pair.boto3, parameters)


@GENERATIONS
def test_no_address_is_the_error_that_boto3_raises(generation: str) -> None:
    with raw_lex() as lex:
        pair = Pair(lex.url, generation)
        parameters = pair.parameters("CA-session", None, SPEECH, TEXT) | {"inputStream": b"pcm"}
        pair.direct(**parameters)
    # The connection that is left is closed: each request needs a new one.
    gevent.sleep(0.05)
    assert outcome(pair.direct, parameters) == outcome(pair.boto3, parameters)


def test_a_whole_body_that_is_refused_for_its_time_is_sent_again() -> None:
    late = refusal(403, "InvalidSignatureException", "Signature expired: now")
    with raw_lex(OK, late, OK, late) as lex:
        pair = Pair(lex.url, "v2")
        parameters = pair.parameters("CA-session", None, SPEECH, TEXT)
        pair.direct(**parameters, inputStream=b"pcm")
        assert pair.direct(**parameters, inputStream=b"pcm")["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert len(lex.requests) == 3
        with pytest.raises(ClientError, match="Signature expired"):
            pair.direct(**parameters, inputStream=live())
        assert len(lex.requests) == 4


def test_the_direct_turns_use_the_connections_of_boto3() -> None:
    with raw_lex() as lex:
        pair = Pair(lex.url, "v2")
        parameters = pair.parameters("CA-session", None, SPEECH, TEXT) | {"inputStream": b"pcm"}
        for send in (pair.direct, pair.direct, pair.boto3, pair.direct):
            send(**parameters)["audioStream"].read()  # type: ignore[attr-defined]
        assert lex.connections == 1


def sent_by_boto3(pair: Pair, lex: RawLex) -> int:
    """Send two turns the direct way. Return how many of all turns to `lex` boto3 sent."""
    sent: list[object] = []
    pair.direct._client.meta.events.register("before-send", lambda **_: sent.append(None))
    for _ in range(2):
        pair.direct(**pair.parameters("CA-session", None, SPEECH, TEXT), inputStream=b"pcm")
    assert len(lex.requests) == 2
    return len(sent)


def test_boto3_sends_only_the_first_turn() -> None:
    with raw_lex() as lex:
        assert sent_by_boto3(Pair(lex.url, "v2"), lex) == 1


def test_boto3_sends_the_turns_where_a_proxy_is_between(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    with raw_lex() as lex:
        monkeypatch.setenv("HTTP_PROXY", lex.url)
        monkeypatch.setenv("http_proxy", lex.url)
        assert sent_by_boto3(Pair("http://lex.test", "v2"), lex) == 2
    (line,) = [line for line in logged() if line["event"] == "turns-sent-by-boto3"]
    assert (line["level"], line["why"]) == ("warning", "a proxy is between")


def test_boto3_sends_the_turns_whose_form_is_not_known(logged: Logged) -> None:
    with raw_lex() as lex:
        pair = Pair(lex.url, "v2")
        add = lambda request, **_: request.headers.add_header("X-Of-Tomorrow", "1")  # noqa: E731
        pair.direct._client.meta.events.register_first("request-created", add)
        assert sent_by_boto3(pair, lex) == 2
    (line,) = [line for line in logged() if line["event"] == "turns-sent-by-boto3"]
    assert "X-Of-Tomorrow" in line["why"]


def test_turns_that_begin_together_are_all_sent() -> None:
    with raw_lex() as lex:
        pair = Pair(lex.url, "v2")
        parameters = pair.parameters("CA-session", None, SPEECH, TEXT) | {"inputStream": b"pcm"}
        turns = [gevent.spawn(pair.direct, **parameters) for _ in range(5)]
        gevent.joinall(turns, timeout=PATIENCE_S, raise_error=True)
        assert lex.requests == [lex.requests[0]] * 5
        assert pair.direct._first == {}


@GENERATIONS
@pytest.mark.parametrize("mode", ["call-update", "stream"])
def test_a_dialog_goes_on_directly(generation: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local Lex understands the turns, and its answers are understood."""
    with local_lex(monkeypatch, FLOWERS, "roses", "tomorrow") as local:
        bot = v2_bot(flowers()) if generation == "v2" else {}
        lex = make_lex_runtime(settings(REPLY_MODE=mode, LEX_TRANSPORT="direct", **bot), PATIENT)
        for attributes in ({"who": "Zoë"}, None, None):
            answer = lex.ask(LexRequest("CA-session", attributes, spoken()), Log())
            assert answer.reply.session_attributes["who"] == "Zoë"
            if answer.speech is not None:
                assert heard_of(answer.speech) == hum_of(answer.reply.messages[0].text)
        assert answer.reply.intent == "OrderFlowers"
        assert len({request.client_port for request in local.requests}) == 1


def test_a_turn_without_an_answer_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_lex() as lex:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", lex.url)
        client = make_lex_runtime(settings(LEX_TRANSPORT="direct"), PATIENT)
        sender = client._api._send_turn  # type: ignore[attr-defined]
        sender(botName="x", botAlias="y", userId="CA", contentType=SPEECH, accept=TEXT, inputStream=b"pcm")
        lex.requests.clear()
    with pytest.raises(LexUnavailable, match="EndpointConnectionError"):
        client.ask(LexRequest("CA-session", None, spoken()), Log())
