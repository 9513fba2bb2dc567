"""The caller's turns in a simulated call: what was said or keyed in, and when each step to the reply was done. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from lexbridge.offline.report.lex_turn import LexTurn, worded
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.events import Event

ONSET_SLACK_S = 0.06  # a request opens after the onset it is for, but for a frame's or so difference of two clocks
KEYS_APART_S = 5.0  # keys with a longer pause between them are two answers
Kind = TypeVar("Kind", bound=Event)


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
