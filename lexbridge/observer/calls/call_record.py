"""One call as the observer remembers it, joined over its media streams: events, turns and audio."""

from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import msgspec

from lexbridge.observer.calls.call_axis import CallAxis
from lexbridge.observer.calls.call_state import CallState
from lexbridge.observer.calls.call_summary import Stream, Summary, with_search
from lexbridge.observer.calls.call_turns import LOST_WITH_WORKER, CallTurns
from lexbridge.observer.calls.health import OTHER, count_kind
from lexbridge.observer.calls.kept_audio import Track
from lexbridge.observer.calls.turn_record import Turn
from lexbridge.observer.calls.values import text, whole
from lexbridge.telemetry.facts import Audio, Event

MAX_EVENTS = 5000
"""Events of one call that are kept, the newest, because a page with more of them is read by nobody."""

MAX_TURN_BYTES = 4 * 1024 * 1024
"""Words of the turns of one call that are kept, as JSON, because a call of an hour has about 2 MB of Lex's answers."""

MAX_STREAMS = 100
"""Media streams of one call that are told apart, because a call is given up after 60 lost ones in a row."""


_ENDINGS = ("stream-ended", "call-left", "call-ended", LOST_WITH_WORKER)
_BEGINNINGS = ("stream-started", "stream-described")


