"""Worker processes: a parent that forks them onto one listener, watches them, and replaces those that are lost.

The parent never has a gevent hub: epoll sets, timers and threads do not survive a fork. So it waits, forks and takes
signals with the system's own calls, not gevent's. What it knows of a worker it reads from the Board, which they share.
"""

import faulthandler
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from gevent import monkey
from gevent._hub_local import get_hub_if_exists

from lexbridge.logs import Log, all_heard, debugs_when, switch_debug
from lexbridge.server.scoreboard import FRESH_S, Board, Place, State

_fork = monkey.get_original("os", "fork")
_waitpid = monkey.get_original("os", "waitpid")
_poll = monkey.get_original("select", "poll")
_set_handler = monkey.get_original("signal", "signal")
_set_wakeup_fd = monkey.get_original("signal", "set_wakeup_fd")

HANG_LIMIT_S = 10.0
"""A worker whose heartbeat is older has hung."""
ABORT_S = 1.0
"""Between SIGABRT, which prints the stack, and SIGKILL."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 4.0
TICK_S, STARTING_TICK_S = 0.25, 0.05

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2}

Work = Callable[[Place], int]
"""A worker's life, in a process of its own; returns its exit status. It has to write its state at least every second.
SIGTERM ends it at once until it sets a handler; SIGINT and SIGHUP, which a terminal sends to all, are the parent's."""


class _Signals:
    """The parent's signals, one after the other. A handler of ours would run anywhere; the system's pipe does not."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        _set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for signum in _SIGNALS:
            _set_handler(signum, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # whoever started us may have blocked them
        self._poll = _poll()
        self._poll.register(self._reading)

    def wait(self, timeout_s: float) -> bytes:
        """The numbers of those that came; waits for the first."""
        self._poll.poll(timeout_s * 1000)
        try:
            return os.read(self._reading, 4096)
        except BlockingIOError:
            return b""

    @contextmanager
    def held(self) -> Iterator[None]:
        """None is delivered meanwhile; none is lost."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def forget(self) -> None:
        """In a worker that was just forked, while they are held: what comes from now on is the worker's own."""
        _set_wakeup_fd(-1)
        _set_handler(signal.SIGTERM, signal.SIG_DFL)
        _set_handler(signal.SIGCHLD, signal.SIG_DFL)
        _set_handler(signal.SIGINT, signal.SIG_IGN)
        _set_handler(signal.SIGHUP, signal.SIG_IGN)
        _set_handler(signal.SIGUSR1, signal.SIG_IGN)  # until it has handlers for these two
        _set_handler(signal.SIGUSR2, signal.SIG_IGN)
        os.close(self._reading)
        os.close(self._writing)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


@dataclass(slots=True, eq=False)
class _Worker:
    pid: int
    slot: int
    generation: int
    started_s: float
    was_ready: bool = False
    is_told: bool = False
    """It was sent SIGTERM."""
    aborted_s: float | None = None
    """When it was sent SIGABRT."""


