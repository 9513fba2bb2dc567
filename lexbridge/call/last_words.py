"""Last words: how a call ends once the caller has heard all that is to be said."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lexbridge.call.documents import CallDocuments, Document
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
class TransferTo:
    """End of a call that is transferred to `number`. `stream_sid`: the stream to be stopped; None: it ends by itself.

    `goodbye` is said when the other call is over, or was not answered. `caller_id`: the number that is shown to the
    person dialled; None means the caller's own.
    """

    number: str = field(repr=False)
    stream_sid: str | None
    goodbye: str
    voice: str | None = None
    caller_id: str | None = field(default=None, repr=False)

    def document(self, documents: CallDocuments, messages: Sequence[Message]) -> Document:
        """Return the document that says `messages`, those that are still to be said, and dials the number."""
        return documents.transfer(
            messages, self.number, self.stream_sid, self.goodbye, self.voice, caller_id=self.caller_id
        )


LastWords = Goodbye | TransferTo
