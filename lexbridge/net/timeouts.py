"""Timeouts of HTTP connections and WebSockets."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Times, in seconds, after which the server gives up waiting for a peer."""

    header_s: float = 10
    """Time for a header block to arrive, and then for the rest of the request.

    Up to a third is added at random, so that ten thousand connections that came together do not all end together.
    """
    keep_alive_s: float = 75
    """Time between two requests of one connection.

    It is longer than the load balancer's 60 s, because the load balancer would otherwise send requests on connections
    that were just closed.
    """
    idle_s: float = 15
    """Time without one whole WebSocket frame, pongs included, after which a WebSocket is closed with 1001.

    The check runs now and then, so that the close is up to a tenth later.
    """
    stall_s: float = 5
    """Time during which a peer takes nothing of the output that waits for it, after which it is cut off."""
    linger_s: float = 2
    """Time for a peer to take the close and to end the connection."""
