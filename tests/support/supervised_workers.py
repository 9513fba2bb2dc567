"""A Supervisor over workers that do next to nothing, as a process of its own.

    python tests/support/supervised_workers.py '{"count": 2}'

Its log is JSON lines on standard output, the workers' among them. The options are the fields of Options.
"""

from gevent import monkey

monkey.patch_all()

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Never

import gevent
from gevent._hub_local import get_hub_if_exists

from lexbridge import logs
from lexbridge.logs import Log
from lexbridge.server.scoreboard import State, WorkerSlot
from lexbridge.server.supervisor import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the workers do, and how the parent looks at them."""

    count: int = 1
    hang_limit_s: float = 10.0
    status: int | None = None
    """They end at once with this exit status."""
    start_s: float = 0.0
    """They start for so long, and have no handlers meanwhile."""
    raises: bool = False
    drain_s: float = 0.0
    """They drain for so long at SIGTERM."""
    leaves_orphan: bool = False
    has_hub: bool = False
    """The parent has one."""


def work(slot: WorkerSlot, options: Options) -> int:
    """A worker: ready until SIGTERM. SIGUSR1 makes it hang."""
    log = Log(worker=os.getpid())
    log.info(
        "begins",
        handlers={signum.name: str(signal.getsignal(signum)) for signum in SIGNALS},
        blocked=sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        has_hub=get_hub_if_exists() is not None,
        threads=len(list(Path("/proc/self/task").iterdir())),
    )
    if options.raises:
        raise ValueError("it broke")
    if options.status is not None:
        return options.status
    if options.leaves_orphan:
        subprocess.run(["sh", "-c", "sleep 0.1 &"], check=True)
    time.sleep(options.start_s)
    stop_requested = gevent.event.Event()
    gevent.signal_handler(signal.SIGTERM, stop_requested.set)
    gevent.signal_handler(signal.SIGUSR1, hang, "what a caller said")
    while not stop_requested.wait(0.05) and not slot.is_orphaned():
        slot.write(State.READY)
    log.info("told", orphaned=slot.is_orphaned())
    until_s = time.monotonic() + options.drain_s
    while time.monotonic() < until_s:
        slot.write(State.DRAINING)
        gevent.sleep(0.05)
    return 0


def hang(_private: str) -> Never:
    """Holds the loop for ever."""
    while True:
        pass


SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def main(options: Options) -> int:
    """The parent."""
    logs.configure("DEBUG", "json", logs.InstantWriter(1))
    if options.has_hub:
        gevent.get_hub()
    Log().info("parent", pid=os.getpid())
    supervisor = Supervisor(options.count, lambda slot: work(slot, options), {"port": 1}, options.hang_limit_s)
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(Options(**json.loads(sys.argv[1]))))
