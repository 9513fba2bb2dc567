"""A call told in order, for people: who spoke, what Lex heard and answered, and how long everything took.

Pure: it reads the events of a simulated call and the requests of a local Lex, both on the same monotonic clock, and
makes moments, turns and text of them. A bridge that talks to another Lex leaves Lex's part out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, Protocol, TypeVar

from lexbridge.offline import call_events as happened
from lexbridge.offline.call_events import Event

ONSET_SLACK_S = 0.06  # a request opens after the onset it is for, but for a frame's or so difference of two clocks
Kind = TypeVar("Kind", bound=Event)
Who = Literal["Twilio", "bridge", "caller", "bot", "Lex", "fault"]


class LexTurn(Protocol):
    """What is read of a local Lex's request: monotonic seconds, None where it never came to that."""

    @property
    def began(self) -> float:
        """The request's head arrived."""
        ...

    @property
    def ended(self) -> float | None:
        """Its whole body had arrived."""
        ...

    @property
    def answered(self) -> float | None:
        """The answer was sent."""
        ...

    @property
    def audio(self) -> bytes:
        """The body."""
        ...

    @property
    def aborted(self) -> bool:
        """The client went away before."""
        ...

    @property
    def status(self) -> int | None:
        """The answer's HTTP status."""
        ...

    @property
    def transcript(self) -> str | None:
        """What was heard."""
        ...

    @property
    def intent(self) -> str | None:
        """The intent it is about."""
        ...

    @property
    def dialog_state(self) -> str | None:
        """Where the dialog stands after it."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of the timeline, at `at_s` of the monotonic clock."""

    at_s: float
    who: Who
    text: str


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """One thing the caller said, and what became of it: monotonic seconds, None where it never came to that."""

    said: str
    began_s: float
    ended_s: float
    lex_opened_s: float | None = None
    lex_closed_s: float | None = None
    lex_answered_s: float | None = None
    updated_s: float | None = None
    replied_s: float | None = None
    heard: str | None = None
    reply: str = ""


def moments(events: Sequence[Event], requests: Sequence[LexTurn]) -> list[Moment]:
    """Everything worth telling, in order of time."""
    told = [*_of_events(events), *(moment for request in requests for moment in _of_request(request))]
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
    if told is not None:
        yield Moment(event.at_s, *told(event))


def _stream_closed(event: happened.StreamClosed) -> tuple[Who, str]:
    lost: tuple[Who, str] = ("fault", f"media stream lost: {event.reason}")
    return lost if event.code else ("Twilio", "media stream stopped")


def _in_short(update: happened.UpdateReceived) -> str:
    if not update.twiml:
        return ", ".join(f"{name}={value}" for name, value in update.fields.items())
    verbs = [verb for verb in ("Say", "Play", "Connect", "Dial", "Hangup") if f"<{verb}" in update.twiml]
    return " then ".join(verbs) or "silence"


_TOLD: Mapping[type[Event], Callable[[Any], tuple[Who, str]]] = {
    happened.Answered: lambda _: ("Twilio", "the call is answered"),
    happened.StreamOpened: lambda event: ("Twilio", f"media stream open to {event.url}"),
    happened.StreamRefused: lambda event: ("fault", f"no media stream: {event.reason}"),
    happened.StreamClosed: _stream_closed,
    happened.SpeechStarted: lambda event: ("caller", f"“{event.text}”"),
    happened.SpeechEnded: lambda _: ("caller", "(silent)"),
    happened.BotBegan: lambda event: ("bot", f"“{event.text}”" if event.text else "(speaks)"),
    happened.KeyPressed: lambda event: ("caller", f"presses {event.digit}"),
    happened.UpdateReceived: lambda event: ("bridge", f"updates the call: {_in_short(event)}"),
    happened.StreamStopReceived: lambda event: ("bridge", f"stops the media stream {event.name}"),
    happened.UpdateRefused: lambda event: ("fault", f"update refused: {event.status} {event.reason}"),
    happened.Transferred: lambda event: ("Twilio", f"dials {event.number}: {event.status}"),
    happened.Complained: lambda event: ("fault", f"Twilio complains: {event.text}"),
    happened.CallEnded: lambda event: ("Twilio", f"the call is over: {event.detail or event.reason.value}"),
}


def _of_request(request: LexTurn) -> Iterator[Moment]:
    yield Moment(request.began, "Lex", "┌ request opened, the caller's audio flows")
    if request.ended is not None:
        yield Moment(request.ended, "Lex", f"│ request closed: {len(request.audio) / 16000:.2f} s of audio")
    if request.answered is not None:
        heard = f"heard “{request.transcript}”" if request.transcript else "heard nothing it knows"
        said = f"└ {heard} → {request.intent or 'no intent'}, {request.dialog_state}"
        failed = request.status is not None and request.status >= 400
        yield Moment(request.answered, "Lex", f"└ answered {request.status}" if failed else said)
    elif request.aborted and request.ended is None:
        yield Moment(request.began, "fault", "└ the bridge gave the request up")


