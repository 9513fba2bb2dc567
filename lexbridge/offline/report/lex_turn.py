"""Requests of a local Lex as reports read them, and their words given to the bot's voice on a media stream. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.events import Event


class LexTurn(Protocol):
    """The part of a local Lex's request that a timeline reads. Times are monotonic seconds, or None."""

    @property
    def operation(self) -> str:
        """Operation that is asked for, by Lex's own name."""
        ...

    @property
    def began(self) -> float:
        """Time at which the request's head arrived."""
        ...

    @property
    def ended(self) -> float | None:
        """Time at which the whole body of the request had arrived."""
        ...

    @property
    def answered(self) -> float | None:
        """Time at which the answer was sent."""
        ...

    @property
    def audio(self) -> bytes:
        """Body of the request."""
        ...

    @property
    def is_text(self) -> bool:
        """Whether the body is text, and no audio."""
        ...

    @property
    def aborted(self) -> bool:
        """Whether the client went away before the end of its upload."""
        ...

    @property
    def status(self) -> int | None:
        """HTTP status of the answer."""
        ...

    @property
    def transcript(self) -> str | None:
        """Text that Lex heard."""
        ...

    @property
    def intent(self) -> str | None:
        """Intent that the answer is about."""
        ...

    @property
    def dialog_state(self) -> str | None:
        """Dialog state after the request."""
        ...

    @property
    def said(self) -> str:
        """The texts of the answer."""
        ...


def worded(events: Iterable[Event], requests: Sequence[LexTurn]) -> list[Event]:
    """Return the events, in which the bot's voice on a media stream has the words that Lex answered.

    A stream brings audio only: the first voice after an answer of Lex's is taken for that answer.
    """
    answers = [each for each in requests if each.answered is not None and each.said]
    found: list[Event] = []
    for event in events:
        if isinstance(event, happened.BotBegan) and not event.text:
            before = [each for each in answers if each.answered is not None and each.answered <= event.at_s]
            answers = answers[len(before) :]
            found.append(replace(event, text=before[-1].said) if before else event)
        else:
            found.append(event)
    return found
