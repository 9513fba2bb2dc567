"""A kept connection that is probed before its next request, without gevent."""

import select
from typing import Any

from gevent import monkey

_poll = monkey.get_original("select", "poll")


class ProbedConnection:
    """Mix-in of a urllib3 connection: it asks the system's poll whether the connection is still open.

    urllib3 asks gevent's before each request, which makes a watcher and a timer in order to return at once.
    """

    sock: Any

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open and nothing has arrived on it, such as its end."""
        if self.sock is None:
            return False
        poll = _poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)
