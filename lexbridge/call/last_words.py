"""Last words: how a call ends, or leaves the bot, once the caller has heard all that is to be said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lexbridge.call.documents import NO_QUERY, CallDocuments, Document
from lexbridge.call.transfers import Handoff
from lexbridge.lex.model import Message


@dataclass(frozen=True, slots=True)
class Goodbye:
    """End of a call that is hung up. `limit_words` say why, if it has lasted as long as it may."""

    voice: str | None = None
    limit_words: str = ""

    def document(self, documents: CallDocuments, messages: Sequence[Message]) -> Document:
        """Return the document that says `messages`, those that are still to be said, and hangs up."""
        return documents.goodbye(messages, self.voice, self.limit_words)


@dataclass(frozen=True, slots=True)
class GoOnAt:
    """End of the bot's part of a call, which goes on at `url`. `limit_words`: as in Goodbye.

    `stream_sid`: the stream to be stopped; None: it ends by itself.
    """

    url: str = field(repr=False)
    stream_sid: str | None
    voice: str | None = None
    limit_words: str = ""

    def document(self, documents: CallDocuments, messages: Sequence[Message]) -> Document:
        """Return the document that says `messages`, those that are still to be said, and sends the call on."""
        return documents.go_on_at(self.url, messages, self.stream_sid, self.voice, self.limit_words)


@dataclass(frozen=True, slots=True)
class TransferTo:
    """End of a call that is transferred. `query` goes into the address that Twilio asks when the transfer is over."""

    handoff: Handoff
    voice: str | None = None
    query: Mapping[str, int | str] = field(default_factory=lambda: NO_QUERY)

    def document(self, documents: CallDocuments, messages: Sequence[Message]) -> Document:
        """Return the document that says `messages`, those that are still to be said, and transfers the call."""
        return documents.transfer(messages, self.handoff, self.voice, self.query)


@dataclass(frozen=True, slots=True)
class SwitchTo:
    """End of a stream whose call goes on with the bot of another route.

    `route`: text of the route. `stream_sid`: the stream to be stopped; None: it ends by itself. `query`: for the
    webhook that opens the next stream.
    """

    route: str
    stream_sid: str | None
    voice: str | None
    query: Mapping[str, int | str]

    def document(self, documents: CallDocuments, messages: Sequence[Message]) -> Document:
        """Return the document that says `messages`, those that are still to be said, and hands the call over."""
        return documents.switch(messages, self.route, self.stream_sid, self.voice, self.query)


LastWords = Goodbye | GoOnAt | TransferTo | SwitchTo
