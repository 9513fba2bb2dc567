"""The simulated phone line: one clock that carries 20 ms of audio each way, and what is played into it.

Everything in a call that takes time takes *line* time: a `<Say>` is over when its last frame was carried, a `<Pause>`
when that many frames were. So the same call at another pace is the same call.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import gevent
import numpy as np
from gevent.event import Event as Signal

from lexbridge.audio.pcm import (
    FRAME_MS,
    MULAW_FRAME_BYTES,
    MULAW_SILENCE,
    RATE_HZ,
    decode_mulaw,
    encode_mulaw,
)
from lexbridge.offline.twilio.events import Event
from lexbridge.offline.twilio.telephone_audio import SILENT_FRAME, frames_of, key_tone

STARVED_MS = 200  # a stream that sends nothing for so long, and no mark, has said what it had to say
KEY_TONE_MS, KEY_GAP_MS = 160, 60


class Phone(Protocol):
    """A party's telephone: what a party can do with its call."""

    def now_s(self) -> float:
        """The clock of the call's events, monotonic seconds."""
        ...

    def record(self, event: Event) -> None:
        """Add an event to the call's events."""
        ...

    def press(self, digit: str) -> None:
        """Press a key."""
        ...

    def hang_up(self) -> None:
        """Hang up."""
        ...


class Listener(Protocol):
    """A listener to the bot's voice. The line's clock calls it, so no method may wait."""

    def bot_began(self, text: str) -> None:
        """The bot's voice is on the line. `text`: what it says; "" where the line has audio only."""
        ...

    def bot_finished(self, text: str) -> None:
        """The bot is silent again, having said its text or been cut off."""
        ...


class Party(Listener, Protocol):
    """The party at the other end of the line. The line's clock calls it, so no method may wait."""

    def dials(self, phone: Phone) -> None:
        """The call is placed; its line opens when it is answered."""
        ...

    def next_frame(self) -> bytes:
        """Return the audio that this party sends in the next 20 ms: MULAW_FRAME_BYTES of mu-law."""
        ...


@dataclass(frozen=True, slots=True)
class _Fed:
    """Audio of a stream, a frame at most."""

    mulaw: bytes
    heard: Callable[[int, int], None]


MAX_LATE_MS = 200
"""How much of its time a line that runs faster than a telephone makes up for when it is late, ms."""


@dataclass(frozen=True, slots=True)
class _Mark:
    played: Callable[[], None]


