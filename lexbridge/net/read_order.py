"""The order in which a socket acts on what one read brought, if it is not text alone.

A pong says that what came before its ping was worked on, and not just read. So messages are delivered before it is
sent. Pongs that follow each other are sent at once: a system call for each would be most of the cost of a flood of
pings.
"""

from collections.abc import Iterator

from lexbridge.net.receiver import Message
from lexbridge.net.rfc6455 import PONG, Item, Ping, Pong, encode


def in_order(items: list[Item], *, has_pinged: bool) -> Iterator[list[Message] | bytes]:
    """Yield what is to be done, in order: messages to be delivered together, or pongs to be sent.

    `has_pinged`: whether the peer was pinged; if not, its pongs have no meaning (RFC 6455, section 5.5.3). A pong of
    the peer stands alone. A Close or a Violation is left to the caller.
    """
    messages: list[Message] = []
    pongs = b""
    for item in items:
        match item:
            case Ping():
                if messages:
                    yield messages
                    messages = []
                pongs += encode(PONG, item.payload)
            case str() | bytes():
                if pongs:
                    yield pongs
                    pongs = b""
                messages.append(item)
            case Pong() if has_pinged:
                yield from _both(messages, pongs)
                yield [item]
                messages, pongs = [], b""
            case _:
                pass
    yield from _both(messages, pongs)


def _both(messages: list[Message], pongs: bytes) -> Iterator[list[Message] | bytes]:
    if messages:
        yield messages
    if pongs:
        yield pongs
