"""The supervisor: the process that forks workers onto one listener, watches them, and replaces the ones that end.

The supervisor never has a gevent hub, because a hub's epoll set, timers and threads do not survive a fork. So it waits,
forks and reads signals with the system's own functions. It reads each worker's state from the scoreboard.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gevent import monkey

from lexbridge.logs import Log, debugs_if_switched, switch_debug
from lexbridge.server.child_guards import HangGuard, RestartDelay
from lexbridge.server.children import ObserverKeeper, ObserverMain, fork_child
from lexbridge.server.lines_keeper import LinesKeeper
from lexbridge.server.scoreboard import MAX_HEARTBEAT_AGE_S, Scoreboard, State, WorkerSlot
from lexbridge.server.signals import SignalQueue
from lexbridge.telemetry.channel import FactSender
from lexbridge.telemetry.facts import Event

_waitpid = monkey.get_original("os", "waitpid")

HANG_LIMIT_S = 10.0
"""Limits the age of a worker's heartbeat, in seconds: an older one means that the worker hangs, and it is ended."""
FIRST_DELAY_S, MAX_DELAY_S = 0.25, 4.0
"""Delay in seconds before the next worker is started after one failed to start: the first one, and the longest."""
TICK_S, STARTING_TICK_S = 0.25, 0.05
"""Interval in seconds at which the supervisor looks at its workers; shorter while a worker starts."""

WorkerMain = Callable[[WorkerSlot], int]
"""The main function of a worker process; it returns the exit status.

It has to write its state at least once a second. SIGTERM ends the process at once until the function sets a handler;
the supervisor alone acts on SIGINT and SIGHUP."""


@dataclass(slots=True, eq=False)
class _Worker:
    pid: int
    index: int
    generation: int
    started_s: float
    was_ready: bool = False
    is_terminating: bool = False
    """Whether the supervisor sent it SIGTERM."""
    hang: HangGuard = field(default_factory=HangGuard)


