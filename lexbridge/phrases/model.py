"""Phrases of one language, each named after when the caller hears it."""

from dataclasses import dataclass
from typing import Literal

PhraseName = Literal[
    "goodbye",
    "not_heard",
    "say_it_again",
    "not_available",
    "one_moment",
    "busy",
    "call_limit",
    "done",
    "transfer_failed",
]
"""Names of the fields of Phrases. An error carries such a name, not a text, for the text depends on the language."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases of one language, named after when the caller hears them. None is empty."""

    goodbye: str
    not_heard: str
    say_it_again: str
    not_available: str
    one_moment: str
    busy: str
    call_limit: str
    done: str
    transfer_failed: str

    def named(self, name: PhraseName) -> str:
        """Return the phrase called `name`."""
        phrase: str = getattr(self, name)
        return phrase
