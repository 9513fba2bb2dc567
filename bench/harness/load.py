"""Many counting calls through one bridge: the survival bench and the soak share this. Not a measurement itself."""

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
from bench.harness.twilio.simulator import Exchange, Pace

TURN_LIMIT_S = 8.0  # for each turn of a call, on average; a call that takes longer is given up
CALL_LIMIT_S = 60.0  # and for the call as a whole, beyond that
WEBHOOK = "/twiml#rc=2&rp=all"
"""The number's voice webhook as an operator should have it: else a call that comes in during a kill may be lost."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run. `workers` None: WEB_CONCURRENCY is left unset. `settings`: the bridge's, over the bench's own."""

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


class BridgeEnded(RuntimeError):
    """The bridge's first process ended by itself; the message has the end of its log."""


class Load:
    """A running bridge between a counting Lex and an exchange."""

    def __init__(self, plan: Plan, exchange: Exchange, bridge: Process, lex: Process, ports: tuple[int, int]) -> None:
        self.plan = plan
        self.exchange = exchange
        self.bridge = bridge
        self.lex = lex
        self._url = f"http://127.0.0.1:{ports[0]}"
        self._lex_port = ports[1]
        self.live: set[CountingCaller] = set()
        self.notes: list[Notes] = []
        """Every call placed, in order."""
        self.streams_missed: list[float] = []
        """Stretches of calls without a stream, s."""
        self.replaces_calls = False
        """Whether a new call is placed for each that ends."""
        self.began_s = time.monotonic()
        self._cpu_before = self._cpu()

    @property
    def webhook_url(self) -> str:
        """What a call to the bridge's number asks."""
        return f"{self._url}{self.plan.webhook}"

    def place_call(self) -> CountingCaller:
        """One more call."""
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
        call = self.exchange.place_call(self.webhook_url, caller, sid)
        self.notes.append(caller.notes)
        self.live.add(caller)
        self.exchange.do(self._until_over(caller, call.without_stream))
        return caller

    async def ramp_up(self, over_s: float) -> None:
        """Places all calls, evenly spread."""
        for _ in range(self.plan.calls):
            self.place_call()
            await self.sleep(over_s / self.plan.calls)

    async def until_done(self) -> None:
        """Waits until no call is live. Raises BridgeEnded."""
        while self.live:
            await self.sleep(0.05)

    async def sleep(self, seconds: float) -> None:
        """Lets the calls go on. Raises BridgeEnded."""
        await asyncio.sleep(seconds)
        if not self.bridge.is_running:
            raise BridgeEnded(self.bridge.log_end())

    async def counts(self) -> dict[str, int]:
        """What Lex has counted."""
        return await service.lex_counts(self._lex_port)

    def cores(self) -> dict[str, float]:
        """CPU since the load began, in cores: of the bridge with all its processes, of Lex, of the exchange."""
        passed_s = time.monotonic() - self.began_s
        return {name: (used - self._cpu_before[name]) / passed_s for name, used in self._cpu().items()}

    def restart_the_clock(self) -> None:
        """CPU is counted from now on."""
        self.began_s = time.monotonic()
        self._cpu_before = self._cpu()

    def _cpu(self) -> dict[str, float]:
        return {
            "bridge": proc.cpu_s(self.bridge.pid),
            "Lex": proc.cpu_s(self.lex.pid),
            "exchange": time.process_time(),
        }

    async def _until_over(self, caller: CountingCaller, without_stream: list[tuple[float, float]]) -> None:
        await caller.over.wait()
        self.live.discard(caller)
        self.streams_missed += [length_s for _, length_s in without_stream]
        if self.replaces_calls:
            self.place_call()


@asynccontextmanager
async def running(plan: Plan, logs: Path | None = None) -> AsyncIterator[Load]:
    """The three of them. `logs`: a directory for the processes' output, kept; else one that is deleted."""
    proc.raise_descriptor_limit()
    directory = logs or Path(tempfile.mkdtemp(prefix="lexbridge-bench-"))
    directory.mkdir(parents=True, exist_ok=True)
    directory = directory.resolve()
    token = secrets.token_hex(16)
    settings = {"HANGOVER_MS": str(plan.hangover_ms), "REPLY_MODE": plan.reply_mode, **plan.settings}
    if plan.workers is not None:
        settings["WEB_CONCURRENCY"] = str(plan.workers)
    port = service.free_port()
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
            made = Exchange(
                token,
                pace=plan.pace,
                frames_per_message=plan.frames_per_message,
                sign_fragment=plan.sign_fragment,
            )
            exchange = await stack.enter_async_context(made)
            bridge = service.server(
                directory / "bridge.log",
                port=port,
                lex_port=lex_port,
                twilio_url=exchange.url,
                auth_token=token,
                settings=settings,
                program=plan.program,
            )
            await stack.enter_async_context(bridge)
            await bridge.until_served(port, "/ready")
            yield Load(plan, exchange, bridge, lex, (port, lex_port))
    finally:
        if logs is None:
            shutil.rmtree(directory, ignore_errors=True)
