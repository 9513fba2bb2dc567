"""Parts of a call, as its facts tell it: streams, turns, intents and faults. Times are Unix times, seconds."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Fault:
    """All warnings and errors of one kind. `error`: what the newest of them says about its cause."""

    kind: str
    count: int = 0
    error: str | None = None
    first_s: float = 0.0


Faults = dict[str, Fault]
"""Faults by their kind, which is the event of a log line."""


@dataclass(slots=True, eq=False)
class CallStream:
    """A media stream of a call. Times are Unix times, seconds."""

    stream_sid: str
    began_s: float
    """The time at which its media time was 0, as far as that is known."""
    ended_s: float | None = None
    worker_pid: int | None = None
    mode: str | None = None
    resumed: str | None = None
    how: str | None = None
    """The reason for its end that the log gives, or LOST_WITH_WORKER; None while it is live."""


@dataclass(slots=True, eq=False)
class CallTurn:
    """One turn of a stream. A figure that is not known is None. Times in seconds are Unix times."""

    stream_sid: str
    turn: int
    began_s: float
    worker_pid: int | None = None
    by: str = "voice"
    """The way in which the caller answered: "voice" or "keys"; or "welcome": they wait for the bot's first words."""
    started_ms: int | None = None
    ended_ms: int | None = None
    end_ms: int | None = None
    queue_ms: int | None = None
    lex_ms: int | None = None
    update_ms: int | None = None
    reply_ms: int | None = None
    filler: bool = False
    outcome: str | None = None
    intent: str | None = None
    dialog_state: str | None = None
    slot_to_elicit: str | None = None
    transcript: str | None = None
    messages: list[str] = field(default_factory=list)
    slots: dict[str, Any] = field(default_factory=dict)
    attributes_changed: dict[str, Any] = field(default_factory=dict)
    raw: Any = None
    twiml: str | None = None
    keys: str | None = None
    faults: Faults = field(default_factory=dict)
    said_s: float | None = None
    """The time at which the utterance was found to be over."""
    answered_s: float | None = None
    update: int | None = None
    """The number of the call update that says the reply."""
    update_made_s: float | None = None
    over_s: float | None = None
    """The time at which the turn was over: the reply is heard, or never will be."""

    @property
    def heard_s(self) -> float | None:
        """The time at which the caller heard the first sound of the reply, or None if they did not."""
        if self.reply_ms is None or self.said_s is None:
            return None
        return self.said_s + (self.reply_ms - (self.end_ms or 0)) / 1000


@dataclass(slots=True, eq=False)
class IntentSeen:
    """An intent of a call: its last dialog state, and the slots that have a value."""

    name: str
    dialog_state: str | None = None
    slots: dict[str, Any] = field(default_factory=dict)
