"""Many real-time calls through one service, between a counting Lex and a lightweight Twilio."""

import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.harness import proc, service
from bench.harness.counting_caller import ANSWERS_AFTER_S, PATIENCE_S, CountingCaller, Notes
from bench.harness.counting_lex import THINKING_S, turns_of
from bench.harness.service import Process
from bench.harness.twilio.pace import Pace
from bench.harness.twilio.simulator import LightTwilio
from lexbridge.offline.ports import free_port

TURN_LIMIT_S = 8.0
CALL_LIMIT_S = 60.0
"""The caller gives a call up that takes longer than this, and TURN_LIMIT_S for each turn, seconds."""
WEBHOOK = "/twiml#rc=2&rp=all"
"""Voice webhook of the number, with the connection overrides that operators should give it.

Without retries Twilio loses a call that comes in while the worker is killed that should have answered it.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """Calls, service and pace of a load. `workers` None: WEB_CONCURRENCY is not set.

    `settings`: of the service; they take precedence over those of the load.
    """

    calls: int = 200
    least_turns: int = 15
    most_turns: int = 15
    workers: int | None = 2
    hangover_ms: int = 400
    reply_mode: str = "call-update"
    answers_after_s: float = ANSWERS_AFTER_S
    patience_s: float = PATIENCE_S
    thinking_s: float = THINKING_S
    frames_per_message: int = 2
    sign_fragment: bool = False
    pace: Pace = field(default_factory=Pace)
    settings: Mapping[str, str] = field(default_factory=dict)
    webhook: str = WEBHOOK
    program: str = "server.py"


class ServiceEnded(RuntimeError):
    """The service ended by itself; the message has the end of its log."""


class Load:
    """Running service with its Lex and its Twilio, and its calls. `ports`: of the service, and of Lex."""

    def __init__(self, plan: Plan, twilio: LightTwilio, server: Process, lex: Process, ports: tuple[int, int]) -> None:
        self.plan = plan
        self.twilio = twilio
        self.service = server
        self.lex = lex
        self._url = f"http://127.0.0.1:{ports[0]}"
        self._lex_port = ports[1]
        self.live: set[CountingCaller] = set()
        self.notes: list[Notes] = []
        """Notes of every call, in the order in which the calls were placed."""
        self.streams_missed: list[float] = []
        """Lengths of the times in which a call had no stream, seconds."""
        self.replaces_calls = False
        """Whether a new call is placed for each one that ends."""
        self.began_s = time.monotonic()
        self._cpu_before = self._cpu()

    @property
    def webhook_url(self) -> str:
        """Voice webhook of the service's number."""
        return f"{self._url}{self.plan.webhook}"

    def place_call(self) -> CountingCaller:
        """Place one more call."""
        plan = self.plan
        sid = "CA" + secrets.token_hex(16)
        turns = turns_of(sid, plan.least_turns, plan.most_turns)
        caller = CountingCaller(
            sid,
            turns,
            hangover_s=plan.hangover_ms / 1000,
            answers_after_s=plan.answers_after_s,
            patience_s=plan.patience_s,
            limit_s=CALL_LIMIT_S + TURN_LIMIT_S * turns,
        )
        call = self.twilio.place_call(self.webhook_url, caller, sid)
        self.notes.append(caller.notes)
        self.live.add(caller)
        self.twilio.do(self._until_over(caller, call.without_stream))
        return caller

    async def ramp_up(self, over_s: float) -> None:
        """Place all calls, evenly spread over `over_s` seconds."""
        for _ in range(self.plan.calls):
            self.place_call()
            await self.sleep(over_s / self.plan.calls)

    async def until_done(self) -> None:
        """Wait until no call is live. Raises ServiceEnded."""
        while self.live:
            await self.sleep(0.05)

    async def sleep(self, seconds: float) -> None:
        """Wait while the calls go on. Raises ServiceEnded."""
        await asyncio.sleep(seconds)
        if not self.service.is_running:
            raise ServiceEnded(self.service.log_end())

    async def counts(self) -> dict[str, int]:
        """Return what the counting Lex has counted."""
        return await service.lex_counts(self._lex_port)

    def cores(self) -> dict[str, float]:
        """Return the cores used since the last restart of the count, by name of the process."""
        passed_s = time.monotonic() - self.began_s
        return {name: (used - self._cpu_before[name]) / passed_s for name, used in self._cpu().items()}

    def restart_cpu_count(self) -> None:
        """Count CPU from now on."""
        self.began_s = time.monotonic()
        self._cpu_before = self._cpu()

    def _cpu(self) -> dict[str, float]:
        return {
            "service": proc.cpu_s(self.service.pid),
            "Lex": proc.cpu_s(self.lex.pid),
            "Twilio and callers": time.process_time(),
        }

    async def _until_over(self, caller: CountingCaller, without_stream: list[tuple[float, float]]) -> None:
        await caller.over.wait()
        self.live.discard(caller)
        self.streams_missed += [length_s for _, length_s in without_stream]
        if self.replaces_calls:
            self.place_call()


@asynccontextmanager
async def running(plan: Plan, logs: Path | None = None) -> AsyncIterator[Load]:
    """Run the service, Lex and Twilio. `logs`: folder that keeps the processes' output; else it is deleted."""
    proc.raise_descriptor_limit()
    directory = logs or Path(tempfile.mkdtemp(prefix="lexbridge-bench-"))
    directory.mkdir(parents=True, exist_ok=True)
    directory = directory.resolve()
    token = secrets.token_hex(16)
    settings = {"HANGOVER_MS": str(plan.hangover_ms), "REPLY_MODE": plan.reply_mode, **plan.settings}
    if plan.workers is not None:
        settings["WEB_CONCURRENCY"] = str(plan.workers)
    port = free_port()
    try:
        async with AsyncExitStack() as stack:
            lex = await stack.enter_async_context(
                service.counting_lex(
                    directory / "lex.log",
                    plan.least_turns,
                    plan.most_turns,
                    plan.thinking_s,
                    plan.pace.say_s_per_character,
                )
            )
            lex_port = int(await lex.first_line())
            made = LightTwilio(
                token,
                pace=plan.pace,
                frames_per_message=plan.frames_per_message,
                sign_fragment=plan.sign_fragment,
            )
            twilio = await stack.enter_async_context(made)
            server = service.server(
                directory / "service.log",
                port=port,
                lex_port=lex_port,
                twilio_url=twilio.url,
                auth_token=token,
                settings=settings,
                program=plan.program,
            )
            await stack.enter_async_context(server)
            await server.until_served(port, "/ready")
            yield Load(plan, twilio, server, lex, (port, lex_port))
    finally:
        if logs is None:
            shutil.rmtree(directory, ignore_errors=True)
