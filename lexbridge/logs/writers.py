"""Output of log lines, which never makes the thread that logs wait for a reader."""

import logging
import os
import select
import stat
import sys
from typing import Any

from gevent import monkey

from lexbridge.logs.log import Log

# The originals, because a write may wait for the reader of the log. gevent's versions would make a greenlet wait, and
# with it every call. A thread of the system may wait.
_start_new_thread = monkey.get_original("_thread", "start_new_thread")
_allocate_lock = monkey.get_original("_thread", "allocate_lock")
_SimpleQueue = monkey.get_original("queue", "SimpleQueue")
_sleep = monkey.get_original("time", "sleep")
_poll = monkey.get_original("select", "poll")


def find_closed_output() -> str | None:
    """Return what is wrong if standard output or standard error is closed, or None if both are open.

    The log goes to the first, and errors at the start to the second. If one is closed, the next file that the process
    opens gets its number, and log lines end up in a socket.
    """
    streams = (("Standard output", sys.stdout, 1), ("Standard error", sys.stderr, 2))
    for name, stream, number in streams:
        if stream is None:
            return f"{name} is closed: point it somewhere, such as {number}>/dev/null"
    return None


class LineWriter(logging.Handler):
    """A writer with a thread of its own, so that the code that logs never waits.

    If the reader is slow, lines wait in a queue. Beyond `capacity` lines are dropped, and a line tells their number
    once there is room again. If the reader has closed its end, all lines are lost.
    """

    def __init__(self, descriptor: int, capacity: int = 10_000) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._capacity = capacity
        self._lines: Any = _SimpleQueue()
        self._dropped = 0
        self._is_started = False
        self._written = _allocate_lock()  # held while the thread runs

    def emit(self, record: logging.LogRecord) -> None:
        waiting = self._lines.qsize()
        if waiting >= self._capacity:
            self._dropped += 1
            return
        self.start()
        if self._dropped and waiting <= self._capacity // 2:
            dropped, self._dropped = self._dropped, 0
            Log().warning("log-lines-dropped", count=dropped)
        try:
            self._lines.put(self.format(record) + "\n")
        except Exception:
            self.handleError(record)

    def start(self) -> None:
        """Start the thread, unless it runs already. Only the thread that logs may call this."""
        if not self._is_started:
            self._is_started = True
            self._written.acquire()
            _start_new_thread(self._write_lines, ())

    def put(self, line: str) -> None:
        """Write a line that is no logging record. Any thread may call this after `start`; it takes no gevent lock."""
        if self._lines.qsize() < self._capacity:
            self._lines.put(line + "\n")
        else:
            self._dropped += 1

    def close(self) -> None:
        """Write the waiting lines, for at most a second, because a process has to end even if its log is not read."""
        super().close()
        if self._is_started:
            self._lines.put(None)
            if self._written.acquire(timeout=1):
                self._written.release()

    def _write_lines(self) -> None:
        """Run as the thread, which uses nothing but the queue and the descriptor."""
        try:
            while (line := self._lines.get()) is not None:
                self._write(line.encode("utf-8", "backslashreplace"))
        finally:
            self._written.release()

    def _write(self, line: bytes) -> None:
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:  # another process that shares the descriptor made it non-blocking
                _sleep(0.05)
            except OSError:
                return  # the reader is gone


class InstantWriter(logging.Handler):
    """A writer that writes a line at once or not at all.

    It is for the supervisor, which may not wait, and may have no thread because it forks. Lines without room are
    dropped, and a line tells their number once there is room.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = _open_again(descriptor)
        self._dropped = 0
        self._poll = _poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
            return
        if self._dropped and self._has_room():
            dropped, self._dropped = self._dropped, 0
            Log().warning("log-lines-dropped", count=dropped)
        self._dropped += not self._write(line.encode("utf-8", "backslashreplace"))

    def _has_room(self) -> bool:
        """Whether select.PIPE_BUF bytes can be written without waiting. A line of at most that length stays whole."""
        ready: list[tuple[int, int]] = self._poll.poll(0)
        return any(event & select.POLLOUT for _, event in ready)

    def _write(self, line: bytes) -> bool:
        if len(line) > select.PIPE_BUF or not self._has_room():
            return False
        try:
            os.write(self._descriptor, line)
        except OSError:
            return False
        return True


def _open_again(descriptor: int) -> int:
    """Return a descriptor of our own for a pipe, one that never waits; return any other descriptor as it is.

    It is needed because another process may fill the pipe between the check for room and the write. Setting the
    original descriptor to non-blocking would set it for every process that shares it.
    """
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # there is no /proc, or the pipe is another user's
        pass
    return descriptor
