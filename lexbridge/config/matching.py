"""Conditions of a line: which calls it serves, by what Twilio tells of them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lexbridge.config.opening_hours import OpeningHours


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A new call, as it is known when a line is chosen for it.

    `form`: fields of Twilio's webhook. `query`: those of the address that Twilio was told. `at_s`: Unix time.
    """

    form: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    at_s: float


class Fact(NamedTuple):
    """One thing that a call tells of itself. `name`: that of a query's field, a header or a parameter."""

    kind: Literal["to", "from", "direction", "account_sid", "query", "sip_header", "parameter"]
    name: str = ""

    def __str__(self) -> str:
        name = self.name if self.name.replace("_", "").isalnum() else f'"{self.name}"'
        return f"{self.kind}.{name}" if self.name else self.kind

    def told(self, texts: "Texts") -> str:
        """Return the texts as they are written in the table."""
        # `outbound` includes `outbound-api` and `outbound-dial`.
        return str(texts).replace("*", "") if self.kind == "direction" else str(texts)

    def of(self, call: IncomingCall) -> str:
        """Return the text that the call has here, or "" if it has none."""
        match self.kind:
            case "to" | "from":
                return normalised_address(call.form.get(self.kind.title(), ""))
            case "direction":
                return call.form.get("Direction", "")
            case "account_sid":
                return call.form.get("AccountSid", "")
            case "query":
                return call.query.get(self.name, "")
            case "parameter":
                return call.form.get(self.name, "")
            case _:  # sip_header
                # SIP does not tell upper from lower case in the names of headers.
                sought = f"sipheader_{self.name}"
                return next((text for name, text in call.form.items() if name.lower() == sought), "")


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of which one has to be there: whole ones, and beginnings. The beginning "" is that of each text but ""."""

    whole: frozenset[str] = frozenset()
    beginnings: frozenset[str] = frozenset()

    @classmethod
    def of(cls, whole: frozenset[str], beginnings: frozenset[str]) -> "Texts":
        """Return these texts without those that a beginning includes anyway, so that equal ones compare equal."""
        shortest = frozenset(one for one in beginnings if not any(one[:end] in beginnings for end in range(len(one))))
        return cls(frozenset(one for one in whole if not _begins(one, shortest)), shortest)

    def include(self, text: str) -> bool:
        """Return whether `text` is one of these."""
        return bool(text) and (text in self.whole or (bool(self.beginnings) and _begins(text, self.beginnings)))

    def cover(self, other: "Texts") -> bool:
        """Return whether each text that `other` includes is one of these."""
        has_beginnings = all(_begins(one, self.beginnings) for one in other.beginnings)
        return has_beginnings and all(map(self.include, other.whole))

    def __str__(self) -> str:
        return " or ".join([*sorted(self.whole), *(f"{one}*" for one in sorted(self.beginnings))])


@dataclass(frozen=True, slots=True)
class Match:
    """All conditions of a line. A call has to fulfil each of them. `hours_text`: the hours as they were written."""

    texts: Mapping[Fact, Texts] = field(default_factory=dict)
    hours: OpeningHours | None = None
    hours_text: str = field(default="", compare=False)

    @property
    def key(self) -> object:
        """Equal for two matches that no call can tell apart."""
        return frozenset(self.texts.items()), self.hours

    def serves(self, call: IncomingCall) -> bool:
        """Return whether the call fulfils all conditions."""
        for fact, texts in self.texts.items():
            if not texts.include(fact.of(call)):
                return False
        return self.hours is None or self.hours.include(call.at_s)

    def unmet(self, call: IncomingCall) -> Iterator[str]:
        """Yield each condition that the call does not fulfil, in words."""
        for fact, texts in self.texts.items():
            if not texts.include(text := fact.of(call)):
                wanted = fact.told(texts)
                yield f"{fact} is {text}, not {wanted}" if text else f"{fact} is not given, and has to be {wanted}"
        if self.hours is not None and not self.hours.include(call.at_s):
            yield f"the time there is {self.hours.told(call.at_s)}, and the hours are {self.hours_text}"

    def cover(self, other: "Match") -> bool:
        """Return whether each call that `other` serves is known to fulfil these conditions."""
        for fact, texts in self.texts.items():
            if fact not in other.texts or not texts.cover(other.texts[fact]):
                return False
        return self.hours is None or (other.hours is not None and self.hours.cover(other.hours))

    def __str__(self) -> str:
        said = [f"{fact} {fact.told(texts)}" for fact, texts in self.texts.items()]
        return ", ".join([*said, self.hours_text] if self.hours_text else said) or "all calls"


def normalised_address(text: str) -> str:
    """Return a number or address as it is compared: that of SIP in lower case, and without its parameters."""
    if text[:4].lower() == "sip:" or text[:5].lower() == "sips:":
        return re.split("[;?]", text, maxsplit=1)[0].lower()
    # Twilio names a caller whose number is unknown in words.
    return text.lower() if text.isalpha() else text


def _begins(text: str, beginnings: frozenset[str]) -> bool:
    if len(beginnings) <= len(text):
        return any(text.startswith(one) for one in beginnings)
    return any(text[:end] in beginnings for end in range(len(text) + 1))  # of thousands, a condition may have each
