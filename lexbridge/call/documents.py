"""Documents, by which a carrier speaks to the caller and keeps the call: what the call core asks of them.

`CallDocuments` is what a carrier's package implements. The rest are the types in its signatures, and an estimate of how
long a text takes to be spoken.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from lexbridge.call.dtmf import KeyRules
from lexbridge.call.transfers import Handoff
from lexbridge.lex.model import Message

SPEAKING_MS_PER_CHARACTER = 70
"""Estimate for alphabets, milliseconds: English at an ordinary pace is 14 to 16 characters a second."""

SPEAKING_MS_PER_SYLLABLE = 180
"""Estimate for Chinese, Japanese and Korean, milliseconds: each character writes about one syllable."""

Query = Mapping[str, str | int]
"""Query of the addresses in a document."""

NO_QUERY: Query = MappingProxyType({})
"""Empty query."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document, and what is known of it.

    `spoken_ms`: estimate of how long it speaks. `characters_cut`: how much text found no room in it. `reprompts_ms`:
    estimate of how long each reprompt takes that the document itself has for a silent caller, and a 0 for its goodbye.
    """

    twiml: str = field(repr=False)
    spoken_ms: int = 0
    characters_cut: int = 0
    reprompts_ms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reprompts:
    """Words by which a document itself asks a silent caller again: `not_heard` and `prompt`.

    They are said `times` times, each after `after_s` of silence. Then the document ends, and the carrier asks for
    another, which says goodbye. A key stops all of this: until the keys are complete, only the carrier knows that the
    caller is pressing any.
    """

    not_heard: Message
    prompt: Sequence[Message]
    after_s: int
    times: int


@dataclass(frozen=True, slots=True)
class Opening:
    """A media stream to be opened: its name, which no other stream of the call has, and what it is told."""

    name: str
    parameters: Sequence[tuple[str, str]] = field(repr=False)


class CallDocuments(Protocol):
    """Maker of the documents that a live call is updated with.

    `voice` speaks the messages; None means the service's own. `query` goes into every address of the document, so that
    the process that answers there knows how far the call has come.
    """

    def reply(
        self,
        messages: Sequence[Message],
        stream_sid: str,
        opening: Opening | None = None,
        voice: str | None = None,
        keys: KeyRules | None = None,
        reprompts: Reprompts | None = None,
        longer_s: int = 0,
        query: Query = NO_QUERY,
        *,
        is_protected: bool = False,
    ) -> Document:
        """Make a document that says `messages`, if there are any, and holds a call whose stream is one-way.

        `stream_sid`: the call's stream. With an `opening` the document stops that stream, and a new one takes the call
        over while the messages are said. `keys`: the rules for keys that the caller may press. `reprompts`: for a
        caller who is silent after that; they are shortened or left out if the document has no room for them.
        `longer_s`: how much longer than usual the document holds the call. `is_protected`: no key stops the messages.
        """
        ...

    def connect(
        self,
        messages: Sequence[Message],
        opening: Opening,
        *,
        voice: str | None = None,
        query: Query = NO_QUERY,
    ) -> Document:
        """Make a document that says `messages`, and then connects the caller to a bidirectional stream."""
        ...

    def goodbye(self, messages: Sequence[Message], voice: str | None = None, last_words: str = "") -> Document:
        """Make a document that says `messages` and `last_words`, and hangs up.

        However long the messages are, the last words are said.
        """
        ...

    def go_on_at(
        self,
        url: str,
        messages: Sequence[Message],
        stream_sid: str | None,
        voice: str | None = None,
        last_words: str = "",
    ) -> Document:
        """Make a document that stops the stream, says `messages` and `last_words`, and sends the call on to `url`.

        However long the messages are, the last words are said. `stream_sid`: None if the stream ends by itself.
        """
        ...

    def transfer(
        self,
        messages: Sequence[Message],
        handoff: Handoff,
        voice: str | None = None,
        query: Query = NO_QUERY,
    ) -> Document:
        """Make a document that stops the stream, says `messages` and transfers the call.

        When that is over, the carrier asks how the call goes on.
        """
        ...

    def switch(
        self,
        messages: Sequence[Message],
        route: str,
        stream_sid: str | None,
        voice: str | None = None,
        query: Query = NO_QUERY,
    ) -> Document:
        """Make a document that stops the stream, says `messages`, and has the bot of another route go on with the call.

        `route`: text of the route. `stream_sid`: None if the stream ends by itself.
        """
        ...


def speaking_ms(text: str) -> int:
    """Return an estimate of how long `text` takes to be spoken, in milliseconds."""
    syllables = sum(unicodedata.east_asian_width(character) == "W" for character in text)
    return (len(text) - syllables) * SPEAKING_MS_PER_CHARACTER + syllables * SPEAKING_MS_PER_SYLLABLE
