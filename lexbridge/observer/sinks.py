"""Sinks: what the observer process does with the facts of all workers. Each setting makes one."""

from typing import Protocol

from lexbridge.telemetry.facts import Fact


class Sink(Protocol):
    """A taker of facts."""

    def take(self, fact: Fact) -> None:
        """Take the next fact. It does not wait for anything."""

    def close(self, deadline_s: float) -> None:
        """Finish what is under way, because the service ends. It takes `deadline_s` seconds at most."""
