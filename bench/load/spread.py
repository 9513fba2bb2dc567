"""Spread of new calls over the workers, and how soon they are answered.

    python -m bench spread --workers 4 --rate 10

Calls come at random at a number a second (with the same seed each time): a webhook, then a media socket that stays
open. For each number of workers the server is the real server.py, and as the baseline the same with workers that accept
whatever they can. The time to an answer is from connecting to the 101. No caller speaks, so neither Lex nor Twilio's
REST API is asked. Linux only.

Exit status 1 when with server.py the busiest worker has over 1.15 times the mean, unless two workers differ by one call
at most; or when a call is not answered.
"""

import asyncio
import random
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.harness import proc, service
from bench.harness.arguments import add_calls, make_parser
from bench.harness.call_messages import start_message, webhook_form
from bench.harness.raw_client import client_message, upgrade_request
from bench.harness.report import table
from bench.harness.settings import AUTH_TOKEN, NOWHERE
from bench.harness.twilio.webhooks import Webhooks
from lexbridge.net.rfc6455 import PING
from lexbridge.offline.ports import free_port

LIMIT = 1.15
PROGRAMS = {"any worker": "bench/load/any_worker_server.py", "ours": "server.py"}
PING_EVERY_S = 5.0
"""Time between pings, seconds, because the server closes a socket that is silent for 15 s."""
ANSWER_LIMIT_S = 10.0
START_LIMIT_S = 30.0


class CallFailed(RuntimeError):
    """A new call was not answered; the message has what came instead."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Calls of each worker, and the wait of each call for its 101, ms."""

    calls: list[int]
    answered_ms: list[float]

    @property
    def ratio(self) -> float:
        """Calls of the busiest worker over the mean."""
        return max(self.calls) * len(self.calls) / sum(self.calls)

    @property
    def is_even(self) -> bool:
        """Whether the limit is kept."""
        return self.ratio <= LIMIT or max(self.calls) - min(self.calls) <= 1

    def row(self) -> list[str]:
        """Return the cells of the table."""
        waits = sorted(self.answered_ms)
        calls = " ".join(map(str, sorted(self.calls)))
        shown = (waits[len(waits) // 2], waits[len(waits) * 99 // 100], waits[-1])
        return [calls, f"{self.ratio:.2f}", " / ".join(f"{wait:.1f}" for wait in shown)]


class Caller:
    """Placer of calls that stay live."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._webhooks = Webhooks(AUTH_TOKEN)
        self._signature = self._webhooks.signature(f"wss://127.0.0.1:{port}/", {})
        self._writers: list[asyncio.StreamWriter] = []
        self.answered_ms: list[float] = []

    async def place(self, number: int) -> None:
        """Place one call. Raises CallFailed."""
        answer = await self._webhooks.post(f"http://127.0.0.1:{self._port}/twiml", webhook_form(number))
        found = re.search(r'name="lexbridge:token" value="([^"]+)"', answer.text)
        if found is None:
            raise CallFailed(f"the webhook answered {answer.status} {answer.text[:60]!r}")
        began_s = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        writer.write(upgrade_request(headers={"X-Twilio-Signature": self._signature}))
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_LIMIT_S)
        except (OSError, EOFError, TimeoutError) as error:
            raise CallFailed(f"no answer to the handshake: {type(error).__name__}") from error
        if b" 101 " not in head:
            raise CallFailed(f"the handshake was answered with {head[:40]!r}")
        self.answered_ms.append((time.monotonic() - began_s) * 1000)
        writer.write(client_message(start_message(number, found[1])))

    async def keep_alive(self) -> None:
        """Send pings on all calls until cancelled."""
        while True:
            await asyncio.sleep(PING_EVERY_S)
            for writer in self._writers:
                writer.write(client_message(b"", PING))

    async def hang_up(self) -> None:
        """End all calls."""
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with suppress(OSError):
                await writer.wait_closed()


async def measure(program: str, workers: int, rate_hz: float, calls: int) -> Spread:
    """Return the spread of one run. Raises CallFailed or StartFailed."""
    port, chance = free_port(), random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "bridge.log"
        settings = {"WEB_CONCURRENCY": str(workers), "LOG_LEVEL": "INFO", "DRAIN_S": "1"}
        async with service.server(
            log, port=port, lex_port=9, twilio_url=NOWHERE, auth_token=AUTH_TOKEN, settings=settings, program=program
        ) as bridge:
            await bridge.until_served(port, "/ready")
            async with asyncio.timeout(START_LIMIT_S):
                while log.read_text(encoding="utf-8").count('"worker-started"') < workers - 1:
                    await asyncio.sleep(0.05)
            caller = Caller(port)
            pinging = asyncio.create_task(caller.keep_alive())
            before = [proc.sockets(pid) for pid in bridge.workers]
            async with asyncio.TaskGroup() as placing:
                for number in range(calls):
                    placing.create_task(caller.place(number))
                    await asyncio.sleep(chance.expovariate(rate_hz))
            await asyncio.sleep(0.5)  # the webhooks' connections end
            spread = [proc.sockets(pid) - had for pid, had in zip(bridge.workers, before, strict=True)]
            pinging.cancel()
            await caller.hang_up()
    return Spread(spread, caller.answered_ms)


async def run(workers: list[int], rates_hz: list[float], calls: int, programs: list[str]) -> int:
    """Run all combinations and print the table. Return the exit status."""
    rows, is_good = (
        [["accepts", "workers", "calls/s", "calls of each", "busiest/mean", "answered p50/p99/max ms"]],
        True,
    )
    for count in workers:
        for rate_hz in rates_hz:
            for name in programs:
                spread = await measure(PROGRAMS[name], count, rate_hz, calls)
                is_good &= spread.is_even or name != "ours"
                rows.append([name, str(count), f"{rate_hz:g}", *spread.row()])
                print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    print(table(rows))
    print(f"limit, ours: busiest/mean {LIMIT}, or one call between any two workers")
    return 0 if is_good else 1


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("spread", __doc__)
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[2, 4, 8], help="WEB_CONCURRENCY, one or more (default: 2 4 8)"
    )
    parser.add_argument(
        "--rate",
        type=float,
        nargs="+",
        default=[5.0, 10.0, 20.0],
        help="calls a second, one or more (default: 5 10 20)",
    )
    add_calls(parser, 120, "calls of each run")
    parser.add_argument("--no-baseline", action="store_true", help="leave the baseline out")
    options = parser.parse_args(arguments)
    programs = ["ours"] if options.no_baseline else list(PROGRAMS)
    return asyncio.run(run(options.workers, options.rate, options.calls, programs))
