"""Facts of a call in the addresses of its documents, as long as Lex does not have them.

If the first stream is lost before the first turn, the next webhook has to tell the next stream the facts. It reads most
of them from what Twilio tells it again.
"""

from collections.abc import Iterator, Mapping

from lexbridge.call.attributes import ANSWERED_BY_ATTRIBUTE, QUERY_ATTRIBUTES

MAX_CARRIED_CHARACTERS = 200
"""Longest facts in an address, percent-encoded. A document has up to four addresses, and 4,000 characters."""

_CARRIED = "fact."
_NAMESPACE = "lexbridge:"


def facts_query(facts: Mapping[str, str]) -> dict[str, str]:
    """Return the query by which the next webhook of the call gets those of its `facts` that Twilio may tell only once.

    These are the query of the first webhook, and who has answered. SIP headers are not among them, because whoever sees
    addresses would see them, too.
    """
    carried: dict[str, str] = {}
    room = MAX_CARRIED_CHARACTERS
    for name, value in facts.items():
        if _is_carried(name):
            key = _CARRIED + name.removeprefix(_NAMESPACE)
            room -= len(key) + len(value.encode("utf-8", "replace")) * 3 + 2
            if room >= 0:
                carried[key] = value
    return carried


def carried_facts(query: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the facts in the query of an address that `facts_query` has written."""
    for key, value in query.items():
        name = _NAMESPACE + key.removeprefix(_CARRIED)
        if key.startswith(_CARRIED) and _is_carried(name):
            yield name, value


def _is_carried(name: str) -> bool:
    return name == ANSWERED_BY_ATTRIBUTE or name.startswith(QUERY_ATTRIBUTES)
