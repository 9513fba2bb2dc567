"""Facts of a call that Twilio's webhook tells, and that the bot gets as session attributes, as CALL_FACTS allows.

Each fact is a field of the webhook, or a parameter of its address: `query.NAME`. Its session attribute has the field's
name in lower case:

    AnsweredBy          lexbridge:answered-by
    SipHeader_X-Shop    lexbridge:sip-x-shop
    query.campaign      lexbridge:query-campaign

`From` and `To` say which party has placed the call. A bot has to know which one is the person, so the two become
`lexbridge:caller-number` and `lexbridge:called-number`, in outbound calls crosswise.

The fields: https://www.twilio.com/docs/voice/twiml#twilios-request-to-your-application , those of SIP calls:
https://www.twilio.com/docs/voice/api/sip-twiml . AnsweredBy:
https://www.twilio.com/docs/voice/answering-machine-detection .
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import escape

from lexbridge.call.attributes import (
    ANSWERED_BY_ATTRIBUTE,
    ATTRIBUTES,
    CALLED_NUMBER_ATTRIBUTE,
    CALLER_NUMBER_ATTRIBUTE,
    QUERY_ATTRIBUTES,
    SIP_ATTRIBUTES,
)
from lexbridge.call.facts_query import carried_facts
from lexbridge.call.stream_parameters import OWN_PARAMETERS

CALLER_FIELD = "From"
"""Name in CALL_FACTS of the number of the person on the phone."""

_ALWAYS = ("To", "Direction")
"""Facts that the bot gets whatever CALL_FACTS lists."""

_NEVER = ("CallToken", "StirPassportToken")
"""Fields by which whoever has them may do something."""

_RESERVED = {*OWN_PARAMETERS, *(attribute.name for attribute in ATTRIBUTES if attribute.set_by == "bot")}
"""Attributes that mean something to lexbridge. A client chooses the names of its own fields, such as `action`."""

_QUERY = "query."
_SIP_HEADER = "SipHeader_"

MAX_FACTS = 30
"""Most facts of a call."""

MAX_FACT_CHARACTERS = 500
"""Longest name and value of a `<Parameter>` together.

Source: https://www.twilio.com/docs/voice/twiml/stream#custom-parameters ."""

MAX_FACTS_CHARACTERS = 1500
"""Longest `<Parameter>`s of all facts together, as XML.

The document with them has 4,000 characters, and may have to say a greeting of half as many."""

_ATTRIBUTE = re.compile(r"lexbridge:[a-z0-9_.-]{1,100}")
_XML_AROUND = len('<Parameter name="" value=""/>')


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Facts of a call, by session attribute.

    `left_out`: how many have no room, or no valid name, by the entry of CALL_FACTS that lists them. Their own names may
    be private: whoever calls by SIP chooses those of headers.
    """

    attributes: Mapping[str, str] = field(repr=False)
    left_out: Mapping[str, int] = field(default_factory=dict)


def collect_facts(
    form: Mapping[str, str], query: Mapping[str, str], allowed: Sequence[str], *, is_first: bool = True
) -> CallFacts:
    """Return the facts in a webhook's `form` and in the `query` of its address that `allowed` lists, in that order.

    `allowed`: names, of which one that ends in `*` stands for all that begin so. `is_first`: whether it is the call's
    first webhook. The query of a later one is lexbridge's own, and has what `facts_query` wrote into it.
    """
    attributes: dict[str, str] = {}
    seen: set[str] = set()
    left_out: Counter[str] = Counter()
    room = MAX_FACTS_CHARACTERS
    told = [*_told(form), *(_asked(query) if is_first else _carried(query))]
    for entry, name, value in _allowed_facts(told, allowed):
        if name in seen or not value:
            continue
        seen.add(name)
        needed = _XML_AROUND + len(escape(name)) + len(escape(value))
        may_be = _ATTRIBUTE.fullmatch(name) and name not in _RESERVED
        is_short = len(name) + len(value) <= MAX_FACT_CHARACTERS and needed <= room
        if not (may_be and is_short) or len(attributes) == MAX_FACTS:
            left_out[entry] += 1
            continue
        attributes[name] = value
        room -= needed
    return CallFacts(attributes, left_out)


def _allowed_facts(told: Sequence[tuple[str, str]], allowed: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the session attributes that are allowed, the most wanted first, each after the entry that allows it.

    One may come twice.
    """
    for entry in (*_ALWAYS, *allowed):
        for name, value in told:
            if _matches(entry, name) and name not in _NEVER:
                yield entry, _attribute_of(name), value


def _told(form: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a form, the numbers by the part that each party has."""
    # In a call that this service's operator has placed, `To` is the person.
    is_outbound = form.get("Direction", "").startswith("outbound")
    crosswise = {"From": "To", "To": "From"} if is_outbound else {}
    for name, value in form.items():
        yield crosswise.get(name, name), value


def _asked(query: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the parameters of the first webhook's address."""
    for name, value in query.items():
        if name:
            yield _QUERY + name, value


def _carried(query: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the facts that an earlier document has written into the address."""
    for attribute, value in carried_facts(query):
        if attribute == ANSWERED_BY_ATTRIBUTE:
            yield "AnsweredBy", value
        else:
            yield _QUERY + attribute.removeprefix(QUERY_ATTRIBUTES), value


def _matches(entry: str, name: str) -> bool:
    """Return whether an entry of CALL_FACTS allows the fact called `name`. Letter case makes no difference."""
    entry, name = entry.lower(), name.lower()
    return name.startswith(entry[:-1]) if entry.endswith("*") else name == entry


def _attribute_of(name: str) -> str:
    """Return the session attribute of the fact called `name`."""
    if name == CALLER_FIELD:
        return CALLER_NUMBER_ATTRIBUTE
    if name == "To":
        return CALLED_NUMBER_ATTRIBUTE
    if name.startswith(_QUERY):
        return QUERY_ATTRIBUTES + name[len(_QUERY) :].lower()
    if name.startswith(_SIP_HEADER):
        return SIP_ATTRIBUTES + name[len(_SIP_HEADER) :].lower()
    return "lexbridge:" + re.sub("(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
