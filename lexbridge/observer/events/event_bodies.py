"""The bodies of the posted events: what is told of a call that starts, of a turn, of its end, and of the service.

Each body has `type`, `timestamp` and `data`, as Standard Webhooks has it, and what tells a receiver of gaps. Without
words there is nothing in it that was said: slots are named, and their values are left out. `event_fields.FIELDS` has
the fields, and docs/events.md is made of it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from lexbridge.observer.watched.call_facts import CallFacts
from lexbridge.observer.watched.call_parts import Fault, IntentSeen
from lexbridge.observer.watched.watched_calls import (
    CallEnded,
    CallStarted,
    ServiceStarted,
    Told,
    ToldOfCall,
    TurnOver,
    WorkerDied,
)

SERVED = ("version", "workers", "reply_mode", "bot", "alias", "locale", "region")
"""Fields of the line `serving` that are told."""

MAX_FAULTS = 50
"""The most kinds of faults that one event names, because a body should stay small."""

MAX_STREAMS = 100
"""The most streams that one event names, the newest ones, because sixty may be lost in a row."""


MAX_CALLS = 1000
"""The most calls that one event names, because a worker may serve hundreds."""


def enveloped(body: Mapping[str, Any], observer: str, sequence: int) -> dict[str, Any]:
    """Return the body of an event as it is posted.

    `observer`: names the start of the process that posts; `sequence`: the number of the event since then, from 1.
    """
    return {
        "type": body["type"],
        "id": event_id(body, observer),
        "timestamp": body["timestamp"],
        "observer": observer,
        "sequence": sequence,
        "data": body["data"],
    }


def event_id(body: Mapping[str, Any], observer: str) -> str:
    """Return the id of an event. An event of a call has the same one when another process tells it again."""
    data = body["data"]
    if "call_sid" in data:
        about = body["type"], data["call_sid"], data.get("stream_sid"), data.get("turn"), data.get("ended_at")
    else:
        about = body["type"], observer, data["at"], data.get("pid"), None
    return f"msg_{hashlib.sha256(repr(about).encode()).hexdigest()[:32]}"


def call_sid_of(told: Told) -> str:
    """Return the call of an event, or "" for an event of the service."""
    return told.call.call_sid if isinstance(told, ToldOfCall) else ""


def body_of(told: Told, has_words: bool) -> dict[str, Any]:
    """Return the body of an event. `has_words`: whether it holds what was said, and the values of slots."""
    match told:
        case CallStarted():
            return _body("call.started", told.call.began_s, _of_call(told.call))
        case TurnOver():
            return _body("turn", told.turn.over_s, _of_turn(told, has_words))
        case CallEnded():
            return _body("call.ended", told.call.ended_s, _of_end(told.call, has_words))
        case WorkerDied():
            return _body("worker.died", told.at_s, _of_death(told))
        case ServiceStarted():
            served = {name: told.fields.get(name) for name in SERVED}
            return _body("service.started", told.at_s, {"at": _at(told.at_s), **served})
        case _:
            return _body("service.stopping", told.at_s, {"at": _at(told.at_s), "live_calls": told.live_calls})


def _body(name: str, at_s: float | None, data: dict[str, Any]) -> dict[str, Any]:
    return {"type": name, "timestamp": _at(at_s), "data": data}


def _of_call(call: CallFacts) -> dict[str, Any]:
    return {
        "call_sid": call.call_sid,
        "caller": call.caller,
        "called": call.called,
        "line": call.route.line,
        "mode": call.mode,
        "began_at": _at(call.began_s),
    }


def _of_turn(told: TurnOver, has_words: bool) -> dict[str, Any]:
    turn = told.turn
    data = {
        "call_sid": told.call.call_sid,
        "line": told.call.route.line,
        "stream_sid": turn.stream_sid,
        "turn": turn.turn,
        "number": told.number,
        "worker_pid": turn.worker_pid,
        "by": turn.by,
        "outcome": turn.outcome,
        "why": turn.loss,
        "heard": turn.heard,
        "began_at": _at(turn.began_s),
        "end_ms": turn.end_ms,
        "queue_ms": turn.queue_ms,
        "lex_ms": turn.lex_ms,
        "update_ms": turn.update_ms,
        "reply_ms": turn.reply_ms,
        "filler": turn.filler,
        "fillers": len(turn.fillers_s),
        "fillers_at": [_at(at_s) for at_s in turn.fillers_s],
        "intent": turn.intent,
        "dialog_state": turn.dialog_state,
        "slot_to_elicit": turn.slot_to_elicit,
        "slots": _slots(turn.slots, has_words),
        "faults": _faults(turn.faults.values()),
    }
    if has_words:
        data |= {"transcript": turn.transcript, "messages": turn.messages, "keys": turn.keys}
    return data


def _of_end(call: CallFacts, has_words: bool) -> dict[str, Any]:
    ended_s = call.ended_s or call.began_s
    return _of_call(call) | {
        "ended_at": _at(ended_s),
        "duration_s": round(ended_s - call.began_s, 1),
        "saw_end": call.is_over,
        "ended_by": call.ended_by,
        "why": call.why,
        "turns": call.turns.over,
        "outcomes": dict(call.turns.outcomes),
        **call.counts,
        "no_inputs": [
            {"at": _at(one.at_s), "ends_call": one.ends_call, "by_document": one.by_document} for one in call.no_inputs
        ],
        "worst_reply_ms": call.turns.worst_reply_ms,
        "worst_lex_ms": call.turns.worst_lex_ms,
        "intents": [_intent(one, has_words) for one in call.turns.intents.values()],
        "faults": _faults(call.faults.values()),
        "streams": [
            {
                "stream_sid": stream.stream_sid,
                "worker_pid": stream.worker_pid,
                "began_at": _at(stream.began_s),
                "ended_at": _at(stream.ended_s),
                "resumed": stream.resumed,
                "how": stream.how,
            }
            for stream in list(call.streams.values())[-MAX_STREAMS:]
        ],
    }


def _of_death(told: WorkerDied) -> dict[str, Any]:
    return {
        "at": _at(told.at_s),
        "pid": told.pid,
        "signal": told.signal,
        "status": told.status,
        "call_sids": list(told.call_sids[:MAX_CALLS]),
    }


def _intent(seen: IntentSeen, has_words: bool) -> dict[str, Any]:
    return {"name": seen.name, "dialog_state": seen.dialog_state, "slots": _slots(seen.slots, has_words)}


def _slots(slots: Mapping[str, Any], has_words: bool) -> Any:
    """Return the slots with their values, or without words the names of those that have a value."""
    return dict(slots) if has_words else [name for name, value in slots.items() if value is not None]


def _faults(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    return [
        {
            "kind": one.kind,
            "severity": one.severity,
            "count": one.count,
            "at": _at(one.at_s),
            "stream_sid": one.stream_sid,
            "turn": one.turn,
            "error": one.error,
        }
        for one in list(faults)[:MAX_FAULTS]
    ]


def _at(at_s: float | None) -> str | None:
    """Return a Unix time in ISO 8601, UTC, with milliseconds."""
    if at_s is None:
        return None
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
