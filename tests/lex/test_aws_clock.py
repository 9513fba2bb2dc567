"""The signatures of the real boto3 while the wall clock is wrong or jumps: a server with its own clock checks them."""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import boto3
import botocore.auth
import pytest
from botocore import UNSIGNED
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EndpointConnectionError
from gevent.pywsgi import WSGIServer

from lexbridge.lex.aws_clock import AwsClock, follow_aws_clock, is_refused_for_its_time
from lexbridge.lex.utterance import Utterance, UtteranceStream
from tests.support.fixtures import Logged

HOUR_S = 3600
TOLERANCE_S = 300
KEYS = Credentials("AKIAEXAMPLE", "secret")
BOT = {"botId": "ABCDEFGHIJ", "botAliasId": "TSTALIASID", "localeId": "en_US", "sessionId": "CA-session"}

true_time = time.time  # before any test moves it


class Aws:
    """A server that checks a request's signature and its time, as every AWS service does first."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.sends_date = True
        self._server = WSGIServer(("127.0.0.1", 0), self._answer, log=None)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.stop(timeout=1)

    def _answer(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if "HTTP_AUTHORIZATION" not in environ:
            self.answers.append(401)
            start_response("401 Unauthorized", [])
            return [b"{}"]
        now = datetime.fromtimestamp(true_time(), UTC).replace(tzinfo=None)
        signed = datetime.strptime(environ["HTTP_X_AMZ_DATE"], SIGV4_TIMESTAMP)  # noqa: DTZ007 - AWS's are UTC
        body = b""
        headers = [("Content-Type", "application/json")]
        if self.sends_date:
            headers.append(("Date", formatdate(true_time(), usegmt=True)))
        if abs((now - signed).total_seconds()) > TOLERANCE_S:
            status, said = 403, "Signature expired" if signed < now else "Signature not yet current"
            # AWS refuses such a request before it has read all of the body.
        else:
            body = environ["wsgi.input"].read()
            said = "The request signature we calculated does not match the signature you provided."
            status = 200 if signature(environ, body) in environ["HTTP_AUTHORIZATION"] else 403
        self.answers.append(status)
        if status == 200:
            start_response("200 OK", headers)
            return [b"{}"]
        start_response("403 Forbidden", [*headers, ("x-amzn-ErrorType", "InvalidSignatureException")])
        return [b'{"message": "%s: and more of it"}' % said.encode()]


def signature(environ: Mapping[str, Any], body: bytes) -> str:
    """Return the signature that a request should have."""
    names = environ["HTTP_AUTHORIZATION"].split("SignedHeaders=")[1].split(",")[0].split(";")
    environment = {"content-type": "CONTENT_TYPE"}
    headers = {name: environ[environment.get(name, f"HTTP_{name.upper().replace('-', '_')}")] for name in names}
    url = f"http://{environ['HTTP_HOST']}{environ['PATH_INFO']}"
    request = AWSRequest(environ["REQUEST_METHOD"], url, headers=headers, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(KEYS, "lex", "us-west-2")
    canonical = auth.canonical_request(request)
    return f"Signature={auth.signature(auth.string_to_sign(request, canonical), request)}"


@pytest.fixture
def aws() -> Iterator[Aws]:
    aws = Aws()
    yield aws
    aws.stop()


def make_client(aws: Aws, service: str = "lexv2-runtime") -> Any:
    """Return a client of the real boto3."""
    session = boto3.Session(KEYS.access_key, KEYS.secret_key, region_name="us-west-2")
    return session.client(service, endpoint_url=aws.url, config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that moves this process's wall clock by so many seconds from the true time."""

    def jump(by_s: float) -> None:
        moved = datetime.fromtimestamp(true_time() + by_s, UTC).replace(tzinfo=None)
        monkeypatch.setattr(time, "time", lambda: true_time() + by_s)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: moved)

    return jump


def recognize(client: Any, body: Any = b"pcm") -> None:
    client.recognize_utterance(**BOT, requestContentType="audio/lpcm", inputStream=body)


def spoken() -> UtteranceStream:
    """Return a body that can be read once."""
    return UtteranceStream(Utterance("pcm"))


@pytest.mark.parametrize("by_s", [-HOUR_S, HOUR_S])
def test_a_client_that_does_not_follow_is_refused_for_good(
    aws: Aws, jump: Callable[[float], None], by_s: float
) -> None:
    """boto3 alone never recovers from a wrong wall clock."""
    client = make_client(aws)
    recognize(client)
    jump(by_s)
    for _ in range(2):
        with pytest.raises(ClientError) as refused:
            recognize(client)
        assert is_refused_for_its_time(refused.value.response)
    assert aws.answers == [200, 403, 403]


@pytest.mark.parametrize("by_s", [-HOUR_S, HOUR_S])
@pytest.mark.parametrize("calls_before", [0, 1])
def test_a_wall_clock_that_jumps_is_not_noticed(
    aws: Aws, jump: Callable[[float], None], by_s: float, calls_before: int
) -> None:
    client = make_client(aws)
    follow_aws_clock(client)
    for _ in range(calls_before):
        recognize(client, spoken())
    jump(by_s)
    recognize(client, spoken())
    jump(-by_s)
    recognize(client, spoken())
    assert set(aws.answers) == {200}


