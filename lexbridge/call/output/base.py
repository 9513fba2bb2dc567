"""Output of a call: how the caller hears the bot, which REPLY_MODE decides and the rest of the call need not know.

`CallUpdateSpeaker`: each answer is a document by which Twilio speaks. `StreamSpeaker`: Lex's own audio goes out over
the socket, and marks tell what the caller has heard.
"""

from collections.abc import Sequence
from typing import Protocol

from lexbridge.audio.endpointing import Listening
from lexbridge.call.last_words import LastWords
from lexbridge.call.output.reports import Reports
from lexbridge.lex.model import Message

UNINTERRUPTED_MS = 500
"""Beginning of a prompt that nothing interrupts, milliseconds.

Speech in it began before the prompt did, or is the prompt's echo."""

PAUSE_WITHIN_ONSET_MS = 120
"""Longest pause within words, as around a "t", milliseconds. It does not start the count of BARGE_IN_MS anew.

An "s" counts as a pause where it is no louder than the echo might be."""


class Speaker(Protocol):
    """Output of one call: what every way to be heard has.

    A speaker does what it is told by actions, and returns what that means for the call as reports: it moves nothing.
    What only audio over the stream has, such as marks, or prompts that are kept back, is the StreamSpeaker's own.
    """

    is_two_way: bool
    """Whether the stream brings keys and marks, and a document ends it. Otherwise it outlives the documents."""

    @property
    def is_speaking(self) -> bool:
        """Whether the caller is to hear something, so that nobody asks them again. Of a document that is not known."""
        ...

    @property
    def has_reprompts(self) -> bool:
        """Whether the document itself asks a silent caller again. The caller may be pressing keys meanwhile."""
        ...

    def greet(self) -> Reports:
        """Expect the caller to speak when the greeting is over, with which the call was answered."""
        ...

    def await_input(self, after_ms: int = 0, reprompts_ms: Sequence[int] = ()) -> Reports:
        """Expect the caller to speak when the bot has spoken for another `after_ms`.

        `reprompts_ms`: how long each reprompt takes by which the document itself asks a silent caller again, and its
        goodbye.
        """
        ...

    def take_reprompt(self) -> Reports:
        """Return what it means that the document itself asks the silent caller again now; nothing if it does not."""
        ...

    def listening(self) -> Listening | None:
        """Return how the next frame is to be listened to, or None for the usual way."""
        ...

    def interrupt(self) -> Reports:
        """Stop what is being said, because the caller begins to speak; unless they must hear it out."""
        ...

    def speak(
        self, messages: Sequence[Message], speaking_turn: int | None = None, *, to_synthesize: Sequence[Message] = ()
    ) -> Reports:
        """Speak `messages`, and then expect the caller to speak: on the next stream if the process leaves.

        `speaking_turn`: the turn whose audio is Lex's voice for the messages. `to_synthesize`: those of the messages
        that Lex may be asked to say where there is no audio of them; then what was still to be heard is dropped,
        because it is older.
        """
        ...

    def fill(self) -> Reports:
        """Say that the call is still there, while Lex takes long. The call's state stays as it is."""
        ...

    def close(self, messages: Sequence[Message], last_words: LastWords, speaking_turn: int | None = None) -> Reports:
        """Speak `messages`, the last of the call, and end it by `last_words`."""
        ...

    def tick(self) -> Reports:
        """Do what is due, for media time has moved on."""
        ...

    def next_due_ms(self) -> int | None:
        """Return the media time up to which `tick` has nothing to do unless something else happens; None: no such time.

        It may have passed already.
        """
        ...

    def end(self) -> None:
        """Drop all that was still to be heard, because the stream is over."""
        ...
