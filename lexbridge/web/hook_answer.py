"""Answers of the routing hook: what they may hold, and the rules that they keep to.

An answer comes from the operator's own program, which may have bugs, and may pass on what a customer has typed. So each
part has a form and a limit, and an answer that breaks a rule is refused as a whole.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType
from typing import Literal

from lexbridge.config.route import NAME
from lexbridge.twilio.say import clean

MAX_ANSWER_BYTES = 16 * 1024
"""Longest answer in bytes. The longest that keeps to all rules has less than 8 kB."""

MAX_ATTRIBUTES = 20
MAX_VALUE_CHARACTERS = 400
"""Longest value of an attribute, because a `<Parameter>` of Twilio's holds 500 characters, its name among them."""

MAX_ATTRIBUTES_CHARACTERS = 1000
"""Limit of all names and values together, as XML: they share a document of 4,000 characters with what the bot says."""

MAX_GREETING_CHARACTERS = 400
"""Limit of the greeting, as XML, because a `<Parameter>` takes it to the stream, which says it again to the silent."""

MAX_WORDS_CHARACTERS = 1000
"""Limit of the words of a refusal, as XML."""

RESERVED_PREFIXES = ("lexbridge:", "x-amz-lex:")
"""Beginnings of the names of attributes that have a meaning to lexbridge and Lex."""

_KNOWN = ("line", "attributes", "greeting", "refuse")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SHOWN = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_MAX_SHOWN = 10

NOTHING: Mapping[str, str] = MappingProxyType({})


class HookAnswerRefused(Exception):
    """An answer that cannot be used. `why` is one of a small set, and `rule` says what an answer has to be like."""

    def __init__(self, why: str, rule: str) -> None:
        super().__init__(why)
        self.why = why
        self.rule = rule


@dataclass(frozen=True, slots=True)
class CallRefusal:
    """A refusal of the call. `words`: said to the caller; None: Twilio rejects the call, and tells `reason`."""

    words: str | None = field(default=None, repr=False)
    reason: Literal["busy", "rejected"] = "rejected"


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """An answer of the routing hook. A part that it does not have is None or empty.

    `line`: name of the line that serves the call; "" is the default line. `unknown_keys`: what it has besides, for the
    log.
    """

    line: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    greeting: str | None = field(default=None, repr=False)
    refusal: CallRefusal | None = None
    unknown_keys: tuple[str, ...] = ()


def read_hook_answer(body: bytes) -> HookAnswer:
    """Return the answer that `body` holds; an empty one decides nothing. Raise HookAnswerRefused."""
    if len(body) > MAX_ANSWER_BYTES:
        raise HookAnswerRefused("too long", f"an answer has at most {MAX_ANSWER_BYTES} bytes")
    if not body.strip():
        return HookAnswer()
    try:
        parts = json.loads(body)
    except (ValueError, RecursionError):
        raise HookAnswerRefused("not JSON", "an answer is a JSON object, or empty") from None
    if not isinstance(parts, dict):
        raise _bad("an answer is a JSON object, or empty")
    return HookAnswer(
        line=_line(parts.get("line")),
        attributes=_attributes(parts.get("attributes")),
        greeting=_words(parts.get("greeting"), "greeting", MAX_GREETING_CHARACTERS),
        refusal=_refusal(parts.get("refuse")),
        unknown_keys=_shown([name for name in parts if name not in _KNOWN]),
    )


def _bad(rule: str) -> HookAnswerRefused:
    return HookAnswerRefused("bad answer", rule)


def _line(line: object) -> str | None:
    if line is None or line == "":
        return line
    if not isinstance(line, str) or not NAME.fullmatch(line):
        raise _bad('line: the name of a line, or "" for the default line')
    return line


def _attributes(attributes: object) -> Mapping[str, str]:
    if attributes is None:
        return NOTHING
    if not isinstance(attributes, dict) or len(attributes) > MAX_ATTRIBUTES:
        raise _bad(f"attributes: an object of at most {MAX_ATTRIBUTES} texts")
    for name, value in attributes.items():
        if not _ATTRIBUTE_NAME.fullmatch(name):
            raise _bad("attributes: a name has 1 to 64 letters, digits and _ . : -")
        if name.lower().startswith(RESERVED_PREFIXES):
            raise _bad(f"attributes: no name begins with {' or '.join(RESERVED_PREFIXES)}")
        if not isinstance(value, str) or len(value) > MAX_VALUE_CHARACTERS:
            raise _bad(f"attributes: a value is a text of at most {MAX_VALUE_CHARACTERS} characters")
    if sum(len(name) + len(escape(value)) for name, value in attributes.items()) > MAX_ATTRIBUTES_CHARACTERS:
        raise _bad(f"attributes: names and values have at most {MAX_ATTRIBUTES_CHARACTERS} characters together")
    return attributes


def _words(words: object, what: str, most: int) -> str | None:
    if words is None:
        return None
    if not isinstance(words, str) or not clean(words) or len(escape(words)) > most:
        raise _bad(f"{what}: a text of 1 to {most} characters")
    return words


def _refusal(refuse: object) -> CallRefusal | None:
    if refuse is None:
        return None
    if isinstance(refuse, dict) and len(refuse) == 1:
        if "say" in refuse and (words := _words(refuse["say"], "refuse.say", MAX_WORDS_CHARACTERS)) is not None:
            return CallRefusal(words)
        match refuse.get("reason"):
            case "busy" | "rejected" as reason:
                return CallRefusal(reason=reason)
    raise _bad('refuse: {"say": "..."}, {"reason": "busy"} or {"reason": "rejected"}')


def _shown(names: list[str]) -> tuple[str, ...]:
    """Return names as the log may have them."""
    return tuple(name if _SHOWN.fullmatch(name) else "?" for name in names[:_MAX_SHOWN])
