"""The end of a command that serves: Ctrl-C, or the signal by which other programs end one."""

import signal

from gevent.event import Event
from gevent.hub import signal as on_signal


class StopRequest:
    """The wish that a command ends: Ctrl-C, or SIGTERM.

    Make it before the command prints that it is ready: whoever reads that line may end the command at once.
    """

    def __init__(self) -> None:
        self._requested = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            on_signal(number, self._requested.set)

    def wait(self) -> None:
        """Wait until the command is to end."""
        self._requested.wait()


def take_sigterm_as_ctrl_c() -> None:
    """End by SIGTERM as by Ctrl-C: what a command has started, such as a bridge, ends with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
