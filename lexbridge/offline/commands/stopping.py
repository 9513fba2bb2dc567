"""The end of a command that serves: Ctrl-C, or the signal by which other programs end one."""

import signal

from gevent import get_hub
from gevent.event import Event
from gevent.hub import signal as on_signal


class StopRequest:
    """The wish that a command ends: Ctrl-C, or SIGTERM. Make it before the command starts anything.

    Until the command is ready, the wish interrupts what it does, and ends what it has started.
    """

    def __init__(self) -> None:
        self._requested = Event()
        self._is_ready = False
        for number in (signal.SIGINT, signal.SIGTERM):
            on_signal(number, self._came)

    def be_ready(self) -> None:
        """Interrupt nothing from now on. Call it before the command says that it is ready, which somebody reads."""
        self._is_ready = True

    @property
    def has_come(self) -> bool:
        """Whether the command is to end."""
        return self._requested.is_set()

    def wait(self) -> None:
        """Wait until the command is to end."""
        self._requested.wait()

    def _came(self) -> None:
        if self._is_ready:
            self._requested.set()
        else:
            # In the command itself, where it waits. Python would raise it wherever the program is, also where an
            # exception is lost, such as in the hooks of a fork.
            get_hub().handle_system_error(KeyboardInterrupt, KeyboardInterrupt())
