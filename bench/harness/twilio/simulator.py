"""Lightweight Twilio for hundreds of real-time calls, in one asyncio process.

It places calls, carries out their TwiML, streams the callers' audio, plays the bot's audio, and serves the REST API
that updates calls. The simulated Twilio of `lexbridge.offline` does more, but costs too much CPU for hundreds of
calls. This one is strict where that costs little: it counts in `complaints` whatever Twilio would refuse or warn about.
On a bidirectional stream the bot has to speak in marked audio. There is no `<Dial>`, and callers press no keys: a
`<Gather>` says its prompts and then waits for its timeout.
"""

import asyncio
import secrets
import traceback
from collections import Counter, deque
from collections.abc import Coroutine
from typing import Any

from bench.harness import light_http
from bench.harness.twilio.call import Call
from bench.harness.twilio.clock import Clock
from bench.harness.twilio.pace import Pace
from bench.harness.twilio.party import End, Party
from bench.harness.twilio.rest_api import RestApi
from bench.harness.twilio.webhooks import Webhooks

ENDED_CALLS_KEPT = 20_000
"""Ended calls whose SIDs are kept, because a REST request for them is answered otherwise than for an unknown SID."""


class LightTwilio:
    """Calls of one account. It runs while it is entered as an asynchronous context manager."""

    def __init__(
        self,
        auth_token: str,
        *,
        pace: Pace | None = None,
        frames_per_message: int = 2,
        sign_fragment: bool = False,
    ) -> None:
        self.auth_token = auth_token
        self.account_sid = "AC" + secrets.token_hex(16)
        self.pace = pace or Pace()
        self.clock = Clock(frames_per_message)
        self.webhooks = Webhooks(auth_token, sign_fragment=sign_fragment)
        self.calls: dict[str, Call] = {}
        """Live calls by SID."""
        self.gone: deque[str] = deque(maxlen=ENDED_CALLS_KEPT)
        """SIDs of calls that have ended."""
        self.complaints: Counter[str] = Counter()
        """What Twilio would refuse or warn about, and how often."""
        self.streams_opened = 0
        self.streams_lost: Counter[str] = Counter()
        """Streams that broke, were closed by the server or did not open: by Twilio's code and its words."""
        self.updates = 0
        """REST requests that updated a call."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "LightTwilio":
        self._server = await light_http.serve(RestApi(self))
        self._ticking = asyncio.create_task(self.clock.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        assert self._ticking
        for call in list(self.calls.values()):
            call.end(End.CALLER, "the bench is over")
        await self.settle(3)
        self._ticking.cancel()
        self._server.close()

    @property
    def url(self) -> str:
        """Address of the REST API."""
        assert self._server
        return f"http://127.0.0.1:{light_http.port_of(self._server)}"

    def place_call(self, webhook: str, party: Party, sid: str | None = None) -> Call:
        """Place the call of `party` to the number whose voice webhook is `webhook`. `sid`: random if not given."""
        call = Call(self, sid or "CA" + secrets.token_hex(16), party, webhook)
        self.calls[call.sid] = call
        return call

    async def settle(self, limit_s: float) -> None:
        """Wait until every request in progress is answered. Drop those that take longer than `limit_s`."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=limit_s)
            for task in late:
                task.cancel()

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the background. `settle` waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self.watch)

    def watch(self, task: asyncio.Task[None]) -> None:
        """Report a task that has ended with an exception: a bug of the measurement, which is not to go unseen."""
        if not task.cancelled() and (error := task.exception()) is not None:
            traceback.print_exception(error)
            self.complain(0, f"a bug of the bench: {error!r}")

    def complain(self, code: int, message: str) -> None:
        """Count a complaint. `code`: Twilio's, or 0."""
        self.complaints[f"{code} {message}"] += 1

    def forget(self, call: Call) -> None:
        """Take an ended call off the live ones."""
        if self.calls.pop(call.sid, None) is not None:
            self.gone.append(call.sid)
