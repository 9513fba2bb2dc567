"""The timeline of a simulated call, for people: who spoke, and what Lex, Twilio and the bridge did, in order.

Pure: it reads the events of a simulated call and the requests of a local Lex, both on the same monotonic clock. A call
of a bridge that talks to another Lex has a timeline without Lex's part.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lexbridge.offline.report.lex_turn import LexTurn, worded
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.events import Event

_NOT_FOUND = 20404  # Twilio's code for what is not there

Who = Literal["Twilio", "bridge", "caller", "bot", "Lex", "fault"]


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of the timeline, at `at_s` of the monotonic clock."""

    at_s: float
    who: Who
    text: str


def moments(events: Sequence[Event], requests: Sequence[LexTurn]) -> list[Moment]:
    """Return the moments of a call that are worth telling, in order of time."""
    told = [*_of_events(worded(events, requests)), *(moment for request in requests for moment in _of_request(request))]
    return sorted(told, key=lambda moment: moment.at_s)


def _of_events(events: Sequence[Event]) -> Iterator[Moment]:
    asked_s = 0.0
    for event in events:
        match event:
            case happened.WebhookRequested(purpose="document"):
                asked_s = event.at_s
            case happened.WebhookAnswered(purpose="document"):
                took_ms = (event.at_s - asked_s) * 1000
                yield Moment(event.at_s, "bridge", f"answers {event.url} with {event.status}, in {took_ms:.0f} ms")
            case _:
                yield from _of_event(event)


def _of_event(event: Event) -> Iterator[Moment]:
    told = _TOLD.get(type(event))
    moment = told(event) if told is not None else None
    if moment is not None:
        yield Moment(event.at_s, *moment)


def _stream_closed(event: happened.StreamClosed) -> tuple[Who, str]:
    if event.two_way and event.code == 31921:
        return "bridge", "closes the media stream"
    lost: tuple[Who, str] = ("fault", f"media stream lost: {event.reason}")
    return lost if event.code else ("Twilio", "media stream stopped")


def _update_refused(event: happened.UpdateRefused) -> tuple[Who, str]:
    if event.code == 0:
        return "fault", f"update refused: {event.status or 'no answer'} (fault on demand)"
    if event.code == _NOT_FOUND and "/Streams/" in event.reason:  # the next document had replaced it
        return "Twilio", "the media stream had ended already: there was nothing to stop"
    return "fault", f"update refused: {event.status} {event.reason}"


def _message_sent(event: happened.MessageSent) -> tuple[Who, str] | None:
    """A clear; marks are the bridge's own book-keeping."""
    if event.kind != "clear":
        return None
    return "bridge", f"stops the prompt: {event.dropped_ms / 1000:.1f} s of it are not heard"


def _in_short(update: happened.UpdateReceived) -> str:
    if not update.twiml:
        return ", ".join(f"{name}={value}" for name, value in update.fields.items())
    verbs = [verb for verb in ("Say", "Play", "Connect", "Dial", "Enqueue", "Hangup") if f"<{verb}" in update.twiml]
    return " then ".join(verbs) or "silence"


_TOLD: Mapping[type[Event], Callable[[Any], tuple[Who, str] | None]] = {
    happened.Answered: lambda _: ("Twilio", "the call is answered"),
    happened.StreamOpened: lambda event: ("Twilio", f"media stream open to {event.url}"),
    happened.StreamRefused: lambda event: ("fault", f"no media stream: {event.reason}"),
    happened.StreamClosed: _stream_closed,
    happened.SpeechStarted: lambda event: ("caller", f"“{event.text}”"),
    happened.SpeechEnded: lambda _: ("caller", "(silent)"),
    happened.BotBegan: lambda event: ("bot", f"“{event.text}”" if event.text else "(speaks)"),
    happened.MessageSent: _message_sent,
    happened.Coughed: lambda _: ("caller", "(coughs)"),
    happened.KeyPressed: lambda event: ("caller", f"presses {event.digit}"),
    happened.UpdateReceived: lambda event: ("bridge", f"updates the call: {_in_short(event)}"),
    happened.StreamStopReceived: lambda event: ("bridge", f"stops the media stream {event.name}"),
    happened.UpdateRefused: _update_refused,
    happened.FaultSwitched: lambda event: ("fault", f"switched {'on' if event.is_on else 'off'}: {event.fault}"),
    happened.Transferred: lambda event: ("Twilio", f"dials {event.number}: {event.status}"),
    happened.Whispered: lambda event: ("Twilio", f"whispers to {event.number}: “{event.text}”"),
    happened.Detected: lambda event: ("Twilio", f"finds out who answered: {event.answered_by}"),
    happened.Queued: lambda event: ("Twilio", f"the caller waits in the queue {event.queue}"),
    happened.LeftTheQueue: lambda event: ("Twilio", f"the caller has left the queue {event.queue}: {event.result}"),
    happened.Complained: lambda event: ("fault", f"Twilio complains: {event.text}"),
    happened.CallEnded: lambda event: ("Twilio", f"the call is over: {event.detail or event.reason.value}"),
}


def _of_request(request: LexTurn) -> Iterator[Moment]:
    session = request.operation.endswith("Session")
    opened = f"┌ {request.operation}" if session else "┌ request opened, the caller's audio flows"
    yield Moment(request.began, "Lex", "┌ request with what was keyed in" if request.is_text else opened)
    if request.ended is not None and not session and not request.is_text:
        yield Moment(request.ended, "Lex", f"│ request closed: {len(request.audio) / 16000:.2f} s of audio")
    if request.answered is not None:
        heard = f"heard “{request.transcript}”" if request.transcript else "heard nothing it knows"
        heard = "done" if session else f"read “{request.transcript}”" if request.is_text else heard
        said = f"└ {heard} → {request.intent or 'no intent'}, {request.dialog_state}"
        failed = request.status is not None and request.status >= 400
        if request.operation == "GetSession" and request.status == 404:
            yield Moment(request.answered, "Lex", "└ no session yet: the bot was not asked before in this call")
        else:
            yield Moment(request.answered, "Lex", f"└ answered {request.status}" if failed else said)
    elif request.aborted and request.ended is None:
        yield Moment(request.began, "fault", "└ the bridge gave the request up")
