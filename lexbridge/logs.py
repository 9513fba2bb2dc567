"""Log lines: one event a line, JSON for machines or text for people.

No line holds a word that was spoken, a phone number, a token or a key. Libraries that would write such things at
their lower levels are held at WARNING, whatever the level of ours.
"""

import logging
import os
import select
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import gevent
import structlog
from gevent import monkey

# gevent makes greenlets of these; what may wait for whoever reads our output has to be a thread of the system.
_start_new_thread = monkey.get_original("_thread", "start_new_thread")
_allocate_lock = monkey.get_original("_thread", "allocate_lock")
_SimpleQueue = monkey.get_original("queue", "SimpleQueue")
_sleep = monkey.get_original("time", "sleep")
_poll = monkey.get_original("select", "poll")

_SHORT_SID = 8
"""Characters of a CallSid at the beginning of a line of text: few enough to read, enough to tell live calls apart."""

_TIME_OF_DAY = slice(11, 23)
"""Of a timestamp such as 2026-11-28T03:21:05.123456Z."""

_LONG = ("call_sid", "stream_sid", "pid")
_BEGINS_A_STREAM = ("call-answered", "stream-started")

_TALKATIVE = ("botocore", "boto3", "urllib3", "twilio", "geventwebsocket", "requests")


def find_closed_output() -> str | None:
    """A sentence about standard output or standard error being closed, which Python knows from its start.

    The log goes to the one, and what ends the start to the other. Whatever the process opened next would get their
    numbers, and lines of the log would end in a socket.
    """
    streams = (("Standard output", sys.stdout, 1), ("Standard error", sys.stderr, 2))
    for name, stream, number in streams:
        if stream is None:
            return f"{name} is closed: point it somewhere, such as {number}>/dev/null"
    return None


class _Levels:
    """The level that was configured, and the one that is written at."""

    configured = "INFO"
    is_debugging = False


def is_debugging() -> bool:
    """Whether lines of level debug are written."""
    return _Levels.is_debugging


def debugs_when(is_switched: bool) -> bool:
    """Whether they are if the level is switched, or is not: DEBUG and the configured level take turns, INFO where that
    is DEBUG itself."""
    return is_switched != (_Levels.configured == "DEBUG")


def switch_debug(is_on: bool) -> None:
    """Has the process write lines of level debug, or not. `log-level` says so."""
    quiet = "INFO" if _Levels.configured == "DEBUG" else _Levels.configured
    level = "DEBUG" if is_on else quiet
    with all_heard():
        Log().info("log-level", pid=os.getpid(), log_level=level)
    logging.getLogger().setLevel(level)
    _Levels.is_debugging = is_on


@contextmanager
def all_heard() -> Iterator[None]:
    """Lines that are logged meanwhile are written, whatever the level is. Nothing in it may switch greenlets."""
    root = logging.getLogger()
    level = root.level
    root.setLevel("DEBUG")
    try:
        yield
    finally:
        root.setLevel(level)


