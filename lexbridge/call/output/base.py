"""Output of a call: how the caller hears the bot, which REPLY_MODE decides and the rest of the call need not know.

`CallUpdateMode`: each answer is a document by which Twilio speaks. `StreamMode`: Lex's own audio goes out over the
socket, and marks tell what the caller has heard.
"""

from collections.abc import Sequence
from typing import Protocol

from lexbridge.audio.endpointing import Listening
from lexbridge.call.last_words import LastWords
from lexbridge.lex.model import Message

UNINTERRUPTED_MS = 500
"""Beginning of a prompt that nothing interrupts, milliseconds.

Speech in it began before the prompt did, or is the prompt's echo."""

PAUSE_WITHIN_ONSET_MS = 120
"""Longest pause within words, as around a "t", milliseconds. It does not start the count of BARGE_IN_MS anew.

An "s" counts as a pause where it is no louder than the echo might be."""


class ReplyMode(Protocol):
    """Output of one call."""

    hears_keys: bool
    """Whether keys come over the stream. Otherwise a document gathers them."""
    fetches_session_at_once: bool
    """Whether a stream that takes a call over needs Lex's session at once, and not only when the caller is silent."""

    @property
    def stream_outlives_documents(self) -> bool:
        """Whether a document that ends the call has to stop the stream, because the stream does not end by itself."""
        ...

    @property
    def is_finishing(self) -> bool:
        """Whether the caller is hearing the last words, and the document that ends the call is still to come."""
        ...

    @property
    def may_ask_again(self) -> bool:
        """Whether a caller who is silent is asked again, because nothing is being said to them."""
        ...

    @property
    def has_reprompts(self) -> bool:
        """Whether the document itself asks a silent caller again. The caller may be pressing keys meanwhile."""
        ...

    def greeting_given(self) -> None:
        """Expect the caller to speak when the greeting is over, with which the call was answered."""
        ...

    def await_input(self, after_ms: int = 0, reprompts_ms: Sequence[int] = ()) -> None:
        """Expect the caller to speak when the bot has spoken for another `after_ms`.

        `reprompts_ms`: how long each reprompt takes by which the document itself asks a silent caller again, and its
        goodbye.
        """
        ...

    def take_reprompt(self) -> bool:
        """Return whether the document itself asks the silent caller again now, or says goodbye to them."""
        ...

    def listening(self) -> Listening | None:
        """Return how the next frame is to be listened to, or None for the usual way."""
        ...

    def interrupt(self) -> None:
        """Stop what is being said, because the caller begins to speak; unless they must hear it out."""
        ...

    def resume_interrupted(self) -> bool:
        """Go on with what the caller interrupted by a false alarm. Return False if that is gone."""
        ...

    def discard_interrupted(self) -> None:
        """Discard what the caller interrupted."""
        ...

    def speak(
        self, messages: Sequence[Message], speaking_turn: int | None = None, *, to_synthesize: Sequence[Message] = ()
    ) -> None:
        """Speak `messages`, and then expect the caller to speak: on the next stream if the process leaves.

        `speaking_turn`: the turn whose audio is Lex's voice for the messages. `to_synthesize`: those of the messages
        that Lex may be asked to say where there is no audio of them; then what was still to be heard is dropped,
        because it is older.
        """
        ...

    def is_unheard(self, turn: int) -> bool:
        """Return whether the answer to `turn` is still to be heard, and nothing of it has been sent to the caller."""
        ...

    def withhold(self, turn: int, messages: Sequence[Message]) -> None:
        """Keep `messages`, the answer to `turn`, from the caller until they are spoken after all, or discarded."""
        ...

    def discard_withheld(self) -> None:
        """Discard what is withheld."""
        ...

    def play_filler(self) -> None:
        """Say that the call is still there, while Lex takes long. The call's state stays as it is."""
        ...

    def close(self, messages: Sequence[Message], last_words: LastWords, speaking_turn: int | None = None) -> None:
        """Speak `messages`, the last of the call, and end it by `last_words`."""
        ...

    def wants_speech(self, turn: int) -> bool:
        """Return whether Lex's audio for the reply to `turn` is to be heard, or may be."""
        ...

    def speech_arrived(self, turn: int, mulaw: bytes) -> None:
        """Take more of Lex's audio for the reply to `turn`: whole frames."""
        ...

    def speech_ended(self, turn: int) -> None:
        """Note that all of Lex's audio for the reply to `turn` has come."""
        ...

    def speech_failed(self, turn: int) -> None:
        """Note that Lex's audio for the reply to `turn` broke off."""
        ...

    def mark_reached(self, name: str) -> None:
        """Note that Twilio has played what was sent before the mark `name`, or dropped it."""
        ...

    def tick(self) -> None:
        """Do what is due, for media time has moved on."""
        ...

    def end(self) -> None:
        """Drop all that was still to be heard, because the stream is over."""
        ...
