"""Faults of a rehearsal: each can be switched on while calls are live, to see that callers hear words all the same."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.phone.bridges import OwnBridge
from lexbridge.offline.twilio.events import FaultSwitched
from lexbridge.offline.twilio.rest_api import RestFault
from lexbridge.offline.twilio.simulator import SimulatedTwilio

SLOW_S = 3.0
"""Seconds by which a slow Lex answers late: longer than FILLER_S, because then callers hear a filler."""


class FaultRefused(Exception):
    """A fault could not happen; the message says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault. `switch` turns it on or off. `is_once`: it happens when it is turned on, and is off again at once."""

    name: str
    help: str
    switch: Callable[[bool], None]
    is_on: Callable[[], bool] = lambda: False
    is_once: bool = False

    def described(self) -> dict[str, Any]:
        """Return the fault as JSON has it."""
        return {"name": self.name, "help": self.help, "is_on": self.is_on(), "is_once": self.is_once}


class Rehearsal:
    """The faults that can be switched on here. Without a `lex` and a `bridge` of ours there are fewer."""

    def __init__(self, twilio: SimulatedTwilio, lex: LocalLex | None = None, bridge: OwnBridge | None = None) -> None:
        self._twilio = twilio
        self._bridge = bridge
        faults = [] if lex is None else _faults_of_lex(lex)
        faults.append(_fault_of_rest(twilio))
        faults.append(
            Fault("stream-lost", "The media stream of every live call breaks, once", self._lose_streams, is_once=True)
        )
        if bridge is not None:
            told = "The worker of the newest live call is killed by SIGKILL, once"
            faults.append(Fault("worker-killed", told, self._kill_worker, is_once=True))
        self._faults = {each.name: each for each in faults}

    def described(self) -> list[dict[str, Any]]:
        """Return every fault as JSON has it."""
        return [each.described() for each in self._faults.values()]

    def switch(self, name: str, is_on: bool) -> None:
        """Turn a fault on or off. Raises KeyError if there is no such fault, FaultRefused if it cannot happen now."""
        fault = self._faults[name]
        if fault.is_once and not is_on:
            return
        fault.switch(is_on)
        for call in self._twilio.calls.values():
            if call.over is None:
                call.record(FaultSwitched(call.now_s(), fault.help, is_on))

    def _lose_streams(self, _: bool) -> None:
        streams = [stream for call in self._twilio.calls.values() for stream in call.streams]
        if not streams:
            raise FaultRefused("no call is on")
        for stream in streams:
            stream.cut()

    def _kill_worker(self, _: bool) -> None:
        live = [sid for sid, call in self._twilio.calls.items() if call.over is None]
        if not live:
            raise FaultRefused("no call is on")
        pid = None if self._bridge is None else worker_of(live[-1], self._bridge.process.log)
        if pid is None:
            raise FaultRefused("the bridge's log does not name the worker of the call yet")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError as error:
            raise FaultRefused("the worker has just ended") from error


def worker_of(call_sid: str, log: Path) -> int | None:
    """Return the process that serves a call, read off a bridge's log in JSON, or None if it is not known."""
    found = None
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if call_sid in line:
            try:
                fields = json.loads(line)
            except ValueError:  # the last line is being written
                continue
            found = fields.get("pid", found)
    return found


def _faults_of_lex(lex: LocalLex) -> list[Fault]:
    return [
        _fault_of_lex(lex, "lex-slow", f"Lex answers {SLOW_S:g} s late", LexFault(kind="slow", after_s=SLOW_S)),
        _fault_of_lex(lex, "lex-500", "Lex fails: it answers 500", LexFault(status=500)),
        _fault_of_lex(lex, "lex-429", "Lex throttles: it answers 429", LexFault(status=429)),
    ]


def _fault_of_lex(lex: LocalLex, name: str, told: str, once: LexFault) -> Fault:
    fault = replace(once, times=None)
    return Fault(name, told, lambda is_on: _set(lex.faults, fault, is_on), lambda: _is_in(lex.faults, fault))


def _fault_of_rest(twilio: SimulatedTwilio) -> Fault:
    fault = RestFault(status=429, code=20429, message="Too Many Requests", always=True)
    return Fault(
        "rest-429",
        "Twilio's REST API throttles: it answers 429 to each call update",
        lambda is_on: _set(twilio.rest_faults, fault, is_on),
        lambda: _is_in(twilio.rest_faults, fault),
    )


def _set(faults: list[Any], fault: object, is_on: bool) -> None:
    """Put a fault into a list, or take it out. Others that are equal stay."""
    faults[:] = [each for each in faults if each is not fault]
    if is_on:
        faults.append(fault)


def _is_in(faults: Sequence[object], fault: object) -> bool:
    return any(each is fault for each in faults)
