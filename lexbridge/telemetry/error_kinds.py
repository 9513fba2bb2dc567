"""The kind of a failed request to Lex or Twilio, found in the text of its error.

The texts are lexbridge's own, and they hold nothing of a call. A metric needs few values, so each becomes one of
metric_table.ERROR_KINDS.
"""

import re

_STATUS = re.compile(r"(?:Lex|STS|Twilio) answered (\d{3})\b ?(\w*)")

_BY_STATUS = {401: "forbidden", 403: "forbidden", 408: "timeout", 409: "throttled", 424: "dependency", 429: "throttled"}
"""Kinds of statuses that are not judged by their first digit. 424: the bot's Lambda function failed."""

_BY_TEXT = (
    (re.compile(r"NotSentError|not asked"), "not-asked"),
    (re.compile(r"no answer within|does not come|Timeout"), "timeout"),
    (re.compile(r"no AWS credentials|Credential"), "forbidden"),
    (re.compile(r"too long|cannot be read|can be used|does not end|ResponseParserError|no audio"), "unreadable"),
    (re.compile(r"breaks off|\w(?:Error|Exception)\b"), "connection"),
)
"""Kinds by what a text contains. The first that is found holds. An error that is only a class is a connection's."""


def error_kind(text: str) -> str:
    """Return the kind of the failed request whose error has this text."""
    if (found := _STATUS.match(text)) is not None:
        return _kind_of_status(int(found[1]), found[2])
    return next((kind for pattern, kind in _BY_TEXT if pattern.search(text)), "other")


def _kind_of_status(status: int, code: str) -> str:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if code.startswith("BadGateway"):  # Lex's own 502: its bot's Lambda function gave an answer of another form
        return "dependency"
    if status >= 500:
        return "server-error"
    return "rejected" if status >= 400 else "unreadable"
