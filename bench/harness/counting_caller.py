"""Caller that counts with the bot: says turn k when the bot has said "turn k", and notes what was heard and when.

Times are on the monotonic clock, in seconds.
"""

import asyncio
import math
import re
import time
from dataclasses import dataclass, field

from bench.harness.caller import ScheduledCaller
from bench.harness.counting_lex import DONE
from bench.harness.marked_audio import SPEECH_MS
from bench.harness.twilio.call import Call
from bench.harness.twilio.party import End

ANSWERS_AFTER_S = 0.2
PATIENCE_S = 1.5
FILLER = "One moment please."
_PROMPT = re.compile(r"\bturn (\d+)\b")
_DONE = re.compile(rf"\b{DONE}\b")


@dataclass(slots=True)
class Stretch:
    """Stretch of time: its beginning (monotonic) and its length, seconds."""

    began_s: float
    length_s: float


@dataclass(slots=True)
class Notes:
    """Notes of the caller of one call."""

    sid: str
    turns: int
    began_s: float
    ended: End | None = None
    """Reason of the end of the call; None while it is live."""
    detail: str = ""
    has_finished: bool = False
    turn: int = 0
    repeats: int = 0
    asked_again: int = 0
    apologies: int = 0
    fillers: int = 0
    out_of_order: int = 0
    ended_s: float = 0.0
    gaps: list[Stretch] = field(default_factory=list)
    """Times from the end of what the caller said to the bot's next words that are no filler, less the hangover."""
    silences: list[Stretch] = field(default_factory=list)
    """Neither party made a sound."""
    waits: list[Stretch] = field(default_factory=list)
    """Times from the end of what the caller said to the bot's next words, even fillers, even if the caller repeats."""
    turns_took: list[Stretch] = field(default_factory=list)
    """Times from the end of the first time that a turn was said to the prompt for the next turn."""


class CountingCaller(ScheduledCaller):
    """Caller of one call.

    `answers_after_s`: pause after the end of a prompt. `patience_s`: silence after which the caller repeats itself.
    `limit_s`: length of the call at which the caller hangs up, whatever is said.
    """

    def __init__(
        self, sid: str, turns: int, *, hangover_s: float, answers_after_s: float, patience_s: float, limit_s: float
    ) -> None:
        super().__init__()
        self._answers_after_s = answers_after_s
        self.notes = Notes(sid, turns, time.monotonic())
        self.over = asyncio.Event()
        self._hangover_s = hangover_s
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._given_up = self._loop.call_later(limit_s, self._give_up)
        self._bot_speaks = False
        self._speaks = False
        self._owes_answer = False  # whether a whole prompt was heard that is not answered yet
        self._quiet_since_s: float | None = None
        self._said_at_s: float | None = None  # end of what the caller said last, until the bot answers
        self._waits_since_s: float | None = None
        self._turn_said_s: float | None = None  # end of the first time that the caller said the present turn
        self._has_begun_turn = False
        self._heard_done = False

    # Events of the call

    def answered(self, call: Call) -> None:
        super().answered(call)
        self._quiet_since_s = time.monotonic()
        self._wait()

    def bot_began(self, text: str) -> None:
        self._bot_speaks = True
        self._sound()
        self.speak_after(None)
        self._waited()
        prompt = _PROMPT.search(text)
        if text == FILLER:
            self.notes.fillers += 1
            return
        now_s = time.monotonic()
        if self._said_at_s is not None:
            self.notes.gaps.append(Stretch(now_s, now_s - self._said_at_s - self._hangover_s))
            self._said_at_s = None
        if prompt:
            self._prompted(int(prompt[1]), now_s)
        elif _DONE.search(text):
            self._prompted(self.notes.turns + 1, now_s)
        else:
            self.notes.apologies += 1
            self.notes.asked_again += 1

    def bot_finished(self, text: str, *, whole: bool) -> None:
        self._bot_speaks = False
        self._silence()
        if whole:
            self._heard_done |= bool(_DONE.search(text))
            self._owes_answer |= text != FILLER and not self._heard_done
        self._wait()

    def ended(self, how: End, detail: str) -> None:
        super().ended(how, detail)
        notes = self.notes
        self._given_up.cancel()
        self._waited()
        self._sound()
        notes.ended, notes.detail, notes.ended_s = how, detail, time.monotonic()
        notes.has_finished = how is End.HANGUP and self._heard_done and notes.turn == notes.turns + 1
        self.over.set()

    # What the caller does

    def _prompted(self, turn: int, now_s: float) -> None:
        """Take note that the bot asks for `turn`. The turn after the last one stands for the goodbye."""
        notes = self.notes
        if turn == notes.turn:
            notes.asked_again += self._has_begun_turn
        elif turn == notes.turn + 1:
            if self._turn_said_s is not None:
                notes.turns_took.append(Stretch(now_s, now_s - self._turn_said_s))
            if notes.turn and not self._has_begun_turn:
                notes.out_of_order += 1  # counted before it was said
            notes.turn = turn
            self._turn_said_s = None
            self._has_begun_turn = False
        else:
            notes.out_of_order += 1

    def _wait(self) -> None:
        """Decide when the caller speaks next, unless somebody speaks now or the bot has said goodbye."""
        if self._bot_speaks or self._speaks or self._heard_done:
            return
        if self._owes_answer:
            # A while longer if the bot spoke over the caller's words: two utterances are not to become one.
            since_s = math.inf if self._said_at_s is None else time.monotonic() - self._said_at_s
            self.speak_after(max(self._answers_after_s, self._hangover_s + ANSWERS_AFTER_S - since_s))
        else:
            self.speak_after(self._patience_s)

    def speak(self, call: Call) -> None:
        if self._speaks:
            return
        self._sound()
        self._speaks = True
        self.notes.repeats += not self._owes_answer
        self._owes_answer = False
        self._has_begun_turn = True
        call.say(min(max(self.notes.turn, 1), self.notes.turns))
        self._loop.call_later(SPEECH_MS / 1000, self._spoken)

    def _spoken(self) -> None:
        self._speaks = False
        if self.call is None:
            return
        self._said_at_s = time.monotonic()
        if self._turn_said_s is None:
            self._turn_said_s = self._said_at_s
        if self._waits_since_s is None and not self._bot_speaks:
            self._waits_since_s = self._said_at_s
        self._silence()
        self._wait()

    def _give_up(self) -> None:
        if self.call is not None:
            self.call.end(End.CALLER, "it took too long")

    # Silences and waits

    def _silence(self) -> None:
        if not self._bot_speaks and not self._speaks:
            self._quiet_since_s = time.monotonic()

    def _waited(self) -> None:
        since_s, self._waits_since_s = self._waits_since_s, None
        if since_s is not None:
            self.notes.waits.append(Stretch(since_s, time.monotonic() - since_s))

    def _sound(self) -> None:
        since_s, self._quiet_since_s = self._quiet_since_s, None
        if since_s is not None:
            self.notes.silences.append(Stretch(since_s, time.monotonic() - since_s))