def spoken_turns(events: Sequence[Event], requests: Sequence[LexTurn]) -> list[SpokenTurn]:
    """The caller's turns: each speech with the Lex request it opened, the update after it, and the bot's reply."""
    starts = [event for event in events if isinstance(event, happened.SpeechStarted)]
    ends = [event for event in events if isinstance(event, happened.SpeechEnded)]
    turns = []
    for place, (start, end) in enumerate(zip(starts, ends, strict=False)):
        next_s = starts[place + 1].at_s if place + 1 < len(starts) else float("inf")
        turns.append(_turn(start, end, next_s, events, requests))
    return turns


def _turn(
    start: happened.SpeechStarted,
    end: happened.SpeechEnded,
    next_s: float,
    events: Sequence[Event],
    requests: Sequence[LexTurn],
) -> SpokenTurn:
    # A phrase with a long pause in it may take several requests; the last one before the next phrase answers it.
    own = [each for each in requests if start.at_s - ONSET_SLACK_S <= each.began < next_s and not each.aborted]
    first, last = (own[0], own[-1]) if own else (None, None)
    since_s = last.answered if last is not None and last.answered is not None else end.at_s
    update = _first(events, happened.UpdateReceived, since_s, next_s)
    reply = _first(events, happened.BotBegan, update.at_s if update is not None else since_s, next_s)
    return SpokenTurn(
        said=start.text,
        began_s=start.at_s,
        ended_s=end.at_s,
        lex_opened_s=first.began if first is not None else None,
        lex_closed_s=last.ended if last is not None else None,
        lex_answered_s=last.answered if last is not None else None,
        updated_s=update.at_s if update is not None else None,
        replied_s=reply.at_s if reply is not None else None,
        heard=last.transcript if last is not None else None,
        reply=reply.text if reply is not None else "",
    )


def _first(events: Iterable[Event], kind: type[Kind], from_s: float, to_s: float) -> Kind | None:
    # The answer leaves Lex a moment after `answered` was noted, and the update may be quicker than that note.
    return next((each for each in events if isinstance(each, kind) and from_s - 0.02 <= each.at_s < to_s), None)


@dataclass(frozen=True, slots=True)
class Latency:
    """A column of the table: from one moment of a turn to another."""

    title: str
    meaning: str
    start: str
    end: str

    def of(self, turn: SpokenTurn) -> float | None:
        """Milliseconds, if the turn came to both moments."""
        start, end = getattr(turn, self.start), getattr(turn, self.end)
        return None if start is None or end is None else (end - start) * 1000


LATENCIES = (
    Latency("Lex opens", "the caller begins to speak, until the Lex request is open", "began_s", "lex_opened_s"),
    Latency("end found", "the caller falls silent, until the Lex request is closed", "ended_s", "lex_closed_s"),
    Latency("Lex", "the Lex request is closed, until Lex has answered", "lex_closed_s", "lex_answered_s"),
    Latency("update", "Lex has answered, until Twilio gets the call update", "lex_answered_s", "updated_s"),
    Latency("voice", "Twilio has the update, until the bot is heard", "updated_s", "replied_s"),
    Latency("REPLY", "the caller falls silent, until the bot is heard", "ended_s", "replied_s"),
)


def known_latencies(turns: Sequence[SpokenTurn]) -> list[Latency]:
    """Those that at least one of the turns has."""
    return [latency for latency in LATENCIES if any(latency.of(turn) is not None for turn in turns)]


def latency_table(turns: Sequence[SpokenTurn], pace: float = 1.0) -> list[str]:
    """A row a turn and the medians, milliseconds; no rows when nothing is known.

    `pace` of the line; the figures mean something at 1 only.
    """
    columns = known_latencies(turns)
    if not columns:
        return []
    width = max([len(turn.said) for turn in turns] + [20]) + 2
    rows = [f"  {'ms':{width}}" + "".join(f"{latency.title:>11}" for latency in columns)]
    for turn in turns:
        figures = (latency.of(turn) for latency in columns)
        rows.append(f"  {turn.said:{width}}" + "".join(_figure(figure, pace) for figure in figures))
    if len(turns) > 1:
        known = ([figure for turn in turns if (figure := each.of(turn)) is not None] for each in columns)
        rows.append(f"  {'median':{width}}" + "".join(_figure(median(figures), pace) for figures in known))
    return rows


def _figure(milliseconds: float | None, pace: float) -> str:
    return f"{'-':>11}" if milliseconds is None else f"{milliseconds / pace:>11.0f}"


def latency_legend(turns: Sequence[SpokenTurn]) -> list[str]:
    """What the table's columns mean."""
    return [f"  {latency.title:10} {latency.meaning}" for latency in known_latencies(turns)]
