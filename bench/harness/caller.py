"""Caller that speaks some time after an event of the call: base of the callers of the lightweight Twilio."""

import asyncio

from bench.harness.twilio.call import Call
from bench.harness.twilio.party import End, Party


class ScheduledCaller(Party):
    """Caller of one call. A subclass decides when the caller speaks, by `speak_after`, and what it says, in `speak`."""

    def __init__(self) -> None:
        self.call: Call | None = None
        """Call that is live now."""
        self._timer: asyncio.TimerHandle | None = None

    def answered(self, call: Call) -> None:
        self.call = call

    def ended(self, how: End, detail: str) -> None:
        del how, detail
        self.call = None
        self.speak_after(None)

    def speak_after(self, delay_s: float | None) -> None:
        """Speak in `delay_s` seconds instead of whenever the caller was going to; None: not at all."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if delay_s is None else loop.call_later(delay_s, self._speak_now)

    def speak(self, call: Call) -> None:
        """Say something in the call."""
        raise NotImplementedError

    def _speak_now(self) -> None:
        self._timer = None
        if self.call is not None:
            self.speak(self.call)
