"""The items of a live call's inbox: events for its session, and notices that concern its stream."""

from dataclasses import dataclass

from lexbridge.bridge.call_updates import HandedOver, Released
from lexbridge.call.events import CallEvent, Stopped
from lexbridge.errors import MediaStreamError
from lexbridge.twilio.media_messages import parse


@dataclass(frozen=True, slots=True)
class SocketClosed:
    """The end of the media socket: the peer has closed it, or it broke."""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The notice that a newer stream has the call."""


@dataclass(frozen=True, slots=True)
class CloseRequested:
    """The request to close the stream now."""


InboxItem = CallEvent | HandedOver | SocketClosed | TakenOver | CloseRequested | Released
"""An item of the inbox. Most are events of the call."""


def ends_stream(text: str) -> bool:
    """Return whether the stream is over with the message `text`: it was stopped, or broke the protocol."""
    try:
        return isinstance(parse(text), Stopped)
    except MediaStreamError:
        return True
