"""What boto3 raises when it asks Lex, as errors of ours: may another try get past it, or is a setting wrong?"""

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from botocore.parsers import ResponseParserError

from lexbridge.aws_clock import is_refused_for_its_time
from lexbridge.errors import LexError, LexRejected, LexUnavailable

FAILURES = (ClientError, BotoCoreError, ResponseParserError, OSError)
"""OSError: what a broken connection raises while an answer's body is read is not wrapped by botocore."""

# 4xx that another try, or another utterance, may well get past. The others mean that a setting is wrong.
_PASSING_STATUSES = (408, 409, 424, 429)
_CROWDED_STATUSES = (409, 429)
_EXPIRED_CODES = ("ExpiredToken", "ExpiredTokenException")
"""403s of credentials that are renewed by the next request."""

_CREDENTIALS = "ACCESS_KEY_ID, SECRET_ACCESS_KEY and what they, or the task role, are allowed to do"


def as_ours(error: Exception, settings: str, is_last: bool = False) -> LexError:
    """One of FAILURES as an error of ours. `settings`: what a rejection says to check. `is_last`: there will be no
    other request."""
    match error:
        case ClientError():
            return _refusal(error, settings, is_last)
        case NoCredentialsError() | PartialCredentialsError():
            return LexRejected("no AWS credentials; check ACCESS_KEY_ID and SECRET_ACCESS_KEY or the task role")
        case _:
            return LexUnavailable(f"{type(error).__name__}: {error}")


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
    code = error.response.get("Error", {}).get("Code", "")
    said = f"Lex answered {status} {code}"
    is_stale = code in _EXPIRED_CODES or is_refused_for_its_time(error.response)
    if status >= 500 or status in _PASSING_STATUSES or (is_stale and not is_last):
        return LexUnavailable(said)
    return LexRejected(f"{said}; check {_CREDENTIALS if status == 403 else settings}")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))


def _status_behind(error: LexError) -> int | None:
    """The status of the answer that `error` was made of; None: of something else."""
    return _status(error.__cause__) if isinstance(error.__cause__, ClientError) else None
