"""One call as the observer remembers it, joined over its media streams: events, turns and audio."""

from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import msgspec

from lexbridge.config.route import CallRoute
from lexbridge.observer.calls.call_axis import CallAxis
from lexbridge.observer.calls.call_state import CallState
from lexbridge.observer.calls.call_summary import Stream, Summary, with_search
from lexbridge.observer.calls.health import OTHER, count_kind
from lexbridge.observer.calls.kept_audio import Track
from lexbridge.observer.calls.shown_turns import ShownTurns
from lexbridge.observer.calls.turn_record import Turn
from lexbridge.observer.watched.call_facts import CallFacts, logged
from lexbridge.observer.watched.call_turns import LOST_WITH_WORKER, Changes
from lexbridge.observer.watched.values import whole
from lexbridge.telemetry.facts import Audio, Event

MAX_EVENTS = 5000
"""Events of one call that are kept, the newest, because a page with more of them is read by nobody."""

MAX_TURN_BYTES = 4 * 1024 * 1024
"""Words of the turns of one call that are kept, as JSON, because a call of an hour has about 2 MB of Lex's answers."""

MAX_STREAMS = 100
"""Media streams of one call that are told apart, because a call is given up after 60 lost ones in a row."""

_TELL_WHY = ("call-left", "call-ended", LOST_WITH_WORKER)
"""Events that tell why a stream has ended."""


class CallRecord:
    """All that is remembered of one call. Its owner bounds the bytes; the counts are bounded here."""

    def __init__(self, call_sid: str, began_s: float) -> None:
        self.call_sid = call_sid
        self.facts = CallFacts(call_sid, began_s, MAX_STREAMS)
        self.state = CallState(self.facts)
        self.streams: dict[str, Stream] = {}
        self.turns = ShownTurns()
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
        self.errors = 0
        self.lost_workers: list[int] = []
        self.is_opened = False

    @property
    def text_bytes(self) -> int:
        """Bytes of all but the audio: events, and the words of turns."""
        return self.event_bytes + self.turn_bytes

    # -- facts

    def take(self, event: Event, encoded: bytes) -> list[Turn]:
        """Take in an event, with its JSON. Return the turns that it changed."""
        stream = self._stream_at(event)
        x_s = self._placed(event, stream)
        self._keep(encoded[:-1] + b"," + msgspec.json.encode(round(x_s, 3)) + b"]")
        event = self._within_turn_bytes(event, encoded)
        if event.level in ("warning", "error"):
            count_kind(self.faults, event.name)
            self.errors += event.level == "error"
        changes = self._fold(event)
        self.state.take(event)
        if stream is not None:
            self._show_stream(stream, event)
        turns = self.turns.take(event, changes, self.streams)
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
        facts = self.facts
        facts.caller, facts.called = told.caller, told.called
        facts.route = CallRoute(told.line, told.line_bot, told.line_locale)
        self.state.end(told.ended_s or told.began_s, told.ended_by, told.why, is_lost=told.state == "lost")
        # A file of an older version tells how many there were, and not of which kind.
        self.faults = Counter(told.fault_counts or ({OTHER: told.faults} if told.faults else {}))
        self.errors, self.lost_workers = told.errors, told.lost_workers
        facts.counts |= {"barge_ins": told.barge_ins, "fillers": told.fillers, "no_inputs": told.no_inputs}
        turns = facts.turns
        turns.intent, turns.dialog_state = told.intent, told.dialog_state
        turns.last_reply_ms, turns.worst_reply_ms = told.last_reply_ms, told.worst_reply_ms

    # -- views

    def summary(self, now_s: float) -> Summary:
        """Return the call in one line."""
        facts, state = self.facts, self.state
        newest = next(reversed(self.streams.values()), None)
        return with_search(
            Summary(
                call_sid=self.call_sid,
                caller=facts.caller,
                called=facts.called,
                mode=newest.mode if newest else None,
                line=facts.route.line,
                line_bot=facts.route.bot,
                line_locale=facts.route.locale_id,
                state=state.name,
                began_s=facts.began_s,
                ended_s=state.ended_s,
                worker_pid=newest.worker_pid if newest else None,
                turns=self.turns.count,
                streams=len(self.streams),
                speaking=state.speaking(now_s),
                last_reply_ms=facts.turns.last_reply_ms,
                worst_reply_ms=facts.turns.worst_reply_ms,
                faults=self.faults.total(),
                errors=self.errors,
                warnings=self.faults.total() - self.errors,
                fault_counts=dict(self.faults),
                lost_workers=self.lost_workers,
                worker_pids=list(dict.fromkeys(one.worker_pid for one in self.streams.values() if one.worker_pid)),
                no_inputs=facts.counts["no_inputs"],
                barge_ins=facts.counts["barge_ins"],
                fillers=facts.counts["fillers"],
                intent=facts.turns.intent,
                dialog_state=facts.turns.dialog_state,
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

    def _fold(self, event: Event) -> Changes:
        """Give an event to the facts of the call. The end of a worker is told as one of each stream that it served."""
        pid = whole(event.fields, "pid")
        if event.name == LOST_WITH_WORKER and pid is not None:
            return self.facts.worker_ended(pid, event.at_s)
        return self.facts.take(event)

    def _stream_at(self, fact: Event | Audio) -> Stream | None:
        """Return the stream of a fact, or None if it has none, or beyond MAX_STREAMS."""
        told = self.facts.stream_of(fact)
        if told is not None and fact.stream_sid not in self.streams:
            x_began_s = self._axis.begin(fact.stream_sid, fact.at_s, fact.media_ms)
            self.streams[fact.stream_sid] = Stream(fact.stream_sid, told.began_s, x_began_s=x_began_s)
        return self.streams.get(fact.stream_sid)

    def _show_stream(self, stream: Stream, event: Event) -> None:
        """Take over what is known of a stream by an event, which may have ended it."""
        told = self.facts.streams[stream.stream_sid]
        is_ended = stream.ended_s is None and told.ended_s is not None
        stream.worker_pid, stream.mode = told.worker_pid, told.mode
        if told.how is not None and event.name in _TELL_WHY:
            stream.how = logged(told.how) or event.name
        stream.ended_s = stream.ended_s or told.ended_s
        if is_ended or event.name == "audio-cleared":
            self._clear_bot(stream, event)
        is_lost = event.name == LOST_WITH_WORKER and told.how == LOST_WITH_WORKER
        if is_lost and told.worker_pid is not None and told.worker_pid not in self.lost_workers:
            self.lost_workers.append(told.worker_pid)

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
