"""The check of AWS: whose the credentials are, and whether they reach the bot.

No request begins a session, sends a request to the bot, or runs its Lambda function. Real AWS never answered these
requests while this was written: where an answer is not documented, the check reads each one that AWS may give, and
shows it.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, SSLError
from botocore.exceptions import ConnectionError as NotConnected

from lexbridge.config.bots import LexV1Bot
from lexbridge.config.settings import Settings
from lexbridge.lex.aws_clock import AwsClock, follow_aws_clock
from lexbridge.lex.boto import make_session, service_of
from lexbridge.lex.faults import BOTO_ERRORS
from lexbridge.net.capped_http import cap_lex
from lexbridge.server.checks.bot_requests import NO_LOCALE, CheckedBot, CheckedV1Bot, CheckedV2Bot
from lexbridge.server.checks.findings import Finding, failed, not_asked, ok, quoted, warning

CONNECT_S, ANSWER_S = 3.0, 5.0

IDENTITY, BOT, PERMISSIONS, CLOCK = "AWS identity", "Lex bot", "Lex permissions", "clock"

_CREDENTIALS = "ACCESS_KEY_ID and SECRET_ACCESS_KEY, or what boto3 finds (task role, profile, AWS_*)"

_BAD_CREDENTIALS: Mapping[str, str] = {
    "UnrecognizedClientException": "AWS does not know the access key (or the region is not enabled in the account)",
    "InvalidClientTokenId": "AWS does not know the access key (or the region is not enabled in the account)",
    "InvalidSignatureException": "the secret does not belong to the access key",
    "SignatureDoesNotMatch": "the secret does not belong to the access key",
    "ExpiredToken": "the credentials have expired",
    "ExpiredTokenException": "the credentials have expired",
    "MissingAuthenticationToken": "the request carried no credentials",
    "MissingAuthenticationTokenException": "the request carried no credentials",
    "IncompleteSignature": "the access key has a form that AWS does not take",
    "IncompleteSignatureException": "the access key has a form that AWS does not take",
}
_DENIED = ("AccessDenied", "AccessDeniedException")
_NOT_FOUND = ("NotFoundException", "ResourceNotFoundException", "BadRequestException", "ValidationException")
_WORTH_A_ROW_S = 60.0


def check_identity(settings: Settings) -> Iterator[Finding]:
    """Yield the identity of the credentials, from STS, which answers without any permission.

    An STS that cannot be reached, or that is forbidden, is a warning: calls do not need it.
    """
    lex_elsewhere = next((name for name in _LEX_ENDPOINTS if os.environ.get(name)), None)
    if lex_elsewhere and not os.environ.get("AWS_ENDPOINT_URL_STS"):
        # The credentials may be for that endpoint only, such as invented ones for the local Lex.
        remedy = "set AWS_ENDPOINT_URL_STS to have it asked"
        yield warning(IDENTITY, f"unknown: {lex_elsewhere} is set, and STS may not be the same AWS", remedy)
        return
    client = _client(settings, "sts")
    follow_aws_clock(client)
    try:
        said = client.get_caller_identity()
    except ClientError as error:
        code, words = _code(error), quoted(_words(error))
        if code in _BAD_CREDENTIALS:
            yield failed(IDENTITY, f"{_BAD_CREDENTIALS[code]}; AWS: {words}", f"check {_CREDENTIALS}")
        else:
            yield warning(IDENTITY, f"unknown: STS answered {code}; AWS: {words}")
    except BOTO_ERRORS as error:
        yield warning(IDENTITY, f"unknown: STS cannot be reached at {client.meta.endpoint_url} ({_kind(error)})")
    else:
        yield ok(IDENTITY, f"{quoted(said.get('Arn', ''))[1:-1]}, account {quoted(said.get('Account', ''))[1:-1]}")


_LEX_ENDPOINTS = ("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE")


def check_bot(settings: Settings) -> Iterator[Finding]:
    """Yield whether Lex finds the bot, its alias and its locale, and which permissions the credentials have.

    It asks for the session of an id that was never used.
    """
    client = _client(settings, service_of(settings.line), settings.line.bot_endpoint_url)
    cap_lex(client)
    clock = follow_aws_clock(client)
    bot = (
        CheckedV1Bot(client, settings.line.bot)
        if isinstance(settings.line.bot, LexV1Bot)
        else CheckedV2Bot(client, settings.line.bot)
    )
    try:
        client_error = _error_of(bot.get_session)
    except BOTO_ERRORS as error:
        yield _unreached(settings, client, error)
        yield not_asked(PERMISSIONS, "Lex cannot be reached")
        return
    yield from _clock(clock)
    finding = _judge(bot, client_error)
    yield finding or _found(bot, settings)
    if finding is None or (client_error is not None and _code(client_error) in _DENIED):
        yield _permissions(bot, settings, is_denied=finding is not None)
    else:
        yield not_asked(PERMISSIONS, "the bot is not found")


def _judge(bot: CheckedBot, error: ClientError | None) -> Finding | None:
    """Return what the answer to GetSession says against the bot, or None if the bot exists without such a session."""
    if error is None:
        return None
    code, status, words = _code(error), _status(error), _words(error).replace(bot.session_id, "(id)")
    said = f"AWS: {quoted(words)}"
    if code in _BAD_CREDENTIALS:
        return failed(BOT, f"{_BAD_CREDENTIALS[code]}; {said}", f"check {_CREDENTIALS}")
    if code in _DENIED or status == 403:
        remedy = f"allow lex:GetSession on {bot.resource}, or check that this is the bot: {bot.variables}"
        return failed(BOT, f"{bot.where}: access denied; {said}", remedy)
    if status == 404 or code in _NOT_FOUND:
        return None if _is_about_session(bot, error, words) else _missing(bot, said)
    return failed(BOT, f"Lex answered {status} {code}; {said}", "try again; AWS's health dashboard reports outages")


def _missing(bot: CheckedBot, said: str) -> Finding:
    return failed(BOT, f"{bot.where}: not found; {said}", f"check {bot.variables}; has the bot's locale been built?")


def _is_about_session(bot: CheckedBot, error: ClientError, words: str) -> bool:
    """Return whether Lex does not find the session, as expected, rather than the bot, its alias or its locale.

    The text of either error is not documented. For a bot Lex is known to say "is not a valid BotId/BotAliasId
    combination", "Invalid bot name or alias", "There is no alias". If the text does not name the session, the same
    request is sent for a locale that does not exist: a different answer then means that our locale exists.
    """
    if re.search(r"not a valid bot|invalid bot|no alias|no bot\b|no locale", words, re.IGNORECASE):
        return False
    if re.search(r"\bsession|\buser\b", words, re.IGNORECASE):
        return True
    try:
        other = _error_of(bot.get_session_elsewhere)
    except (LookupError, *BOTO_ERRORS):
        return False
    if other is None:
        return False
    named = bot.names.get("localeId", "")
    return (_code(error), words.replace(named, "")) != (
        _code(other),
        _words(other).replace(bot.session_id, "(id)").replace(NO_LOCALE, ""),
    )


def _found(bot: CheckedBot, settings: Settings) -> Finding:
    """Return the finding that the bot exists. An oddity of it, such as a test alias, is a warning of the settings."""
    return ok(BOT, f"{bot.where}, in {settings.line.aws_region}")


def _permissions(bot: CheckedBot, settings: Settings, is_denied: bool) -> Finding:
    """Return which actions the credentials allow. `is_denied`: whether GetSession was denied.

    A request that cannot be carried out shows it, because AWS checks the permission first. [That is not documented.]
    """
    actions: dict[str, Callable[[], object]] = {bot.recognize_action: bot.recognize}
    line = settings.line
    speaks_first = line.welcome == "bot" or (line.transfer_failed_intent or line.machine_intent) is not None
    if line.reply_mode == "stream" or line.join or speaks_first:
        actions["lex:PutSession"] = bot.put_session
    denied = ["lex:GetSession"] if is_denied else []
    try:
        for action, ask in actions.items():
            error = _error_of(ask)
            if error is not None and _status(error) == 403:
                denied.append(action)
    except BOTO_ERRORS as error:
        return not_asked(PERMISSIONS, f"Lex did not answer ({_kind(error)})", "try again")
    if denied:
        remedy = f"allow them in IAM, on the resource that ends in {bot.resource}"
        return failed(PERMISSIONS, f"not allowed: {', '.join(denied)}", remedy)
    return ok(PERMISSIONS, ", ".join(["lex:GetSession", *actions]))


def _clock(clock: AwsClock) -> Iterator[Finding]:
    ahead_s = round(time.time() - clock.now().timestamp())
    if abs(ahead_s) > _WORTH_A_ROW_S:
        how = f"{abs(ahead_s)} s {'ahead of' if ahead_s > 0 else 'behind'} AWS's"
        yield warning(
            CLOCK, f"this machine's clock is {how}", "synchronise it with a time server (NTP); calls work nevertheless"
        )


def _unreached(settings: Settings, client: Any, error: Exception) -> Finding:
    why = f"not reached at {client.meta.endpoint_url} ({_kind(error)})"
    service = service_of(settings.line)
    regions = _session(settings).get_available_regions(service)
    if not any(map(os.environ.get, _LEX_ENDPOINTS)) and settings.line.aws_region not in regions:
        return failed(BOT, why, f"check AWS_REGION: boto3 knows Lex in {', '.join(regions)}")
    if isinstance(error, SSLError):
        return failed(BOT, why, "a proxy may be in between: boto3 reads AWS_CA_BUNDLE")
    if isinstance(error, (NotConnected, HTTPClientError)):
        return failed(BOT, why, f"check this machine's network, AWS_REGION and {_LEX_ENDPOINTS[0]}")
    return failed(BOT, f"{why}: {quoted(error)}", f"check {_CREDENTIALS}")


def _session(settings: Settings) -> boto3.Session:
    return make_session(settings.service, settings.line.aws_region, settings.line.bot_role_arn)


def _client(settings: Settings, service: str, endpoint_url: str | None = None) -> Any:
    limits = {"connect_timeout": CONNECT_S, "read_timeout": ANSWER_S, "retries": {"total_max_attempts": 1}}
    return _session(settings).client(service, config=Config(**limits), endpoint_url=endpoint_url)


def _error_of(ask: Callable[[], object]) -> ClientError | None:
    """Return the error that AWS answered, or None if it answered without one. Raises the others of BOTO_ERRORS."""
    try:
        ask()
    except ClientError as error:
        return error
    return None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))[:80]


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))


def _words(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


def _kind(error: BaseException) -> str:
    """Return the class of an error without its text, because some texts repeat the whole address."""
    return type(error).__name__ if isinstance(error, BotoCoreError | OSError) else "broken answer"