class Line:
    """The line of one call, from the answer on.

    `pace`: seconds of the clock for a second of the line; under 1 the call runs faster than it could.
    `echo_db`: how much of what the caller hears comes back with what they say, `echo_delay_ms` later; None: nothing.
    """

    def __init__(
        self, party: Party, pace: float = 1.0, *, echo_db: float | None = None, echo_delay_ms: int = 150
    ) -> None:
        if pace <= 0:
            raise ValueError("the pace of a line is above 0")
        if echo_delay_ms < FRAME_MS:
            raise ValueError(f"an echo is at least {FRAME_MS} ms late")
        self.caller_mulaw = bytearray()
        """Audio that the caller sent, since the answer."""
        self.bot_mulaw = bytearray()
        """Audio that the caller heard, since the answer; as long as `caller_mulaw`."""
        self.taps: list[Callable[[int, bytes, bytes], None]] = []
        """Called with each frame: its end on the line in milliseconds, the caller's and the bot's 20 ms."""
        self.listeners: list[Listener] = [party]
        """Listeners, which are told when the bot's voice begins and ends."""
        self._party = party
        self._pace = pace
        self._outbound: deque[bytes | str | _Fed | _Mark | Callable[[], None]] = deque()
        """Frames, the text they say, who waits for them; a stream's audio and its marks."""
        self._carried: _Fed | None = None  # of a stream's audio, in this frame
        self._goes_on = False  # a stream's audio without a mark: more of it may come
        self._starved_ms = 0
        self._echo_gain = 0.0
        self.set_echo(echo_db)
        self._echo_bytes = echo_delay_ms * RATE_HZ // 1000
        self._tones: deque[bytes] = deque()  # of keys; a frame without a byte is a pause between two
        self._text = ""
        self._bot_speaking = False
        self._waiting: list[tuple[int, Signal]] = []
        self._clock: gevent.Greenlet[..., None] | None = None

    @property
    def now_ms(self) -> int:
        """The line's time: milliseconds of audio carried since the answer."""
        return len(self.caller_mulaw) * 1000 // RATE_HZ

    def set_echo(self, echo_db: float | None) -> None:
        """Set the level of the echo of what the caller hears, from the next frame on; None for no echo."""
        self._echo_gain = 0.0 if echo_db is None else 10 ** (echo_db / 20)

    def open(self) -> None:
        """Starts the clock."""
        self._clock = gevent.spawn(self._run)

    def close(self) -> None:
        """Stop the clock. A greenlet that waits for the line would wait for ever: end it first."""
        if self._clock is not None:
            self._clock.kill(block=False)
            self._clock = None

    def wait_ms(self, length_ms: int) -> None:
        """Wait until the line has carried `length_ms` more of audio."""
        over = Signal()
        self._waiting.append((self.now_ms + length_ms, over))
        over.wait()

    def play(self, mulaw: bytes, text: str = "") -> None:
        """Play to the caller, after the audio that plays already, and return when it has been played."""
        over = Signal()
        self.queue(mulaw, over.set, text)
        over.wait()

    def queue(self, mulaw: bytes, played: Callable[[], None], text: str = "") -> None:
        """Play to the caller after the queued audio. Calls `played` when it has been played or cleared."""
        self._outbound.append(text)
        self._outbound.extend(frames_of(mulaw))
        self._outbound.append(played)

    def feed(self, mulaw: bytes, heard: Callable[[int, int], None]) -> None:
        """Play a stream's audio after the queued audio, in pieces of any length without a gap between them.

        heard: called for each frame with its end on the line in milliseconds, and its number of bytes.
        """
        if self._outbound and isinstance(last := self._outbound[-1], _Fed):
            self._outbound.pop()
            mulaw = last.mulaw + mulaw
        pieces = range(0, len(mulaw), MULAW_FRAME_BYTES)
        self._outbound.extend(_Fed(mulaw[start : start + MULAW_FRAME_BYTES], heard) for start in pieces)

    def mark(self, played: Callable[[], None]) -> None:
        """Calls `played` as soon as everything queued before has been played, or was cleared: now if nothing is."""
        if self._outbound:
            self._outbound.append(_Mark(played))
        else:
            self._goes_on = False
            played()

    def clear(self) -> None:
        """Drop audio that has not been played. Greenlets that wait for it go on now."""
        left, self._outbound = self._outbound, deque()
        self._bot_finished()  # whatever is said in the very next frame is something else
        for item in left:
            if isinstance(item, _Mark):
                item.played()
            elif not isinstance(item, bytes | str | _Fed):
                item()

    def press(self, digit: str) -> None:
        """A key's tones are on the line in the place of what the caller says, after those of the key before."""
        self._tones.extend(frames_of(key_tone(digit, KEY_TONE_MS)))
        self._tones.extend([b""] * (KEY_GAP_MS // FRAME_MS))

    def _run(self) -> None:
        due_s = time.monotonic()
        while True:
            due_s += FRAME_MS / 1000 * self._pace  # a frame has been carried when its 20 ms are over
            gevent.sleep(max(0.0, due_s - time.monotonic()))
            # An absolute schedule: a late frame is followed by earlier ones, the line never falls behind for good.
            # At a faster pace it does, so that Lex on a busy machine does not take long by the line's time.
            if self._pace < 1:
                due_s = max(due_s, time.monotonic() - MAX_LATE_MS / 1000 * self._pace)
            self.carry()

    def carry(self) -> None:
        """Carry the next 20 ms both ways. The line's own clock does so once the line is open."""
        outbound = self._next_outbound()
        inbound = self._party.next_frame()
        if self._tones:
            inbound = self._tones.popleft() or inbound
        if self._echo_gain:
            inbound = self._with_echo(inbound)
        self.caller_mulaw += inbound
        self.bot_mulaw += outbound
        for tap in list(self.taps):
            tap(self.now_ms, inbound, outbound)
        if self._carried is not None:
            self._carried.heard(self.now_ms, len(self._carried.mulaw))
        while self._outbound and isinstance(first := self._outbound[0], _Mark):
            # The frame before it is over now: not only when the next one is due.
            self._outbound.popleft()
            self._goes_on = False
            first.played()
        due = [waiting for waiting in self._waiting if waiting[0] <= self.now_ms]
        for waiting in due:
            self._waiting.remove(waiting)
            waiting[1].set()

    def _with_echo(self, inbound: bytes) -> bytes:
        """The caller's frame with the echo of what they heard a while ago."""
        # The bot's own part of this frame is not there yet: its length is where the frame begins.
        start = len(self.bot_mulaw) - self._echo_bytes
        heard = bytes(self.bot_mulaw[start : start + MULAW_FRAME_BYTES]) if start >= 0 else b""
        if len(heard) < MULAW_FRAME_BYTES or heard == SILENT_FRAME:
            return inbound
        echo = np.frombuffer(decode_mulaw(heard), "<i2") * self._echo_gain
        mixed = np.rint(np.frombuffer(decode_mulaw(inbound), "<i2") + echo)
        return encode_mulaw(np.clip(mixed, -32768, 32767).astype("<i2").tobytes())

    def _next_outbound(self) -> bytes:
        self._carried = None
        while self._outbound:
            item = self._outbound.popleft()
            if isinstance(item, bytes):
                self._goes_on = False
                return self._spoken(item)
            if isinstance(item, _Fed):
                self._say_now("")
                self._goes_on, self._starved_ms = True, 0
                self._carried = item
                return self._spoken(item.mulaw.ljust(MULAW_FRAME_BYTES, MULAW_SILENCE))
            if isinstance(item, str):
                self._say_now(item)
            elif isinstance(item, _Mark):
                self._goes_on = False
                item.played()
            else:
                item()
        self._starved_ms += FRAME_MS
        if not self._goes_on or self._starved_ms >= STARVED_MS:
            self._bot_finished()
        return SILENT_FRAME

    def _spoken(self, frame: bytes) -> bytes:
        """A frame of the bot's voice, which begins now or goes on."""
        if not self._bot_speaking:
            self._bot_speaking = True
            for listener in self.listeners:
                listener.bot_began(self._text)
        return frame

    def _say_now(self, text: str) -> None:
        """Note that the audio from now on says `text`."""
        if text != self._text:
            self._bot_finished()
        self._text = text

    def _bot_finished(self) -> None:
        self._goes_on = False
        if self._bot_speaking:
            self._bot_speaking = False
            for listener in self.listeners:
                listener.bot_finished(self._text)