@pytest.mark.parametrize("by_s", [-HOUR_S, HOUR_S])
def test_a_clock_that_was_wrong_from_the_start_costs_one_refusal(
    aws: Aws, jump: Callable[[float], None], by_s: float
) -> None:
    jump(by_s)
    client = make_client(aws)
    follow_aws_clock(client)
    for _ in range(2):
        recognize(client, b"pcm")
    jump(0)  # and the operator corrects it
    recognize(client, b"pcm")
    assert aws.answers == [403, 200, 200, 200]


def test_a_live_body_is_not_sent_twice(aws: Aws, jump: Callable[[float], None]) -> None:
    """A live body cannot be sent twice, so only the next request is signed with the right time."""
    jump(HOUR_S)
    client = make_client(aws)
    follow_aws_clock(client)
    with pytest.raises(ClientError) as refused:
        recognize(client, spoken())
    assert is_refused_for_its_time(refused.value.response)
    recognize(client, spoken())
    assert aws.answers == [403, 200]


def test_every_operation_of_both_generations_follows(aws: Aws, jump: Callable[[float], None]) -> None:
    v1, v2 = make_client(aws, "lex-runtime"), make_client(aws, "lexv2-runtime")
    v1_bot = {"botName": "OrderFlowers", "botAlias": "prod", "userId": "CA-session"}
    for client in (v1, v2):
        follow_aws_clock(client)
    jump(-HOUR_S)
    v1.post_content(**v1_bot, contentType="audio/lpcm", inputStream=spoken())  # its body is not signed
    v1.post_text(**v1_bot, inputText="hello")  # its body is
    v1.get_session(**v1_bot)
    v2.recognize_text(**BOT, text="hello")
    v2.get_session(**BOT)
    assert aws.answers == [200] * 5


def test_a_wrong_key_is_refused_once(aws: Aws) -> None:
    session = boto3.Session(KEYS.access_key, "another secret", region_name="us-west-2")
    client = session.client("lexv2-runtime", endpoint_url=aws.url)
    follow_aws_clock(client)
    with pytest.raises(ClientError) as refused:
        recognize(client)
    assert not is_refused_for_its_time(refused.value.response)
    assert aws.answers == [403]


def test_a_time_that_stays_refused_is_refused_at_last(aws: Aws, jump: Callable[[float], None]) -> None:
    """A proxy may replace AWS's Date with the time of this machine: then no try helps."""
    aws.sends_date = False
    jump(HOUR_S)
    client = make_client(aws)
    follow_aws_clock(client)
    with pytest.raises(ClientError):
        recognize(client)
    assert aws.answers == [403, 403]


def test_no_other_client_follows(aws: Aws, jump: Callable[[float], None]) -> None:
    follow_aws_clock(make_client(aws))
    other = make_client(aws)
    jump(HOUR_S)
    with pytest.raises(ClientError):
        recognize(other)


def test_a_client_that_does_not_sign_goes_on_not_signing(aws: Aws) -> None:
    unsigned = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    client = boto3.client("lex-runtime", region_name="us-west-2", endpoint_url=aws.url, config=unsigned)
    follow_aws_clock(client)
    with pytest.raises(ClientError):
        client.post_text(botName="OrderFlowers", botAlias="prod", userId="CA-session", inputText="hello")
    assert aws.answers == [401]


def test_a_request_without_an_answer_is_not_sent_again() -> None:
    client = boto3.client(
        "lexv2-runtime",
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="secret",
        region_name="us-west-2",
        endpoint_url="http://127.0.0.1:9",
        config=Config(retries={"total_max_attempts": 1}),
    )
    follow_aws_clock(client)
    with pytest.raises(EndpointConnectionError):
        recognize(client)


def test_an_invalid_date_is_ignored() -> None:
    clock = AwsClock()
    before = clock.now()
    for date in ("", "yesterday", "Thu, 01 Jan 99999 00:00:00 GMT"):
        clock.learn(date)
    assert 0 <= (clock.now() - before).total_seconds() < HOUR_S / 2


def test_a_wrong_wall_clock_is_logged_until_it_is_right(jump: Callable[[float], None], logged: Logged) -> None:
    clock = AwsClock()
    for by_s in (0, HOUR_S, HOUR_S, 0, -HOUR_S):
        jump(by_s)
        clock.learn(formatdate(true_time(), usegmt=True))
    lines = [(line["event"], line["level"], round(line["ahead_s"], -1)) for line in logged()]
    assert lines == [("clock-differs-from-aws", "warning", HOUR_S), ("clock-differs-from-aws", "warning", -HOUR_S)]


@pytest.mark.parametrize(
    ("code", "message", "is_for_its_time"),
    [
        ("RequestTimeTooSkewed", "", True),
        ("RequestExpired", "Request has expired.", True),
        ("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than", True),
        ("SignatureDoesNotMatch", "Signature not yet current: 20260101T000000Z is still later than", True),
        ("InvalidSignatureException", "The request signature we calculated does not match", False),
        ("AccessDeniedException", "Signature expired", False),
        ("ExpiredTokenException", "The security token included in the request is expired", False),
    ],
)
def test_a_refusal_for_its_time_is_known_from_others(code: str, message: str, is_for_its_time: bool) -> None:
    assert is_refused_for_its_time({"Error": {"Code": code, "Message": message}}) is is_for_its_time
    assert not is_refused_for_its_time({})
