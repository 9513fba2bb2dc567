"""The items that a live call takes from its inbox, one at a time."""

from dataclasses import dataclass

from lexbridge.bridge.call_updates import HandedOver
from lexbridge.call.events import CallEvent, Stopped
from lexbridge.errors import MediaStreamError
from lexbridge.net.rfc6455 import Pong
from lexbridge.twilio.media_messages import parse

INBOX_SIZE = 1000
"""The most items that wait: 20 s of media messages. A full inbox makes the reader wait, and with it the peer."""


@dataclass(frozen=True, slots=True)
class SocketClosed:
    """The end of the media socket: the peer has closed it, or it broke."""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The notice that a newer stream has the call."""


@dataclass(frozen=True, slots=True)
class CloseRequested:
    """The request to close the stream now."""


InboxItem = str | Pong | CallEvent | HandedOver | SocketClosed | TakenOver | CloseRequested
"""An item of the inbox. A text is a message of the media stream, and most of the others are events of the call."""


def ends_stream(item: InboxItem) -> bool:
    """Return whether the stream is over with `item`: it was stopped, closed, or broke the protocol."""
    try:
        return isinstance(item, SocketClosed | CloseRequested) or (
            isinstance(item, str) and isinstance(parse(item), Stopped)
        )
    except MediaStreamError:
        return True
