"""The HTTP server: it accepts connections on one port, and starts a greenlet for each admitted request.

It is gevent's WSGIServer, made safe. `http_connections.py` reads requests and `http_handler.py` answers them.
"""

import errno
import resource
import time
from collections.abc import Callable
from functools import partial
from socket import IPPROTO_TCP, SO_RCVBUF, SOL_SOCKET, TCP_NOTSENT_LOWAT
from typing import Any, cast

import gevent
from gevent import monkey, socket
from gevent.pywsgi import WSGIServer

from lexbridge.net.accept_queue import count_waiting
from lexbridge.net.http_connection import Connection
from lexbridge.net.http_connections import SLICE_S, STRANGERS_BURST, STRANGERS_HZ, Connections
from lexbridge.net.http_handler import MediaSocketHandler, becomes_websocket
from lexbridge.net.http_request import Request
from lexbridge.net.policies import AcceptPolicy, AdmitAll, Admitted, RequestPolicy
from lexbridge.net.read_tick import READABLE
from lexbridge.net.refused import refused
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.net.websocket import MediaSocket

RECEIVE_BUFFER_BYTES = 64 * 1024
"""Receive buffer of each connection in the system, which Linux doubles: 10 s of media. By default a stranger gets 6 MB.
"""

UNSENT_BYTES = 16 * 1024
"""Output that the system keeps for a peer which does not read its answers. By default a stranger gets 4 MB."""

RETRY_ACCEPT_S = 0.005
"""Interval between two looks at the listener while a connection there is left to another process.

The listener is not watched meanwhile, because its watcher would wake this process in every turn of the loop.
"""

_poll = monkey.get_original("select", "poll")  # it needs no descriptor

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_ACCEPT_PAUSE_S = 0.2
"""Time without accepting after the system had no descriptor or no memory for a connection."""


