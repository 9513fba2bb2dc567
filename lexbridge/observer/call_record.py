"""One call as the observer remembers it, joined over its media streams: events, turns and audio."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from lexbridge.observer.call_state import CallState
from lexbridge.observer.call_summary import Stream, Summary
from lexbridge.observer.kept_audio import Track
from lexbridge.observer.turn_record import OPENS_TURN, Turn, changed_attributes, note_event
from lexbridge.observer.values import text, whole
from lexbridge.telemetry.facts import Audio, Event

MAX_EVENTS = 5000
"""Events of one call that are kept, the newest, because a page with more of them is read by nobody."""

MAX_TURNS = 1000
"""Turns of one call that are kept, because a call of an hour has about 400."""

MAX_TURN_BYTES = 4 * 1024 * 1024
"""Words of the turns of one call that are kept, as JSON, because a call of an hour has about 2 MB of Lex's answers."""

MAX_STREAMS = 100
"""Media streams of one call that are told apart, because a call is given up after 60 lost ones in a row."""


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
        self.turns: dict[tuple[str, int], Turn] = {}
        self.tracks: dict[tuple[str, str], Track] = {}
        """Audio by stream and track ("caller" or "bot")."""
        self.events: deque[bytes] = deque()
        """Events as JSON: [at_s, stream_sid, media_ms, level, name, fields, words]."""
        self.event_bytes = 0
        self.turn_bytes = 0
        self.audio_bytes = 0
        self.dropped_events = 0
        self.dropped_audio_bytes = 0
        self.faults = self.barge_ins = self.fillers = 0
        self.intent: str | None = None
        self.dialog_state: str | None = None
        self.last_reply_ms: int | None = None
        self.worst_reply_ms: int | None = None
        self.is_opened = False
        self._attributes: dict[str, Any] = {}
        self._answered: Turn | None = None  # the turn whose document comes next

    @property
    def text_bytes(self) -> int:
        """Bytes of all but the audio: events, and the words of turns."""
        return self.event_bytes + self.turn_bytes

    # -- facts

    def take(self, event: Event, encoded: bytes) -> Turn | None:
        """Take in an event, with its JSON. Return the turn that it changed, if any."""
        self._keep(encoded)
        event = self._within_turn_bytes(event, encoded)
        self.began_s = min(self.began_s, event.at_s)
        stream = self._stream(event)
        self.state.take(event, stream is not None)
        self._count(event)
        if event.name in ("call-described", "stream-described"):
            self._describe(event, stream)
        if stream is not None and event.name in ("stream-ended", "call-left", "call-ended") and stream.ended_s is None:
            self._end_stream(stream, event.at_s)
        if event.name == "audio-cleared" and stream is not None:
            self._clear_bot(stream, event.at_s)
        return self._turn(event, stream)

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
            kept = track.play(round((audio.at_s - stream.began_s) * 1000), audio.mulaw)
        self.audio_bytes += kept
        self.state.heard_at(audio.at_s)
        return kept

    def worker_ended(self, pid: int, at_s: float) -> bool:
        """Close the streams of a worker that is gone. Return whether there were any."""
        lost = [one for one in self.streams.values() if one.worker_pid == pid and one.ended_s is None]
        for stream in lost:
            self._end_stream(stream, at_s)
            self.state.stream_lost(stream.stream_sid, at_s)
        return bool(lost)

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
        self.faults, self.barge_ins, self.fillers = told.faults, told.barge_ins, told.fillers
        self.intent, self.dialog_state = told.intent, told.dialog_state
        self.last_reply_ms, self.worst_reply_ms = told.last_reply_ms, told.worst_reply_ms

    # -- views

    def summary(self, now_s: float) -> Summary:
        """Return the call in one line."""
        state = self.state
        newest = next(reversed(self.streams.values()), None)
        return Summary(
            call_sid=self.call_sid,
            caller=self.caller,
            called=self.called,
            mode=newest.mode if newest else None,
            state=state.name,
            began_s=self.began_s,
            ended_s=state.ended_s,
            worker_pid=newest.worker_pid if newest else None,
            turns=sum(turn.counts for turn in self.turns.values()),
            streams=len(self.streams),
            speaking=state.speaking(now_s),
            last_reply_ms=self.last_reply_ms,
            worst_reply_ms=self.worst_reply_ms,
            faults=self.faults,
            barge_ins=self.barge_ins,
            fillers=self.fillers,
            intent=self.intent,
            dialog_state=self.dialog_state,
            ended_by=state.ended_by,
            why=state.why,
            has_audio=self.audio_bytes > 0,
            opened=self.is_opened,
            dropped_events=self.dropped_events,
            dropped_audio_bytes=self.dropped_audio_bytes,
        )

    def view(self, now_s: float) -> dict[str, Any]:
        """Return all that is known of the call but the audio itself, to be encoded as JSON."""
        return {
            "summary": self.summary(now_s),
            "streams": list(self.streams.values()),
            "events": [msgspec.Raw(one) for one in self.events],
            "turns": self.turns_as_spoken(),
            "audio": {
                **{name: [[start, seconds] for start, seconds in self._spans_s(name)] for name in ("caller", "bot")},
                "unheard": [[start, seconds] for start, seconds in self._unheard_s()],
            },
        }

    def turns_as_spoken(self) -> list[Turn]:
        """Return the turns in the order in which the caller began to speak, or to press keys."""
        return sorted(self.turns.values(), key=lambda turn: turn.began_s)

    def track(self, stream_sid: str, name: str) -> Track:
        """Return the audio of one side of a stream, which may be none."""
        return self.tracks.get((stream_sid, name)) or Track()

    def _spans_s(self, name: str) -> Iterator[tuple[float, float]]:
        for stream in self.streams.values():
            for run in self.track(stream.stream_sid, name).runs:
                yield stream.began_s + run.start_ms / 1000, (run.end_ms - run.start_ms) / 1000

    def _unheard_s(self) -> Iterator[tuple[float, float]]:
        for stream in self.streams.values():
            for start_ms, ms in self.track(stream.stream_sid, "bot").unheard:
                yield stream.began_s + start_ms / 1000, ms / 1000

    # -- parts of `take`

    def _keep(self, encoded: bytes) -> None:
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
            self.streams[fact.stream_sid] = stream
            self.state.stream_began(fact.stream_sid, fact.at_s)
        return stream

    def _describe(self, event: Event, stream: Stream | None) -> None:
        self.caller = text(event.fields, "caller") or self.caller
        self.called = text(event.fields, "called") or self.called
        if stream is not None:
            stream.mode = text(event.fields, "mode") or stream.mode

    def _count(self, event: Event) -> None:
        self.faults += event.level in ("warning", "error")
        self.barge_ins += event.name == "barged-in"
        self.fillers += event.name == "filler-said"
        reply_ms = whole(event.fields, "reply_ms") if event.name == "turn-latency" else None
        if reply_ms is not None:
            self.last_reply_ms = reply_ms
            self.worst_reply_ms = max(reply_ms, self.worst_reply_ms or 0)

    def _end_stream(self, stream: Stream, at_s: float) -> None:
        stream.ended_s = at_s
        self._clear_bot(stream, at_s)

    def _clear_bot(self, stream: Stream, at_s: float) -> None:
        """Drop what the bot sent and the caller never hears."""
        track = self.tracks.get((stream.stream_sid, "bot"))
        if track is not None:
            self.audio_bytes -= track.clear(round((at_s - stream.began_s) * 1000))

    def _turn(self, event: Event, stream: Stream | None) -> Turn | None:
        if event.name == "update-made":
            return self._document(event)
        number = whole(event.fields, "turn")
        if stream is None or number is None:
            return None
        key = stream.stream_sid, number
        turn = self.turns.get(key)
        if turn is None:
            if event.name not in OPENS_TURN or number < 0 or len(self.turns) >= MAX_TURNS:
                return None
            turn = self.turns[key] = Turn(stream.stream_sid, number, event.at_s)
        note_event(turn, event, stream.began_s)
        if event.name in ("lex-answered", "turn-answered"):
            self._answer(turn, event)
        return turn

    def _answer(self, turn: Turn, event: Event) -> None:
        self.intent, self.dialog_state = turn.intent or self.intent, turn.dialog_state or self.dialog_state
        attributes = event.words.get("session_attributes")
        if isinstance(attributes, dict):
            turn.attributes_changed = changed_attributes(self._attributes, attributes)
            self._attributes = attributes
        self._answered = turn

    def _document(self, event: Event) -> Turn | None:
        """Give the document to the turn that was answered last. A document without one is a filler or a reprompt."""
        turn, self._answered = self._answered, None
        twiml = event.words.get("twiml")
        if turn is not None:
            turn.twiml = twiml if isinstance(twiml, str) else None
        return turn
