"""Two real tasks of the service behind a load balancer; callers reach them only through it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexbridge.offline.commands.bridge_process import BridgeProcess
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.deploy.load_balancer import LoadBalancer
from tests.support.deploy.order import LengthRecogniser, Order
from tests.support.rig import ENVIRONMENT, TOKEN, V1_BOT, flowers

PACE = 0.25
"""Pace of the calls: a little slower than the fastest media that a task accepts by default."""
MODES = ("call-update", "stream")
NAMES = ("one", "two")


@dataclass
class Pair:
    """Both tasks, and everything around them."""

    balancer: LoadBalancer
    tasks: Mapping[str, BridgeProcess]
    lex: LocalLex
    twilio: SimulatedTwilio

    def order(self, fallback_url: str = "") -> Order:
        """Place a call. `fallback_url`: the fallback address of the number."""
        return Order(self.twilio, self.lex, Number(f"{self.balancer.url}/twiml", fallback_url=fallback_url))

    def said(self, task: str, event: str) -> list[dict[str, Any]]:
        """Return the lines of a task's log with this event."""
        whole, _, _ = self.tasks[task].log.read_text(encoding="utf-8").rpartition("\n")
        return [line for line in map(json.loads, whole.splitlines()) if line["event"] == event]

    def where(self, event: str, order: Order) -> list[str]:
        """Return the tasks that logged this event of the call."""
        return [
            name for name in self.tasks for line in self.said(name, event) if line.get("call_sid") == order.call.sid
        ]


@contextmanager
def pair(folder: Path, mode: str, balance: str = "leastconn", no_input_s: int = 120) -> Iterator[Pair]:
    """Run two tasks behind a load balancer; yield once both are ready.

    `mode`, `no_input_s`: REPLY_MODE and NO_INPUT_S.
    """
    balancer = LoadBalancer(folder)
    with ExitStack() as stack:
        lex = stack.enter_context(LocalLex(bots=[flowers()], recogniser=LengthRecogniser(), voice=SilentVoice()))
        twilio = stack.enter_context(SimulatedTwilio(auth_token=TOKEN, pace=PACE, ca_file=balancer.ca_file))
        settings = {
            **ENVIRONMENT,
            **V1_BOT,
            "URL": balancer.url,
            "URL_CA_FILE": str(balancer.ca_file),
            "TWILIO_API_URL": twilio.url,
            "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": lex.url,
            "REPLY_MODE": mode,
            "BARGE_IN": "off",
            "NO_INPUT_S": str(no_input_s),
            "LOG_LEVEL": "DEBUG",
        }
        tasks = {name: stack.enter_context(BridgeProcess(settings, folder / f"{name}.log")) for name in NAMES}
        stack.enter_context(balancer.running({name: task.port for name, task in tasks.items()}, balance))
        yield Pair(balancer, tasks, lex, twilio)
