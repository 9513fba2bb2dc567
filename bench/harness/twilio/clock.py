"""Clock of all media streams of the lightweight Twilio, and what the callers' lines carry at each of its ticks.

One clock of 5 ms ticks serves all streams: each stream has its place in the period of a message, and every message goes
out at its absolute time.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

from bench.harness.marked_audio import FRAME_MS, SILENCE, SPEECH_MS, frame_of

TICK_MS = 5
FRAME_TICKS = FRAME_MS // TICK_MS
SPEECH_TICKS = SPEECH_MS // TICK_MS


@dataclass(slots=True)
class Speech:
    """Utterance of the caller: a turn, from a tick on. It stays after its end."""

    turn: int = 0
    from_tick: int = 0

    @property
    def to_tick(self) -> int:
        """Tick at which the caller falls silent."""
        return self.from_tick + SPEECH_TICKS if self.turn else 0

    def frame_at(self, tick: int) -> bytes:
        """Return the mu-law frame that the line carries from `tick` on."""
        return frame_of(self.turn) if self.from_tick <= tick < self.to_tick else SILENCE


class Sender(Protocol):
    """Media stream that the clock has send."""

    def send_media(self, tick: int) -> None:
        """Send the frames of the period that ends with `tick`."""
        ...


class Clock:
    """Clock whose ticks make the streams send. `frames_per_message`: 1 or 2 frames of 20 ms."""

    def __init__(self, frames_per_message: int) -> None:
        self.frames_per_message = frames_per_message
        self.period = frames_per_message * FRAME_TICKS
        self.tick = 0
        self.lateness_ms: list[float] = []
        """How late each tick was: whether this process could keep up."""
        self.messages = 0
        self.overflows = 0
        self._began_s = 0.0
        self._places: list[set[Sender]] = [set() for _ in range(self.period)]

    async def run(self) -> None:
        """Tick until cancelled."""
        self._began_s = time.monotonic()
        while True:
            ahead_s = self._began_s + (self.tick + 1) * TICK_MS / 1000 - time.monotonic()
            if ahead_s > 0:
                await asyncio.sleep(ahead_s)
                continue
            self.lateness_ms.append(-ahead_s * 1000)
            self.tick += 1
            for stream in list(self._places[self.tick % self.period]):
                stream.send_media(self.tick)

    def join(self, stream: Sender) -> int:
        """Make the stream send from now on. Return the tick at which its media begins."""
        self._places[self.tick % self.period].add(stream)
        return self.tick

    def leave(self, stream: Sender, began: int) -> None:
        """Make the stream stop sending. `began`: the tick that `join` returned."""
        self._places[began % self.period].discard(stream)
