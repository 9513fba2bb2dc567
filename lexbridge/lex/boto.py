"""boto3's client for the bot of the settings: its credentials, its connections, its clock."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal
from weakref import WeakValueDictionary

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader

from lexbridge.config.bots import LexV1Bot
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.reading import TEMPORARY_KEY, session_token_missing
from lexbridge.config.service_settings import ServiceSettings
from lexbridge.config.settings import Settings
from lexbridge.errors import ConfigError, Problem
from lexbridge.lex.assumed_role import RoleCredentials, sts_config
from lexbridge.lex.aws_clock import follow_aws_clock
from lexbridge.lex.circuit_breaker import Breakers
from lexbridge.lex.client import LexClient
from lexbridge.lex.request_queue import RequestQueue
from lexbridge.lex.runtime import Deadlines
from lexbridge.lex.v1 import LexV1
from lexbridge.lex.v2 import LexV2
from lexbridge.net.capped_http import cap_lex

_LOADER = create_loader()
"""The loader of boto3's descriptions of AWS's services: it keeps what it has read, for forked processes, too."""


def warm_up(bots: Iterable[LineSettings], *, may_change: bool = False) -> None:
    """Read what `LexClients` need from the disk, so that the processes forked later need not. Send no request.

    `may_change`: whether there may be other bots later, of either generation, and asked by a role. Raise ConfigError if
    boto3 cannot use what it reads.
    """
    with _boto3_settled():
        services: set[tuple[str, str]] = set()
        for line in bots:
            services.add((service_of(line), line.aws_region))
            if line.bot_role_arn is not None:
                services.add(("sts", line.aws_region))
        if may_change and services:
            _, region = min(services)
            services |= {(service, region) for service in ("lex-runtime", "lexv2-runtime", "sts")}
        for service, region in services:
            _session("none", "none", None, region).client(service, endpoint_url="http://127.0.0.1:9")


@contextmanager
def _boto3_settled() -> Iterator[None]:
    """Turn what boto3 finds wrong with its own variables and files into a ConfigError."""
    try:
        yield
    # For example: an unknown profile, half a pair of AWS_* keys, a broken ~/.aws/config, no address, a missing file of
    # certificates.
    except (BotoCoreError, ValueError, OSError) as error:
        rule = "mend what boto3 reads: its variables AWS_*, or ~/.aws"
        raise ConfigError([Problem("AWS_*", f"boto3 says: {error}", rule)]) from error


def _session(
    access_key_id: str | None, secret_access_key: str | None, session_token: str | None, region: str
) -> boto3.Session:
    core = botocore.session.get_session()
    core.register_component("data_loader", _LOADER)
    return boto3.Session(
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        aws_session_token=session_token,
        region_name=region,
        botocore_session=core,
    )


def _keys_of(settings: ServiceSettings) -> tuple[str | None, str | None, str | None]:
    """Return the key id, the secret key and the session token of the settings.

    Only temporary keys have a token. With others, AWS_SESSION_TOKEN belongs to boto3's own AWS_ACCESS_KEY_ID.
    """
    key_id = settings.access_key_id
    token = settings.aws_session_token if key_id and key_id.startswith(TEMPORARY_KEY) else None
    return key_id, settings.secret_access_key, token


def _check(credentials: Credentials) -> None:
    """Raise ConfigError if `credentials` are temporary and have no session token."""
    if isinstance(credentials, RefreshableCredentials):
        return  # boto3 has fetched them itself, with their token
    if (credentials.access_key or "").startswith(TEMPORARY_KEY) and not credentials.token:
        where = {"env": "AWS_ACCESS_KEY_ID", "explicit": "ACCESS_KEY_ID"}.get(credentials.method, "aws_access_key_id")
        raise ConfigError([session_token_missing(where)])


def service_of(line: LineSettings) -> Literal["lex-runtime", "lexv2-runtime"]:
    """Return boto3's name of the AWS service that runs the line's bot."""
    return "lex-runtime" if isinstance(line.bot, LexV1Bot) else "lexv2-runtime"


def make_session(settings: ServiceSettings, region: str, role_arn: str | None = None) -> boto3.Session:
    """Make a boto3 session with the credentials of the settings, or with those of a role that is assumed with them.

    The role is assumed when a request first needs it, and anew before its credentials expire. Raise ConfigError if
    boto3 finds no AWS credentials, or cannot use what it finds.
    """
    with _boto3_settled():
        session = _session(*_keys_of(settings), region)
        credentials = session.get_credentials()
    if credentials is None:
        rule = (
            "set it and SECRET_ACCESS_KEY, or run where boto3 finds credentials by itself (task role, profile, AWS_*)"
        )
        raise ConfigError([Problem("ACCESS_KEY_ID", "is not set and boto3 finds no AWS credentials", rule)])
    _check(credentials)
    return session if role_arn is None else _assuming(_make_sts(session, region), role_arn, region)


def _make_sts(session: boto3.Session, region: str) -> Any:
    """Make the client that asks STS for a role with the credentials of `session`."""
    with _boto3_settled():
        sts = session.client("sts", region, config=sts_config())
    cap_lex(sts)
    follow_aws_clock(sts)
    return sts


def _assuming(sts: Any, role_arn: str, region: str) -> boto3.Session:
    """Return a session with the credentials of a role, which `sts` gives."""
    assumed = botocore.session.get_session()
    assumed.register_component("data_loader", _LOADER)
    assumed._credentials = RoleCredentials(sts, role_arn)  # boto3 has no other way to give credentials that change
    return boto3.Session(botocore_session=assumed, region_name=region)


@dataclass(frozen=True, slots=True)
class _ClientKey:
    """Values that two lines have in common if they share a client of boto3."""

    service: Literal["lex-runtime", "lexv2-runtime"]
    region: str
    role_arn: str | None
    endpoint_url: str | None
    deadlines: Deadlines

    @classmethod
    def of(cls, line: LineSettings, deadlines: Deadlines) -> "_ClientKey":
        """Return the key of the client for a line's bot."""
        return cls(service_of(line), line.aws_region, line.bot_role_arn, line.bot_endpoint_url, deadlines)


