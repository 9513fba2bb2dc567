"""The log's configuration, and the level that an operator can switch while the service runs."""

import logging
import os
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from lexbridge.logs.formats import LineFormatter, arrange_as_text, text_renderer
from lexbridge.logs.log import Log

_TALKATIVE = ("botocore", "boto3", "urllib3", "twilio", "geventwebsocket", "requests")


class _Levels:
    """The configured level, and whether lines of level debug are written now."""

    configured = "INFO"
    is_debugging = False


def is_debugging() -> bool:
    """Whether lines of level debug are written."""
    return _Levels.is_debugging


def debugs_if_switched(is_switched: bool) -> bool:
    """Whether lines of level debug are to be written, if the operator has switched the level or has not.

    Switching changes between DEBUG and the configured level; if that is DEBUG itself, between DEBUG and INFO.
    """
    return is_switched != (_Levels.configured == "DEBUG")


def switch_debug(is_on: bool) -> None:
    """Start or stop writing lines of level debug in this process, and log it as `log-level`."""
    quiet = "INFO" if _Levels.configured == "DEBUG" else _Levels.configured
    level = "DEBUG" if is_on else quiet
    with logging_all_levels():
        Log().info("log-level", pid=os.getpid(), log_level=level)
    logging.getLogger().setLevel(level)
    _Levels.is_debugging = is_on


@contextmanager
def logging_all_levels() -> Iterator[None]:
    """Write all lines that are logged inside the `with` block, whatever the level. It may not switch greenlets."""
    root = logging.getLogger()
    level = root.level
    root.setLevel("DEBUG")
    try:
        yield
    finally:
        root.setLevel(level)


def configure(level: str, log_format: str, out: logging.Handler, colors: bool = False, pid: int | None = None) -> None:
    """Send every log line of the process to `out`.

    `log_format`: "json" or "text"; text may have `colors`. `pid`: process id that each line gets, or None if lines name
    a process id only where it matters.
    """
    text = log_format == "text"
    shared: list[Callable[[Any, str, MutableMapping[str, Any]], Any]] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if pid is not None:
        shared.append(lambda _, __, line: {"pid": pid, **line})
    # Tracebacks come without the values of variables, because those hold tokens and the words of callers.
    if text:
        rendered: list[Any] = [arrange_as_text, text_renderer(colors)]
    else:
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        rendered = [structlog.processors.ExceptionRenderer(frames), structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    out.setFormatter(LineFormatter(shared, rendered))
    root = logging.getLogger()
    root.handlers[:] = [out]
    _Levels.configured, _Levels.is_debugging = level, level == "DEBUG"
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
