"""All calls that are under way, as their facts tell them: when each started, each turn of theirs, and when each ended.

Besides, what the supervisor tells of the service: that it serves or stops, and that a worker died.

A process that serves one stream of a call often cannot know whether the call goes on over another. So a call that was
left counts as ended only when nothing has followed for a while.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lexbridge.observer.watched.call_facts import NO_STREAM, NOTHING_MORE, CallFacts
from lexbridge.observer.watched.call_parts import CallTurn
from lexbridge.observer.watched.kept_words import NO_WORDS, with_words
from lexbridge.observer.watched.told_turns import ToldTurns
from lexbridge.observer.watched.values import text, whole
from lexbridge.telemetry.facts import Event

ENDED_S = 2.0
"""Time from the line that a call has ended to its end here, in seconds, because other processes may yet tell more."""

STARTED_S = 1.0
"""Time for which a call with a stream waits for its numbers, in seconds, because another worker may tell them."""

LEFT_S = 90.0
"""Time for which a call may be without a stream, in seconds, because a document may take a minute to run out."""

FORGOTTEN_S = 4 * 3600 + 600.0
"""Time without any fact after which a call is over, in seconds, because Twilio ends each after four hours."""

MAX_CALLS = 20_000
"""The most calls that are kept, because a call takes some kilobytes; beyond it the oldest is given up."""


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call has its first stream."""

    call: CallFacts


@dataclass(frozen=True, slots=True)
class TurnOver:
    """A turn's reply is heard, or never will be. `number` counts the turns of the whole call, from 1."""

    call: CallFacts
    turn: CallTurn
    number: int


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call is over: nothing more comes of it."""

    call: CallFacts


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker process has died, by a signal or with an exit status. `call_sids`: the calls that it served then."""

    at_s: float
    pid: int
    signal: str | None
    status: int | None
    call_sids: Sequence[str]


@dataclass(frozen=True, slots=True)
class ServiceStarted:
    """The service takes calls. `fields`: which bot it serves, and how, as in the line `serving`."""

    at_s: float
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ServiceStopping:
    """The service was told to end, and takes no new calls. `live_calls`: those that its workers still serve."""

    at_s: float
    live_calls: int


ToldOfCall = CallStarted | TurnOver | CallEnded
ToldOfService = WorkerDied | ServiceStarted | ServiceStopping
Told = ToldOfCall | ToldOfService


@dataclass(slots=True, eq=False)
class _Watched:
    turns: ToldTurns
    last_s: float
    due_s: float
    """The time at which the call is over if nothing more comes."""
    is_started: bool = False

    @property
    def facts(self) -> CallFacts:
        return self.turns.facts


class WatchedCalls:
    """The calls under way. `take` the facts, and `tick` about once a second. Times are Unix times, seconds."""

    def __init__(self, kept_words: frozenset[str] = NO_WORDS) -> None:
        """`kept_words`: names of the words that are kept until their turn, or the call with their slots, is over."""
        self._kept_words = kept_words
        self._calls: dict[str, _Watched] = {}
        self._served: tuple[int, list[str]] = 0, []  # the worker that ended last, and the calls that it served

    def __len__(self) -> int:
        return len(self._calls)

    def facts(self, call_sid: str) -> CallFacts | None:
        """Return what is known of a call, or None if it is not under way."""
        call = self._calls.get(call_sid)
        return call.facts if call is not None else None

    def take(self, event: Event) -> Iterator[Told]:
        """Take in an event, and yield what it tells. The whole result has to be read."""
        if not event.call_sid:
            yield from self._of_service(event)
            return
        call = self._calls.get(event.call_sid)
        if call is None and _may_be_first(event):
            if len(self._calls) >= MAX_CALLS:
                yield from self._end(next(iter(self._calls.values())), event.at_s)
            turns = ToldTurns(CallFacts(event.call_sid, event.at_s))
            call = _Watched(turns, event.at_s, event.at_s + LEFT_S)
            self._calls[event.call_sid] = call
        if call is not None:
            yield from self._take(call, with_words(event, self._kept_words))

    def tick(self, now_s: float) -> Iterator[ToldOfCall]:
        """Yield the turns and calls that are over because time has passed."""
        for call in list(self._calls.values()):
            yield from self._turns_over(call, call.turns.settle(now_s))
            if call.due_s <= now_s:
                yield from self._end(call, now_s)
            elif call.facts.mode is not None and call.facts.began_s + STARTED_S <= now_s:
                yield from self._start(call)

    def end_all(self, now_s: float) -> Iterator[ToldOfCall]:
        """Yield all calls as ended that have no live stream, because this process ends. The others may go on."""
        for call in self._calls.values():
            yield from self._turns_over(call, call.turns.give_up())
        for call in [one for one in self._calls.values() if not one.facts.has_live_stream]:
            yield from self._end(call, now_s)

    def _take(self, call: _Watched, event: Event) -> Iterator[ToldOfCall]:
        call.last_s = event.at_s
        turns = call.turns.take(event)
        if call.facts.mode is not None and call.facts.caller is not None:
            yield from self._start(call)
        yield from self._turns_over(call, turns)
        call.due_s = self._due_s(call)

    def _of_service(self, event: Event) -> Iterator[Told]:
        """Take in what the supervisor tells. Other lines without a call tell nothing here."""
        fields = event.fields
        match event.name:
            case "worker-ended":
                yield from self._worker_ended(event)
            case "worker-died":
                pid, call_sids = self._served
                died = whole(fields, "pid") or 0
                how = text(fields, "signal"), whole(fields, "status")
                yield WorkerDied(event.at_s, died, *how, call_sids if pid == died else [])
            case "serving":
                yield ServiceStarted(event.at_s, fields)
            case "service-stopping":
                live_calls = sum(call.facts.has_live_stream for call in self._calls.values())
                yield ServiceStopping(event.at_s, live_calls)

    def _worker_ended(self, event: Event) -> Iterator[ToldOfCall]:
        pid = whole(event.fields, "pid") or 0
        self._served = pid, [sid for sid, call in self._calls.items() if call.facts.is_served_by(pid)]
        for call in self._calls.values():
            yield from self._turns_over(call, call.turns.worker_ended(pid, event.at_s))
            call.due_s = self._due_s(call)

    def _start(self, call: _Watched) -> Iterator[ToldOfCall]:
        if not call.is_started:
            call.is_started = True
            yield CallStarted(call.facts)

    def _turns_over(self, call: _Watched, turns: list[CallTurn]) -> Iterator[ToldOfCall]:
        if turns:
            yield from self._start(call)
        for number, turn in enumerate(turns, call.turns.told - len(turns) + 1):
            yield TurnOver(call.facts, turn, number)

    def _due_s(self, call: _Watched) -> float:
        facts = call.facts
        if facts.has_live_stream:
            return call.last_s + (LEFT_S if facts.is_over else FORGOTTEN_S)
        if facts.is_over and facts.ended_s is not None:
            return facts.ended_s + ENDED_S
        return call.last_s + LEFT_S

    def _end(self, call: _Watched, now_s: float) -> Iterator[ToldOfCall]:
        del self._calls[call.facts.call_sid]
        facts = call.facts
        yield from self._turns_over(call, call.turns.give_up())
        if facts.ended_s is None:
            facts.ended_s = now_s
            facts.why = NOTHING_MORE if facts.streams else NO_STREAM
        yield from self._start(call)
        yield CallEnded(facts)


def _may_be_first(event: Event) -> bool:
    """Return whether an event may be the first of a call. Late lines of a call that is over have no media time."""
    return event.name in ("call-answered", "call-described", "stream-started") or event.media_ms >= 0