class Supervisor:
    """The parent. `count`: workers. `serving`: what the log line says that tells of the first one that is ready."""

    def __init__(self, count: int, work: Work, serving: Mapping[str, Any], hang_limit_s: float = HANG_LIMIT_S) -> None:
        self._count = count
        self._work = work
        self._serving = serving
        self._hang_limit_s = hang_limit_s
        self._board = Board(2 * count)  # while all are replaced there are two of each
        self._workers: dict[int, _Worker] = {}
        self._generation = 0
        self._is_renewal_wanted = False
        self._was_ready = False
        self._exit_status: int | None = None  # None: it goes on
        self._looked_s = self._judged_from_s = time.monotonic()
        self._pause_s = 0.0
        self._start_at_s = 0.0
        self._log = Log()

    def run(self) -> int:
        """Runs the workers until SIGTERM or SIGINT, and all have ended. Returns the exit status: 0; 1 after a second
        signal, which ends them at once; 2 if the first worker says that it cannot start.

        SIGHUP replaces all workers: new ones first, then the old ones drain. SIGUSR1 has each write to the log what it
        does, SIGUSR2 switches the log to DEBUG in all processes, and back.
        """
        signals = _Signals()
        while self._exit_status is None or self._workers:
            self._start_missing(signals)
            is_starting = any(not worker.was_ready for worker in self._workers.values())
            for signum in signals.wait(STARTING_TICK_S if is_starting else TICK_S):
                self._take(signum)
            self._reap()
            self._look()
            self._renew()
        return self._exit_status

    def _take(self, signum: int) -> None:
        if signum == signal.SIGHUP:
            self._is_renewal_wanted = True
        elif signum == signal.SIGUSR1:
            self._report()
        elif signum == signal.SIGUSR2:
            self._board.is_level_switched = not self._board.is_level_switched
            switch_debug(debugs_when(self._board.is_level_switched))
        elif signum in (signal.SIGTERM, signal.SIGINT) and self._exit_status is None:
            self._exit_status = 0
            self._board.is_ending = True
            self._terminate(self._workers.values())
        elif signum in (signal.SIGTERM, signal.SIGINT):
            self._exit_status = 1
            for pid in self._workers:
                os.kill(pid, signal.SIGKILL)

    def _report(self) -> None:
        """Writes what is known of each worker, which then writes what it does itself."""
        now_s = time.monotonic()
        for worker in self._workers.values():
            silent_s = round(max(0.0, now_s - self._board.heartbeat_s(worker.slot)), 1)
            state = self._board.state(worker.slot).name.lower()
            age_s = round(now_s - worker.started_s, 1)
            with all_heard():
                self._log.info("worker-state", pid=worker.pid, state=state, age_s=age_s, silent_s=silent_s)
            os.kill(worker.pid, signal.SIGUSR1)

    # Starting

    def _start_missing(self, signals: _Signals) -> None:
        if self._exit_status is not None or time.monotonic() < self._start_at_s:
            return
        current = [worker for worker in self._workers.values() if self._is_current(worker)]
        missing = self._count - len(current)
        if not self._was_ready or self._is_renewing():
            # One after the other: what is wrong is said once, and live calls get by with the processors that are left.
            missing = min(missing, 1 - sum(not worker.was_ready for worker in current))
        taken = {worker.slot for worker in self._workers.values()}
        free = [slot for slot in self._board.slots if slot not in taken]
        for slot in free[: max(missing, 0)]:
            try:
                self._start(slot, signals)
            except OSError as error:  # no memory, no more processes allowed
                self._log.error("worker-not-started", error=error.strerror)
                self._pause()
                return

    def _is_current(self, worker: _Worker) -> bool:
        """It is here to stay. One that drains although we did not tell it to was told by the operator."""
        is_leaving = worker.is_told or self._board.state(worker.slot) is State.DRAINING
        return worker.generation == self._generation and not is_leaving

    def _start(self, slot: int, signals: _Signals) -> None:
        if get_hub_if_exists() is not None:
            raise AssertionError("a gevent hub does not survive a fork")
        place = Place(self._board, slot, os.getpid())
        place.write(State.STARTING)
        sys.stdout.flush()
        sys.stderr.flush()
        with signals.held():
            pid = _fork()
            if pid == 0:
                self._be_worker(place, signals)
        self._workers[pid] = _Worker(pid, slot, self._generation, time.monotonic())

    def _be_worker(self, place: Place, signals: _Signals) -> NoReturn:
        """The child's whole life: it must not return into what the parent was doing."""
        status = 1
        try:
            signals.forget()
            faulthandler.enable()  # at SIGABRT: the stack, without values, to standard error
            status = self._work(place)
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:
            self._log.exception("worker-broken", pid=os.getpid())
        finally:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    # Watching

    def _reap(self) -> None:
        """Takes note of every process that ended; as process 1 we have others' children too."""
        while True:
            try:
                pid, status = _waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if worker := self._workers.pop(pid, None):
                self._take_note_of_end(worker, os.waitstatus_to_exitcode(status))

    def _take_note_of_end(self, worker: _Worker, status: int) -> None:
        was_draining = worker.is_told or self._board.state(worker.slot) is State.DRAINING
        self._board.write(worker.slot, State.NONE)
        if self._exit_status == 1 or (was_draining and status in (0, -signal.SIGTERM)):
            return
        if status == 2 and not self._was_ready:  # it has said why
            self._exit_status = 2 if self._exit_status is None else self._exit_status
            return
        if not worker.was_ready and status in (0, -signal.SIGTERM):
            self._log.info("worker-told-to-end", pid=worker.pid)  # by the operator, while it started
            # Replaced at once, but however often they are told: one in FIRST_PAUSE_S.
            self._start_at_s = max(self._start_at_s, worker.started_s + FIRST_PAUSE_S)
            return
        how = {"status": status} if status >= 0 else {"signal": signal.Signals(-status).name}
        self._log.error("worker-died", pid=worker.pid, **how)
        if not worker.was_ready:
            self._pause()
        else:
            self._pause_s = 0.0

    def _pause(self) -> None:
        """The next worker is started later, and later each time."""
        self._pause_s = min(max(FIRST_PAUSE_S, 2 * self._pause_s), LONGEST_PAUSE_S)
        self._start_at_s = time.monotonic() + self._pause_s

    def _look(self) -> None:
        """Finds workers that became ready, and ends those that hang."""
        now_s = time.monotonic()
        if now_s - self._looked_s > FRESH_S:
            self._judged_from_s = now_s  # the machine or the container was stopped, and we with it
        self._looked_s = now_s
        for worker in self._workers.values():
            if not worker.was_ready and self._board.state(worker.slot) in (State.READY, State.BUSY):
                worker.was_ready = True
                self._tell_ready(worker)
            silent_s = now_s - max(self._board.heartbeat_s(worker.slot), self._judged_from_s)
            if worker.aborted_s is None and silent_s > self._hang_limit_s:
                self._log.error("worker-hung", pid=worker.pid, silent_s=round(silent_s, 1))
                os.kill(worker.pid, signal.SIGABRT)
                worker.aborted_s = now_s
            elif worker.aborted_s is not None and now_s - worker.aborted_s > ABORT_S:
                os.kill(worker.pid, signal.SIGKILL)

    def _tell_ready(self, worker: _Worker) -> None:
        if self._was_ready:
            self._log.info("worker-started", pid=worker.pid)
        else:
            self._log.info("serving", pid=worker.pid, workers=self._count, **self._serving)
        self._was_ready = True

    # Replacing all

    def _is_renewing(self) -> bool:
        return any(worker.generation < self._generation for worker in self._workers.values())

    def _renew(self) -> None:
        """SIGHUP: a new generation is started, and the old one told to drain once all of the new one are ready."""
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
            if not worker.is_told:
                worker.is_told = True
                os.kill(worker.pid, signal.SIGTERM)


def drop_hub() -> None:
    """Before the first fork: urllib3 opens a socket when it is imported, and so makes the hub that must not be."""
    hub = get_hub_if_exists()
    if hub is not None:
        hub.destroy(destroy_loop=True)
