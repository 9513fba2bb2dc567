"""Uncaught exceptions of a worker's greenlets, hub, threads and finalizers, each logged as one line.

Without this module each of them prints a traceback of many lines to standard error, between the lines of the log.
"""

import sys
import threading
from types import TracebackType
from typing import Any

from gevent import get_hub

from lexbridge.logs import Log


def install() -> None:
    """Log uncaught exceptions of this process, and of this thread's hub, as `greenlet-broken`.

    The field `of` names where the exception came from.
    """
    hub = get_hub()
    log = Log()

    def log_exception(of: str, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        if kind is not None and not issubclass(kind, hub.NOT_ERROR):
            log.error("greenlet-broken", of=of, exc_info=(kind, error, trace))

    def print_exception(context: object, kind: Any, error: Any, trace: Any) -> None:
        """Replace the hub's method. Only the class of `context` is logged: its text holds arguments of calls."""
        log_exception(type(context).__name__, *hub._normalize_exception(kind, error, trace))  # type: ignore[attr-defined]

    def log_unraisable(unraisable: Any) -> None:
        """Log an exception of a finalizer, of a callback of C code, or of a thread of the operating system."""
        # From Python 3.13 on, an unraisable exception of such a thread comes without its function.
        kind = "thread" if unraisable.object is None else type(unraisable.object).__name__
        of = getattr(unraisable.object, "__qualname__", kind)
        log_exception(of, unraisable.exc_type, unraisable.exc_value, unraisable.exc_traceback)

    hub.print_exception = print_exception  # type: ignore[assignment,method-assign]
    sys.excepthook = lambda *exception: log_exception("process", *exception)
    sys.unraisablehook = log_unraisable
    threading.excepthook = lambda args: log_exception("thread", args.exc_type, args.exc_value, args.exc_traceback)
