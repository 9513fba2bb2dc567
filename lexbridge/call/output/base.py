"""How the bot is heard: what REPLY_MODE decides on, and the rest of a call need not know.

`CallUpdateMode`: each answer is a document by which Twilio speaks. `StreamMode`: Lex's own audio goes out over the
socket, and marks tell what has been heard.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from lexbridge.audio.endpointing import Listening
from lexbridge.call.documents import Document
from lexbridge.lex.model import Message

UNINTERRUPTED_MS = 500
"""A prompt's beginning, which nothing interrupts: what is heard then was begun before it, or is its echo."""

PAUSE_WITHIN_ONSET_MS = 120
"""Words have pauses this long, as around a "t": they do not start the count of BARGE_IN_MS anew. An "s" counts as one
where it is no louder than the echo might be."""

LastWords = Callable[[Sequence[Message]], Document]
"""The document that ends the call, with what is still to be said in it."""


class ReplyMode(Protocol):
    """How the bot is heard in one call."""

    hears_keys: bool
    """Keys come over the stream; else a document gathers them."""
    recalls_at_once: bool
    """A stream that takes the call over needs to know at once what the bot has set, and not first when the caller is
    silent."""

    @property
    def stops_stream(self) -> bool:
        """A document that ends the call has to stop the stream; else it ends by itself."""
        ...

    @property
    def is_finishing(self) -> bool:
        """The last words are being heard, and the document that ends the call is still to come."""
        ...

    @property
    def may_ask_again(self) -> bool:
        """A caller who is silent is asked again: nothing is being said to them."""
        ...

    def greeted(self) -> None:
        """The call has been answered with GREETING: the caller's turn is when that is over."""
        ...

    def await_input(self, after_ms: int = 0, reprompts_ms: Sequence[int] = ()) -> None:
        """It is the caller's turn when the bot has spoken for another `after_ms`. `reprompts_ms`: the document asks a
        silent caller again by itself, and says goodbye; how long each takes."""
        ...

    @property
    def reprompts(self) -> bool:
        """The document asks a silent caller again by itself. They may be pressing keys, of which nobody knows."""
        ...

    def reprompted(self) -> bool:
        """The caller is silent: whether the document asks them again by itself, or says goodbye to them, now."""
        ...

    def listening(self) -> Listening | None:
        """How the next frame is listened to; None: as usual."""
        ...

    def interrupt(self) -> None:
        """The caller begins, and whatever is said to them stops; unless they must hear it out."""
        ...

    def resumes(self) -> bool:
        """Lex heard no words in what interrupted the bot: whether that was a false alarm, after which it goes on."""
        ...

    def forget_interrupted(self) -> None:
        """What was interrupted is not gone on with."""
        ...

    def speak(
        self, messages: Sequence[Message], speaking_turn: int | None = None, *, to_voice: Sequence[Message] = ()
    ) -> None:
        """Speaks, and then expects the caller to: on the next stream, if there is one and nothing is under way.

        `speaking_turn`: whose audio is Lex's voice for it. `to_voice`: those of the messages that Lex may be asked to
        say where there is no audio of them. What was still to be heard is older than these, and is dropped.
        """
        ...

    def is_unheard(self, turn: int) -> bool:
        """Nothing of the answer to `turn` has been sent to the caller, and it is still to be."""
        ...

    def withhold(self, turn: int, messages: Sequence[Message]) -> None:
        """The answer to `turn`, `messages`, is not to be heard yet: until it is spoken after all, or forgotten."""
        ...

    def forget_withheld(self) -> None:
        """What is withheld is never heard."""
        ...

    def fill(self) -> None:
        """Says that the call is still there. It changes nothing else."""
        ...

    def close(self, messages: Sequence[Message], last_words: LastWords, speaking_turn: int | None = None) -> None:
        """Speaks `messages`, the last of the call, and ends it."""
        ...

    def wants_voice(self, turn: int) -> bool:
        """Lex's voice for the reply to `turn` is to be heard, or may be."""
        ...

    def spoke(self, turn: int, mulaw: bytes) -> None:
        """More of Lex's voice for the reply to `turn`: whole frames."""
        ...

    def spoke_all(self, turn: int) -> None:
        """There is no more of it."""
        ...

    def speech_failed(self, turn: int) -> None:
        """There is no more of it, but there ought to be."""
        ...

    def marked(self, mark: str) -> None:
        """Twilio has played what was sent before `mark`, or dropped it."""
        ...

    def tick(self) -> None:
        """Media time has moved on."""
        ...

    def end(self) -> None:
        """The stream is over: nothing more is heard."""
        ...
