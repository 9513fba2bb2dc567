"""Log lines: one event a line, JSON for machines or text for people.

No line holds a word that was spoken, a phone number, a token or a key. Libraries that would write such things at
their lower levels are held at WARNING, whatever the level of ours.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO

import gevent
import structlog

_TALKATIVE = ("botocore", "boto3", "urllib3", "twilio", "geventwebsocket", "requests")


def configure(level: str, log_format: str, stream: TextIO) -> None:
    """Sends every log line of the process to `stream`. `log_format`: "json" or "text"."""
    text = log_format == "text"
    shared: list[Callable[[Any, str, MutableMapping[str, Any]], Any]] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks without the values of variables: those hold tokens, and what callers say.
    if text:
        traceback = structlog.dev.plain_traceback
        rendered: list[Any] = [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=traceback)]
    else:
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        rendered = [structlog.processors.ExceptionRenderer(frames), structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    out = logging.StreamHandler(stream)
    out.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [out]
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


class Log:
    """Log lines of one subject: every line carries its `fields`, such as a call's SIDs."""

    def __init__(self, **fields: Any) -> None:
        self._logger = structlog.stdlib.get_logger("lexbridge").bind(**fields)

    def bind(self, **fields: Any) -> "Log":
        """A log with more fields."""
        bound = Log()
        bound._logger = self._logger.bind(**fields)
        return bound

    def write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """One line. `level`: "debug", "info", "warning" or "error"."""
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

    def bug(self, event: str, **fields: Any) -> None:
        """One line with the traceback of the exception that is being handled: it should not have happened."""
        self._logger.error(event, exc_info=True, **fields)


class CountedLog:
    """Log lines of what strangers cause, as often as they like: at most one line of `event` a reason in `window_s`.

    The first is written at once; those that follow are counted, and written as one line when the window ends.
    """

    def __init__(self, event: str, window_s: float = 10.0) -> None:
        self._event = event
        self._window_s = window_s
        self._uncounted: Counter[str] = Counter()  # reasons whose window is open, and how many came in it
        self.totals: Counter[str] = Counter()
        """How many came so far, by reason."""

    def count(self, reason: str) -> None:
        """One more. `reason` is one of a small set: never a stranger's own words."""
        self.totals[reason] += 1
        if reason in self._uncounted:
            self._uncounted[reason] += 1
            return
        self._open_window(reason, 1)

    def _open_window(self, reason: str, count: int) -> None:
        self._uncounted[reason] = 0
        # A Log made when this was would be older than the configuration, and deaf to it.
        Log().warning(self._event, reason=reason, count=count)
        gevent.spawn_later(self._window_s, self._close_window, reason)

    def _close_window(self, reason: str) -> None:
        if count := self._uncounted.pop(reason):
            self._open_window(reason, count)
