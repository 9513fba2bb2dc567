"""The facts of one turn: when the caller spoke, how Lex was asked, what it answered, and how long it took.

`note_turn` takes in those that concern the turn alone.
"""

from collections.abc import Callable, Mapping

from lexbridge.observer.watched.call_parts import FAILED, FALSE_ALARM, CallTurn
from lexbridge.observer.watched.values import flag, mapping, text, whole
from lexbridge.telemetry.facts import Event

MAX_FILLERS = 100
"""The most fillers of one turn whose times are kept. A caller hears one every few seconds while Lex works."""


def begins_turn(event: Event) -> bool:
    """Return whether an event may be the first of a turn. "speech": Lex is asked to say something that is no turn."""
    return event.name in _BEGINS_TURN and event.fields.get("how") != "speech"


def note_turn(turn: CallTurn, event: Event) -> None:
    """Take in an event that names the turn."""
    if noted := _NOTED.get(event.name):
        noted(turn, event)


def _opened(turn: CallTurn, event: Event) -> None:
    if turn.said_s is None:  # else it had to wait, and is opened long after it was spoken
        _note_start(turn, event)


def _note_start(turn: CallTurn, event: Event) -> None:
    started_ms = whole(event.fields, "started_ms")
    if started_ms is not None:
        turn.started_ms = started_ms
        turn.began_s = event.at_s - max(0, event.media_ms - started_ms) / 1000


def _utterance_ended(turn: CallTurn, event: Event) -> None:
    fields = event.fields
    turn.said_s = event.at_s
    _note_start(turn, event)
    turn.ended_ms = _either(whole(fields, "ended_ms"), turn.ended_ms)
    turn.end_ms = _either(whole(fields, "silent_ms"), turn.end_ms)
    if event.name == "keys-complete":
        turn.by = "keys"


def _lex_asked(turn: CallTurn, event: Event) -> None:
    how = event.fields.get("how")
    if how in ("keys", "welcome"):
        turn.by = how
    if how == "welcome":
        turn.said_s = event.at_s
    turn.keys = _text_of(event, "keys") or turn.keys


def _lex_answered(turn: CallTurn, event: Event) -> None:
    fields, words = event.fields, event.words
    turn.answered_s = turn.answered_s or event.at_s
    turn.intent = text(fields, "intent") or turn.intent
    turn.dialog_state = text(fields, "dialog_state") or turn.dialog_state
    turn.slot_to_elicit = text(fields, "slot_to_elicit")
    if event.name == "lex-answered":
        messages = words.get("messages")
        turn.transcript = _text_of(event, "transcript")
        turn.messages = list(messages) if isinstance(messages, list) else []
        turn.slots, turn.raw = dict(mapping(words, "slots")), words.get("raw")


def _lex_failed(turn: CallTurn, event: Event) -> None:
    turn.answered_s = turn.answered_s or event.at_s
    turn.outcome, turn.why = FAILED, text(event.fields, "error")


def _no_words(turn: CallTurn, event: Event) -> None:
    turn.answered_s = turn.answered_s or event.at_s
    turn.outcome = FALSE_ALARM


def _filler_said(turn: CallTurn, event: Event) -> None:
    turn.filler = True
    if len(turn.fillers_s) < MAX_FILLERS:
        turn.fillers_s.append(event.at_s)


def _latency(turn: CallTurn, event: Event) -> None:
    fields = event.fields
    if outcome := text(fields, "outcome"):
        turn.over_s, turn.outcome = event.at_s, outcome
    turn.end_ms = _either(whole(fields, "end_ms"), turn.end_ms)
    turn.queue_ms = _either(whole(fields, "queue_ms"), turn.queue_ms)
    turn.lex_ms = _either(whole(fields, "lex_ms"), turn.lex_ms)
    turn.update_ms = _either(whole(fields, "update_ms"), turn.update_ms)
    turn.reply_ms = _either(whole(fields, "reply_ms"), turn.reply_ms)
    turn.filler = turn.filler or flag(fields, "filler")


def _text_of(event: Event, name: str) -> str | None:
    """Return a text of the words, as long as it is; None if there is none."""
    told = event.words.get(name)
    return told if isinstance(told, str) else None


def _either(new: int | None, old: int | None) -> int | None:
    return old if new is None else new


_NOTED: Mapping[str, Callable[[CallTurn, Event], None]] = {
    "utterance-opened": _opened,
    "utterance-ended": _utterance_ended,
    "utterance-dropped": _opened,
    "keys-complete": _utterance_ended,
    "lex-asked": _lex_asked,
    "lex-answered": _lex_answered,
    "turn-answered": _lex_answered,
    "turn-failed": _lex_failed,
    "false-alarm": _no_words,
    "filler-said": _filler_said,
    "turn-latency": _latency,
}
"""What each event says of the turn that its field `turn` names."""

_BEGINS_TURN = frozenset(_NOTED) - {"filler-said", "false-alarm"}
"""Events that may be the first of a turn. A request that is broken off may be that of a turn that is over."""
