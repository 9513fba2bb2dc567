"""The spans of a call's trace: the call, its streams, its turns, and what each turn's time went to.

A trace has no words and no numbers. Its ids come from the CallSid, so all processes that tell of a call tell of the
same trace. Nothing here knows of OpenTelemetry.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lexbridge.observer.watched.call_facts import CallFacts
from lexbridge.observer.watched.call_parts import CallTurn, Fault
from lexbridge.observer.watched.call_turns import LOST_WITH_WORKER
from lexbridge.observer.watched.watched_calls import CallEnded, Told, TurnOver

CALL = "call"
"""The name of the span that has no parent, and its key."""

MAX_FAULTS = 20
"""The most kinds of faults that one span names, because backends limit the events of a span."""

_LOSSES = (LOST_WITH_WORKER, "stream lost", "bug", "bad message")
"""Reasons for the end of a stream that are faults."""

Value = str | int | float | bool | Sequence[str]


@dataclass(frozen=True, slots=True)
class FaultTold:
    """A fault, as an event of a span."""

    kind: str
    at_s: float
    count: int
    error: str


@dataclass(frozen=True, slots=True)
class SpanPlan:
    """A span to be made. `key` names it within its trace; `parent` is the key of another span, or None."""

    name: str
    call_sid: str
    key: str
    parent: str | None
    start_s: float
    end_s: float
    attributes: Mapping[str, Value] = field(default_factory=dict)
    is_error: bool = False
    faults: Sequence[FaultTold] = ()


def trace_id(call_sid: str) -> int:
    """Return the id of a call's trace: 16 bytes, never 0."""
    return int.from_bytes(hashlib.sha256(call_sid.encode()).digest()[:16], "big") or 1


def span_id(call_sid: str, key: str) -> int:
    """Return the id of a span of a call's trace: 8 bytes, never 0."""
    return int.from_bytes(hashlib.sha256(f"{call_sid}/{key}".encode()).digest()[:8], "big") or 1


def spans_of(told: Told) -> Iterator[SpanPlan]:
    """Yield the spans that are complete by what is told."""
    match told:
        case TurnOver():
            yield from _of_turn(told)
        case CallEnded():
            yield from _of_call(told.call)


def _of_turn(told: TurnOver) -> Iterator[SpanPlan]:
    turn, call_sid = told.turn, told.call.call_sid
    key = f"{turn.stream_sid}/{turn.turn}"
    over_s = turn.over_s or turn.began_s
    start_s = _began_s(turn)
    faults = _faults(turn.faults.values())
    yield SpanPlan(
        name="turn",
        call_sid=call_sid,
        key=key,
        parent=CALL,
        start_s=start_s,
        end_s=max(start_s, turn.heard_s or over_s),
        attributes=_known(
            {
                "lexbridge.stream_sid": turn.stream_sid,
                "lexbridge.turn": turn.turn,
                "lexbridge.number": told.number,
                "lexbridge.by": turn.by,
                "lexbridge.outcome": turn.outcome,
                "lexbridge.why": turn.loss,
                "lexbridge.heard": turn.heard,
                "lexbridge.filler": turn.filler,
                "lexbridge.intent": turn.intent,
                "lexbridge.dialog_state": turn.dialog_state,
                "lexbridge.slot_to_elicit": turn.slot_to_elicit,
                "lexbridge.reply_ms": turn.reply_ms,
                "process.pid": turn.worker_pid,
            }
        ),
        is_error=bool(faults) or turn.outcome in ("failed", "lost"),
        faults=faults,
    )
    for name, from_s, ms, kinds in _parts(turn, start_s):
        of_part = [fault for fault in faults if kinds and fault.kind.startswith(kinds)]
        is_error = bool(of_part) or (name == "lex" and turn.outcome == "failed")
        yield SpanPlan(name, call_sid, f"{key}/{name}", key, from_s, from_s + ms / 1000, {}, is_error, of_part)


def _began_s(turn: CallTurn) -> float:
    """Return when the caller began. Media time tells it, if the utterance's is known."""
    if turn.said_s is not None and turn.started_ms is not None and turn.ended_ms is not None:
        return turn.said_s - max(0, turn.ended_ms - turn.started_ms) / 1000
    if turn.said_s is not None:
        return turn.said_s - (turn.end_ms or 0) / 1000
    return turn.began_s


def _parts(turn: CallTurn, start_s: float) -> Iterator[tuple[str, float, float, str]]:
    """Yield what the turn's time went to: name, start, ms, and how the kinds of its faults begin."""
    if turn.said_s is not None:
        last_sound_s = turn.said_s - (turn.end_ms or 0) / 1000
        if turn.by == "voice" and last_sound_s > start_s:
            yield "utterance", start_s, (last_sound_s - start_s) * 1000, ""
        if turn.end_ms is not None:
            yield "endpointing", last_sound_s, turn.end_ms, ""
        queue_ms = turn.queue_ms or 0
        if queue_ms:
            yield "queue", turn.said_s, queue_ms, ""
        if turn.lex_ms is not None:
            yield "lex", turn.said_s + queue_ms / 1000, turn.lex_ms, "lex-"
    if turn.update_made_s is not None and turn.update_ms is not None:
        yield "update", turn.update_made_s, turn.update_ms, "call-update-"


def _of_call(call: CallFacts) -> Iterator[SpanPlan]:
    ended_s = call.ended_s or call.began_s
    faults = _faults(call.faults.values())
    for stream in call.streams.values():
        yield SpanPlan(
            name="stream",
            call_sid=call.call_sid,
            key=stream.stream_sid,
            parent=CALL,
            start_s=stream.began_s,
            end_s=max(stream.began_s, stream.ended_s or ended_s),
            attributes=_known(
                {
                    "lexbridge.stream_sid": stream.stream_sid,
                    "lexbridge.how": stream.how,
                    "lexbridge.resumed": stream.resumed,
                    "process.pid": stream.worker_pid,
                }
            ),
            is_error=stream.how in _LOSSES,
        )
    yield SpanPlan(
        name=CALL,
        call_sid=call.call_sid,
        key=CALL,
        parent=None,
        start_s=call.began_s,
        end_s=max(call.began_s, ended_s),
        attributes=_known(
            {
                "lexbridge.call_sid": call.call_sid,
                "lexbridge.line": call.route.line or None,
                "lexbridge.mode": call.mode,
                "lexbridge.ended_by": call.ended_by,
                "lexbridge.why": call.why,
                "lexbridge.turns": call.turns.over,
                "lexbridge.streams": len(call.streams),
                "lexbridge.intents": list(call.turns.intents),
                "lexbridge.worst_reply_ms": call.turns.worst_reply_ms,
                **{f"lexbridge.{name}": count for name, count in call.counts.items()},
            }
        ),
        is_error=bool(faults),
        faults=faults,
    )


def _known(attributes: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value is not None}


def _faults(faults: Iterable[Fault]) -> list[FaultTold]:
    return [FaultTold(one.kind, one.first_s, one.count, one.error or "") for one in list(faults)[:MAX_FAULTS]]
