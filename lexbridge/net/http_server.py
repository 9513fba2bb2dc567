"""HTTP on one port: media sockets are upgraded, all else goes to Flask. gevent-websocket's handler and gevent's server,
made safe: requests come to them whole and admitted (http_connections), and nothing waits for a peer without a deadline.

    a request that was admitted -> Flask, and back to read the next one
                                -> 101 -> MediaSocket -> close, and a short wait for the peer's
"""

import errno
import re
import resource
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from socket import IPPROTO_TCP, SHUT_RDWR, SO_RCVBUF, SOL_SOCKET, TCP_NOTSENT_LOWAT
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import gevent
from gevent import get_hub, socket
from gevent.pywsgi import Input, WSGIServer
from geventwebsocket.handler import WebSocketHandler

from lexbridge.logs import Log
from lexbridge.net import close_codes
from lexbridge.net.accept_queue import count_waiting
from lexbridge.net.flask_sockets_compat import EXTENSION
from lexbridge.net.http_connection import Connection
from lexbridge.net.http_connections import (
    SLICE_S,
    STRANGERS_BURST,
    STRANGERS_HZ,
    Connections,
    jittered,
)
from lexbridge.net.http_request import Head, Request
from lexbridge.net.policies import AcceptPolicy, AdmitAll, Admitted, RequestPolicy
from lexbridge.net.refused import refused
from lexbridge.net.rfc6455 import Limits
from lexbridge.net.timeouts import Timeouts
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.net.websocket import READ_BYTES, MediaSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_ACCEPT_PAUSE_S = 0.2
"""After an accept that failed for want of descriptors or memory."""

LOOK_EVERY_S = 0.005
"""Interval between two looks at the listener while a connection there is left to another process. The listener is not
watched meanwhile, because its watcher would wake this process in every turn of the loop."""

RECEIVE_BUFFER_BYTES = 64 * 1024
"""Of the system, for each connection; Linux doubles it: 10 s of media. Left to itself it gives a stranger 6 MB."""


UNSENT_BYTES = 16 * 1024
"""Of answers that the system keeps for a peer that does not take them. Left to itself it keeps 4 MB for a stranger."""


class MediaSocketHandler(WebSocketHandler):  # type: ignore[misc]  # gevent-websocket has no types
    """Answers one request: upgrades a media socket, or has Flask answer. A client's fault never leaves a traceback."""

    websocket: MediaSocket
    SUPPORTED_VERSIONS = ("13",)
    limits = Limits()
    timeouts = Timeouts()
    read_bytes = READ_BYTES

    def __init__(self, connection: Connection, server: "MediaServer") -> None:
        super().__init__(connection.socket, connection.address, server, rfile=BytesIO())
        self._parser = connection.parser
        self.early_bytes = b""
        """What came of the media socket together with its handshake."""

    def answer(self, request: Request, admitted: Admitted) -> bool:
        """Answers it. Returns whether the connection may serve another request."""
        head = request.head
        self.command, self.path, self.request_version = head.method, head.target, head.version
        self.requestline = f"{head.method} {head.target} {head.version}"
        self.content_length = len(request.body)
        # A load balancer sends handshakes on connections that it has kept, and the one with this worker may have the
        # most media sockets. On a new connection the one with the fewest gets it.
        self._ends_kept = head.keeps_alive and not head.asks_for_websocket and self.server.has_others
        self.close_connection = not head.keeps_alive or self._ends_kept
        self.environ = {**self._environ_of(request), **admitted.environ}
        self._may_upgrade = _takes_socket(request, admitted)
        self.application = self.server.application
        self._deadline = get_hub().loop.timer(jittered(self.timeouts.header_s))
        self._deadline.start(self._cut_off)
        try:
            self.handle_one_response()
        except OSError:
            refused.count("connection lost")
            self.close_connection = True
        finally:
            self._stop_deadline()
        return not self.close_connection

    def _stop_deadline(self) -> None:
        self._deadline.stop()
        self._deadline.close()

    def _cut_off(self) -> None:
        refused.count("request too slow")
        self.close_connection = True
        with suppress(OSError):  # it is gone already
            self.socket.shutdown(SHUT_RDWR)  # wakes the greenlet that writes

    def _environ_of(self, request: Request) -> "WSGIEnvironment":
        """The request as PEP 3333 has it."""
        head = request.head
        environ: WSGIEnvironment = self.server.get_environ()
        self.wsgi_input = Input(BytesIO(request.body), len(request.body))  # type: ignore[arg-type,unused-ignore]
        environ |= {
            "REQUEST_METHOD": head.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(head.path, "latin-1"),
            "QUERY_STRING": head.target.partition("?")[2],
            "SERVER_PROTOCOL": head.version,
            "CONTENT_LENGTH": str(len(request.body)),
            "REMOTE_ADDR": str(self.client_address[0]) if isinstance(self.client_address, tuple) else "",
            "wsgi.input": self.wsgi_input,
            "wsgi.input_terminated": True,
            **_header_environ(head),
        }
        return environ

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """PEP 3333's, which says too that the connection is closed although the peer would keep it."""
        if self._ends_kept and not any(name.lower() == "connection" for name, _ in headers):
            headers = [*headers, ("Connection", "close")]
        return super().start_response(status, headers, exc_info)

    # The upgrade

    def run_application(self) -> None:
        """Flask's answer, the refusal of an upgrade, or the upgrade."""
        if not self._wants_upgrade():
            super(WebSocketHandler, self).run_application()
            return
        if fault := self._find_handshake_fault():
            status, reason = fault
            refused.count(reason)
            self._refuse(status)
            return
        self.upgrade_connection()
        self.early_bytes = self._parser.take_rest()
        self.write(b"")
        self._deadline.stop()  # not before: a peer that takes nothing of what it asked for earlier would hold us
        self.run_websocket()

    def run_websocket(self) -> None:
        """The accepted socket, to its end."""
        self.websocket.open()
        try:
            list(self.application(self.environ, lambda *_: lambda _: None))
        except Exception:
            Log().exception("socket-broken")
            self.websocket.close(close_codes.INTERNAL_ERROR)
        finally:
            self.websocket.finish()
            self.environ["wsgi.websocket"] = None
            del self.websocket

    def _wants_upgrade(self) -> bool:
        """Whether it is a signed handshake with a route that is a socket's. Otherwise it is Flask's."""
        if not self._may_upgrade:
            return False
        sockets = getattr(self.application, "extensions", {}).get(EXTENSION)
        return sockets is None or bool(sockets.serves(self.environ))

    def _find_handshake_fault(self) -> tuple[str, str] | None:
        """RFC 6455, section 4.2.1, items 1, 5 and 6."""
        if self.environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
            return "426 Upgrade Required", "unknown WebSocket version"
        is_key = _KEY.fullmatch(self.environ.get("HTTP_SEC_WEBSOCKET_KEY", ""))
        if self.request_version != "HTTP/1.1" or self.content_length or not is_key:
            return "400 Bad Request", "bad handshake"
        return None

    def _refuse(self, status: str) -> None:
        self.close_connection = True
        headers = [("Connection", "close"), ("Content-Length", "0")]
        if status.startswith("426"):
            headers += [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]  # section 4.2.2, item 4
        self.start_response(status, headers)
        self.write(b"")

    # What goes wrong

    def handle_error(self, t: type[BaseException], v: BaseException, tb: TracebackType | None) -> None:  # noqa: ARG002
        """An exception of the app is a bug of ours; one of the connection is its end."""
        self.close_connection = True
        if issubclass(t, OSError):
            refused.count("connection lost")
            return
        if not issubclass(t, gevent.GreenletExit):
            Log().exception("request-broken")
        self._send_error_response_if_possible(500)

    def log_request(self) -> None:
        """Not logged: the load balancer does, and a line holds what a stranger wrote."""


_KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
"""16 bytes in base64: the last character holds two bits of them."""


def _takes_socket(request: Request, admitted: Admitted) -> bool:
    """Whether it may become a media socket, and counts as one from now on. A stranger's request never does."""
    return admitted.is_trusted and request.head.asks_for_websocket


def _header_environ(head: Head) -> Mapping[str, Any]:
    """Header fields as PEP 3333 has them. A name with "_" is left out: it could be taken for one with "-"."""
    environ: dict[str, Any] = {
        f"HTTP_{name.replace('-', '_').upper()}": value
        for name, value in head.headers.items()
        if "_" not in name and name not in ("content-type", "content-length")
    }
    if "content-type" in head.headers:
        environ["CONTENT_TYPE"] = head.headers["content-type"]
    return environ


class MediaServer(WSGIServer):  # type: ignore[misc,unused-ignore]
    """gevent's server with the handler above. `policy` decides about each request."""

    handler_class: type[MediaSocketHandler] = MediaSocketHandler
    max_accept = 4
    """Connections accepted in one turn of the loop: calls that begin in a storm are answered at some milliseconds each,
    and what this process has not accepted yet another one may."""
    backlog = 4096
    """Connections that may wait to be accepted; the system's own limit counts too."""

    _watcher: Any
    """gevent's, of the listener; None while no connection is accepted."""

    def __init__(
        self,
        listener: Any,
        application: Any,
        policy: RequestPolicy | None = None,
        strangers: TokenBucket | None = None,
        **options: Any,
    ) -> None:
        """`strangers`: see Connections."""
        super().__init__(listener, application, log=None, **options)
        self._policy = policy or AdmitAll()
        self._strangers = strangers or TokenBucket(STRANGERS_HZ, STRANGERS_BURST)
        self._connections: Connections | None = None
        self._accept_policy: AcceptPolicy | None = None
        self._looking: Any = None  # the timer for the next look at a connection that is left to another worker
        self._accepts_from_s = 0.0
        self._accepting_s = 0.0
        # What is left is for calls, and for what they ask of others.
        self._most_waiting = max(16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] * 3 // 4)

    @property
    def silent(self) -> int:
        """Connections that were accepted and have said nothing yet."""
        return self._connections.silent if self._connections else 0

    @property
    def spent_s(self) -> float:
        """Time that the loop has spent so far on connections before they were a call's."""
        return self._accepting_s + (self._connections.spent_s if self._connections else 0.0)

    @property
    def has_others(self) -> bool:
        """Whether another worker on the same listener takes new connections."""
        return self._accept_policy is not None and self._accept_policy.has_others

    def share(self, accept_policy: AcceptPolicy) -> None:
        """Shares what waits at the listener with other workers from now on, by what `accept_policy` decides."""
        self._accept_policy = accept_policy

    def init_socket(self) -> None:
        """Listens, if it was given an address; what a connection may send before it is read is bounded."""
        super().init_socket()
        # Accepted sockets inherit both; a media socket has a bound of its own for what is not sent.
        self.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.socket.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def start(self) -> None:
        """Starts accepting connections."""
        timeouts = self.handler_class.timeouts
        self._connections = Connections(self._policy, self._serve, timeouts, self._strangers, self._tell_others)
        self._looking = self.loop.timer(LOOK_EVERY_S, LOOK_EVERY_S)
        super().start()

    def start_accepting(self) -> None:
        """Accepts connections from now on, or from the end of a pause on."""
        if time.monotonic() >= self._accepts_from_s:
            super().start_accepting()

    def stop_accepting(self) -> None:
        """Accepts no connections from now on."""
        if self._looking is not None:
            self._looking.stop()
        super().stop_accepting()

    def stop(self, timeout: float | None = None) -> None:
        """Stops as the base does; connections that are not being served are closed."""
        super().stop(timeout)
        if self._connections:
            self._connections.close()
            self._connections = None
            self._looking.close()
            self._looking = None

    def _do_read(self) -> None:
        """The hub calls it while connections wait to be accepted."""
        connections = self._connections
        if connections is None:
            return
        began_s = time.monotonic()
        # Without a socket object of Python's: one that is refused needs none, and that is half its price.
        accept = cast("Callable[[], tuple[int, Any]]", getattr(self.socket, "_accept"))  # noqa: B009
        for _ in range(self.max_accept):
            if self._leaves():
                break
            try:
                descriptor, address = accept()
            except BlockingIOError:  # another process was faster, or that was all
                break
            except OSError as error:
                self._accept_failed(connections, error)
                break
            if connections.waiting >= self._most_waiting:
                connections.drop_oldest()
            self._tell_others(accepted=1)  # before it is read: others may be about to decide
            connections.accepted(descriptor, address)
            self._tell_others()
            if time.monotonic() - began_s > SLICE_S:
                break
        self._accepting_s += time.monotonic() - began_s

    def _leaves(self) -> bool:
        """Whether the connection that waits is left to another worker; then it is looked at again a little later."""
        if self._accept_policy is None or not self._accept_policy.defers(count_waiting(self.socket), time.monotonic()):
            return False
        self._watcher.stop()  # else it would call us in every turn of the loop
        self._looking.again(self._look)  # start() would go on with what was left of its time: nothing
        return True

    def _look(self) -> None:
        """Watches the listener again, unless what waits there is left to another worker once more."""
        self._looking.stop()
        self._watcher.start(self._do_read)
        self._do_read()

    def _tell_others(self, accepted: int = 0) -> None:
        """Tells the other workers how many media sockets there are here. `accepted`: new ones that are not read yet."""
        if self._accept_policy is not None and (connections := self._connections) is not None:
            self._accept_policy.report(connections.open_sockets, connections.new + accepted)

    def _accept_failed(self, connections: Connections, error: OSError) -> None:
        """Make room by closing the oldest waiting connection; where there is none, stop accepting for a while."""
        if error.errno not in _NO_DESCRIPTORS:
            return  # of the connection, which has ended already
        refused.count("no descriptors")
        if connections.drop_oldest():
            return
        self.stop_accepting()
        self._accepts_from_s = time.monotonic() + _ACCEPT_PAUSE_S
        # gevent's own timer for this, which stop_accepting() ends.
        self._timer = self.loop.timer(_ACCEPT_PAUSE_S)
        self._timer.start(self.start_accepting)  # type: ignore[call-arg,unused-ignore]

    def _serve(self, connection: Connection, request: Request, admitted: Admitted) -> None:
        """The hub calls it: a greenlet answers."""
        connections = self._connections
        if connections is None:
            connection.close()
            return
        if connection.socket is None:
            connection.socket = socket.socket(fileno=connection.descriptor)
        connections.open_sockets += _takes_socket(request, admitted)
        gevent.spawn(self._answer, connections, connection, request, admitted)

    def _answer(self, connections: Connections, connection: Connection, request: Request, admitted: Admitted) -> None:
        """The greenlet of one request; of a media socket to its end."""
        keeps = False
        is_socket = _takes_socket(request, admitted)
        try:
            keeps = self.handler_class(connection, self).answer(request, admitted)
        finally:
            connections.open_sockets -= is_socket
            self._tell_others()
            if self._connections is not connections or is_socket:
                connection.close()
            elif keeps:
                connections.go_on(connection)
            else:
                connections.linger(connection)
