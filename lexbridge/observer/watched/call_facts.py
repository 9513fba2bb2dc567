"""One call as its facts tell it: its streams, its turns with their times, its faults, and how it ended.

The facts of a call come from several streams, and so from several workers, each in its own order. Turn numbers and
media times belong to one stream. Nothing here reads a clock.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from lexbridge.observer.watched.begun_replies import BegunReplies
from lexbridge.observer.watched.call_parts import CallStream, CallTurn, Faults, IntentSeen, NoInput, add_fault
from lexbridge.observer.watched.turn_facts import MAX_SLOTS, note_latency, note_turn
from lexbridge.telemetry.facts import Event

FAULT_LEVELS = ("warning", "error")

LOST_WITH_WORKER = "worker-ended"
"""The reason for the end of a stream whose worker is gone."""

STREAM_ENDED = "its stream has ended"
"""The reason in the line `utterance-dropped` for turns that were under way when their stream ended."""

HUNG_UP, BOT_HUNG_UP, TRANSFERRED, NOT_TOLD = "caller hung up", "bot hung up", "transferred", "not told"
"""Reasons for an end of which the log names only who ended the call, or nothing."""

MAX_NO_INPUTS = 100
"""The most silences of one call whose times are kept. The call ends after a few in a row."""


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
        self.outcomes: Counter[str] = Counter()
        """The number of turns that are over, by their outcome."""
        self.no_inputs: list[NoInput] = []
        self.counts = dict.fromkeys(COUNTED.values(), 0)
        self.worst_reply_ms: int | None = None
        self.worst_lex_ms: int | None = None
        self.attributes: dict[str, Any] = {}
        self._heard = BegunReplies()

    @property
    def has_live_stream(self) -> bool:
        """Whether a stream of the call is live."""
        return any(stream.ended_s is None for stream in self.streams.values())

    def take(self, event: Event) -> list[CallTurn]:
        """Take in an event of this call, and return the turns that are over by it."""
        self.began_s = min(self.began_s, event.at_s)  # facts of two workers may come in another order
        over = [self._finished(one) for one in self._heard.take(event)]
        turn = self._turn_of(event)
        self._note_stream(event)
        if event.level in FAULT_LEVELS:
            self._note_fault(event, turn)
        if event.name in COUNTED:
            self.counts[COUNTED[event.name]] += 1
        if event.name in _OF_CALL:
            over += _OF_CALL[event.name](self, event) or []
        elif turn is not None and turn.over_s is None:
            note_turn(turn, event)
            if event.name in _OF_TURN:
                over += _OF_TURN[event.name](self, turn, event) or []
        return over

    def settle(self, now_s: float) -> list[CallTurn]:
        """Return the turns that are over because the caller must have heard the reply by now."""
        return [self._finished(turn) for turn in self._heard.settle(now_s)]

    def give_up(self) -> list[CallTurn]:
        """Return the turns of which it is not known yet whether the caller heard the reply."""
        return [self._finished(turn) for turn in self._heard.give_up()]

    def is_served_by(self, pid: int) -> bool:
        """Whether a worker serves a live stream of the call."""
        return any(stream.ended_s is None and stream.worker_pid == pid for stream in self.streams.values())

    def worker_ended(self, pid: int, at_s: float) -> list[CallTurn]:
        """Note that a worker is gone, and return the turns that were lost with it."""
        lost = [one for one in self.streams.values() if one.ended_s is None and one.worker_pid == pid]
        for stream in lost:
            stream.ended_s, stream.how = at_s, LOST_WITH_WORKER
            fault = Event(at_s, self.call_sid, stream.stream_sid, -1, "error", LOST_WITH_WORKER, {})
            add_fault(self.faults, fault, None)
        if lost and not self.has_live_stream:
            self.ended_s, self.ended_by, self.why = at_s, None, LOST_WITH_WORKER
        return [turn for stream in lost for turn in self._turns_left(stream, at_s)]

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
        ended_by = event.fields.get("ended_by") if is_end else None
        how = event.fields.get("why") or _ENDED_BY.get(ended_by or "", NOT_TOLD)
        stream = self.streams.get(event.stream_sid)
        if stream is not None:
            stream.ended_s, stream.how = event.at_s, how
        if not self.has_live_stream:
            # As docs/log.md has it: if no other stream follows, the caller hung up.
            self.ended_s, self.ended_by, self.why = event.at_s, ended_by if is_end else "caller", how
            self.is_over = is_end
        goes_on = how in _SPOKEN_ON or (is_end and ended_by != "caller")
        return [] if stream is None else self._turns_left(stream, event.at_s, is_end=is_end, goes_on=goes_on)

    def _turns_left(
        self, stream: CallStream, at_s: float, *, is_end: bool = False, goes_on: bool = False
    ) -> list[CallTurn]:
        """End all turns of a stream that is over. `goes_on`: whether Twilio still speaks the newest document."""
        answered = self._heard.stream_over(stream.stream_sid, goes_on=goes_on)
        lost = self._lose_turns(stream.stream_sid, at_s, stream.how, is_end=is_end)
        return [*(self._finished(turn) for turn in answered), *lost]

    def _ended_in_words(self, event: Event) -> None:
        """Note that a webhook has ended the call, after its last stream."""
        self.ended_s, self.ended_by, self.why, self.is_over = event.at_s, "lexbridge", event.name, True

    def _no_input(self, event: Event) -> None:
        if len(self.no_inputs) < MAX_NO_INPUTS:
            fields = event.fields
            self.no_inputs.append(NoInput(event.at_s, bool(fields.get("ends_call")), bool(fields.get("by_document"))))

    # -- turns

    def _turn_of(self, event: Event) -> CallTurn | None:
        """Return the turn that an event is about. It is made if the event begins one."""
        number = event.fields.get("turn")
        if not isinstance(number, int) or not event.stream_sid:
            return None
        key = event.stream_sid, number
        turn = self.turns.get(key)
        is_first = event.name in _BEGINS_TURN and number >= 0 and event.fields.get("how") != "speech"
        stream = self.streams.get(event.stream_sid)
        is_late = stream is not None and stream.ended_s is not None
        if turn is None and is_first and not is_late:
            turn = self.turns[key] = CallTurn(event.stream_sid, number, event.at_s)
            turn.worker_pid = stream.worker_pid if stream is not None else None
        return turn

    def _lex_answered(self, turn: CallTurn, event: Event) -> None:
        words = event.words
        if "session_attributes" in words:
            now = dict(list((words["session_attributes"] or {}).items())[:MAX_SLOTS])
            turn.attributes_changed = _changed(self.attributes, now)
            self.attributes = now
        if turn.intent:
            seen = self.intents.setdefault(turn.intent, IntentSeen(turn.intent))
            seen.dialog_state = turn.dialog_state
            seen.slots.update({name: value for name, value in turn.slots.items() if value is not None})

    def _update_made(self, event: Event) -> None:
        if stream := self.streams.get(event.stream_sid):
            stream.last_update = event.fields.get("number", stream.last_update)
        for turn in self._open_turns(event.stream_sid):
            if turn.answered_s is not None and turn.update is None:
                turn.update, turn.update_made_s = event.fields.get("number"), event.at_s
                turn.twiml = event.words.get("twiml")

    def _turn_over(self, turn: CallTurn, event: Event) -> list[CallTurn]:
        note_latency(turn, event)
        stream = self.streams.get(turn.stream_sid)
        is_unsure = self._heard.add(turn, stream.last_update if stream is not None else None)
        return [] if is_unsure else [self._finished(turn)]

    def _turn_dropped(self, turn: CallTurn, event: Event) -> list[CallTurn]:
        turn.why = event.fields.get("why")
        if turn.why == STREAM_ENDED:
            return []  # a line of the same moment tells how it ended
        return [self._ended(turn, event.at_s, "dropped")]

    def _lose_turns(self, stream_sid: str, at_s: float, how: str | None, *, is_end: bool) -> list[CallTurn]:
        """End the turns of a stream that is over. `is_end`: the call ended with it, so nobody waits for an answer."""
        open_turns = list(self._open_turns(stream_sid))
        if is_end:
            open_turns = [turn for turn in open_turns if turn.said_s is not None or turn.why is not None]
        for turn in open_turns:
            turn.why = how or NOT_TOLD
        return [self._ended(turn, at_s, "dropped" if is_end else "lost") for turn in open_turns]

    def _ended(self, turn: CallTurn, at_s: float, outcome: str) -> CallTurn:
        turn.over_s, turn.outcome = at_s, outcome
        return self._finished(turn)

    def _finished(self, turn: CallTurn) -> CallTurn:
        self.turns_over += 1
        self.outcomes[turn.outcome or NOT_TOLD] += 1
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
        number = of_turns[-1].turn if of_turns else None
        for faults in (self.faults, *(one.faults for one in of_turns)):
            add_fault(faults, event, number)


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

_ENDED_BY = {"caller": HUNG_UP, "bot": BOT_HUNG_UP, "transfer": TRANSFERRED}
"""Reasons for the end of a call whose line names only who ended it."""

_SPOKEN_ON = ("handed over",)
"""Reasons for the end of a stream after which Twilio still speaks the newest document."""

_BEGINS_STREAM = ("stream-described", "stream-started")
_BEGINS_TURN = (
    "utterance-opened",
    "utterance-ended",
    "utterance-dropped",
    "keys-complete",
    "lex-asked",
    "lex-answered",
    "turn-latency",
)

_OF_CALL: Mapping[str, Callable[[CallFacts, Event], list[CallTurn] | None]] = {
    "call-described": CallFacts._call_described,
    "stream-started": CallFacts._stream_started,
    "call-ended": CallFacts._stream_over,
    "call-left": CallFacts._stream_over,
    "call-given-up": CallFacts._ended_in_words,
    "silent-caller-left": CallFacts._ended_in_words,
    "update-made": CallFacts._update_made,
    "no-input": CallFacts._no_input,
}

_OF_TURN: Mapping[str, Callable[[CallFacts, CallTurn, Event], list[CallTurn] | None]] = {
    "lex-answered": CallFacts._lex_answered,
    "turn-answered": CallFacts._lex_answered,
    "turn-failed": CallFacts._lex_answered,
    "turn-latency": CallFacts._turn_over,
    "utterance-dropped": CallFacts._turn_dropped,
}
