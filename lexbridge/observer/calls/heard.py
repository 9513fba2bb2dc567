"""Whether the caller heard the replies to their turns, as far as the facts tell it.

Twilio takes a document at once and speaks it for seconds. So a reply whose update was taken may never be heard, because
another document, or the caller, stopped it. Twilio does not tell when it has spoken: for documents this is an estimate.
In stream mode marks tell it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lexbridge.call.output.call_update import SURELY_SPEAKING
from lexbridge.observer.calls.call_summary import Stream
from lexbridge.observer.calls.turn_record import Heard, Turn
from lexbridge.observer.watched.begun_replies import LEAST_HEARD_S
from lexbridge.observer.watched.spoken_spans import spoken_ms
from lexbridge.observer.watched.values import flag, text, whole
from lexbridge.telemetry.facts import Event

_MARK = re.compile(r"(turn-(-?[0-9]{1,9})\.[0-9]+):(end)?.*")
_PROMPT_EVENTS = ("prompt-audible", "mark-sent", "mark-returned", "mark-missing", "audio-cleared")

Turns = Mapping[tuple[str, int], Turn]


@dataclass(slots=True)
class _Document:
    """The newest document of a call. `turn`: whose reply it has, if any. `taken`: told that Twilio took it."""

    turn: Turn | None
    number: int | None
    length_s: float
    taken: Event | None = None
    has_failed: bool = False

    def spoken_s(self, now: Event) -> float:
        """Return how long Twilio has spoken it, at most."""
        taken = self.taken
        if taken is None:
            return 0.0
        is_placed = taken.stream_sid == now.stream_sid and taken.media_ms >= 0
        # A simulated call may run faster than the clock.
        return max(now.at_s - taken.at_s, (now.media_ms - taken.media_ms) / 1000 if is_placed else 0.0)


@dataclass(slots=True)
class _Prompt:
    """The prompt that is played on a stream. `play`: name of its marks. `audible`: event of its first sound."""

    number: int
    play: str = ""
    audible: Event | None = None

    def is_heard(self, now: Event) -> bool:
        """Return whether the caller has heard its first sound."""
        first = self.audible
        if first is None:
            return False
        in_ms = whole(first.fields, "in_ms") or 0
        return now.at_s >= first.at_s + in_ms / 1000 or now.media_ms >= first.media_ms + in_ms


class HeardReplies:
    """The replies of one call that are being spoken. It sets `heard` of their turns."""

    def __init__(self) -> None:
        self._document: _Document | None = None
        self._prompts: dict[str, _Prompt] = {}

    def take(self, event: Event, stream: Stream | None, turns: Turns, answered: Turn | None) -> Iterator[Turn]:
        """Take in an event, and yield the turns of which it tells more. `answered`: whose reply `update-made` has."""
        document = self._document
        if document is not None and document.taken is not None and document.spoken_s(event) >= document.length_s:
            self._document = None
            yield from _set(document.turn, "yes")
        match event.name:
            case "update-made":
                yield from self._replaced(event)
                length_s = spoken_ms(event.words.get("twiml")) / 1000
                self._document = _Document(answered if length_s else None, whole(event.fields, "number"), length_s)
            case "barged-in" | "call-ended":
                yield from self._stopped(event)
            case name if name.startswith("call-update"):
                self._note_update(event)
        if stream is not None:
            yield from self._of_stream(event, stream, turns)

    # -- documents

    def _note_update(self, event: Event) -> None:
        document = self._document
        if document is None:
            return
        if event.name == "call-updated" and document.number == whole(event.fields, "number"):
            document.taken, document.has_failed = event, False
        elif event.level == "error":
            document.has_failed = True

    def _replaced(self, event: Event) -> Iterator[Turn]:
        """Yield the turn whose document another one stops."""
        document = self._document
        if document is not None and not document.has_failed:
            spoken_s = document.spoken_s(event)
            is_whole = spoken_s >= document.length_s * SURELY_SPEAKING and document.taken is not None
            yield from _set(document.turn, "yes" if is_whole else "partly" if spoken_s >= LEAST_HEARD_S else "replaced")

    def _stopped(self, event: Event) -> Iterator[Turn]:
        """Yield the turn whose document the caller or the call's end stops. But the bot's last words are heard."""
        document, self._document = self._document, None
        if document is not None and document.taken is None and event.name == "barged-in":
            yield from _set(document.turn, "replaced")
        elif document is not None and document.taken is not None:
            is_callers = event.name == "barged-in" or text(event.fields, "ended_by") == "caller"
            is_part = is_callers and document.spoken_s(event) < document.length_s * SURELY_SPEAKING
            yield from _set(document.turn, "partly" if is_part else "yes")

    # -- the audio of streams

    def _of_stream(self, event: Event, stream: Stream, turns: Turns) -> Iterator[Turn]:
        if event.name == "turn-latency":
            yield from _never_heard(event, stream, turns)
        elif event.name in _PROMPT_EVENTS:
            yield from self._of_prompt(event, turns)
        elif event.name in ("stream-ended", "worker-ended"):
            prompt = self._prompts.pop(event.stream_sid, None)
            if prompt is not None and prompt.is_heard(event):
                yield from _set(turns.get((event.stream_sid, prompt.number)), "partly")

    def _of_prompt(self, event: Event, turns: Turns) -> Iterator[Turn]:
        sid = event.stream_sid
        mark = _MARK.fullmatch(text(event.fields, "name") or "")
        prompt = self._prompts.get(sid)
        if event.name == "prompt-audible" and not flag(event.fields, "is_filler"):
            self._playing(sid, whole(event.fields, "turn")).audible = event
        elif event.name == "mark-sent" and mark is not None:
            self._playing(sid, int(mark[2])).play = mark[1]
        elif prompt is not None and event.name == "audio-cleared":
            del self._prompts[sid]
            yield from _set(turns.get((sid, prompt.number)), "partly" if prompt.is_heard(event) else "replaced")
        elif prompt is not None and (event.name == "mark-missing" or (mark and mark[3] and mark[1] == prompt.play)):
            del self._prompts[sid]
            yield from _set(turns.get((sid, prompt.number)), "yes")

    def _playing(self, stream_sid: str, number: int | None) -> _Prompt:
        """Return the prompt that is played on a stream, a new one if it is another."""
        prompt = self._prompts.get(stream_sid)
        if prompt is None or prompt.number != number:
            prompt = self._prompts[stream_sid] = _Prompt(-1 if number is None else number)
        return prompt


def _never_heard(event: Event, stream: Stream, turns: Turns) -> Iterator[Turn]:
    """Yield the turn of a latency if the stream goes on, and its words were never played."""
    turn = turns.get((stream.stream_sid, whole(event.fields, "turn") or 0))
    is_over = stream.ended_s is not None or stream.mode != "stream"
    if turn is not None and not is_over and turn.outcome == "answered" and turn.messages and turn.reply_ms is None:
        yield from _set(turn, turn.heard or "replaced")


def _set(turn: Turn | None, heard: Heard) -> Iterator[Turn]:
    """Yield the turn, if there is one, with what is now known. What was heard as a whole stays so."""
    if turn is not None and turn.heard not in ("yes", heard):
        turn.heard = heard
        yield turn
