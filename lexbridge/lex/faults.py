"""What boto3 raises when it asks Lex, as errors of ours: may another try get past it, or is a setting wrong?"""

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
from lexbridge.lex.aws_clock import is_refused_for_its_time
from lexbridge.net.capped_http import is_success_lost, is_too_long

FAILURES = (ClientError, BotoCoreError, ResponseParserError, HTTPError, OSError)
"""HTTPError, urllib3's, and OSError: what a connection that breaks while an answer's body is read raises is not always
wrapped by botocore."""

# 4xx that another try, or another utterance, may well get past. The others mean that a setting is wrong.
_PASSING_STATUSES = (408, 409, 424, 429)
_CROWDED_STATUSES = (409, 429)
_EXPIRED_CODES = ("ExpiredToken", "ExpiredTokenException")
"""403s of credentials that are renewed by the next request."""

_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What botocore raises of an answer that is not in Lex's form: JSON of another shape, headers that are no base64."""

_LONGEST_WORDS = 300
"""Of an error's text in ours: some hold what a peer has sent."""

_LONGEST_AWS_WORDS = 200
"""Of AWS's own text. What follows in the text of a bad signature is the request, with its token."""

_NOT_TO_LOG = re.compile(r"\[Source:.*|\+[0-9]{6,}", re.DOTALL)
"""In AWS's own text: what a Lambda function has answered, and telephone numbers."""

_CREDENTIALS = "ACCESS_KEY_ID, SECRET_ACCESS_KEY and what they, or the task role, are allowed to do"


def as_ours(error: Exception, settings: str, is_last: bool = False) -> LexError:
    """One of FAILURES as an error of ours. `settings`: what a rejection says to check. `is_last`: there will be no
    other request."""
    match error:
        case ClientError():
            return _refusal(error, settings, is_last)
        case NoCredentialsError() | PartialCredentialsError():
            return LexRejected("no AWS credentials; check ACCESS_KEY_ID and SECRET_ACCESS_KEY or the task role")
        case _ if is_success_lost(error):
            return LexUnreadable(why="Lex has answered 200, and its head cannot be read")
        case _ if is_too_long(error):
            return LexUnavailable("Lex's answer is too long")
        case _:
            return LexUnavailable(f"{type(error).__name__}: {error}"[:_LONGEST_WORDS])


@contextmanager
def readable() -> Iterator[None]:
    """Around a request of boto3's. Raises ResponseParserError where botocore cannot read the answer."""
    try:
        yield
    except _UNREADABLE as error:
        raise ResponseParserError(f"the answer cannot be read: {type(error).__name__}") from error


def tells_lex_is_up(error: LexError) -> bool | None:
    """Whether Lex is up, by a turn that it did not answer as it should; None: the error does not tell.

    A bot's own faults, such as a Lambda function that fails, and requests that Lex refuses are answers of a Lex that is
    up. An answer that cannot be read may be somebody else's.
    """
    cause = error.__cause__
    if isinstance(error, LexUnreadable):
        return True
    if isinstance(cause, ClientError):
        status = _status(cause)
        if status == 502:  # Lex answers it for a bad answer of the function; without Lex's name on it, a proxy does
            return True if _code(cause).startswith("BadGateway") else None
        return True if 400 <= status < 500 else False if status >= 500 else None
    if cause is None:
        return False if isinstance(error, LexUnavailable) else None
    is_lost = isinstance(cause, (ConnectionError, HTTPClientError, HTTPError, OSError))
    return False if is_lost and not is_too_long(cause) else None


def is_crowded(error: LexError) -> bool:
    """Lex is there, and has more to do than it takes."""
    return _status_behind(error) in _CROWDED_STATUSES


def is_forbidden(error: LexError) -> bool:
    """These credentials may not do this."""
    return _status_behind(error) == 403


def is_unknown(error: LexError) -> bool:
    """There is no such bot or session."""
    return _status_behind(error) == 404


def _refusal(error: ClientError, settings: str, is_last: bool) -> LexError:
    status = _status(error)
    code, words = _code(error), _aws_words(error)
    said = f"Lex answered {status} {code}" + (f": {words}" if words else "")
    is_stale = code in _EXPIRED_CODES or is_refused_for_its_time(error.response)
    # Lex does not redirect: something between does, such as a captive portal, and that is no setting of ours.
    if not 400 <= status < 500 or status in _PASSING_STATUSES or (is_stale and not is_last):
        return LexUnavailable(said)
    return LexRejected(f"{said}; check {_CREDENTIALS if status == 403 else settings}")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))[:_LONGEST_WORDS]


def _aws_words(error: ClientError) -> str:
    """What AWS says of its error, in one line: it is about the bot or the request, and not what the caller said."""
    words = str(error.response.get("Error", {}).get("Message", ""))[: 10 * _LONGEST_AWS_WORDS]
    visible = "".join(character if character.isprintable() else " " for character in _NOT_TO_LOG.sub("...", words))
    return " ".join(visible.split())[:_LONGEST_AWS_WORDS]


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))


def _status_behind(error: LexError) -> int | None:
    """The status of the answer that `error` was made of; None: of something else."""
    return _status(error.__cause__) if isinstance(error.__cause__, ClientError) else None
