"""A `server.py` that ends a hanging observer after HANG_LIMIT_S: `python tests/support/hasty_server.py`.

The signal HANG makes the observer hang in an endless loop. The settings are in the environment.
"""

from gevent import monkey

monkey.patch_all()

import signal
import sys
from typing import Any, Never

import gevent

from lexbridge import __main__ as command_line
from lexbridge.server import children, watching

HANG_LIMIT_S = 6.0
"""Seconds, because an observer that lives is not silent for so long, also on a busy machine."""

HANG = signal.SIGRTMIN

observe = watching.observe


def hang(_private: str) -> Never:
    """Hold the event loop for ever."""
    while True:
        pass


def observe_until_told(*arguments: Any) -> int:
    """Observe as the real one does, and hang at the signal HANG."""
    gevent.signal_handler(HANG, hang, "what a caller said")
    return observe(*arguments)


children.HANG_LIMIT_S = HANG_LIMIT_S
watching.observe = observe_until_told

if __name__ == "__main__":
    sys.exit(command_line.main([]))