class MediaServer(WSGIServer):  # type: ignore[misc,unused-ignore]
    """HTTP and WebSocket server of one process. `policy` decides about each request."""

    handler_class: type[MediaSocketHandler] = MediaSocketHandler
    max_accept = 4
    """Connections accepted in one turn of the loop.

    In a storm of new calls each costs some milliseconds to answer, and another process may accept what this one has not
    accepted yet.
    """
    backlog = 4096
    """Connections that may wait to be accepted. The system has a limit of its own, too."""

    _watcher: Any
    """gevent's watcher of the listener, or None while no connection is accepted."""

    def __init__(
        self,
        listener: Any,
        application: Any,
        policy: RequestPolicy | None = None,
        strangers: TokenBucket | None = None,
        **options: Any,
    ) -> None:
        """Prepare to serve `application`, a WSGI app, on `listener`, a socket or an address.

        `strangers`: limits how many requests are answered that are refused or not signed.
        """
        super().__init__(listener, application, log=None, **options)
        self._policy = policy or AdmitAll()
        self._strangers = strangers or TokenBucket(STRANGERS_HZ, STRANGERS_BURST)
        self._connections: Connections | None = None
        self._accept_policy: AcceptPolicy | None = None
        self._retry_timer: Any = None  # runs while a connection is left to another process
        self._accepts_from_s = 0.0
        self._accepting_s = 0.0
        # The other descriptors are for calls, and for their connections to Lex and Twilio.
        self._most_waiting = max(16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] * 3 // 4)

    @property
    def idle_connections(self) -> int:
        """Number of connections that were accepted and have sent nothing yet."""
        return self._connections.table.idle if self._connections else 0

    @property
    def busy_s(self) -> float:
        """Seconds that the loop has spent so far on connections that were no call's yet."""
        return self._accepting_s + (self._connections.busy_s if self._connections else 0.0)

    @property
    def has_others(self) -> bool:
        """Whether another process on the same listener takes new connections."""
        return self._accept_policy is not None and self._accept_policy.has_others

    def share_listener(self, accept_policy: AcceptPolicy) -> None:
        """Share the listener's connections with other processes from now on. `accept_policy` decides about each."""
        self._accept_policy = accept_policy

    def init_socket(self) -> None:
        """Listen, if the server was given an address, and limit what the system buffers for each connection."""
        super().init_socket()
        # Accepted sockets inherit both options. A media socket has a limit of its own for unsent output.
        self.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.socket.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def start(self) -> None:
        """Start accepting connections."""
        timeouts = self.handler_class.timeouts
        self._connections = Connections(self._policy, self._serve, timeouts, self._strangers, self._report)
        self._retry_timer = self.loop.timer(RETRY_ACCEPT_S, RETRY_ACCEPT_S)
        super().start()

    def start_accepting(self) -> None:
        """Accept connections, unless accepting pauses; then it starts again when the pause is over."""
        if time.monotonic() >= self._accepts_from_s:
            super().start_accepting()

    def stop_accepting(self) -> None:
        """Accept no connections from now on."""
        if self._retry_timer is not None:
            self._retry_timer.stop()
        super().stop_accepting()

    def stop(self, timeout: float | None = None) -> None:
        """Stop as the base class does, and close the connections on which no request is under way."""
        super().stop(timeout)
        if self._connections:
            self._connections.close()
            self._connections = None
            self._retry_timer.close()
            self._retry_timer = None

    def _do_read(self) -> None:
        """Accept connections. The hub calls it while some wait."""
        connections = self._connections
        if connections is None:
            return
        began_s = time.monotonic()
        # Without a socket object: a refused connection needs none, and making one is half of its cost.
        accept = cast("Callable[[], tuple[int, Any]]", getattr(self.socket, "_accept"))  # noqa: B009
        for _ in range(self.max_accept):
            if self._defers():
                break
            try:
                descriptor, address = accept()
            except BlockingIOError:  # none is left, or another process was faster
                break
            except OSError as error:
                self._accept_failed(connections, error)
                break
            if len(connections.table) >= self._most_waiting:
                connections.drop_oldest()
            self._report(accepted=1)  # before it is read: other processes may be about to decide
            connections.add(descriptor, address)
            self._report()
            if time.monotonic() - began_s > SLICE_S:
                break
        self._accepting_s += time.monotonic() - began_s

    def _defers(self) -> bool:
        """Return whether the next connection is left to another process. If so, look at it again a little later."""
        if self._accept_policy is None or not self._accept_policy.defers(count_waiting(self.socket), time.monotonic()):
            return False
        self._watcher.stop()  # else it would call in every turn of the loop
        self._retry_timer.again(self._retry)  # start() would go on with the rest of the last interval, which is over
        return True

    def _retry(self) -> None:
        """Watch the listener again, and accept, unless the next connection is left to another process once more."""
        self._retry_timer.stop()
        self._watcher.start(self._do_read)
        self._do_read()

    def _report(self, accepted: int = 0) -> None:
        """Tell other processes how many WebSockets this one has. `accepted`: new connections that are not read yet."""
        if self._accept_policy is not None and (connections := self._connections) is not None:
            self._accept_policy.report(connections.open_sockets, connections.table.new + accepted)

    def _accept_failed(self, connections: Connections, error: OSError) -> None:
        """Make room by closing the oldest waiting connection. If there is none, stop accepting for a while."""
        if error.errno not in _NO_DESCRIPTORS:
            return  # the connection has ended before it was accepted
        if not self._has_waiting():
            return  # Linux looks for a free descriptor first, and only then whether a connection waits
        refused.count("no descriptors")
        if connections.drop_oldest():
            return
        self.stop_accepting()
        self._accepts_from_s = time.monotonic() + _ACCEPT_PAUSE_S
        # gevent's own timer for such a pause, which stop_accepting() ends.
        self._timer = self.loop.timer(_ACCEPT_PAUSE_S)
        self._timer.start(self.start_accepting)  # type: ignore[call-arg,unused-ignore]

    def _has_waiting(self) -> bool:
        """Return whether a connection waits to be accepted."""
        poll = _poll()
        poll.register(self.socket.fileno(), READABLE)
        return bool(poll.poll(0))

    def _serve(self, connection: Connection, request: Request, admitted: Admitted) -> None:
        """Start the greenlet that answers a request. The hub calls it."""
        connections = self._connections
        if connections is None:
            connection.close()
            return
        if connection.socket is None:
            connection.socket = socket.socket(fileno=connection.descriptor)
        connections.open_sockets += becomes_websocket(request, admitted)
        gevent.spawn(self._answer, connections, connection, request, admitted)

    def _answer(self, connections: Connections, connection: Connection, request: Request, admitted: Admitted) -> None:
        """Answer a request, in a greenlet of its own. A WebSocket is served to its end, or goes on without it."""
        keeps = False
        is_websocket = becomes_websocket(request, admitted)
        handler = self.handler_class(connection, self)
        try:
            keeps = handler.answer(request, admitted)
        finally:
            if (websocket := handler.detached) is not None:
                websocket.detach(partial(gevent.spawn, self._finish, connections, connection.socket, websocket))
            else:
                connections.open_sockets -= is_websocket
                self._report()
                if self._connections is not connections or is_websocket:
                    connection.close()
                elif keeps:
                    connections.read_next(connection)
                else:
                    connections.lingering.add(connection)

    def _finish(self, connections: Connections, connection: Any, websocket: MediaSocket) -> None:
        """Finish a WebSocket that went on without its handshake, in a greenlet of its own, and close `connection`."""
        try:
            websocket.finish()
        finally:
            connections.open_sockets -= 1
            self._report()
            connection.close()
