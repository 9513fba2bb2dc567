"""One turn of a call as the console shows it: when the caller spoke, what Lex made of it, and when it was answered."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from lexbridge.observer.calls.values import flag, mapping, text, whole
from lexbridge.telemetry.facts import Event

Heard = Literal["yes", "partly", "replaced"]
"""Share of a reply that the caller heard. That an update was taken does not mean that it was heard."""


class Turn(msgspec.Struct):
    """A turn of one media stream. Times in `_ms` are media time of the stream, or durations; None: not known."""

    stream_sid: str
    turn: int
    began_s: float
    """Unix time at which the utterance began, or at which the turn was first told of."""
    x_s: float | None = None
    """Place of `began_s` on the call's axis."""
    started_ms: int | None = None
    ended_ms: int | None = None
    end_ms: int | None = None
    queue_ms: int | None = None
    lex_ms: int | None = None
    update_ms: int | None = None
    reply_ms: int | None = None
    filler: bool = False
    outcome: str | None = None
    """Outcome of the turn: that of `turn-latency`, or `cancelled`, `dropped`, `lost`; None while it is open."""
    why: str | None = None
    """Reason for which the turn was dropped, lost or failed, as the log has it."""
    over_s: float | None = None
    """Unix time at which it was over: its reply is heard, or never will be."""
    counts: bool = True
    """Whether the caller said something in it that is a turn of its own. The summary's `turns` counts those."""
    heard: Heard | None = None
    """Whether the caller heard the reply: all, a part, or nothing because another took its place. None: not known."""
    is_said: bool = False
    """Whether the caller has said all of it, or pressed all keys."""
    transcript: str | None = None
    messages: list[Any] = []
    intent: str | None = None
    slots: dict[str, Any] = {}
    slot_to_elicit: str | None = None
    dialog_state: str | None = None
    attributes_changed: dict[str, Any] = {}
    """Session attributes that the answer set, and those that it took away with None as the value."""
    raw: Any = None
    twiml: str | None = None
    keys: str | None = None

    def end(self, outcome: str, at_s: float, why: str | None = None) -> None:
        """Note what became of the turn."""
        self.outcome, self.over_s, self.why = outcome, at_s, why or self.why
        self.counts = outcome not in _UNCOUNTED


_UNCOUNTED = ("joined", "false-alarm", "dropped", "cancelled")
"""Outcomes of what was no turn of the caller's, or became part of another."""


def note_event(turn: Turn, event: Event, stream_began_s: float) -> None:
    """Take in an event of the turn. `stream_began_s`: Unix time of the stream's media time 0."""
    if taken := _TAKEN.get(event.name):
        taken(turn, event, stream_began_s)


def _span(turn: Turn, event: Event, stream_began_s: float) -> None:
    started_ms, ended_ms = whole(event.fields, "started_ms"), whole(event.fields, "ended_ms")
    # A turn that had to wait is opened long after it was spoken: the end of the utterance knows better.
    if started_ms is not None and (turn.ended_ms is None or event.name != "utterance-opened"):
        turn.started_ms, turn.began_s = started_ms, stream_began_s + started_ms / 1000
    if ended_ms is not None:
        turn.ended_ms, turn.end_ms = ended_ms, whole(event.fields, "silent_ms")
        turn.is_said = True


def _latency(turn: Turn, event: Event, _: float) -> None:
    fields = event.fields
    if outcome := text(fields, "outcome"):
        turn.end(outcome, event.at_s)
    turn.end_ms = _either(whole(fields, "end_ms"), turn.end_ms)
    turn.queue_ms = _either(whole(fields, "queue_ms"), turn.queue_ms)
    turn.lex_ms = _either(whole(fields, "lex_ms"), turn.lex_ms)
    turn.update_ms = _either(whole(fields, "update_ms"), turn.update_ms)
    turn.reply_ms = _either(whole(fields, "reply_ms"), turn.reply_ms)
    turn.filler = turn.filler or flag(fields, "filler")


def _answer(turn: Turn, event: Event, _: float) -> None:
    fields, words = event.fields, event.words
    turn.dialog_state = text(fields, "dialog_state") or turn.dialog_state
    turn.intent = text(fields, "intent") or turn.intent
    turn.slot_to_elicit = text(fields, "slot_to_elicit")
    if event.name == "lex-answered":
        said = words.get("transcript")
        turn.transcript = said if isinstance(said, str) else None
        messages = words.get("messages")
        turn.messages = messages if isinstance(messages, list) else []
        turn.slots, turn.raw = mapping(words, "slots"), words.get("raw")


def _keys(turn: Turn, event: Event, _: float) -> None:
    keys = event.words.get("keys")
    turn.keys = keys if isinstance(keys, str) else turn.keys
    turn.is_said = True
    turn.end_ms = _either(whole(event.fields, "silent_ms"), turn.end_ms)


def _filler(turn: Turn, _event: Event, _: float) -> None:
    turn.filler = True


def _outcome(name: str) -> Callable[[Turn, Event, float], None]:
    def take(turn: Turn, event: Event, stream_began_s: float) -> None:
        if turn.ended_ms is None:
            _span(turn, event, stream_began_s)
        if turn.outcome is None:
            turn.end(name, event.at_s, text(event.fields, "why") or text(event.fields, "error"))

    return take


def _either(new: int | None, old: int | None) -> int | None:
    return old if new is None else new


_TAKEN: Mapping[str, Callable[[Turn, Event, float], None]] = {
    "utterance-opened": _span,
    "utterance-ended": _span,
    "turn-latency": _latency,
    "lex-answered": _answer,
    "turn-answered": _answer,
    "lex-asked": _keys,
    "keys-complete": _keys,
    "filler-said": _filler,
    "utterance-cancelled": _outcome("cancelled"),
    "utterance-dropped": _outcome("dropped"),
    "false-alarm": _outcome("false-alarm"),
    "turn-failed": _outcome("failed"),
}
"""What each event means for the turn that its field `turn` names."""

OPENS_TURN = frozenset(_TAKEN) - {"filler-said", "false-alarm"}
"""Events that may be the first of a turn."""


def changed_attributes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the session attributes that differ: the new value of each, or None if it is gone."""
    gone: dict[str, Any] = {name: None for name in before if name not in after}
    return {**{name: value for name, value in after.items() if before.get(name) != value}, **gone}
