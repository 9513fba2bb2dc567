"""Parts of a call, as its facts tell it: streams, turns, intents and faults. Times are Unix times, seconds."""

from dataclasses import dataclass, field
from typing import Any

from lexbridge.telemetry.facts import Event

ANSWERED, FAILED, FALSE_ALARM, DROPPED, LOST = "answered", "failed", "false-alarm", "dropped", "lost"
"""Outcomes of a turn. The log has others besides, such as `joined`."""

_UNCOUNTED = ("joined", FALSE_ALARM, DROPPED)
"""Outcomes of what was no turn of the caller's, or became part of another."""


@dataclass(slots=True, eq=False)
class Fault:
    """All warnings and errors of one kind. All but `count`, `first_s` and `severity` is what the newest of them says.

    Times are Unix times, seconds.
    """

    kind: str
    count: int = 0
    error: str | None = None
    first_s: float = 0.0
    at_s: float = 0.0
    stream_sid: str | None = None
    turn: int | None = None
    severity: str = "warning"
    """The worst level of its lines: "warning" or "error"."""


Faults = dict[str, Fault]
"""Faults by their kind, which is the event of a log line."""


def add_fault(faults: Faults, event: Event, turn: int | None) -> None:
    """Add a line of level warning or error. `turn`: the number of the turn that it is about."""
    fault = faults.setdefault(event.name, Fault(event.name, first_s=event.at_s))
    fault.count += 1
    fault.at_s, fault.stream_sid, fault.turn = event.at_s, event.stream_sid or None, turn
    if event.level == "error":
        fault.severity = "error"
    told = event.fields.get("error") or event.fields.get("why") or event.fields.get("reason")
    fault.error = str(told) if told else fault.error


@dataclass(frozen=True, slots=True)
class NoInput:
    """A silence of the caller's at which they were asked again, or at which the call ended."""

    at_s: float
    ends_call: bool
    by_document: bool
    """Whether the document at Twilio does it by itself. Then it is an estimate."""


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
    """The reason for its end that the log gives, or LOST_WITH_WORKER; None as long as it is not told."""
    is_spoken_on: bool = False
    """Whether Twilio still speaks the newest document of a stream that is over."""
    last_update: int | None = None
    """The number of its newest call update."""


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
    fillers_s: list[float] = field(default_factory=list)
    """The times at which the caller was asked to wait for it."""
    outcome: str | None = None
    """What became of it. Until `over_s` is known, Lex has answered so, and the caller may not have heard of it."""
    why: str | None = None
    """The reason for which it was lost or dropped, or the error by which it failed."""
    heard: str | None = None
    """Whether the caller heard the reply: "yes", or "replaced" if a newer one took its place before; None: unknown."""
    intent: str | None = None
    dialog_state: str | None = None
    slot_to_elicit: str | None = None
    transcript: str | None = None
    messages: list[Any] = field(default_factory=list)
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
    is_left: bool = False
    """Whether the call ended before it was answered."""

    @property
    def is_said(self) -> bool:
        """Whether the caller has said all of it, or pressed all keys."""
        return self.said_s is not None or self.by != "voice"

    @property
    def counts(self) -> bool:
        """Whether it is a turn of the caller's own. One that was complete counts though the call ended first."""
        return self.outcome not in _UNCOUNTED or (self.is_left and self.is_said)

    @property
    def loss(self) -> str | None:
        """The reason for which it was lost or dropped, or None if it was neither."""
        return self.why if self.outcome in (LOST, DROPPED) else None

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

    def answered(self, turn: CallTurn) -> None:
        """Take in an answer with this intent. A slot that has lost its value is forgotten."""
        self.dialog_state = turn.dialog_state
        self.slots |= turn.slots
        self.slots = {name: value for name, value in self.slots.items() if value is not None}


def changed(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return the entries that are new or different now, and None for those that are gone."""
    new = {name: value for name, value in now.items() if before.get(name) != value}
    return new | {name: None for name in before if name not in now}
