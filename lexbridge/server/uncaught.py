"""What escapes in a worker, from a greenlet, the hub, a thread or a finalizer, as one log line each.

By default each of these prints a traceback of many lines to standard error, between the lines of the log.
"""

import sys
import threading
from types import TracebackType
from typing import Any

from gevent import get_hub

from lexbridge.logs import UnlockedLog


def install() -> None:
    """Log what escapes in this process, and in this thread's hub, as `greenlet-broken` with what it escaped `of`."""
    hub = get_hub()
    log = UnlockedLog()

    def tell(of: str, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        if kind is not None and not issubclass(kind, hub.NOT_ERROR):
            log.write("error", "greenlet-broken", of=of, exc_info=(kind, error, trace))

    def print_exception(context: object, kind: Any, error: Any, trace: Any) -> None:
        """Instead of the hub's. `context` is told by its class: in full it shows what a function was called with."""
        tell(type(context).__name__, *hub._normalize_exception(kind, error, trace))  # type: ignore[attr-defined]

    def tell_unraisable(lost: Any) -> None:
        """Log an exception of a finalizer, a callback of C code, or a thread of the system."""
        # From Python 3.13 on the system's threads come without what they ran.
        kind = "thread" if lost.object is None else type(lost.object).__name__
        of = getattr(lost.object, "__qualname__", kind)
        tell(of, lost.exc_type, lost.exc_value, lost.exc_traceback)

    hub.print_exception = print_exception  # type: ignore[assignment,method-assign]
    sys.excepthook = lambda *exception: tell("process", *exception)
    sys.unraisablehook = tell_unraisable
    threading.excepthook = lambda lost: tell("thread", lost.exc_type, lost.exc_value, lost.exc_traceback)
