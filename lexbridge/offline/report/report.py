"""A call shown to people: its timeline while it runs, then its latencies, its sound file and its picture."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import gevent

from lexbridge.offline.report.latencies import latency_legend, latency_table
from lexbridge.offline.report.lex_turn import LexTurn, worded
from lexbridge.offline.report.picture import CallPicture, Cut, Key, LexSpan, Speech, draw
from lexbridge.offline.report.recording import write_recording
from lexbridge.offline.report.spoken_turns import spoken_turns
from lexbridge.offline.report.timeline import Moment, Who, moments
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.call import PhoneCall

LOOK_EVERY_S = 0.1
SETTLED_S = 0.25  # what is older will get no older neighbour any more: it may be printed
_COLOURS: dict[Who, str] = {"caller": "34", "bot": "32", "Lex": "33", "bridge": "35", "Twilio": "2", "fault": "31;1"}


class Timeline:
    """A printer of a call's moments, as they happen.

    requests: returns the local Lex's requests of this call so far; an empty list if Lex is elsewhere.
    """

    def __init__(
        self, call: PhoneCall, requests: Callable[[], Sequence[LexTurn]] = list, out: TextIO | None = None
    ) -> None:
        self._call = call
        self._requests = requests
        self._out = out or sys.stdout
        self._coloured = self._out.isatty() and "NO_COLOR" not in os.environ
        self._printed = 0

    def follow(self, timeout_s: float) -> None:
        """Print until the call is over. Raises TimeoutError if the call takes longer than `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        while self._call.over is None:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the call goes on after {timeout_s:.0f} s")
            self._print(time.monotonic() - SETTLED_S)
            gevent.sleep(LOOK_EVERY_S)
        self._call.wait(timeout_s=30)
        self._print(float("inf"))

    def _print(self, until_s: float) -> None:
        told = [each for each in moments(self._call.events, self._requests()) if each.at_s <= until_s]
        for moment in told[self._printed :]:
            print(self._line(moment), file=self._out, flush=True)
        self._printed = max(self._printed, len(told))

    def _line(self, moment: Moment) -> str:
        # Before the answer there is no line to count from: the first webhook shows at 0.
        at_s = max(0.0, self._call.line_s(moment.at_s)) if self._call.answered else 0.0
        text = f"{moment.who:>7}  {moment.text}"
        if self._coloured:
            text = f"\x1b[{_COLOURS[moment.who]}m{text}\x1b[0m"
        return f"{at_s:8.2f} {text}"


def latencies(call: PhoneCall, requests: Sequence[LexTurn]) -> list[str]:
    """Return the table of the call's latencies, and what its columns mean."""
    turns = spoken_turns(call.events, requests)
    return [*latency_table(turns, call.pace), "", *latency_legend(turns)]


def write_call(call: PhoneCall, requests: Sequence[LexTurn], title: str, wav: Path, png: Path) -> None:
    """Write the call's recording and its picture. Raises OSError."""
    caller, bot = bytes(call.line.caller_mulaw), bytes(call.line.bot_mulaw)
    write_recording(wav, caller, bot)
    at = call.line_s
    pairs = ((happened.SpeechStarted, happened.SpeechEnded), (happened.BotBegan, happened.BotFinished))
    events = worded(call.events, requests)
    caller_speech, bot_speech = (_speech(call, events, *pair) for pair in pairs)
    turns = [
        replace(
            turn,
            began_s=at(turn.began_s),
            ended_s=at(turn.ended_s),
            replied_s=None if turn.replied_s is None else at(turn.replied_s),
        )
        for turn in spoken_turns(call.events, requests)
    ]
    spans = [
        LexSpan(
            at(each.began),
            at(each.ended),
            at(each.answered),
            _heard(each),
            f"→ {each.dialog_state}" if each.dialog_state else f"→ {each.status}",
        )
        for each in requests
        if each.ended is not None and each.answered is not None
    ]
    keys = [Key(at(event.at_s), event.digit) for event in events if isinstance(event, happened.KeyPressed)]
    cuts = [
        Cut(at(event.at_s), event.dropped_ms / 1000)
        for event in events
        if isinstance(event, happened.MessageSent) and event.kind == "clear" and event.dropped_ms
    ]
    draw(png, CallPicture(title, caller, bot, caller_speech, bot_speech, spans, turns, keys, cuts))


def _heard(request: LexTurn) -> str:
    if request.operation.endswith("Session"):
        return f"({request.operation})"
    return f"“{request.transcript}”" if request.transcript else "nothing it knows"


def _speech(
    call: PhoneCall,
    events: Sequence[happened.Event],
    start: type[happened.SpeechStarted | happened.BotBegan],
    end: type[happened.SpeechEnded | happened.BotFinished],
) -> list[Speech]:
    """Each pair of events as a speech; one that the call's end cut lasts until then."""
    starts = [event for event in events if isinstance(event, start)]
    ends = [call.line_s(event.at_s) for event in events if isinstance(event, end)]
    ends += [call.line.now_ms / 1000] * (len(starts) - len(ends))
    return [
        Speech(call.line_s(each.at_s), ended_s, each.text or "(audio)")
        for each, ended_s in zip(starts, ends, strict=False)
    ]
