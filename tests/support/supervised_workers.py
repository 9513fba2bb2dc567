"""A supervisor over workers that do next to nothing, as a process of its own.

    python tests/support/supervised_workers.py '{"count": 2}'

The supervisor and the workers log JSON lines to standard output. The options are the fields of Options.
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
from lexbridge.server import lines_keeper
from lexbridge.server.published_lines import Look
from lexbridge.server.scoreboard import State, WorkerSlot
from lexbridge.server.supervisor import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Behaviour of the workers, and limits of the supervisor."""

    count: int = 1
    hang_limit_s: float = 10.0
    status: int | None = None
    """Exit status with which the workers end at once, or None."""
    start_s: float = 0.0
    """Duration of a worker's start, in seconds, in which it has no signal handlers."""
    raises: bool = False
    drain_s: float = 0.0
    """Duration of a worker's drain after SIGTERM, in seconds."""
    leaves_orphan: bool = False
    has_hub: bool = False
    """Whether the supervisor has a gevent hub."""
    look_every_s: float | None = None
    """Interval of looks at a table of lines, which find what `look.json` says; None: there is no table."""
    look_limit_s: float = 120.0


class ToldLines:
    """A table of lines that is as `look.json` in the working directory says: the fields of a Look.

    The result "hang" never comes, and "break" is a bug.
    """

    version = "1"
    generation = 1

    def look(self, known: str) -> Look:
        """Return what the file says."""
        Log().info("looks", look=os.getpid(), known=known)
        fields = json.loads(Path("look.json").read_text(encoding="utf-8"))
        if fields["result"] == "hang":
            time.sleep(1000)
        if fields["result"] == "break":
            raise ValueError("what a file says")
        return Look(**fields)

    def publish(self) -> None:
        """Count the tables."""
        self.generation += 1


def work(slot: WorkerSlot, options: Options) -> int:
    """Run a worker that is ready until SIGTERM. SIGUSR1 makes it hang."""
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
    """Hold the event loop for ever."""
    while True:
        pass


SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def main(options: Options) -> int:
    """Run the supervisor. Return its exit status."""
    logs.configure("DEBUG", "json", logs.InstantWriter(1))
    if options.has_hub:
        gevent.get_hub()
    Log().info("parent", pid=os.getpid())
    lines = None
    if options.look_every_s is not None:
        lines_keeper.LOOK_EVERY_S, lines_keeper.LOOK_LIMIT_S = options.look_every_s, options.look_limit_s
        lines = lines_keeper.LinesKeeper(ToldLines(), lambda: None)
    supervisor = Supervisor(
        options.count, lambda slot: work(slot, options), {"port": 1}, options.hang_limit_s, lines=lines
    )
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(Options(**json.loads(sys.argv[1]))))
