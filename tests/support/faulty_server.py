"""A `server.py` whose worker has faults on command: `python tests/support/faulty_server.py`.

The settings are in the environment. The signals HOLD, WORK_ON and BREAK cause one fault each.
"""

from gevent import monkey

monkey.patch_all()

import signal
import sys
import time
from typing import Any, Never

import gevent
from gevent import get_hub

from lexbridge import __main__ as command_line

HOLD_S = 3.6
"""Seconds, because a test has to do something while the loop is held for more than the second second."""
HOLD, WORK_ON, BREAK = signal.SIGRTMIN + 1, signal.SIGRTMIN + 2, signal.SIGRTMIN
SECRET = "+15550001111"


def hold(_private: str) -> None:
    """Hold the event loop for HOLD_S."""
    until_s = time.monotonic() + HOLD_S
    while time.monotonic() < until_s:
        pass


def work_on() -> Never:
    """Keep the event loop busy for ever, but let it come round."""
    while True:
        until_s = time.monotonic() + 0.05
        while time.monotonic() < until_s:
            pass
        gevent.sleep(0.001)  # after sleep(0) gevent may continue this greenlet fifty times before the loop comes round


def fail(_private: str = SECRET) -> Never:
    """Raise an exception."""
    raise ValueError("it broke")


class Broken:
    """An object whose finalizer raises an exception."""

    def __del__(self) -> None:
        fail()


def leave() -> Never:
    """End the greenlet, which is no error."""
    raise gevent.GreenletExit


def escape() -> None:
    """Raise an exception in every place from which one can escape uncaught."""
    gevent.spawn(leave)
    gevent.spawn(fail, SECRET).join()
    gevent.spawn(fail).kill()  # before the greenlet has begun
    get_hub().loop.run_callback(fail, SECRET)
    gevent.sleep(0.01)
    Broken()
    monkey.get_original("_thread", "start_new_thread")(fail, (SECRET,))
    monkey.get_original("threading", "Thread")(target=fail, args=(SECRET,), name=SECRET).start()


build_service = command_line.build_service


def build_with_faults(*arguments: Any, **options: Any) -> Any:
    """Build the service in the worker, with a fault for each of the signals."""
    gevent.signal_handler(HOLD, hold, SECRET)
    gevent.signal_handler(WORK_ON, work_on)
    gevent.signal_handler(BREAK, escape)
    return build_service(*arguments, **options)


command_line.build_service = build_with_faults

if __name__ == "__main__":
    sys.exit(command_line.main([]))
