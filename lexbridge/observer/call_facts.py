"""One call as its facts tell it: its streams, its turns with their times, its faults, and how it ended.

The facts of a call come from several streams, and so from several workers, each in its own order. Turn numbers and
media times belong to one stream. Nothing here reads a clock.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from lexbridge.observer.call_parts import CallStream, CallTurn, Fault, Faults, IntentSeen
from lexbridge.telemetry.facts import Event

FAULT_LEVELS = ("warning", "error")

LOST_WITH_WORKER = "worker-ended"
"""The reason for the end of a stream whose worker is gone."""

MAX_SLOTS = 100
"""The most slots and session attributes of one answer that are kept, because the bot decides how many there are."""


class CallFacts:
    """The account of one call. `take` each of its events, and `worker_ended` for a worker that is gone."""

    def __init__(self, call_sid: str, began_s: float) -> None:
        self.call_sid: Final = call_sid
        self.began_s = began_s
        self.ended_s: float | None = None
        self.ended_by: str | None = None
        self.why: str | None = None
        """Why it ended, or why its last stream did."""
        self.is_over = False
        """Whether a log line says that the call is over. A call that was left may go on over another stream."""
        self.caller: str | None = None
        """The caller's number, masked."""
        self.called: str | None = None
        self.mode: str | None = None
        self.streams: dict[str, CallStream] = {}
        self.turns: dict[tuple[str, int], CallTurn] = {}
        """The turns that are not forgotten, by the SID of their stream and their number."""
        self.turns_over = 0
        self.faults: Faults = {}
        self.intents: dict[str, IntentSeen] = {}
        self.counts = dict.fromkeys(COUNTED.values(), 0)
        self.worst_reply_ms: int | None = None
        self.worst_lex_ms: int | None = None
        self.attributes: dict[str, Any] = {}

    @property
    def has_live_stream(self) -> bool:
        """Whether a stream of the call is live."""
        return any(stream.ended_s is None for stream in self.streams.values())

    def take(self, event: Event) -> list[CallTurn]:
        """Take in an event of this call, and return the turns that are over by it."""
        self.began_s = min(self.began_s, event.at_s)  # facts of two workers may come in another order
        turn = self._turn_of(event)
        self._note_stream(event)
        if event.level in FAULT_LEVELS:
            self._note_fault(event, turn)
        if event.name in COUNTED:
            self.counts[COUNTED[event.name]] += 1
        if event.name in _OF_CALL:
            return _OF_CALL[event.name](self, event) or []
        if turn is not None and event.name in _OF_TURN:
            return _OF_TURN[event.name](self, turn, event) or []
        return []

    def worker_ended(self, pid: int, at_s: float) -> list[CallTurn]:
        """Note that a worker is gone, and return the turns that were lost with it."""
        lost = [one for one in self.streams.values() if one.ended_s is None and one.worker_pid == pid]
        for stream in lost:
            stream.ended_s, stream.how = at_s, LOST_WITH_WORKER
            fault = self.faults.setdefault(LOST_WITH_WORKER, Fault(LOST_WITH_WORKER, first_s=at_s))
            fault.count += 1
        if lost and not self.has_live_stream:
            self.ended_s, self.ended_by, self.why = at_s, None, LOST_WITH_WORKER
        return [turn for stream in lost for turn in self._lose_turns(stream.stream_sid, at_s)]

    # -- the call and its streams

    def _note_stream(self, event: Event) -> None:
        """Note the event's stream. Lines of webhooks name streams too that never served the call: they have no time."""
        stream = self.streams.get(event.stream_sid)
        if stream is None and event.stream_sid and (event.media_ms >= 0 or event.name in _BEGINS_STREAM):
            began_s = event.at_s - max(event.media_ms, 0) / 1000
            stream = self.streams[event.stream_sid] = CallStream(event.stream_sid, began_s)
            self.is_over, self.ended_s, self.ended_by, self.why = False, None, None, None
        if stream is not None:
            stream.worker_pid = event.fields.get("pid", stream.worker_pid)
            stream.mode = self.mode = event.fields.get("mode", stream.mode) or self.mode

    def _call_described(self, event: Event) -> None:
        self.caller = event.fields.get("caller", self.caller)
        self.called = event.fields.get("called", self.called)

    def _stream_started(self, event: Event) -> None:
        if stream := self.streams.get(event.stream_sid):
            stream.resumed = event.fields.get("resumed", stream.resumed)

    def _stream_over(self, event: Event) -> list[CallTurn]:
        is_end = event.name == "call-ended"
        ended_by = event.fields.get("ended_by")
        why = event.fields.get("why")
        if stream := self.streams.get(event.stream_sid):
            stream.ended_s = event.at_s
            stream.how = why or (f"call ended by {ended_by}" if is_end else None)
        if not self.has_live_stream:
            # As docs/log.md has it: if no other stream follows, the caller hung up.
            self.ended_s, self.ended_by, self.why = event.at_s, ended_by if is_end else "caller", why
            self.is_over = is_end
        return self._lose_turns(event.stream_sid, event.at_s)

    def _ended_in_words(self, event: Event) -> None:
        """Note that a webhook has ended the call, after its last stream."""
        self.ended_s, self.ended_by, self.why, self.is_over = event.at_s, "lexbridge", event.name, True

    # -- turns

    def _turn_of(self, event: Event) -> CallTurn | None:
        """Return the turn that an event is about. It is made if the event begins one."""
        number = event.fields.get("turn")
        if not isinstance(number, int) or not event.stream_sid:
            return None
        key = event.stream_sid, number
        turn = self.turns.get(key)
        is_first = event.name in _BEGINS_TURN and number >= 0 and event.fields.get("how") != "speech"
        if turn is None and is_first:
            turn = self.turns[key] = CallTurn(event.stream_sid, number, event.at_s)
            if stream := self.streams.get(event.stream_sid):
                turn.worker_pid = stream.worker_pid
        return turn

    def _opened(self, turn: CallTurn, event: Event) -> None:
        if turn.said_s is None:  # else it had to wait, and is opened long after it was spoken
            self._note_start(turn, event)

    def _note_start(self, turn: CallTurn, event: Event) -> None:
        started_ms = event.fields.get("started_ms")
        if started_ms is not None:
            turn.started_ms = started_ms
            turn.began_s = event.at_s - max(0, event.media_ms - started_ms) / 1000

    def _utterance_ended(self, turn: CallTurn, event: Event) -> None:
        fields = event.fields
        turn.said_s = event.at_s
        self._note_start(turn, event)
        turn.ended_ms = fields.get("ended_ms")
        turn.end_ms = fields.get("silent_ms")
        if event.name == "keys-complete":
            turn.by = "keys"

    def _lex_asked(self, turn: CallTurn, event: Event) -> None:
        how = event.fields.get("how")
        if how in ("keys", "welcome"):
            turn.by = how
        if how == "welcome":
            turn.said_s = event.at_s
        turn.keys = event.words.get("keys", turn.keys)

    def _lex_answered(self, turn: CallTurn, event: Event) -> None:
        fields, words = event.fields, event.words
        turn.answered_s = turn.answered_s or event.at_s
        turn.intent = fields.get("intent", turn.intent)
        turn.dialog_state = fields.get("dialog_state", turn.dialog_state)
        turn.slot_to_elicit = fields.get("slot_to_elicit", turn.slot_to_elicit)
        turn.transcript = words.get("transcript", turn.transcript)
        turn.messages = list(words.get("messages", turn.messages))
        turn.slots = dict(list((words.get("slots") or turn.slots).items())[:MAX_SLOTS])
        turn.raw = words.get("raw", turn.raw)
        if "session_attributes" in words:
            now = dict(list((words["session_attributes"] or {}).items())[:MAX_SLOTS])
            turn.attributes_changed = _changed(self.attributes, now)
            self.attributes = now
        if turn.intent:
            seen = self.intents.setdefault(turn.intent, IntentSeen(turn.intent))
            seen.dialog_state = turn.dialog_state
            seen.slots.update({name: value for name, value in turn.slots.items() if value is not None})

    def _filler_said(self, turn: CallTurn, event: Event) -> None:  # noqa: ARG002 - as all of _OF_TURN
        turn.filler = True

    def _update_made(self, event: Event) -> None:
        for turn in self._open_turns(event.stream_sid):
            if turn.answered_s is not None and turn.update is None:
                turn.update, turn.update_made_s = event.fields.get("number"), event.at_s
                turn.twiml = event.words.get("twiml")

    def _turn_over(self, turn: CallTurn, event: Event) -> list[CallTurn]:
        fields = event.fields
        turn.over_s = event.at_s
        turn.outcome = fields.get("outcome")
        turn.end_ms, turn.lex_ms = fields.get("end_ms", turn.end_ms), fields.get("lex_ms")
        turn.queue_ms, turn.update_ms, turn.reply_ms = (
            fields.get(f"{name}_ms") for name in ("queue", "update", "reply")
        )
        turn.filler = fields.get("filler", turn.filler)
        return [self._finished(turn)]

    def _turn_dropped(self, turn: CallTurn, event: Event) -> None:  # noqa: ARG002 - as all of _OF_TURN
        del self.turns[turn.stream_sid, turn.turn]

    def _lose_turns(self, stream_sid: str, at_s: float) -> list[CallTurn]:
        """End the turns of a stream that is over. Those whose utterance was complete count as lost."""
        lost = [turn for turn in self._open_turns(stream_sid) if turn.said_s is not None]
        for turn in lost:
            turn.over_s, turn.outcome = at_s, "lost"
        return [self._finished(turn) for turn in lost]

    def _finished(self, turn: CallTurn) -> CallTurn:
        self.turns_over += 1
        if turn.lex_ms is not None:
            self.worst_lex_ms = max(turn.lex_ms, self.worst_lex_ms or 0)
        if turn.reply_ms is not None:
            self.worst_reply_ms = max(turn.reply_ms, self.worst_reply_ms or 0)
        return turn

    def _open_turns(self, stream_sid: str) -> Iterator[CallTurn]:
        return (turn for turn in self.turns.values() if turn.stream_sid == stream_sid and turn.over_s is None)

    # -- faults

    def _note_fault(self, event: Event, turn: CallTurn | None) -> None:
        of_turns = [turn] if turn is not None else []
        if event.name.startswith("call-update-"):
            of_turns = [one for one in self._open_turns(event.stream_sid) if one.update is not None]
        for faults in (self.faults, *(one.faults for one in of_turns)):
            fault = faults.setdefault(event.name, Fault(event.name, first_s=event.at_s))
            fault.count += 1
            told = event.fields.get("error") or event.fields.get("why") or event.fields.get("reason")
            fault.error = str(told) if told else fault.error


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that are new or different now, and None for those that are gone."""
    changed = {name: value for name, value in now.items() if before.get(name) != value}
    return changed | {name: None for name in before if name not in now}


COUNTED = {
    "barged-in": "barge_ins",
    "filler-said": "fillers",
    "no-input": "no_inputs",
    "false-alarm": "false_alarms",
    "joined": "joins",
}
"""Log events that are counted for each call, and the names of the counts."""

_BEGINS_STREAM = ("stream-described", "stream-started")
_BEGINS_TURN = ("utterance-opened", "utterance-ended", "keys-complete", "lex-asked", "lex-answered", "turn-latency")

_OF_CALL: Mapping[str, Callable[[CallFacts, Event], list[CallTurn] | None]] = {
    "call-described": CallFacts._call_described,
    "stream-started": CallFacts._stream_started,
    "call-ended": CallFacts._stream_over,
    "call-left": CallFacts._stream_over,
    "call-given-up": CallFacts._ended_in_words,
    "silent-caller-left": CallFacts._ended_in_words,
    "update-made": CallFacts._update_made,
}

_OF_TURN: Mapping[str, Callable[[CallFacts, CallTurn, Event], list[CallTurn] | None]] = {
    "utterance-opened": CallFacts._opened,
    "utterance-ended": CallFacts._utterance_ended,
    "keys-complete": CallFacts._utterance_ended,
    "lex-asked": CallFacts._lex_asked,
    "lex-answered": CallFacts._lex_answered,
    "turn-answered": CallFacts._lex_answered,
    "turn-failed": CallFacts._lex_answered,
    "filler-said": CallFacts._filler_said,
    "turn-latency": CallFacts._turn_over,
    "utterance-dropped": CallFacts._turn_dropped,
}
