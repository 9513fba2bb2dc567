"""boto3's client for the bot of the settings: its credentials and its connections."""

import contextlib
import socket
from dataclasses import replace
from email.message import Message
from http.client import parse_headers
from pathlib import Path

import boto3
import gevent
import pytest
from gevent.server import StreamServer

from lexbridge.config.bots import LexV1Bot
from lexbridge.errors import ConfigError, LexRejected, LexUnavailable
from lexbridge.lex import boto
from lexbridge.lex.boto import LexClients, make_lex_runtime, warm_up
from lexbridge.lex.client import LexClient
from lexbridge.lex.runtime import Deadlines, LexRequest
from lexbridge.lex.v1 import LexV1
from lexbridge.logs import Log
from tests.support.boto import without_credentials
from tests.support.fixtures import Logged
from tests.support.flower_order import FLOWERS
from tests.support.lexes import GENERATIONS, SpokenUtterance, asked, lex_of, local_lex
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, PATIENT, settings


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


def test_no_credentials_anywhere_is_a_problem_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)
    with pytest.raises(ConfigError, match="ACCESS_KEY_ID: is not set and boto3 finds no AWS credentials"):
        make_lex_runtime(settings(ACCESS_KEY_ID="", SECRET_ACCESS_KEY=""), Deadlines())


TEMPORARY = {"AWS_ACCESS_KEY_ID": "ASIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


def signing_with(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], **names: str) -> tuple[str, str | None]:
    """Return the id of the access key and the session token with which a request to Lex is signed."""
    without_credentials(monkeypatch)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    heads: list[Message] = []

    def hang_up(connection: socket.socket, _: object) -> None:
        with connection, connection.makefile("rb") as request:
            request.readline()
            heads.append(parse_headers(request))

    server = StreamServer(("127.0.0.1", 0), hang_up)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", f"http://127.0.0.1:{server.server_port}")
    given = {"ACCESS_KEY_ID": "", "SECRET_ACCESS_KEY": "", **names}
    lex = make_lex_runtime(settings(**given), Deadlines(answer_s=PATIENCE_S))
    with contextlib.closing(server), pytest.raises(LexUnavailable):
        lex.ask(asked(), Log())
    key_id = heads[0]["Authorization"].partition("Credential=")[2].partition("/")[0]
    return key_id, heads[0]["X-Amz-Security-Token"]


