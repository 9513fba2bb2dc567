"""Output of log lines, which never makes the thread that logs wait for a reader."""

import os
import select
import stat
import sys
from typing import Any

from gevent import monkey

from lexbridge.logs.lines import LineHandler
from lexbridge.logs.log import Log

# The originals, because a write may wait for the reader of the log. gevent's versions would make a greenlet wait, and
# with it every call. A thread of the system may wait.
_start_new_thread = monkey.get_original("_thread", "start_new_thread")
_allocate_lock = monkey.get_original("_thread", "allocate_lock")
_SimpleQueue = monkey.get_original("queue", "SimpleQueue")
_sleep = monkey.get_original("time", "sleep")
_close = monkey.get_original("os", "close")
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


_GATHERING_S = 0.02
"""How long lines for a file are gathered, in seconds, because each write costs a switch of threads."""
_MOST_GATHERED = 100
"""Limits the lines of one write to a file, so that those that wait are still counted as waiting."""


class LineWriter(LineHandler):
    """A writer for a worker: the code that logs never waits for the reader.

    A line goes into a pipe at once if the pipe has room. If its reader is slow, or the output is no pipe, a thread
    writes: lines wait in a queue for it. Beyond `capacity` lines are dropped, and a line tells their number once there
    is room again. If the reader has closed its end, all lines are lost.
    """

    def __init__(self, descriptor: int, capacity: int = 10_000) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._capacity = capacity
        self._pipe = _open_again(descriptor)  # None: no pipe
        # Several workers share the output. A pipe keeps only short writes whole, so there each line is its own.
        self._gathered = _MOST_GATHERED if _is_file(descriptor) else 1
        self._lines: Any = _SimpleQueue()
        # While lines wait for the thread, all others have to wait behind them. Only the thread resets this.
        self._is_behind = False
        self._dropped = 0
        self._thread = _allocate_lock()  # held while the thread runs

    def put(self, line: str) -> None:
        """Write a line, now or later, or drop it. Never waits."""
        waiting = self._lines.qsize()
        if self._dropped and waiting <= self._capacity // 2:
            dropped, self._dropped = self._dropped, 0
            Log().warning("log-lines-dropped", count=dropped)
        encoded = (line + "\n").encode("utf-8", "backslashreplace")
        if self._pipe is not None and not waiting and not self._is_behind and _write_now(self._pipe, encoded):
            return
        if waiting >= self._capacity:
            self._dropped += 1
            return
        self._is_behind = True
        self._lines.put(encoded)
        if self._thread.acquire(blocking=False):
            _start_new_thread(self._write_lines, ())

    def close(self) -> None:
        """Write the waiting lines, for at most a second, because a process has to end even if its log is not read."""
        super().close()
        if self._thread.locked():
            self._lines.put(None)
            if self._thread.acquire(timeout=1):
                self._thread.release()
        if self._pipe is not None:
            pipe, self._pipe = self._pipe, None
            _close(pipe)

    def _write_lines(self) -> None:
        """Run as the thread, which uses nothing but the queue and the descriptor."""
        try:
            is_open = True
            while is_open:
                lines = [self._lines.get()]
                self._is_behind = True
                if self._gathered > 1:
                    _sleep(_GATHERING_S)
                while len(lines) < self._gathered and not self._lines.empty():
                    lines.append(self._lines.get())
                is_open = None not in lines
                self._write(b"".join(filter(None, lines)))
                if self._lines.empty():
                    self._is_behind = False
        finally:
            self._thread.release()

    def _write(self, line: bytes) -> None:
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:  # another process that shares the descriptor made it non-blocking
                _sleep(0.05)
            except OSError:
                return  # the reader is gone


class InstantWriter(LineHandler):
    """A writer that writes a line at once or not at all.

    It is for the supervisor, which may not wait, and may have no thread because it forks. Lines without room are
    dropped, and a line tells their number once there is room.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        pipe = _open_again(descriptor)
        self._descriptor = descriptor if pipe is None else pipe
        self._dropped = 0
        self._poll = _poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    def put(self, line: str) -> None:
        """Write a line now, or drop it."""
        if self._dropped and self._has_room():
            dropped, self._dropped = self._dropped, 0
            Log().warning("log-lines-dropped", count=dropped)
        self._dropped += not self._write((line + "\n").encode("utf-8", "backslashreplace"))

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


def _write_now(pipe: int, line: bytes) -> bool:
    """Write a line into a pipe that never waits. Return False if it has no room, or the line may not stay whole."""
    if len(line) > select.PIPE_BUF:
        return False
    try:
        os.write(pipe, line)
    except BlockingIOError:
        return False
    except OSError:
        pass  # the reader is gone
    return True


def _is_file(descriptor: int) -> bool:
    """Return whether a descriptor is a file, a terminal or /dev/null, and so neither a pipe nor a socket."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISREG(mode) or stat.S_ISCHR(mode)


def _open_again(descriptor: int) -> int | None:
    """Return a descriptor of our own for a pipe, one that never waits, or None for anything else.

    It is needed because another process may fill the pipe between the check for room and the write. Setting the
    original descriptor to non-blocking would set it for every process that shares it.
    """
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # there is no /proc, or the pipe is another user's
        pass
    return None
