"""Events that wait to be posted: bounded by number and by age, tried again with pauses, in order for each call.

The first event of a call holds back the later ones of that call, and no others. Times are monotonic seconds; nothing
here reads a clock.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

MAX_EVENTS = 10_000
"""The most events that wait, because each takes about 1 kB, with words 5 kB. Beyond it the oldest is dropped."""

MAX_AGE_S = 1800.0
"""Age in seconds at which an event is dropped, because most outages of a receiver are shorter."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Pause in seconds after the first failed attempt, and the longest, because it doubles each time."""

LONGEST_ASKED_S = 600.0
"""The longest pause in seconds that a receiver may ask for, because events grow old meanwhile."""


@dataclass(slots=True, eq=False)
class Letter:
    """An event on its way: its id, and its body as it is posted."""

    call_sid: str
    event_id: str
    body: bytes
    made_s: float
    attempts: int = 0
    is_settled: bool = False
    """Whether it was posted, given up or dropped."""


class Outbox:
    """The events that wait. A sender takes one, and tells what became of it.

    `jitter`: gives a number from 0 to 1, by which each pause is shortened by up to a half, so that many services do not
    try again at the same moment.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._of_call: dict[str, deque[Letter]] = {}
        self._due: list[tuple[float, int, str]] = []  # a heap: when the first letter of a call may be posted
        self._unsettled: dict[int, Letter] = {}  # from the oldest on
        self._order = count()

    def __len__(self) -> int:
        """Return the number of events that wait, those that are being posted included."""
        return len(self._unsettled)

    def put(self, letter: Letter) -> Letter | None:
        """Add an event. Return the one that is dropped for it, if too many wait."""
        dropped = self._drop_oldest() if len(self) >= MAX_EVENTS else None
        letters = self._of_call.setdefault(letter.call_sid, deque())
        letters.append(letter)
        self._unsettled[id(letter)] = letter
        if len(letters) == 1:
            self._make_due(letter.call_sid, letter.made_s)
        return dropped

    def take(self, now_s: float) -> Letter | None:
        """Return an event to post now, or None. Nothing more of its call is taken before `sent` or `failed`."""
        while self._due and self._due[0][0] <= now_s:
            _, _, call_sid = heapq.heappop(self._due)
            letter = self._of_call[call_sid][0]
            if not letter.is_settled:
                letter.attempts += 1
                return letter
            self._next(letter, now_s)
        return None

    def due_s(self) -> float | None:
        """Return when the next event may be posted, or None if none waits for its time."""
        return self._due[0][0] if self._due else None

    def done(self, letter: Letter, now_s: float) -> None:
        """Note that an event was posted, or is given up."""
        self._settle(letter)
        self._next(letter, now_s)

    def retry(self, letter: Letter, now_s: float, asked_s: float = 0.0) -> bool:
        """Note that an event was not posted. Return whether it is tried again; if not, it was too old, and is dropped.

        `asked_s`: the pause that the receiver asks for.
        """
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(letter.attempts - 1, 10))
        pause_s *= 1 - self._jitter() / 2
        at_s = now_s + max(pause_s, min(asked_s, LONGEST_ASKED_S))
        if letter.is_settled or at_s - letter.made_s > MAX_AGE_S:
            self.done(letter, now_s)
            return False
        self._make_due(letter.call_sid, at_s)
        return True

    def _next(self, letter: Letter, now_s: float) -> None:
        """Go on to the next event of a call."""
        letters = self._of_call[letter.call_sid]
        letters.popleft()
        if letters:
            self._make_due(letter.call_sid, now_s)
        else:
            del self._of_call[letter.call_sid]

    def _make_due(self, call_sid: str, at_s: float) -> None:
        heapq.heappush(self._due, (at_s, next(self._order), call_sid))

    def _drop_oldest(self) -> Letter:
        """Drop the oldest event that waits. It leaves its place among those of its call when its turn comes."""
        letter = next(iter(self._unsettled.values()))
        self._settle(letter)
        letter.body = b""
        return letter

    def _settle(self, letter: Letter) -> None:
        letter.is_settled = True
        self._unsettled.pop(id(letter), None)
