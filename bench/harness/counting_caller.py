"""The survival bench's caller: says turn k when the bot has said "turn k", and notes what was heard and when.

Not a measurement itself. Times are on the monotonic clock, in seconds.
"""

import asyncio
import math
import re
import time
from dataclasses import dataclass, field

from bench.harness.counting_lex import DONE
from bench.harness.marked_audio import SPEECH_MS
from bench.harness.twilio.simulator import End, ExchangeCall

ANSWERS_AFTER_S = 0.2
PATIENCE_S = 1.5
FILLER = "One moment please."
_PROMPT = re.compile(r"\bturn (\d+)\b")
_DONE = re.compile(rf"\b{DONE}\b")


@dataclass(slots=True)
class Stretch:
    """Something that lasted: when it began (monotonic), how long it was, s."""

    began_s: float
    length_s: float


@dataclass(slots=True)
class Notes:
    """One call as its caller lived it. `ended`: how; None while it goes on.

    `gaps`: from the end of the caller's audio to the bot's next words that are no filler, less the hangover.
    `silences`: neither made a sound. `waits`: from the end of what the caller said to the bot's next words, fillers
    too; that the caller says it again meanwhile does not end it. `turns_took`: from the end of the first time a turn
    was said to the prompt of the next.
    """

    sid: str
    turns: int
    began_s: float
    ended: End | None = None
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
    silences: list[Stretch] = field(default_factory=list)
    waits: list[Stretch] = field(default_factory=list)
    turns_took: list[Stretch] = field(default_factory=list)


class CountingCaller:
    """One caller, one call. See Party."""

    def __init__(
        self, sid: str, turns: int, *, hangover_s: float, answers_after_s: float, patience_s: float, limit_s: float
    ) -> None:
        """`answers_after_s`: from a prompt's end. `patience_s`: silence after which the caller says it again.
        `limit_s`: then it gives up, whatever is said."""
        self._answers_after_s = answers_after_s
        self.notes = Notes(sid, turns, time.monotonic())
        self.over = asyncio.Event()
        self._hangover_s = hangover_s
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._call: ExchangeCall | None = None
        self._given_up = self._loop.call_later(limit_s, self._give_up)
        self._next: asyncio.TimerHandle | None = None  # what the caller does unless something is said before
        self._bot_speaks = False
        self._speaks = False
        self._owes_answer = False  # a prompt was heard whole, and is not answered yet
        self._quiet_since_s: float | None = None
        self._said_at_s: float | None = None  # the end of what the caller said last, until it is answered
        self._waits_since_s: float | None = None
        self._turn_said_s: float | None = None  # the same, of the first time it said this turn
        self._has_begun_turn = False
        self._heard_done = False

    # What happens to it

    def answered(self, call: ExchangeCall) -> None:
        """See Party."""
        self._call = call
        self._quiet_since_s = time.monotonic()
        self._wait()

    def bot_began(self, text: str) -> None:
        """See Party."""
        self._bot_speaks = True
        self._sound()
        self._then(None)
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
        """See Party."""
        self._bot_speaks = False
        self._silence()
        if whole:
            self._heard_done |= bool(_DONE.search(text))
            self._owes_answer |= text != FILLER and not self._heard_done
        self._wait()

    def ended(self, how: End, detail: str) -> None:
        """See Party."""
        notes = self.notes
        self._then(None)
        self._given_up.cancel()
        self._waited()
        self._sound()
        notes.ended, notes.detail, notes.ended_s = how, detail, time.monotonic()
        notes.has_finished = how is End.HANGUP and self._heard_done and notes.turn == notes.turns + 1
        self._call = None
        self.over.set()

    # What it does

    def _prompted(self, turn: int, now_s: float) -> None:
        """The bot asks for `turn`; one after the last stands for its goodbye."""
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
        """Nobody speaks, or only the caller: when it speaks next."""
        if self._bot_speaks or self._speaks or self._heard_done:
            return
        if self._owes_answer:
            # After words of its own, that the bot spoke over, a while longer: two utterances are not to become one.
            since_s = math.inf if self._said_at_s is None else time.monotonic() - self._said_at_s
            self._then(max(self._answers_after_s, self._hangover_s + ANSWERS_AFTER_S - since_s))
        else:
            self._then(self._patience_s)

    def _then(self, after_s: float | None) -> None:
        """The caller speaks then. None: it waits for what comes."""
        if self._next is not None:
            self._next.cancel()
        self._next = None if after_s is None else self._loop.call_later(after_s, self._speak)

    def _speak(self) -> None:
        call = self._call
        if call is None or self._speaks:
            return
        self._sound()
        self._speaks = True
        self.notes.repeats += not self._owes_answer
        self._owes_answer = False
        self._has_begun_turn = True
        call.say(min(max(self.notes.turn, 1), self.notes.turns))
        self._next = None
        self._loop.call_later(SPEECH_MS / 1000, self._spoken)

    def _spoken(self) -> None:
        self._speaks = False
        if self._call is None:
            return
        self._said_at_s = time.monotonic()
        if self._turn_said_s is None:
            self._turn_said_s = self._said_at_s
        if self._waits_since_s is None and not self._bot_speaks:
            self._waits_since_s = self._said_at_s
        self._silence()
        self._wait()

    def _give_up(self) -> None:
        if self._call is not None:
            self._call.end(End.CALLER, "it took too long")

    # Silence

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