def configure(level: str, log_format: str, out: logging.Handler, colors: bool = False, pid: int | None = None) -> None:
    """Sends every log line of the process to `out`. `log_format`: "json" or "text", which may have colours. `pid`: the
    process id that every line has; None: only those that name one."""
    text = log_format == "text"
    shared: list[Callable[[Any, str, MutableMapping[str, Any]], Any]] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if pid is not None:
        shared.append(lambda _, __, line: {"pid": pid, **line})
    # Tracebacks without the values of variables: those hold tokens, and what callers say.
    if text:
        rendered: list[Any] = [_for_people, _console(colors)]
    else:
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        rendered = [structlog.processors.ExceptionRenderer(frames), structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    out.setFormatter(_Formatter(shared, rendered))
    root = logging.getLogger()
    root.handlers[:] = [out]
    _Levels.configured, _Levels.is_debugging = level, level == "DEBUG"
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _for_people(_logger: object, _level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The line with its time of day and the beginning of its CallSid in front, and without what is None. The whole SIDs
    and the process id are long: they come last, and only where somebody will look for them elsewhere."""
    told = {name: value for name, value in line.items() if value is not None and name not in _LONG}
    told["timestamp"] = line["timestamp"][_TIME_OF_DAY]
    told["call"] = str(line.get("call_sid") or "-")[:_SHORT_SID]
    is_whole = line["level"] in ("warning", "error") or "call_sid" not in line or line["event"] in _BEGINS_A_STREAM
    return {**told, **{name: line[name] for name in _LONG if is_whole and line.get(name) is not None}}


def _console(colors: bool) -> structlog.dev.ConsoleRenderer:
    """Renders what `_for_people` has made of a line."""
    dev = structlog.dev
    dim, bright, key, reset = (dev.DIM, dev.BRIGHT, dev.CYAN, dev.RESET_ALL) if colors else ("", "", "", "")
    columns = [
        dev.Column("", dev.KeyValueColumnFormatter(key, "", reset, _in_one_line)),
        dev.Column("timestamp", dev.KeyValueColumnFormatter(None, dim, reset, str)),
        dev.Column("level", dev.LogLevelColumnFormatter(dev.ConsoleRenderer.get_default_level_styles(colors), reset)),
        dev.Column("call", dev.KeyValueColumnFormatter(None, bright, reset, _in_one_line, width=_SHORT_SID)),
        dev.Column("event", dev.KeyValueColumnFormatter(None, bright, reset, str)),
    ]
    return dev.ConsoleRenderer(columns=columns, sort_keys=False, exception_formatter=dev.plain_traceback)


def _in_one_line(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and text and " " not in text else repr(value)


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Renders records, and events that are no records. `shared`, `rendered`: structlog's processors, in two halves."""

    def __init__(self, shared: list[Any], rendered: list[Any]) -> None:
        super().__init__(processors=[self.remove_processors_meta, *rendered], foreign_pre_chain=shared)
        self._all = [*shared, *rendered]

    def render(self, level: str, event: str, fields: Mapping[str, Any]) -> str:
        """One line. It takes no lock."""
        line: Any = {**fields, "event": event}
        for processor in self._all:
            line = processor(None, level, line)
        return str(line)


class LineWriter(logging.Handler):
    """Writes lines to a file descriptor from a thread of its own: whoever logs never waits.

    If nobody reads what is written, lines wait; beyond `capacity` they are dropped, and counted in a line of their own
    once there is room again. A descriptor that is closed at its other end loses them all.
    """

    def __init__(self, descriptor: int, capacity: int = 10_000) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._capacity = capacity
        self._lines: Any = _SimpleQueue()
        self._dropped = 0
        self._is_started = False
        self._written = _allocate_lock()  # held from the start of the thread to its end

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
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
        """Starts the thread, if there is none yet. Only for the thread that logs."""
        if not self._is_started:
            self._is_started = True
            self._written.acquire()
            _start_new_thread(self._write_lines, ())

    def put(self, line: str) -> None:
        """Has a line written that is no record: from any thread, once it is started. It takes no lock of gevent's."""
        if self._lines.qsize() < self._capacity:
            self._lines.put(line + "\n")
        else:
            self._dropped += 1

    def close(self) -> None:
        """Writes what waits, for at most a second: a process must be able to end although nobody reads its log."""
        super().close()
        if self._is_started:
            self._lines.put(None)
            if self._written.acquire(timeout=1):
                self._written.release()

    def _write_lines(self) -> None:
        """The thread. It touches nothing but the queue and the descriptor."""
        try:
            while (line := self._lines.get()) is not None:
                self._write(line.encode("utf-8", "backslashreplace"))
        finally:
            self._written.release()

    def _write(self, line: bytes) -> None:
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:  # somebody who shares it made it non-blocking
                _sleep(0.05)
            except OSError:
                return  # nobody is there to read


class InstantWriter(logging.Handler):
    """Writes a line now or not at all: for a process that must not wait, and have no thread either, for it forks.

    Lines for which there is no room are dropped, and counted in a line of their own once there is.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = _open_again(descriptor)
        self._dropped = 0
        self._poll = _poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
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
        """For select.PIPE_BUF bytes at least: what is no longer is written whole, and does not wait."""
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
    """A pipe, opened once more for ourselves and without waiting: between a look whether there is room and the writing,
    another process may fill it. The original cannot be told not to wait: those who share it would be told too."""
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # no /proc, or it is another user's pipe
        pass
    return descriptor


class Log:
    """Log lines of one subject: every line carries its `fields`, such as a call's SIDs."""

    def __init__(self, **fields: Any) -> None:
        self._logger = structlog.stdlib.get_logger("lexbridge").bind(**fields)
        self._faults: Counter[str] = Counter()  # by level; shared with the logs that are bound to this one

    @property
    def faults(self) -> int:
        """Warnings and errors written so far, by this log or another one of the same subject."""
        return self._faults["warning"] + self._faults["error"]

    def bind(self, **fields: Any) -> "Log":
        """A log with more fields."""
        bound = Log()
        bound._logger, bound._faults = self._logger.bind(**fields), self._faults
        return bound

    def write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """One line. `level`: "debug", "info", "warning" or "error"."""
        self._faults[level] += 1
        getattr(self._logger, level)(event, **fields)

    def info(self, event: str, **fields: Any) -> None:
        """One line of what is as it should be."""
        self.write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """One line of a fault that a caller may have noticed."""
        self.write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """One line of what somebody has to mend."""
        self.write("error", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """One line with the traceback of the exception that is being handled: it should not have happened."""
        self._faults["error"] += 1
        self._logger.error(event, exc_info=True, **fields)


class UnlockedLog:
    """Log lines past `logging`, whose locks are gevent's: for threads of the system, for the hub and for finalizers,
    none of which may wait for a greenlet. The thread that logs otherwise makes it, after `configure` with a LineWriter.
    """

    def __init__(self) -> None:
        root = logging.getLogger()
        self._out = next(handler for handler in root.handlers if isinstance(handler, LineWriter))
        self._out.start()
        self._root = root

    def write(self, level: str, event: str, **fields: Any) -> None:
        """One line. Never raises. `exc_info`, if it is one of the fields: as sys.exc_info() returns it."""
        if logging.getLevelNamesMapping()[level.upper()] >= self._root.level:
            self._write(level, event, fields)

    def answer(self, event: str, **fields: Any) -> None:
        """One line of level info, whatever LOG_LEVEL is: somebody has asked for it. Never raises."""
        self._write("info", event, fields)

    def _write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        formatter = self._out.formatter
        if not isinstance(formatter, _Formatter):
            return
        try:
            line = formatter.render(level, event, fields)
        except Exception:  # whoever logs here has nobody to raise to
            line = formatter.render(level, event, {})
        self._out.put(line)


class RateLimitedLog:
    """Log lines of what strangers cause, as often as they like: at most one line of `event` a reason in `window_s`.

    The first is written at once; those that follow are counted, and written as one line when the window ends.
    """

    def __init__(self, event: str, window_s: float = 10.0) -> None:
        self._event = event
        self._window_s = window_s
        # Reasons whose window is open: how many came in it, and the hints of the last of them.
        self._uncounted: dict[str, tuple[int, Mapping[str, str]]] = {}
        self.totals: Counter[str] = Counter()
        """How many came so far, by reason."""

    def count(self, reason: str, hints: Mapping[str, str] | None = None) -> None:
        """One more. `reason` is one of a small set. `hints`: more fields of the line, such as the remedy. Neither may
        hold a stranger's own words."""
        self.totals[reason] += 1
        hints = hints or {}
        if reason in self._uncounted:
            self._uncounted[reason] = self._uncounted[reason][0] + 1, hints
            return
        self._open_window(reason, 1, hints)

    def _open_window(self, reason: str, count: int, hints: Mapping[str, str]) -> None:
        self._uncounted[reason] = 0, {}
        # A Log made when this was would be older than the configuration, and deaf to it.
        Log().warning(self._event, reason=reason, count=count, **hints)
        gevent.spawn_later(self._window_s, self._close_window, reason)

    def _close_window(self, reason: str) -> None:
        count, hints = self._uncounted.pop(reason)
        if count:
            self._open_window(reason, count, hints)
