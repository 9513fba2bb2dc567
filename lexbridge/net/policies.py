"""The decisions that the HTTP server leaves to the packages above it: which requests to admit, and when to accept.

The server calls a `RequestPolicy` for each request and an `AcceptPolicy` for each connection. `lexbridge.web.admission`
and `lexbridge.server.accepting` implement them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lexbridge.net.http_request import Head, Request


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is answered with a status alone, and whose connection is then closed.

    `status`: the status line of the answer. `reason`: one of a small set, for the log. `hints`: more fields of that log
    line.
    """

    status: str
    reason: str
    hints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DirectAnswer:
    """An answer that the server sends itself, without Flask, such as a health check's. `body` is JSON."""

    status: str
    body: bytes
    keeps_connection: bool = True


@dataclass(frozen=True, slots=True)
class Oddity:
    """Note for the log about an admitted request that Flask will not serve. `reason`, `hints`: as in a Refusal."""

    reason: str
    hints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that goes on to Flask.

    `is_trusted`: the carrier signed it; only a trusted request may become a WebSocket, and other requests share a rate
    limit. `environ`: more keys for the request's WSGI environ. `oddity`: what to log about it, if anything.
    """

    is_trusted: bool
    environ: Mapping[str, Any] = field(default_factory=dict, repr=False)
    oddity: Oddity | None = None


class RequestPolicy(Protocol):
    """A rule for HTTP requests. The hub calls it, so it must not block."""

    def check_head(self, head: Head) -> Refusal | None:
        """Return a refusal if the head alone shows that the request is not wanted, or None to read its body."""
        ...

    def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
        """Decide about a complete request. `open_sockets`: number of WebSockets that are open now."""
        ...


class AdmitAll(RequestPolicy):
    """A policy that admits and trusts every request: for servers that no stranger can reach."""

    def check_head(self, head: Head) -> Refusal | None:  # noqa: ARG002
        return None

    def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:  # noqa: ARG002
        return Admitted(is_trusted=True)


class AcceptPolicy(Protocol):
    """A rule for sharing new connections between processes that listen on one socket."""

    @property
    def has_others(self) -> bool:
        """Whether another process on the same listener takes new connections."""
        ...

    def report(self, open_sockets: int, new_connections: int) -> None:
        """Tell the other processes how many WebSockets are open here, and how many connections may become one."""
        ...

    def defers(self, waiting: int, now_s: float) -> bool:
        """Return whether this process leaves the next connection to another one for now.

        `waiting`: connections in the listener's queue, or 0 if the system does not tell. `now_s`: time.monotonic().
        """
        ...
