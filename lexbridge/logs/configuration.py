"""The log's configuration, and the level that an operator can switch while the service runs."""

import logging
import os

from lexbridge.logs.formats import JsonFormat, TextFormat
from lexbridge.logs.lines import send_lines_to
from lexbridge.logs.log import Log

_TALKATIVE = ("botocore", "boto3", "urllib3", "twilio", "geventwebsocket", "requests")


class _Levels:
    """The configured level, and whether lines of level debug are written now."""

    configured = "INFO"
    is_debugging = False


def is_debugging() -> bool:
    """Return whether lines of level debug are written."""
    return _Levels.is_debugging


def debugs_if_switched(is_switched: bool) -> bool:
    """Return whether lines of level debug are to be written, if the operator has switched the level or has not.

    Switching changes between DEBUG and the configured level; if that is DEBUG itself, between DEBUG and INFO.
    """
    return is_switched != (_Levels.configured == "DEBUG")


def switch_debug(is_on: bool) -> None:
    """Start or stop writing lines of level debug in this process, and log it as `log-level`."""
    quiet = "INFO" if _Levels.configured == "DEBUG" else _Levels.configured
    level = "DEBUG" if is_on else quiet
    Log().answer("log-level", pid=os.getpid(), log_level=level)
    logging.getLogger().setLevel(level)
    _Levels.is_debugging = is_on


def configure(level: str, log_format: str, out: logging.Handler, colors: bool = False, pid: int | None = None) -> None:
    """Send every log line of the process to `out`.

    `log_format`: "json" or "text"; text may have `colors`. `pid`: process id that each line gets, or None if lines name
    a process id only where it matters.
    """
    send_lines_to(out, TextFormat(pid, colors) if log_format == "text" else JsonFormat(pid))
    _Levels.configured, _Levels.is_debugging = level, level == "DEBUG"
    logging.getLogger().setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
