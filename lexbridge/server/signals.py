"""The supervisor's signals, read one after the other from a pipe.

A Python signal handler runs between any two instructions of the main thread, so it could interrupt the supervisor in
the middle of a fork. Here the interpreter only writes the signal's number into a pipe, and the supervisor reads it when
it is ready. Only the system's own functions are used, not gevent's, because the supervisor must not have a gevent hub.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from gevent import monkey

_poll = monkey.get_original("select", "poll")
_set_handler = monkey.get_original("signal", "signal")
_set_wakeup_fd = monkey.get_original("signal", "set_wakeup_fd")

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2}


class SignalQueue:
    """The queue of signals that reached the supervisor."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        _set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for signum in _SIGNALS:
            _set_handler(signum, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # the process that started us may have blocked them
        self._poll = _poll()
        self._poll.register(self._reading)

    def wait(self, timeout_s: float) -> bytes:
        """Wait for a signal. Return the numbers of all that came, one byte each, or nothing after the timeout."""
        self._poll.poll(timeout_s * 1000)
        try:
            return os.read(self._reading, 4096)
        except BlockingIOError:
            return b""

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Block the signals for the duration of a fork; the system delivers them afterwards."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def reset_in_worker(self) -> None:
        """Undo the supervisor's handlers in a forked worker, while signals are blocked, and unblock them.

        SIGTERM then ends the worker until it sets a handler of its own. SIGINT and SIGHUP are ignored, because a
        terminal sends them to all processes and the supervisor acts on them.
        """
        _set_wakeup_fd(-1)
        _set_handler(signal.SIGTERM, signal.SIG_DFL)
        _set_handler(signal.SIGCHLD, signal.SIG_DFL)
        _set_handler(signal.SIGINT, signal.SIG_IGN)
        _set_handler(signal.SIGHUP, signal.SIG_IGN)
        _set_handler(signal.SIGUSR1, signal.SIG_IGN)  # ignored until the worker's Inspection handles these two
        _set_handler(signal.SIGUSR2, signal.SIG_IGN)
        os.close(self._reading)
        os.close(self._writing)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