class LexClients:
    """The clients of all lines of a process. The first takes 0.4 s, so make all before calls are served.

    Lines share a client of boto3 where they can, and lines with the same bot share a circuit breaker. `make` and
    `make_ready` may add a client, and `keep_only` lets go of those that nothing needs any more.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        # By role. Their clients may be in any region, and a session takes longer to make than a client.
        self._sessions: dict[str | None, boto3.Session] = {}
        self._sts_urls: dict[str, str] = {}  # by role
        self._clients: dict[_ClientKey, Any] = {}
        self._breakers = Breakers(time.monotonic)
        # By the line's name, as long as a client has it: calls may go on with that of a line that is gone.
        self._queues: WeakValueDictionary[str, RequestQueue] = WeakValueDictionary()

    def make(self, line: LineSettings, deadlines: Deadlines, name: str = "") -> LexClient:
        """Make the client of a line's bot. Raise ConfigError if boto3 finds no AWS credentials.

        `name`: that of the line, whose clients share a limit of requests.
        """
        client = self.client_of(line, deadlines)
        api = LexV1(client, line.bot) if isinstance(line.bot, LexV1Bot) else LexV2(client, line.bot)
        queue = self._queues.setdefault(name, RequestQueue(name))
        queue.limit = line.line_max_requests
        speaks = line.reply_mode == "stream"
        return LexClient(api, deadlines, speaks=speaks, breakers=self._breakers, queue=queue)

    def client_of(self, line: LineSettings, deadlines: Deadlines) -> Any:
        """Return boto3's client for a line's bot, which is made once. Raise ConfigError."""
        self.make_ready(line, deadlines, lambda make: make())
        return self._clients[_ClientKey.of(line, deadlines)]

    def make_ready(self, line: LineSettings, deadlines: Deadlines, run: Callable[[Callable[[], Any]], Any]) -> None:
        """Make boto3's client for a line's bot, unless there is one. Raise ConfigError.

        `run`: calls the function that makes it, such as on a thread, and returns what that returns.
        """
        key = _ClientKey.of(line, deadlines)
        if key not in self._clients:
            made = run(partial(self._make_client, key))
            self._clients.setdefault(key, made)  # meanwhile a call may have needed it

    def keep_only(self, used: Iterable[tuple[LineSettings, Deadlines]]) -> None:
        """Let go of the clients of all bots but those of `used`. Who has one of the others may go on with it."""
        keys = {_ClientKey.of(line, deadlines) for line, deadlines in used}
        self._clients = {key: client for key, client in self._clients.items() if key in keys}
        roles = {None, *(key.role_arn for key in keys)}
        self._sessions = {role: session for role, session in self._sessions.items() if role in roles}
        self._sts_urls = {role: url for role, url in self._sts_urls.items() if role in roles}

    @property
    def endpoint_urls(self) -> Sequence[str]:
        """The addresses of Lex and STS that the clients ask."""
        return [*(str(client.meta.endpoint_url) for client in self._clients.values()), *self._sts_urls.values()]

    def _make_client(self, key: _ClientKey) -> Any:
        session = self._session(key.region, key.role_arn)
        config = Config(
            connect_timeout=key.deadlines.connect_s,
            read_timeout=key.deadlines.answer_s,
            retries={"total_max_attempts": 1},
            max_pool_connections=self._settings.max_calls,
            tcp_keepalive=True,
        )
        with _boto3_settled():
            client = session.client(key.service, key.region, config=config, endpoint_url=key.endpoint_url)
        cap_lex(client)
        follow_aws_clock(client)
        return client

    def _session(self, region: str, role_arn: str | None) -> boto3.Session:
        """Return the session of all clients with a role. `region`: where the role is assumed, if it is new."""
        if (made := self._sessions.get(role_arn)) is not None:
            return made
        if role_arn is None:
            made = make_session(self._settings, region)
        else:
            sts = _make_sts(self._session(region, None), region)
            self._sts_urls[role_arn] = str(sts.meta.endpoint_url)
            made = _assuming(sts, role_arn, region)
        return self._sessions.setdefault(role_arn, made)


def make_lex_runtime(settings: Settings, deadlines: Deadlines) -> LexClient:
    """Make the client of the default line's bot alone. Raise ConfigError if boto3 finds no AWS credentials."""
    return LexClients(settings.service).make(settings.line, deadlines)
