"""The errors that boto3 raises when it asks Lex, translated to LexError.

The question is what helps: another try, or the correction of a setting.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from lexbridge.errors import LexError, LexRejected, LexUnavailable, LexUnreadable
from lexbridge.lex.assumed_role import RoleNotAssumed
from lexbridge.lex.aws_clock import is_refused_for_its_time
from lexbridge.net.capped_http import is_success_lost, is_too_long

BOTO_ERRORS = (ClientError, BotoCoreError, ResponseParserError, HTTPError, OSError)
"""All errors that a request through boto3 raises.

HTTPError, urllib3's, and OSError are among them because botocore does not always wrap the error of a connection that
breaks while the body of an answer is read.
"""

# Refusals that another try, or another utterance, may get past. Other 4xx mean that a setting is wrong.
_TRANSIENT_STATUSES = (408, 409, 424, 429)
_THROTTLING_STATUSES = (409, 429)
_EXPIRED_CODES = ("ExpiredToken", "ExpiredTokenException")
"""403s for credentials that the next request renews."""

_PARSING_ERRORS = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""Errors that botocore lets through while it parses an answer of another form, such as headers that are no base64."""

_MAX_TEXT = 300
"""The longest text of an error that is quoted, in characters, because some texts quote what the peer has sent."""

_MAX_AWS_TEXT = 200
"""The longest text of AWS that is quoted, in characters, because that of a bad signature goes on with the request and
its token."""

_NOT_TO_LOG = re.compile(r"\[Source:.*|\+[0-9]{6,}", re.DOTALL)
"""What AWS's text may quote of a caller: the answer of a Lambda function, and telephone numbers."""

_CREDENTIALS = "ACCESS_KEY_ID, SECRET_ACCESS_KEY and what they, or the task role, are allowed to do"


def translate_error(error: Exception, settings: str, is_last: bool = False) -> LexError:
    """Return one of BOTO_ERRORS as a LexError.

    `settings`: the settings that a rejection asks the operator to check. `is_last`: whether no other request follows.
    """
    match error:
        case ClientError():
            return _refusal(error, settings, is_last)
        case RoleNotAssumed():
            return LexRejected(str(error)) if error.is_refusal else LexUnavailable(str(error))
        case NoCredentialsError() | PartialCredentialsError():
            return LexRejected("no AWS credentials; check ACCESS_KEY_ID and SECRET_ACCESS_KEY or the task role")
        case _ if is_success_lost(error):
            return LexUnreadable(why="Lex has answered 200, and its head cannot be read")
        case _ if is_too_long(error):
            return LexUnavailable("Lex's answer is too long")
        case _:
            return LexUnavailable(f"{type(error).__name__}: {error}"[:_MAX_TEXT])


@contextmanager
def parser_errors_only() -> Iterator[None]:
    """Turn the errors of botocore's parser, for an answer that it cannot read, into ResponseParserError."""
    try:
        yield
    except _PARSING_ERRORS as error:
        raise ResponseParserError(f"the answer cannot be read: {type(error).__name__}") from error


def shows_lex_is_up(error: LexError) -> bool | None:
    """Return whether the failure of a turn shows that Lex is up or down, or None if it shows neither.

    A Lex that refuses a request, or whose bot has a fault of its own such as a failing Lambda function, is up. An
    answer that cannot be read may come from something else, such as a proxy.
    """
    cause = error.__cause__
    if isinstance(error, LexUnreadable):
        return True
    if isinstance(cause, RoleNotAssumed):
        return None  # Lex was not asked
    if isinstance(cause, ClientError):
        status = _status(cause)
        if status == 502:  # Lex's own 502, for a bad answer of the function, has a code; a proxy's 502 has not
            return True if _code(cause).startswith("BadGateway") else None
        return True if 400 <= status < 500 else False if status >= 500 else None
    if cause is None:
        return False if isinstance(error, LexUnavailable) else None
    is_lost = isinstance(cause, (ConnectionError, HTTPClientError, HTTPError, OSError))
    return False if is_lost and not is_too_long(cause) else None


def is_throttled(error: LexError) -> bool:
    """Return whether Lex refused a request because it has too much to do."""
    return _status_behind(error) in _THROTTLING_STATUSES


def is_forbidden(error: LexError) -> bool:
    """Return whether these credentials are not allowed to do what was asked."""
    return _status_behind(error) == 403


def is_not_found(error: LexError) -> bool:
    """Return whether there is no such bot or session."""
    return _status_behind(error) == 404


def _refusal(error: ClientError, settings: str, is_last: bool) -> LexError:
    status = _status(error)
    code, text = _code(error), _aws_text(error)
    said = f"Lex answered {status} {code}" + (f": {text}" if text else "")
    is_stale = code in _EXPIRED_CODES or is_refused_for_its_time(error.response)
    # Lex sends no redirects. Something between does, such as a captive portal, and that is not a wrong setting.
    if not 400 <= status < 500 or status in _TRANSIENT_STATUSES or (is_stale and not is_last):
        return LexUnavailable(said)
    return LexRejected(f"{said}; check {_CREDENTIALS if status == 403 else settings}")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))[:_MAX_TEXT]


def _aws_text(error: ClientError) -> str:
    """Return AWS's text of an error in one line. It is about the bot or the request, and not what the caller said."""
    text = str(error.response.get("Error", {}).get("Message", ""))[: 10 * _MAX_AWS_TEXT]
    visible = "".join(character if character.isprintable() else " " for character in _NOT_TO_LOG.sub("...", text))
    return " ".join(visible.split())[:_MAX_AWS_TEXT]


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))


def _status_behind(error: LexError) -> int | None:
    """Return the HTTP status that `error` was made from, or None if it was made from something else."""
    return _status(error.__cause__) if isinstance(error.__cause__, ClientError) else None