class CallRecord:
    """All that is remembered of one call. Its owner bounds the bytes; the counts are bounded here."""

    def __init__(self, call_sid: str, began_s: float) -> None:
        self.call_sid = call_sid
        self.began_s = began_s
        self.caller: str | None = None
        self.called: str | None = None
        self.state = CallState(began_s)
        self.streams: dict[str, Stream] = {}
        self.turns = CallTurns()
        self._axis = CallAxis()
        self.tracks: dict[tuple[str, str], Track] = {}
        """Audio by stream and track ("caller" or "bot")."""
        self.events: deque[bytes] = deque()
        """Events as JSON: [at_s, stream_sid, media_ms, level, name, fields, words, x_s]."""
        self.newest_event = b""
        self.event_bytes = 0
        self.turn_bytes = 0
        self.audio_bytes = 0
        self.dropped_events = 0
        self.dropped_audio_bytes = 0
        self.faults: Counter[str] = Counter()
        """Warnings and errors by event."""
        self.errors = self.barge_ins = self.fillers = self.no_inputs = 0
        self.lost_workers: list[int] = []
        self.last_reply_ms: int | None = None
        self.worst_reply_ms: int | None = None
        self.is_opened = False

    @property
    def text_bytes(self) -> int:
        """Bytes of all but the audio: events, and the words of turns."""
        return self.event_bytes + self.turn_bytes

    # -- facts

    def take(self, event: Event, encoded: bytes) -> list[Turn]:
        """Take in an event, with its JSON. Return the turns that it changed."""
        stream = self._stream(event)
        x_s = self._placed(event, stream)
        self._keep(encoded[:-1] + b"," + msgspec.json.encode(round(x_s, 3)) + b"]")
        event = self._within_turn_bytes(event, encoded)
        self.began_s = min(self.began_s, event.at_s)
        self.state.take(event, stream is not None)
        self._count(event)
        if event.name in ("call-described", "stream-described"):
            self._describe(event, stream)
        if stream is not None and event.name in _ENDINGS:
            self._end_stream(stream, event)
        if event.name == "audio-cleared" and stream is not None:
            self._clear_bot(stream, event)
        turns = self.turns.take(event, stream)
        for turn in turns:
            turn.x_s = self._axis.of_media(turn.stream_sid, turn.started_ms, turn.x_s or x_s)
        return turns

    def needed_bytes(self, audio: Audio) -> int:
        """Return how many bytes it takes to keep the audio, at most."""
        track = self.tracks.get((audio.stream_sid, audio.track))
        filled = track.hole_bytes(audio.media_ms) if track is not None and audio.track == "caller" else 0
        return len(audio.mulaw) + filled

    def take_audio(self, audio: Audio) -> int:
        """Take in audio, and return how many bytes of it were kept."""
        stream = self._stream_at(audio)
        if stream is None:
            return 0
        track = self.tracks.setdefault((stream.stream_sid, audio.track), Track())
        if audio.track == "caller":
            kept = track.put(audio.media_ms, audio.mulaw)
        else:
            kept = track.play(_now_ms(audio, stream), audio.mulaw)
        self.audio_bytes += kept
        self.state.heard_at(audio.at_s)
        return kept

    def open_streams(self, pid: int) -> list[str]:
        """Return the streams that a worker serves."""
        return [one.stream_sid for one in self.streams.values() if one.worker_pid == pid and one.ended_s is None]

    def forget_audio(self) -> int:
        """Drop all audio, and return how many bytes that were."""
        dropped = sum(track.forget() for track in self.tracks.values())
        self.audio_bytes = 0
        self.dropped_audio_bytes += dropped
        return dropped

    def drop_oldest_event(self) -> tuple[int, int]:
        """Drop the oldest event. Return the bytes that this frees, and how many events went: 1 or 0."""
        if not self.events:
            return 0, 0
        freed = len(self.events.popleft())
        self.event_bytes -= freed
        self.dropped_events += 1
        return freed, 1

    def restore(self, told: Summary) -> None:
        """Take over what a summary tells, for a call from a file. It has ended."""
        self.caller, self.called = told.caller, told.called
        self.state.end(told.ended_s or told.began_s, told.ended_by, told.why, is_lost=told.state == "lost")
        # A file of an older version tells how many there were, and not of which kind.
        self.faults = Counter(told.fault_counts or ({OTHER: told.faults} if told.faults else {}))
        self.errors, self.no_inputs, self.lost_workers = told.errors, told.no_inputs, told.lost_workers
        self.barge_ins, self.fillers = told.barge_ins, told.fillers
        self.turns.intent, self.turns.dialog_state = told.intent, told.dialog_state
        self.last_reply_ms, self.worst_reply_ms = told.last_reply_ms, told.worst_reply_ms

    # -- views

    def summary(self, now_s: float) -> Summary:
        """Return the call in one line."""
        state = self.state
        newest = next(reversed(self.streams.values()), None)
        return with_search(
            Summary(
                call_sid=self.call_sid,
                caller=self.caller,
                called=self.called,
                mode=newest.mode if newest else None,
                state=state.name,
                began_s=self.began_s,
                ended_s=state.ended_s,
                worker_pid=newest.worker_pid if newest else None,
                turns=self.turns.count,
                streams=len(self.streams),
                speaking=state.speaking(now_s),
                last_reply_ms=self.last_reply_ms,
                worst_reply_ms=self.worst_reply_ms,
                faults=self.faults.total(),
                errors=self.errors,
                warnings=self.faults.total() - self.errors,
                fault_counts=dict(self.faults),
                lost_workers=self.lost_workers,
                worker_pids=list(dict.fromkeys(one.worker_pid for one in self.streams.values() if one.worker_pid)),
                no_inputs=self.no_inputs,
                barge_ins=self.barge_ins,
                fillers=self.fillers,
                intent=self.turns.intent,
                dialog_state=self.turns.dialog_state,
                ended_by=state.ended_by,
                why=state.why,
                has_audio=self.audio_bytes > 0,
                opened=self.is_opened,
                dropped_events=self.dropped_events,
                dropped_audio_bytes=self.dropped_audio_bytes,
            )
        )

    def view(self, now_s: float) -> dict[str, Any]:
        """Return all that is known of the call but the audio itself, to be encoded as JSON."""
        return {
            "summary": self.summary(now_s),
            "streams": list(self.streams.values()),
            "events": [msgspec.Raw(one) for one in self.events],
            "turns": self.turns.as_spoken(),
            "audio": {
                **{name: list(self._spans_s(name)) for name in ("caller", "bot")},
                "unheard": list(self._unheard_s()),
            },
        }

    def track(self, stream_sid: str, name: str) -> Track:
        """Return the audio of one side of a stream, which may be none."""
        return self.tracks.get((stream_sid, name)) or Track()

    def _spans_s(self, name: str) -> Iterator[list[float]]:
        for stream in self.streams.values():
            for run in self.track(stream.stream_sid, name).runs:
                yield _span(stream, run.start_ms, run.end_ms - run.start_ms)

    def _unheard_s(self) -> Iterator[list[float]]:
        for stream in self.streams.values():
            for start_ms, ms in self.track(stream.stream_sid, "bot").unheard:
                yield _span(stream, start_ms, ms)

    # -- parts of `take`

    def _placed(self, event: Event, stream: Stream | None) -> float:
        """Return the place of an event on the call's axis."""
        x_s = self._axis.place(event.at_s, event.stream_sid, event.media_ms)
        if stream is not None:
            stream.pace = self._axis.pace(event.stream_sid)
        return x_s

    def _keep(self, encoded: bytes) -> None:
        self.newest_event = encoded
        self.events.append(encoded)
        self.event_bytes += len(encoded)
        if len(self.events) > MAX_EVENTS:
            self.drop_oldest_event()

    def _within_turn_bytes(self, event: Event, encoded: bytes) -> Event:
        """Return the event, or if the turns of the call have too many words already, without its words."""
        if not event.words:
            return event
        if self.turn_bytes + len(encoded) > MAX_TURN_BYTES:
            return msgspec.structs.replace(event, words={})
        self.turn_bytes += len(encoded)
        return event

    def _stream(self, event: Event) -> Stream | None:
        stream = self._stream_at(event) if event.stream_sid else None
        pid = whole(event.fields, "pid")
        if stream is not None and pid is not None:
            stream.worker_pid = pid
        return stream

    def _stream_at(self, fact: Event | Audio) -> Stream | None:
        """Return the stream of a fact, or None if it has none, or beyond MAX_STREAMS."""
        stream = self.streams.get(fact.stream_sid)
        # Lines of webhooks name streams, too, that never served the call, or serve it no more: they have no media time.
        is_served = fact.media_ms >= 0 or (isinstance(fact, Event) and fact.name in _BEGINNINGS)
        if stream is None and is_served and len(self.streams) < MAX_STREAMS:
            stream = Stream(fact.stream_sid, fact.at_s - max(0, fact.media_ms) / 1000)
            stream.x_began_s = self._axis.begin(fact.stream_sid, fact.at_s, fact.media_ms)
            self.streams[fact.stream_sid] = stream
            self.state.stream_began(fact.stream_sid, fact.at_s)
        return stream

    def _describe(self, event: Event, stream: Stream | None) -> None:
        self.caller = text(event.fields, "caller") or self.caller
        self.called = text(event.fields, "called") or self.called
        if stream is not None:
            stream.mode = text(event.fields, "mode") or stream.mode

    def _count(self, event: Event) -> None:
        if event.level in ("warning", "error"):
            count_kind(self.faults, event.name)
            self.errors += event.level == "error"
        self.no_inputs += event.name == "no-input"
        self.barge_ins += event.name == "barged-in"
        self.fillers += event.name == "filler-said"
        reply_ms = whole(event.fields, "reply_ms") if event.name == "turn-latency" else None
        if reply_ms is not None:
            self.last_reply_ms = reply_ms
            self.worst_reply_ms = max(reply_ms, self.worst_reply_ms or 0)

    def _end_stream(self, stream: Stream, event: Event) -> None:
        if event.name == LOST_WITH_WORKER:
            self.state.stream_lost(stream.stream_sid, event.at_s)
            if stream.worker_pid is not None and stream.worker_pid not in self.lost_workers:
                self.lost_workers.append(stream.worker_pid)
        if event.name != "stream-ended":
            stream.how = text(event.fields, "why") or event.name
        if stream.ended_s is None:
            stream.ended_s = event.at_s
            self._clear_bot(stream, event)

    def _clear_bot(self, stream: Stream, event: Event) -> None:
        """Drop what the bot sent and the caller never hears."""
        track = self.tracks.get((stream.stream_sid, "bot"))
        if track is not None:
            self.audio_bytes -= track.clear(_now_ms(event, stream))


def _now_ms(fact: Event | Audio, stream: Stream) -> int:
    """Return the place of a fact on the time line of its stream: media time, if that differs from the clock."""
    if stream.pace is not None and fact.media_ms >= 0:
        return fact.media_ms
    return round((fact.at_s - stream.began_s) * 1000)


def _span(stream: Stream, start_ms: int, ms: int) -> list[float]:
    """Return a span of a stream's audio: Unix time, seconds, and its place on the call's axis."""
    x_began_s = stream.began_s if stream.x_began_s is None else stream.x_began_s
    return [stream.began_s + start_ms / 1000, ms / 1000, x_began_s + start_ms / 1000]
