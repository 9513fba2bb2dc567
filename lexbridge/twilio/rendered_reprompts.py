"""Reprompts of a document that asks a silent caller again, ready for its template."""

from dataclasses import dataclass

from lexbridge.call.documents import Reprompts
from lexbridge.twilio.say import pieces_ms, say_pieces


@dataclass(frozen=True, slots=True)
class RenderedReprompts:
    """Reprompts as the template needs them: what each says, and how long the pauses are."""

    pieces: list[list[str]]
    pause_s: int

    @classmethod
    def make(cls, reprompts: Reprompts, has_ssml: bool, timeout_s: int) -> "RenderedReprompts":
        """Prepare reprompts. `timeout_s`: how long the `<Gather>` itself waits after the pause."""
        pieces = say_pieces([reprompts.not_heard, *reprompts.prompt], has_ssml)
        return cls([pieces] * reprompts.times, max(0, reprompts.after_s - timeout_s))

    @property
    def spoken_ms(self) -> tuple[int, ...]:
        """Estimated time that each reprompt takes, and 0 for the goodbye."""
        return (*map(pieces_ms, self.pieces), 0)