@pytest.mark.parametrize(
    ("environment", "names", "signed"),
    [
        (
            {},
            {"ACCESS_KEY_ID": "ASIA1", "SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "a-token"},
            ("ASIA1", "a-token"),
        ),
        ({**TEMPORARY, "AWS_SESSION_TOKEN": "a-token"}, {}, ("ASIAEXAMPLE", "a-token")),
        # A session token does not belong to keys that are not temporary.
        (
            {**TEMPORARY, "AWS_SESSION_TOKEN": "a-token"},
            {"ACCESS_KEY_ID": "AKIA1", "SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "a-token"},
            ("AKIA1", None),
        ),
    ],
    ids=["the blog's names", "boto3's names", "both"],
)
def test_temporary_credentials_sign_with_their_token(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], names: dict[str, str], signed: tuple[str, str | None]
) -> None:
    assert signing_with(monkeypatch, environment, **names) == signed


def test_temporary_credentials_without_a_token_are_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Temporary credentials under boto3's names but without a token are a problem with the settings."""
    without_credentials(monkeypatch)
    for name, value in TEMPORARY.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="AWS_SESSION_TOKEN: is not set; AWS_ACCESS_KEY_ID begins with ASIA"):
        make_lex_runtime(settings(ACCESS_KEY_ID="", SECRET_ACCESS_KEY=""), Deadlines())
    without_credentials(monkeypatch)
    profile = tmp_path / "credentials"
    profile.write_text("[default]\naws_access_key_id = ASIAEXAMPLE\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    with pytest.raises(ConfigError, match="AWS_SESSION_TOKEN: is not set; aws_access_key_id begins with ASIA"):
        make_lex_runtime(settings(ACCESS_KEY_ID="", SECRET_ACCESS_KEY=""), Deadlines())


def test_lines_in_several_regions_ask_lex_in_their_own() -> None:
    made = settings()
    clients = LexClients(made.service)
    for region in ("us-west-2", "eu-central-1", "eu-west-2", "us-west-2"):
        clients.make(replace(made.line, aws_region=region), Deadlines())
    hosts = [url.removeprefix("https://") for url in clients.endpoint_urls]
    assert hosts == [f"runtime.lex.{region}.amazonaws.com" for region in ("us-west-2", "eu-central-1", "eu-west-2")]


@pytest.mark.parametrize("may_change", [False, True])
def test_what_other_bots_may_need_is_read_before_the_fork(may_change: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later table may have bots of the other generation, or ask one by a role."""
    made: list[str] = []

    class Session:
        def client(self, service: str, **_: object) -> None:
            made.append(service)

    monkeypatch.setattr(boto, "_session", lambda *_: Session())
    warm_up([settings().line], may_change=may_change)
    assert sorted(made) == (["lex-runtime", "lexv2-runtime", "sts"] if may_change else ["lex-runtime"])


def test_clients_that_no_line_needs_are_let_go() -> None:
    clients, made = LexClients(settings().service), settings()
    role = settings(BOT_ROLE_ARN="arn:aws:iam::123456789012:role/flowers").line
    kept, gone = made.line, replace(made.line, aws_region="eu-west-2")
    first = clients.make(kept, Deadlines(), "kept")
    for line, name in ((gone, "gone"), (role, "role")):
        clients.make(line, Deadlines(), name)
    assert len(clients.endpoint_urls) == 4  # three of Lex, one of STS
    clients.keep_only([(kept, Deadlines())])
    (url,) = clients.endpoint_urls
    assert "us-west-2" in url
    assert clients.make(kept, Deadlines())._api.client is first._api.client  # type: ignore[attr-defined]
    assert dict(clients._queues).keys() == {"kept"}
    assert len(clients._breakers._breakers) == 1
    clients.make(role, Deadlines())
    assert len(clients.endpoint_urls) == 3


def test_a_line_that_comes_back_shares_its_limit_with_live_calls() -> None:
    """A call goes on with the client of a line that was gone for a while."""
    clients, line = LexClients(settings().service), settings().line
    live = clients.make(line, Deadlines(), "shop")
    clients.keep_only([])
    again = clients.make(line, Deadlines(), "shop")
    assert again._queue is live._queue
    assert again._breaker is live._breaker


def test_a_client_that_a_thread_has_made_serves_greenlets(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, *[FLOWERS] * 8) as local:
        clients, line = LexClients(settings().service), settings().line
        clients.make_ready(line, PATIENT, gevent.get_hub().threadpool.apply)
        lex = clients.make(line, PATIENT)
        asking = [gevent.spawn(lex.ask, replace(asked(), session_id=f"CA-{each}"), Log()) for each in range(8)]
        gevent.joinall(asking, timeout=PATIENCE_S, raise_error=True)
        assert len(local.requests) == 8


def test_a_request_without_credentials_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request without credentials is a rejection whose error names the settings.

    A task role that was taken away has this effect.
    """
    without_credentials(monkeypatch)
    client = boto3.client("lex-runtime", region_name="us-west-2", endpoint_url="http://127.0.0.1:9")
    lex = LexClient(LexV1(client, LexV1Bot("OrderFlowers", "prod")), Deadlines())
    with pytest.raises(LexRejected, match="no AWS credentials; check ACCESS_KEY_ID and SECRET_ACCESS_KEY or the task"):
        lex.ask(asked(), Log())


@GENERATIONS
def test_the_turns_of_a_call_go_over_one_connection(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS, "roses", "tomorrow") as local:
        lex = lex_of(generation)
        for _ in range(3):
            lex.ask(asked(), Log())
        assert len({request.client_port for request in local.requests}) == 1


def test_as_many_connections_are_kept_as_there_may_be_calls(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    calls = 12  # botocore's own default is ten
    with local_lex(monkeypatch, *[FLOWERS] * 2 * calls) as local:
        lex = make_lex_runtime(settings(MAX_CALLS=str(calls)), PATIENT)
        for _ in range(2):
            utterances = [SpokenUtterance() for _ in range(calls)]
            asking = [
                gevent.spawn(lex.ask, LexRequest(f"CA-session-{number}", None, utterance), Log())
                for number, utterance in enumerate(utterances)
            ]
            already = len(local.requests)
            for utterance in utterances:
                utterance.speaks()
            wait_until(lambda already=already: len(local.requests) == already + calls)  # all at the same time
            for utterance in utterances:
                utterance.close()
            for each in asking:
                each.get(timeout=PATIENCE_S)
        assert len({request.client_port for request in local.requests}) == calls
    # urllib3 logs a warning for each connection that it does not keep. A test before this one may still log others.
    assert [line for line in logged() if line["event"] != "peer-refused"] == []
