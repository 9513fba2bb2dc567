"""The bodies of the posted events: what is told of a call that starts, of a turn, and of a call that has ended.

Each body is `{"type", "timestamp", "data"}`, as Standard Webhooks has it. Without words there is nothing in it that was
said: slots are named, and their values are left out. The fields stand in `FIELDS`, of which docs/events.md is made.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from lexbridge.observer.call_facts import CallFacts
from lexbridge.observer.call_parts import Fault, IntentSeen
from lexbridge.observer.watched_calls import CallStarted, Told, TurnOver

MAX_FAULTS = 50
"""The most kinds of faults that one event names, because a body should stay small."""

MAX_STREAMS = 100
"""The most streams that one event names, the newest ones, because sixty may be lost in a row."""


def event_id(body: Mapping[str, Any]) -> str:
    """Return the id of an event: the same for the same event, also when another process tells it again."""
    data = body["data"]
    about = body["type"], data["call_sid"], data.get("stream_sid"), data.get("turn"), data.get("ended_at")
    return f"msg_{hashlib.sha256(repr(about).encode()).hexdigest()[:32]}"


def body_of(told: Told, has_words: bool) -> dict[str, Any]:
    """Return the body of an event. `has_words`: whether it holds what was said, and the values of slots."""
    match told:
        case CallStarted():
            return _body("call.started", told.call.began_s, _of_call(told.call))
        case TurnOver():
            return _body("turn", told.turn.over_s, _of_turn(told, has_words))
        case _:
            return _body("call.ended", told.call.ended_s, _of_end(told.call, has_words))


def _body(name: str, at_s: float | None, data: dict[str, Any]) -> dict[str, Any]:
    return {"type": name, "timestamp": _at(at_s), "data": data}


def _of_call(call: CallFacts) -> dict[str, Any]:
    return {
        "call_sid": call.call_sid,
        "caller": call.caller,
        "called": call.called,
        "mode": call.mode,
        "began_at": _at(call.began_s),
    }


def _of_turn(told: TurnOver, has_words: bool) -> dict[str, Any]:
    turn = told.turn
    data = {
        "call_sid": told.call.call_sid,
        "stream_sid": turn.stream_sid,
        "turn": turn.turn,
        "number": told.number,
        "worker_pid": turn.worker_pid,
        "by": turn.by,
        "outcome": turn.outcome,
        "began_at": _at(turn.began_s),
        "end_ms": turn.end_ms,
        "queue_ms": turn.queue_ms,
        "lex_ms": turn.lex_ms,
        "update_ms": turn.update_ms,
        "reply_ms": turn.reply_ms,
        "filler": turn.filler,
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
        "turns": call.turns_over,
        **call.counts,
        "worst_reply_ms": call.worst_reply_ms,
        "worst_lex_ms": call.worst_lex_ms,
        "intents": [_intent(one, has_words) for one in call.intents.values()],
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


def _intent(seen: IntentSeen, has_words: bool) -> dict[str, Any]:
    return {"name": seen.name, "dialog_state": seen.dialog_state, "slots": _slots(seen.slots, has_words)}


def _slots(slots: Mapping[str, Any], has_words: bool) -> Any:
    """Return the slots with their values, or without words the names of those that have a value."""
    return dict(slots) if has_words else [name for name, value in slots.items() if value is not None]


def _faults(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    return [{"kind": one.kind, "count": one.count, "error": one.error} for one in list(faults)[:MAX_FAULTS]]


def _at(at_s: float | None) -> str | None:
    """Return a Unix time in ISO 8601, UTC, with milliseconds."""
    if at_s is None:
        return None
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


FIELDS: Mapping[str, Mapping[str, str]] = {
    "call.started": {
        "call_sid": "Twilio's CallSid",
        "caller": "the caller's number, masked; null if it is not known",
        "called": "the number that was called, masked",
        "mode": "reply mode: `call-update` or `stream`; null if no stream began",
        "began_at": "when Twilio asked what to do with the call",
    },
    "turn": {
        "call_sid": "Twilio's CallSid",
        "stream_sid": "the media stream. A call may have several",
        "turn": "the number of the turn in its stream, as in the log",
        "number": "the number of the turn in its call, from 1",
        "worker_pid": "the worker process that served it",
        "by": "`voice`, `keys`, or `welcome`: the bot's first words",
        "outcome": "`answered`, `failed`, `joined` (with the next turn), `false-alarm`, or `lost`: its stream "
        "ended first",
        "began_at": "when the caller began",
        "end_ms": "from the caller's last sound to the end of the utterance",
        "queue_ms": "from there to the request to Lex, if an earlier turn was with Lex; mostly 0",
        "lex_ms": "from there to Lex's answer: its own time",
        "update_ms": "what the call update took. Null in `stream` mode",
        "reply_ms": "from the caller's last sound to the first sound of the reply. Null: it was not heard",
        "filler": 'whether the caller heard "One moment please." meanwhile',
        "intent": "the intent, as Lex understood it",
        "dialog_state": "the state of Lex's dialog",
        "slot_to_elicit": "the slot that the bot asks for",
        "slots": "names of the slots that have a value. With words: each slot and its value",
        "faults": "warnings and errors: `kind` (an event of docs/log.md), `count`, `error` (of the newest)",
        "transcript": "with words: what Lex understood",
        "messages": "with words: what the bot answered, a list",
        "keys": "with words: the keys that the caller pressed",
    },
    "call.ended": {
        "call_sid": "Twilio's CallSid",
        "caller": "the caller's number, masked; null if it is not known",
        "called": "the number that was called, masked",
        "mode": "reply mode: `call-update` or `stream`; null if no stream began",
        "began_at": "when Twilio asked what to do with the call",
        "ended_at": "when it ended",
        "duration_s": "seconds between the two",
        "saw_end": "true: lexbridge saw the call end. false: no other stream of it followed here. The caller hung up; "
        "or it goes on in another task of the service, which then tells its end",
        "ended_by": "`caller`, `bot`, `transfer`, `lexbridge`; null: not known, such as after a lost worker",
        "why": "the reason, as in the log lines `call-ended` and `call-left`; `worker-ended`: its worker died and no "
        "other stream followed; `no stream`: Twilio never opened one",
        "turns": "how many turns it had",
        "barge_ins": "how often the caller interrupted the bot",
        "fillers": "how often the caller was asked to wait",
        "no_inputs": "how often the caller was silent and was asked again",
        "false_alarms": "how often a sound without words stopped the bot",
        "joins": "how many turns were joined with the next",
        "worst_reply_ms": "the longest `reply_ms` of its turns",
        "worst_lex_ms": "the longest `lex_ms` of its turns, which is Lex's own time, without `queue_ms`",
        "intents": "each intent: `name`, its last `dialog_state`, and `slots` as for a turn",
        "faults": "warnings and errors of the whole call: `kind`, `count`, `error`",
        "streams": "each media stream: `stream_sid`, `worker_pid`, `began_at`, `ended_at`, `resumed` (how it goes on "
        "with the call), `how` it ended",
    },
}
"""Fields of `data` of each event, and what they tell. Those "with words" are there with EVENTS_WORDS=on alone."""
