"""One call as its facts tell it: its streams, its turns with their times, its faults, and how it ended.

This is the only place that makes calls, streams and turns of facts: the console, events, recordings and traces stand on
it. The facts of a call come from several streams, and so from several workers, each in its own order. Turn numbers and
media times belong to one stream. Nothing here reads a clock.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from lexbridge.config.route import CallRoute
from lexbridge.observer.watched.call_parts import CallStream, CallTurn, Faults, NoInput, add_fault
from lexbridge.observer.watched.call_turns import LOST_WITH_WORKER, NOT_TOLD, CallTurns, Changes
from lexbridge.observer.watched.values import flag, text, whole
from lexbridge.telemetry.facts import Audio, Event

FAULT_LEVELS = ("warning", "error")

HUNG_UP, BOT_HUNG_UP, TRANSFERRED, RELEASED = "caller hung up", "bot hung up", "transferred", "released"
"""Reasons for an end of which the log names only who ended the call."""

NO_STREAM, NOTHING_MORE = "no stream", "nothing more was heard of it"
"""Reasons for the end of a call that no fact has told."""

MAX_NO_INPUTS = 100
"""The most silences of one call whose times are kept. The call ends after a few in a row."""


class CallFacts:
    """The account of one call. `take` each of its events, and `worker_ended` for a worker that is gone."""

    def __init__(self, call_sid: str, began_s: float, max_streams: int | None = None) -> None:
        """`max_streams`: the most streams that are told apart; None: as many as there are."""
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
        self.route = CallRoute()
        """The line that serves it."""
        self.streams: dict[str, CallStream] = {}
        self.turns = CallTurns()
        self.faults: Faults = {}
        self.no_inputs: list[NoInput] = []
        self.counts = dict.fromkeys(COUNTED.values(), 0)
        self._max_streams = max_streams
        self._newest: CallStream | None = None
        self._is_ended_by_webhook = False

    @property
    def has_live_stream(self) -> bool:
        """Whether the newest stream of the call is live. It took the call over from all others, which end with that."""
        return self._newest is not None and self._newest.ended_s is None

    @property
    def logged_why(self) -> str | None:
        """The reason for its end as the log has it, or None where the log names only who ended it."""
        return logged(self.why)

    def take(self, event: Event) -> Changes:
        """Take in an event of this call, and return what it changed."""
        changes = Changes()
        self.began_s = min(self.began_s, event.at_s)  # facts of two workers may come in another order
        stream = self.stream_of(event)
        turn = self.turns.of(event, stream)
        if event.level in FAULT_LEVELS:
            self._note_fault(event, turn)
        if event.name in COUNTED:
            self.counts[COUNTED[event.name]] += 1
        if event.name in _OF_CALL:
            _OF_CALL[event.name](self, event, changes)
        elif turn is not None:
            self.turns.take(turn, event, changes)
        return changes

    def is_served_by(self, pid: int) -> bool:
        """Return whether a worker serves a live stream of the call."""
        return any(self._live_streams_of(pid))

    def worker_ended(self, pid: int, at_s: float) -> Changes:
        """Note that a worker is gone, and return the streams and turns that were lost with it."""
        changes = Changes()
        for stream in list(self._live_streams_of(pid)):
            stream.ended_s, stream.how = at_s, LOST_WITH_WORKER
            fault = Event(at_s, self.call_sid, stream.stream_sid, -1, "error", LOST_WITH_WORKER, {})
            add_fault(self.faults, fault, None)
            self.turns.stream_over(stream, at_s, changes)
        if self._newest in changes.streams_over and not self._is_ended_by_webhook:
            self.ended_s, self.ended_by, self.why = at_s, None, LOST_WITH_WORKER
        return changes

    def stream_of(self, fact: Event | Audio) -> CallStream | None:
        """Return the stream of a fact, which may be a new one.

        Lines of webhooks name streams too that never served the call, or serve it no more: they have no media time.
        """
        stream = self.streams.get(fact.stream_sid)
        is_served = fact.media_ms >= 0 or (isinstance(fact, Event) and fact.name in _BEGINS_STREAM)
        has_room = self._max_streams is None or len(self.streams) < self._max_streams
        if stream is None and fact.stream_sid and is_served and has_room:
            stream = CallStream(fact.stream_sid, fact.at_s - max(fact.media_ms, 0) / 1000)
            self._begin_stream(stream)
        return stream

    # -- the call and its streams

    def _begin_stream(self, stream: CallStream) -> None:
        """Add a stream. The call goes on with it, whatever was thought before, unless a newer one was told of first."""
        self.streams[stream.stream_sid] = stream
        self.began_s = min(self.began_s, stream.began_s)  # the beginning of the call may have been missed
        if self._newest is None or stream.began_s >= self._newest.began_s:
            self._newest = stream
            if not self._is_ended_by_webhook or stream.began_s > (self.ended_s or 0):
                self.is_over = self._is_ended_by_webhook = False
                self.ended_s = self.ended_by = self.why = None

    def _live_streams_of(self, pid: int) -> Iterator[CallStream]:
        return (one for one in self.streams.values() if one.ended_s is None and one.worker_pid == pid)

    def _served_by(self, event: Event) -> None:
        """Note which line serves the call. The newest stream tells, because another bot may have taken the call."""
        told = (text(event.fields, name) or "" for name in ("line", "line_bot", "line_locale"))
        self.route = CallRoute(*told)

    def _call_described(self, event: Event, _: Changes) -> None:
        if not self.streams:
            self._served_by(event)
        self.caller = text(event.fields, "caller") or self.caller
        self.called = text(event.fields, "called") or self.called

    def _stream_described(self, event: Event, _: Changes) -> None:
        if self._newest is not None and self._newest.stream_sid == event.stream_sid:
            self._served_by(event)
        if stream := self.streams.get(event.stream_sid):
            pid = whole(event.fields, "pid")
            stream.worker_pid = stream.worker_pid if pid is None else pid
            stream.mode = self.mode = text(event.fields, "mode") or stream.mode or self.mode

    def _stream_started(self, event: Event, _: Changes) -> None:
        if stream := self.streams.get(event.stream_sid):
            stream.resumed = text(event.fields, "resumed") or stream.resumed

    def _stream_stopped(self, event: Event, _: Changes) -> None:
        """Note that a stream is over. Another line of the same moment tells why, unless that fact was lost."""
        stream = self.streams.get(event.stream_sid)
        if stream is not None and stream.ended_s is None:
            stream.ended_s = event.at_s

    def _stream_over(self, event: Event, changes: Changes) -> None:
        is_end = event.name == "call-ended"
        ended_by = text(event.fields, "ended_by") if is_end else None
        how = text(event.fields, "why") or _ENDED_BY.get(ended_by or "", NOT_TOLD)
        stream = self.streams.get(event.stream_sid)
        if stream is not None:
            stream.ended_s, stream.how = event.at_s, how
            stream.is_spoken_on = how in _SPOKEN_ON or (is_end and ended_by != "caller")
        if not self.has_live_stream and stream in (None, self._newest):
            self.ended_s = event.at_s
            if not self._is_ended_by_webhook:
                # As docs/log.md has it: if no other stream follows, the caller hung up.
                self.ended_by, self.why, self.is_over = ended_by if is_end else "caller", how, is_end
        if stream is not None:
            self.turns.stream_over(stream, event.at_s, changes, is_end=is_end)

    def _ended_in_words(self, event: Event, _: Changes) -> None:
        """Note that a webhook has ended the call. Its stream may be stopped after that, which is no other end."""
        self.ended_s, self.ended_by, self.why = event.at_s, "lexbridge", event.name
        self.is_over = self._is_ended_by_webhook = True

    def _refused(self, event: Event, _: Changes) -> None:
        if not self.has_live_stream:
            self.ended_s, self.ended_by, self.is_over = event.at_s, "lexbridge", True
            self.why = f"refused: {text(event.fields, 'why')}"

    def _no_input(self, event: Event, _: Changes) -> None:
        if len(self.no_inputs) < MAX_NO_INPUTS:
            fields = event.fields
            self.no_inputs.append(NoInput(event.at_s, flag(fields, "ends_call"), flag(fields, "by_document")))

    def _update_made(self, event: Event, changes: Changes) -> None:
        number = whole(event.fields, "number")
        if (stream := self.streams.get(event.stream_sid)) and number is not None:
            stream.last_update = number
        self.turns.update_made(event, changes)

    # -- faults

    def _note_fault(self, event: Event, turn: CallTurn | None) -> None:
        of_turns = [turn] if turn is not None else []
        if event.name.startswith("call-update-"):
            of_turns = [one for one in self.turns.of_stream(event.stream_sid) if one.update is not None]
        number = of_turns[-1].turn if of_turns else None
        for faults in (self.faults, *(one.faults for one in of_turns)):
            add_fault(faults, event, number)


def logged(why: str | None) -> str | None:
    """Return a reason for an end, or None for one that only says who ended the call."""
    return None if why in (HUNG_UP, BOT_HUNG_UP, TRANSFERRED, RELEASED, NOT_TOLD) else why


COUNTED = {
    "barged-in": "barge_ins",
    "filler-said": "fillers",
    "no-input": "no_inputs",
    "false-alarm": "false_alarms",
    "joined": "joins",
}
"""Log events that are counted for each call, and the names of the counts."""

_ENDED_BY = {"caller": HUNG_UP, "bot": BOT_HUNG_UP, "transfer": TRANSFERRED, "release": RELEASED}
"""Reasons for the end of a call whose line names only who ended it."""

_SPOKEN_ON = ("handed over", "switched")
"""Reasons for the end of a stream after which Twilio still speaks the newest document."""

_BEGINS_STREAM = ("stream-described", "stream-started")

_OF_CALL: Mapping[str, Callable[[CallFacts, Event, Changes], None]] = {
    "call-described": CallFacts._call_described,
    "stream-described": CallFacts._stream_described,
    "stream-started": CallFacts._stream_started,
    "stream-ended": CallFacts._stream_stopped,
    "call-ended": CallFacts._stream_over,
    "call-left": CallFacts._stream_over,
    "call-given-up": CallFacts._ended_in_words,
    "silent-caller-left": CallFacts._ended_in_words,
    "call-refused": CallFacts._refused,
    "update-made": CallFacts._update_made,
    "no-input": CallFacts._no_input,
}
