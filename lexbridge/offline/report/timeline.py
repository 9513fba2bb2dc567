"""A call told in order, for people: who spoke, what Lex heard and answered, and how long everything took.

Pure: it reads the events of a simulated call and the requests of a local Lex, both on the same monotonic clock, and
makes moments, turns and text of them. A bridge that talks to another Lex leaves Lex's part out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Literal, Protocol, TypeVar

from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.events import Event

ONSET_SLACK_S = 0.06  # a request opens after the onset it is for, but for a frame's or so difference of two clocks
_NOT_FOUND = 20404  # Twilio's code for what is not there
KEYS_APART_S = 5.0  # keys with a longer pause between them are two answers
Kind = TypeVar("Kind", bound=Event)
Who = Literal["Twilio", "bridge", "caller", "bot", "Lex", "fault"]


class LexTurn(Protocol):
    """The part of a local Lex's request that a timeline reads. Times are monotonic seconds, or None."""

    @property
    def operation(self) -> str:
        """Lex's own name of what is asked for."""
        ...

    @property
    def began(self) -> float:
        """The request's head arrived."""
        ...

    @property
    def ended(self) -> float | None:
        """Time at which the whole body of the request had arrived."""
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
    def is_text(self) -> bool:
        """The body is text, and no audio."""
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
        """Text that Lex heard."""
        ...

    @property
    def intent(self) -> str | None:
        """The intent it is about."""
        ...

    @property
    def dialog_state(self) -> str | None:
        """Dialog state after the request."""
        ...

    @property
    def said(self) -> str:
        """The texts of the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of the timeline, at `at_s` of the monotonic clock."""

    at_s: float
    who: Who
    text: str


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """One turn of the caller, spoken or keyed in, and what followed. Times are monotonic seconds, or None.

    media_s: the first audio of the reply on the media stream, in stream mode. replied_s: the first frame of the reply
    that the caller can hear.
    """

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
    media_s: float | None = None
    is_keyed: bool = False


def moments(events: Sequence[Event], requests: Sequence[LexTurn]) -> list[Moment]:
    """Return the moments of a call that are worth telling, in order of time."""
    told = [*_of_events(worded(events, requests)), *(moment for request in requests for moment in _of_request(request))]
    return sorted(told, key=lambda moment: moment.at_s)


def worded(events: Iterable[Event], requests: Sequence[LexTurn]) -> list[Event]:
    """The events, in which the bot's voice on a media stream has the words that Lex answered.

    A stream brings audio only: the first voice after an answer of Lex's is taken for that answer.
    """
    answers = [each for each in requests if each.answered is not None and each.said]
    found: list[Event] = []
    for event in events:
        if isinstance(event, happened.BotBegan) and not event.text:
            before = [each for each in answers if each.answered is not None and each.answered <= event.at_s]
            answers = answers[len(before) :]
            found.append(replace(event, text=before[-1].said) if before else event)
        else:
            found.append(event)
    return found


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


def spoken_turns(events: Sequence[Event], requests: Sequence[LexTurn]) -> list[SpokenTurn]:
    """Return the caller's turns: each with its Lex request, the update or media after it, and the bot's reply."""
    starts = [event for event in events if isinstance(event, happened.SpeechStarted)]
    ends = [event for event in events if isinstance(event, happened.SpeechEnded)]
    said = [SpokenTurn(one.text, one.at_s, other.at_s) for one, other in zip(starts, ends, strict=False)]
    turns = sorted([*said, *_keyed(events)], key=lambda turn: turn.began_s)
    told = worded(events, requests)
    # What the caller has begun to say and not finished is no turn yet, but the one before it is over.
    unfinished_s = [start.at_s for start in starts[len(said) :]]
    next_s = [*(turn.began_s for turn in turns[1:]), min(unfinished_s, default=float("inf"))]
    return [_turn(turn, until_s, told, requests) for turn, until_s in zip(turns, next_s, strict=False)]


def _keyed(events: Sequence[Event]) -> Iterator[SpokenTurn]:
    """Each number that was keyed in."""
    digits, began_s, ended_s = "", 0.0, 0.0
    for event in events:
        late = isinstance(event, happened.KeyPressed) and event.at_s - ended_s > KEYS_APART_S
        if digits and (late or isinstance(event, happened.SpeechStarted)):
            yield SpokenTurn(digits, began_s, ended_s, is_keyed=True)
            digits = ""
        if isinstance(event, happened.KeyPressed):
            began_s = began_s if digits else event.at_s
            digits, ended_s = digits + event.digit, event.at_s
    if digits:
        yield SpokenTurn(digits, began_s, ended_s, is_keyed=True)


def _turn(turn: SpokenTurn, next_s: float, events: Sequence[Event], requests: Sequence[LexTurn]) -> SpokenTurn:
    # A phrase with a long pause in it may take several requests; the last one before the next phrase answers it.
    own = [each for each in requests if turn.began_s - ONSET_SLACK_S <= each.began < next_s and not each.aborted]
    if turn.is_keyed:  # the keys' tones may have opened one that is no answer
        own = [each for each in own if each.is_text] or own
    first, last = (own[0], own[-1]) if own else (None, None)
    since_s = last.answered if last is not None and last.answered is not None else turn.ended_s
    update = _first(events, happened.UpdateReceived, since_s, next_s)
    media = _first(events, happened.MediaBegan, since_s, next_s)
    if update is not None and media is not None:
        # One of them brings the reply. An update after the voice is no part of it: it hangs up, or transfers.
        update, media = (update, None) if update.at_s < media.at_s else (None, media)
    brought_s = next((each.at_s for each in (update, media) if each is not None), since_s)
    reply = _first(events, happened.BotAudible, brought_s, next_s)
    return replace(
        turn,
        # Keys are collected before there is a request: when it opens is no latency.
        lex_opened_s=first.began if first is not None and not turn.is_keyed else None,
        lex_closed_s=last.ended if last is not None else None,
        lex_answered_s=last.answered if last is not None else None,
        updated_s=update.at_s if update is not None else None,
        replied_s=reply.at_s if reply is not None else None,
        heard=last.transcript if last is not None else None,
        reply=_words_at(events, reply.at_s) if reply is not None else "",
        media_s=media.at_s if media is not None else None,
    )


def _words_at(events: Iterable[Event], at_s: float) -> str:
    """Return what the bot is saying at `at_s`."""
    return [each.text for each in events if isinstance(each, happened.BotBegan) and each.at_s <= at_s][-1]


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
    Latency("media", "Lex has answered, until its voice is on the media stream", "lex_answered_s", "media_s"),
    Latency("play", "the voice is on the media stream, until the bot is heard", "media_s", "replied_s"),
    Latency("REPLY", "the caller falls silent, until the bot is heard", "ended_s", "replied_s"),
)


def known_latencies(turns: Sequence[SpokenTurn]) -> list[Latency]:
    """Return the latencies that at least one of the turns has."""
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
    """Return lines that explain the columns of the table."""
    return [f"  {latency.title:10} {latency.meaning}" for latency in known_latencies(turns)]