class Supervisor:
    """The parent of `count` workers that all run `worker_main`. `serving_fields`: for the log line `serving`."""

    def __init__(
        self,
        count: int,
        worker_main: WorkerMain,
        serving_fields: Mapping[str, Any],
        hang_limit_s: float = HANG_LIMIT_S,
        *,
        observer_main: ObserverMain | None = None,
        sender: FactSender | None = None,
        lines: LinesKeeper | None = None,
    ) -> None:
        """`observer_main`: the main function of the observer process, or None: there is none. `sender`: tells it.

        `lines`: keeper of the table of lines, or None if there is no LINES_FILE.
        """
        self._observer = None if observer_main is None else ObserverKeeper(observer_main)
        self._sender = sender
        self._lines = lines
        self._count = count
        self._worker_main = worker_main
        self._serving_fields = serving_fields
        self._hang_limit_s = hang_limit_s
        self._scoreboard = Scoreboard(slots_for(count))
        self._workers: dict[int, _Worker] = {}
        self._generation = 0
        self._is_renewal_wanted = False
        self._was_ready = False
        self._exit_status: int | None = None  # None until the service has to end
        self._watched_s = self._judged_from_s = time.monotonic()
        self._delay = RestartDelay(FIRST_DELAY_S, MAX_DELAY_S)
        self._log = Log()

    def run(self) -> int:
        """Run the workers until SIGTERM or SIGINT and until all have ended.

        Return the exit status: 0; 1 after a second SIGTERM or SIGINT, which ends the workers at once; 2 if the first
        worker cannot start. SIGHUP has LINES_FILE read anew; without one it replaces all workers: new ones start, then
        the old ones drain. SIGUSR1 makes each worker write a report to the log. SIGUSR2 switches the log of all
        processes to DEBUG and back.
        """
        signals = SignalQueue()
        if self._observer is not None:
            self._observer.start_if_due(signals)  # first, so that it hears of all
        while self._exit_status is None or self._workers:
            self._start_missing(signals)
            if self._observer is not None:
                self._observer.start_if_due(signals)
            if self._lines is not None and self._was_ready and self._exit_status is None:
                self._lines.start_if_due(signals)
            is_starting = any(not worker.was_ready for worker in self._workers.values())
            for signum in signals.wait(STARTING_TICK_S if is_starting else TICK_S):
                self._handle_signal(signum)
            self._reap()
            self._watch()
            self._renew()
            if self._sender is not None:
                self._sender.flush()
        if self._lines is not None:
            self._lines.end()
        if self._observer is not None:
            self._observer.end(signals, is_at_once=self._exit_status != 0)
        return self._exit_status

    def _handle_signal(self, signum: int) -> None:
        if signum == signal.SIGHUP and self._lines is not None:
            self._lines.read_anew()
        elif signum == signal.SIGHUP:
            self._is_renewal_wanted = True
        elif signum == signal.SIGUSR1:
            self._report()
        elif signum == signal.SIGUSR2:
            self._scoreboard.is_level_switched = not self._scoreboard.is_level_switched
            switch_debug(debugs_if_switched(self._scoreboard.is_level_switched))
        elif signum in (signal.SIGTERM, signal.SIGINT) and self._exit_status is None:
            self._exit_status = 0
            self._scoreboard.is_ending = True
            self._tell("service-stopping")
            self._terminate(self._workers.values())
        elif signum in (signal.SIGTERM, signal.SIGINT):
            self._exit_status = 1
            for pid in self._workers:
                os.kill(pid, signal.SIGKILL)

    def _report(self) -> None:
        """Log the state of each worker, and make each worker log its own report."""
        now_s = time.monotonic()
        for worker in self._workers.values():
            silent_s = round(max(0.0, now_s - self._scoreboard.heartbeat_s(worker.index)), 1)
            state = self._scoreboard.state(worker.index).name.lower()
            age_s = round(now_s - worker.started_s, 1)
            self._log.answer("worker-state", pid=worker.pid, state=state, age_s=age_s, silent_s=silent_s)
            os.kill(worker.pid, signal.SIGUSR1)

    # Starting workers

    def _start_missing(self, signals: SignalQueue) -> None:
        if self._exit_status is not None or not self._delay.is_over:
            return
        current = [worker for worker in self._workers.values() if self._is_current(worker)]
        missing = self._count - len(current)
        if not self._was_ready or self._is_renewing():
            # Start one after the other: a fault is then logged once, and live calls keep most of the processors.
            missing = min(missing, 1 - sum(not worker.was_ready for worker in current))
        taken = {worker.index for worker in self._workers.values()}
        free = [index for index in self._scoreboard.slots if index not in taken]
        for index in free[: max(missing, 0)]:
            try:
                self._start(index, signals)
            except OSError as error:  # no memory, or no more processes allowed
                self._log.error("worker-not-started", error=error.strerror)
                self._delay.add_failure()
                return

    def _is_current(self, worker: _Worker) -> bool:
        """Return whether the worker stays. The operator may have sent it SIGTERM, so that it drains unordered."""
        is_leaving = worker.is_terminating or self._scoreboard.state(worker.index) is State.DRAINING
        return worker.generation == self._generation and not is_leaving

    def _start(self, index: int, signals: SignalQueue) -> None:
        slot = WorkerSlot(self._scoreboard, index, os.getpid())
        slot.write(State.STARTING)
        pid = fork_child(signals, lambda: self._worker_main(slot), self._log_bug)
        self._workers[pid] = _Worker(pid, index, self._generation, time.monotonic())

    def _log_bug(self) -> None:
        self._log.exception("worker-broken", pid=os.getpid())

    # Watching workers

    def _reap(self) -> None:
        """Collect the exit status of every child that ended. As process 1 the supervisor gets strange children too."""
        while True:
            try:
                pid, status = _waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = os.waitstatus_to_exitcode(status)
            if worker := self._workers.pop(pid, None):
                self._note_exit(worker, ended)
            elif self._lines is not None and self._lines.reaped(pid, ended):
                continue
            elif self._observer is not None:
                self._observer.reaped(pid, ended)

    def _note_exit(self, worker: _Worker, status: int) -> None:
        self._tell("worker-ended", pid=worker.pid, slot=worker.index)
        was_draining = worker.is_terminating or self._scoreboard.state(worker.index) is State.DRAINING
        self._scoreboard.write(worker.index, State.NONE)
        if self._exit_status == 1 or (was_draining and status in (0, -signal.SIGTERM)):
            if self._exit_status is None:
                why = "renewal" if worker.generation < self._generation else "SIGTERM"
                self._log.info("worker-replaced", pid=worker.pid, why=why)
            return
        if status == 2 and not self._was_ready:  # the worker has already written why it cannot start
            self._exit_status = 2 if self._exit_status is None else self._exit_status
            return
        if not worker.was_ready and status in (0, -signal.SIGTERM):
            self._log.info("worker-told-to-end", pid=worker.pid)  # by the operator, while it was starting
            # It is replaced at once, but not more often than every FIRST_DELAY_S.
            self._delay.space_from(worker.started_s)
            return
        how = {"status": status} if status >= 0 else {"signal": signal.Signals(-status).name}
        self._log.error("worker-died", pid=worker.pid, **how)
        if worker.was_ready:
            self._delay.forget_failures()
        else:
            self._delay.add_failure()

    def _tell(self, step: str, **fields: int) -> None:
        """Tell the observer of a step that the log does not have."""
        if self._sender is not None:
            self._sender.add(Event(time.time(), "", "", -1, "debug", step, fields, {}))

    def _watch(self) -> None:
        """Note which workers became ready, and end the ones that hang, and the observer if it does."""
        now_s = time.monotonic()
        if now_s - self._watched_s > MAX_HEARTBEAT_AGE_S:
            # The machine or the container was stopped, and the supervisor with it: heartbeats are late for that reason.
            self._judged_from_s = now_s
        self._watched_s = now_s
        if self._observer is not None:
            self._observer.watch(self._judged_from_s)
        if self._lines is not None:
            self._lines.watch()
        for worker in self._workers.values():
            if not worker.was_ready and self._scoreboard.state(worker.index) in (State.READY, State.BUSY):
                worker.was_ready = True
                self._log_ready(worker)
            silent_s = now_s - max(self._scoreboard.heartbeat_s(worker.index), self._judged_from_s)
            worker.hang.look(worker.pid, silent_s, self._hang_limit_s, partial(self._log_hang, worker, silent_s))

    def _log_hang(self, worker: _Worker, silent_s: float) -> None:
        self._log.error("worker-hung", pid=worker.pid, silent_s=round(silent_s, 1))

    def _log_ready(self, worker: _Worker) -> None:
        if self._was_ready:
            self._log.info("worker-started", pid=worker.pid)
        else:
            self._log.info("serving", pid=worker.pid, workers=self._count, **self._serving_fields)
        self._was_ready = True

    # Replacing all workers

    def _is_renewing(self) -> bool:
        return any(worker.generation < self._generation for worker in self._workers.values())

    def _renew(self) -> None:
        """Start a new generation after SIGHUP, and make the old one drain once all of the new one are ready."""
        if self._exit_status is not None:
            return
        if self._is_renewing():
            new = [worker for worker in self._workers.values() if self._is_current(worker) and worker.was_ready]
            if len(new) >= self._count:
                self._terminate(worker for worker in self._workers.values() if worker.generation < self._generation)
        elif self._is_renewal_wanted:
            self._is_renewal_wanted = False
            self._generation += 1
            self._log.info("renewing", workers=self._count)

    def _terminate(self, workers: Iterable[_Worker]) -> None:
        for worker in workers:
            if not worker.is_terminating:
                worker.is_terminating = True
                os.kill(worker.pid, signal.SIGTERM)


def slots_for(workers: int) -> int:
    """Return how many slots the scoreboard has: two for each worker, because SIGHUP replaces all of them."""
    return 2 * workers
