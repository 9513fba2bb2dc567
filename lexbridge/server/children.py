"""The supervisor's children: how one is forked, and the keeper of the observer process."""

import faulthandler
import logging
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from gevent import monkey
from gevent._hub_local import get_hub_if_exists

from lexbridge.logs import Log
from lexbridge.server.child_guards import HangGuard, RestartDelay
from lexbridge.server.signals import SignalQueue

_fork = monkey.get_original("os", "fork")
_waitpid = monkey.get_original("os", "waitpid")

FIRST_DELAY_S, MAX_DELAY_S = 0.5, 30.0
"""Delay in seconds before the observer is started again: the first one, and the longest."""

GOOD_AGE_S = 60.0
"""Age in seconds from which on an observer was a good one: after it, the delay begins anew."""

HANG_LIMIT_S = 30.0
"""Limits the age of the observer's heartbeat, in seconds: an older one means that it hangs, and it is ended.

No call waits for the observer, so a false alarm costs more than a late one: what the console has in memory. On a
machine full of calls, the observer may get no CPU for seconds. Workers keep the facts of 20 s of 500 calls."""

LAST_FACTS_S = 8.0
"""Limits the wait for the observer at the end of the service, in seconds, in which it posts its last events."""

_POLL_INTERVAL_S = 0.05


def destroy_gevent_hub() -> None:
    """Destroy the gevent hub that importing urllib3 made by opening a socket: a hub does not survive fork()."""
    hub = get_hub_if_exists()
    if hub is not None:
        hub.destroy(destroy_loop=True)


def fork_child(signals: SignalQueue, main: Callable[[], int], log_bug: Callable[[], object]) -> int:
    """Fork a child that runs `main` to its end. Return its process id. Raises OSError.

    `log_bug`: logs the exception that `main` raises, which is being handled.
    """
    if get_hub_if_exists() is not None:
        raise AssertionError("a gevent hub does not survive a fork")
    sys.stdout.flush()
    sys.stderr.flush()
    with signals.blocked():
        pid: int = _fork()
        if pid == 0:
            _run(signals, main, log_bug)
    return pid


def _run(signals: SignalQueue, main: Callable[[], int], log_bug: Callable[[], object]) -> NoReturn:
    """Run the forked child to its end. It must not return into the supervisor's code."""
    status = 1
    try:
        signals.reset_in_worker()
        faulthandler.enable()  # at SIGABRT it prints the stack, without values, to standard error
        status = main()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        log_bug()
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


ObserverMain = Callable[[Callable[[], None]], int]
"""The main function of the observer process; it returns the exit status.

It gets a function that writes its heartbeat, and has to call that about once a second from its loop."""


class ObserverKeeper:
    """The keeper of the observer process: starts it, starts another one when it dies or hangs, and ends it last of all.

    No call needs the observer, so nothing waits for it while calls are live.
    """

    def __init__(self, main: ObserverMain) -> None:
        self._main = main
        # Shared with the observer. One aligned machine word, so that no reader sees half of it.
        self._heartbeat_s = memoryview(mmap.mmap(-1, 8)).cast("d")
        self._pid: int | None = None
        self._hang = HangGuard()
        self._started_s = 0.0
        self._delay = RestartDelay(FIRST_DELAY_S, MAX_DELAY_S)
        self._log = Log()

    def start_if_due(self, signals: SignalQueue) -> None:
        """Start the observer if there is none and its delay is over."""
        if self._pid is not None or not self._delay.is_over:
            return
        self._beat()  # its time begins now
        self._hang = HangGuard()
        try:
            self._pid = fork_child(signals, lambda: self._main(self._beat), self._log_bug)
        except OSError as error:  # no memory, or no more processes allowed
            self._log.error("observer-not-started", error=error.strerror)
            self._delay.add_failure()
            return
        self._started_s = time.monotonic()

    def watch(self, judged_from_s: float) -> None:
        """End the observer if it hangs. `judged_from_s`: monotonic time before which its silence does not count."""
        if (pid := self._pid) is None:
            return
        silent_s = time.monotonic() - max(self._heartbeat_s[0], judged_from_s)
        self._hang.look(pid, silent_s, HANG_LIMIT_S, partial(self._log_hang, pid, silent_s))

    def reaped(self, pid: int, status: int) -> None:
        """Note that a child has ended, which may be the observer."""
        if pid != self._pid:
            return
        self._pid = None
        how = {"status": status} if status >= 0 else {"signal": signal.Signals(-status).name}
        self._log.error("observer-died", pid=pid, **how)
        if time.monotonic() - self._started_s > GOOD_AGE_S:
            self._delay.forget_failures()
        self._delay.add_failure()

    def end(self, signals: SignalQueue, *, is_at_once: bool) -> None:
        """End the observer, and wait for it. `is_at_once`: kill it. SIGTERM or SIGINT meanwhile kills it, too."""
        if self._pid is None:
            return
        os.kill(self._pid, signal.SIGKILL if is_at_once else signal.SIGTERM)
        deadline_s = time.monotonic() + LAST_FACTS_S
        while time.monotonic() < deadline_s:
            if _is_gone(self._pid):
                return
            if {signal.SIGTERM, signal.SIGINT} & {*signals.wait(_POLL_INTERVAL_S)}:
                break
        os.kill(self._pid, signal.SIGKILL)

    def _beat(self) -> None:
        self._heartbeat_s[0] = time.monotonic()

    def _log_hang(self, pid: int, silent_s: float) -> None:
        self._log.error("observer-hung", pid=pid, silent_s=round(silent_s, 1))

    def _log_bug(self) -> None:
        self._log.exception("observer-broken", pid=os.getpid())


def _is_gone(pid: int) -> bool:
    try:
        return bool(_waitpid(pid, os.WNOHANG)[0])
    except ChildProcessError:
        return True
