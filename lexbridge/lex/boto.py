"""boto3's client for the bot of the settings: its credentials, its connections, its clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader

from lexbridge.config.bots import LexV1Bot
from lexbridge.config.reading import TEMPORARY_KEY, session_token_missing
from lexbridge.config.settings import Settings
from lexbridge.errors import ConfigError, Problem
from lexbridge.lex.aws_clock import follow_aws_clock
from lexbridge.lex.client import LexClient
from lexbridge.lex.runtime import Deadlines
from lexbridge.lex.v1 import LexV1
from lexbridge.lex.v2 import LexV2
from lexbridge.net.capped_http import cap_lex

_LOADER = create_loader()
"""The loader of boto3's descriptions of AWS's services: it keeps what it has read, for forked processes, too."""


def warm_up(settings: Settings) -> None:
    """Read what `make_lex_runtime` needs from the disk, so that the processes forked later need not. Send no request.

    Raise ConfigError if boto3 cannot use what it reads.
    """
    with _boto3_settled():
        session = _session("none", "none", None, settings.aws_region)
        session.client(service_of(settings), endpoint_url="http://127.0.0.1:9")


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


def _keys_of(settings: Settings) -> tuple[str | None, str | None, str | None]:
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


def service_of(settings: Settings) -> Literal["lex-runtime", "lexv2-runtime"]:
    """Return boto3's name of the AWS service that runs the bot."""
    return "lex-runtime" if isinstance(settings.bot, LexV1Bot) else "lexv2-runtime"


def make_session(settings: Settings) -> boto3.Session:
    """Make a boto3 session with the credentials and the region of the settings.

    Raise ConfigError if boto3 finds no AWS credentials, or cannot use what it finds.
    """
    with _boto3_settled():
        session = _session(*_keys_of(settings), settings.aws_region)
        credentials = session.get_credentials()
    if credentials is None:
        rule = (
            "set it and SECRET_ACCESS_KEY, or run where boto3 finds credentials by itself (task role, profile, AWS_*)"
        )
        raise ConfigError([Problem("ACCESS_KEY_ID", "is not set and boto3 finds no AWS credentials", rule)])
    _check(credentials)
    return session


def make_lex_runtime(settings: Settings, deadlines: Deadlines) -> LexClient:
    """Make the one client that all calls share. This takes 0.4 s, so call it before any call is served.

    Raise ConfigError if boto3 finds no AWS credentials.
    """
    session = make_session(settings)
    config = Config(
        connect_timeout=deadlines.connect_s,
        read_timeout=deadlines.answer_s,
        retries={"total_max_attempts": 1},
        max_pool_connections=settings.max_calls,
        tcp_keepalive=True,
    )
    with _boto3_settled():
        client = session.client(service_of(settings), config=config)
    cap_lex(client)
    follow_aws_clock(client)
    api = LexV1(client, settings.bot) if isinstance(settings.bot, LexV1Bot) else LexV2(client, settings.bot)
    return LexClient(api, deadlines, speaks=settings.reply_mode == "stream")
