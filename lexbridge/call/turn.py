"""Turn of the caller, what they say or key in, and what became of it. `turns` takes it to Lex."""

from dataclasses import dataclass, field

from lexbridge.audio.utterance_audio import UtteranceAudio
from lexbridge.call.states import TurnState
from lexbridge.lex.model import Checkpoint


@dataclass(slots=True)
class Turn:
    """One turn of the caller, and what became of it.

    `audio` is all of it so far. Media time is in milliseconds. `ended_ms` is None while the caller speaks. Two
    kinds of turn have no audio and are complete at once: keys, and the intent by which the bot is to welcome the
    caller, or to take them back after a transfer.
    """

    number: int
    started_ms: int
    state: TurnState
    audio: UtteranceAudio = field(default_factory=UtteranceAudio, repr=False)
    ended_ms: int | None = None
    keys: str | None = field(default=None, repr=False)
    intent: str | None = None
    words_instead: str = ""
    """What the caller hears if the bot begins with `intent` and says nothing, or Lex fails."""
    may_continue: bool = False
    """Whether the caller paused, so that what they say next may be the other half of this turn."""
    is_continuation: bool = False
    """Whether this turn is the other half of the one that Lex is busy with, if Lex can be made to forget that one."""
    is_joined: bool = False
    """Whether the turn has several utterances, so that the endpointer does not know how long it is."""
    is_overflow: bool = False
    """Whether the turn begins with what did not fit into the one before, which may be nothing but silence."""
    joined_bytes: int = 0
    """Length of the audio that belongs to the turn before, which Lex has answered, mu-law."""
    unsent_bytes: int = 0
    """Length of the audio that the request to Lex has not been told of, mu-law."""
    checkpoint: Checkpoint | None = field(default=None, repr=False)
    """Point to which Lex's session is restored before the turn is sent."""
    waited_ms: int = 0
    """Time for which the caller had been done with the turn when it was sent, and had heard no answer."""

    @property
    def is_complete(self) -> bool:
        """Whether the caller is done with the turn."""
        return self.ended_ms is not None
