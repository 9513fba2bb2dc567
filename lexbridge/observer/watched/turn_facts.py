"""The facts of one turn: when the caller spoke, how Lex was asked, what it answered, and how long it took.

`note_turn` takes in those that concern the turn alone.
"""

from collections.abc import Callable, Mapping

from lexbridge.observer.watched.call_parts import CallTurn
from lexbridge.telemetry.facts import Event

MAX_SLOTS = 100
"""The most slots and session attributes of one answer that are kept, because the bot decides how many there are."""

MAX_FILLERS = 100
"""The most fillers of one turn whose times are kept. A caller hears one every few seconds while Lex works."""


def note_turn(turn: CallTurn, event: Event) -> None:
    """Take in an event that names the turn."""
    if noted := _NOTED.get(event.name):
        noted(turn, event)


def note_latency(turn: CallTurn, event: Event) -> None:
    """Take in the figures of a turn that is over."""
    fields = event.fields
    turn.over_s = event.at_s
    turn.outcome = fields.get("outcome")
    turn.end_ms, turn.lex_ms = fields.get("end_ms", turn.end_ms), fields.get("lex_ms")
    turn.queue_ms, turn.update_ms, turn.reply_ms = (fields.get(f"{name}_ms") for name in ("queue", "update", "reply"))
    turn.filler = fields.get("filler", turn.filler)


def _opened(turn: CallTurn, event: Event) -> None:
    if turn.said_s is None:  # else it had to wait, and is opened long after it was spoken
        _note_start(turn, event)


def _note_start(turn: CallTurn, event: Event) -> None:
    started_ms = event.fields.get("started_ms")
    if started_ms is not None:
        turn.started_ms = started_ms
        turn.began_s = event.at_s - max(0, event.media_ms - started_ms) / 1000


def _utterance_ended(turn: CallTurn, event: Event) -> None:
    fields = event.fields
    turn.said_s = event.at_s
    _note_start(turn, event)
    turn.ended_ms = fields.get("ended_ms")
    turn.end_ms = fields.get("silent_ms")
    if event.name == "keys-complete":
        turn.by = "keys"


def _lex_asked(turn: CallTurn, event: Event) -> None:
    how = event.fields.get("how")
    if how in ("keys", "welcome"):
        turn.by = how
    if how == "welcome":
        turn.said_s = event.at_s
    turn.keys = event.words.get("keys", turn.keys)


def _lex_answered(turn: CallTurn, event: Event) -> None:
    fields, words = event.fields, event.words
    turn.answered_s = turn.answered_s or event.at_s
    turn.intent = fields.get("intent", turn.intent)
    turn.dialog_state = fields.get("dialog_state", turn.dialog_state)
    turn.slot_to_elicit = fields.get("slot_to_elicit", turn.slot_to_elicit)
    turn.transcript = words.get("transcript", turn.transcript)
    turn.messages = list(words.get("messages", turn.messages))
    turn.slots = dict(list((words.get("slots") or turn.slots).items())[:MAX_SLOTS])
    turn.raw = words.get("raw", turn.raw)


def _filler_said(turn: CallTurn, event: Event) -> None:
    turn.filler = True
    if len(turn.fillers_s) < MAX_FILLERS:
        turn.fillers_s.append(event.at_s)


_NOTED: Mapping[str, Callable[[CallTurn, Event], None]] = {
    "utterance-opened": _opened,
    "utterance-ended": _utterance_ended,
    "keys-complete": _utterance_ended,
    "lex-asked": _lex_asked,
    "lex-answered": _lex_answered,
    "turn-answered": _lex_answered,
    "turn-failed": _lex_answered,
    "filler-said": _filler_said,
}
"""What each event says of the turn that its field `turn` names."""
