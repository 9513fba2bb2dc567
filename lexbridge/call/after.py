"""After the bot: where a call goes on when the bot is done with it, and what it takes along.

With AFTER_URL, whoever answers there (Studio, Flex, any TwiML) learns from the query what came of the call.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import quote, urlencode

MAX_QUERY_CHARACTERS = 600
"""Longest query that is added to AFTER_URL, percent-encoded.

The address stands in a document of 4,000 characters, beside the bot's last words."""

MAX_VALUE_CHARACTERS = 200
"""Longest value of a slot or an attribute in that query, before it is percent-encoded."""


class Outcome(Enum):
    """Outcome of a call, as AFTER_URL gets it."""

    DONE = "done"  # the bot has closed the call
    TRANSFERRED = "transferred"  # a person has had the caller, and is done with them
    SILENT = "silent"  # the caller said nothing, too often
    FAILED = "failed"  # Lex or a stream has failed for good, or the service takes no more calls
    LIMIT = "limit"  # MAX_CALL_S or MAX_TURNS is reached


@dataclass(frozen=True, slots=True)
class Result:
    """Result of the dialog so far, as the bot's last answer tells it."""

    intent: str | None = None
    slots: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)


NO_RESULT = Result()
"""Result of a dialog that has not begun, or of which nothing is known."""


def after_query(result: Result, outcome: Outcome, attribute_names: Sequence[str]) -> str:
    """Return what AFTER_URL gets in its query: the outcome, the intent, each filled slot, and the attributes named.

    What finds no room is left out, the last first.
    """
    query = urlencode({"outcome": outcome.value})
    for name, value in _pairs(result, attribute_names):
        longer = f"{query}&{urlencode({name: value[:MAX_VALUE_CHARACTERS]}, errors='replace', quote_via=quote)}"
        if len(longer) <= MAX_QUERY_CHARACTERS:
            query = longer
    return query


def with_query(url: str, query: str) -> str:
    """Return `url` with `query` behind its own query, and before its fragment."""
    base, mark, fragment = url.partition("#")
    separator = "" if base.endswith(("?", "&")) else "&" if "?" in base else "?"
    return f"{base}{separator}{query}{mark}{fragment}"


def _pairs(result: Result, attribute_names: Sequence[str]) -> Iterator[tuple[str, str]]:
    if result.intent:
        yield "intent", result.intent
    for name, value in result.slots.items():
        if value:
            yield f"slot_{name}", value
    for name in attribute_names:
        if value := result.attributes.get(name):
            yield name, value
