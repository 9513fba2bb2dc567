"""Events of a call's media stream, for `CallSession.receive`. A carrier's package makes them of its messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True, slots=True)
class Connected:
    """The first message of a socket. The call needs nothing of what it says."""


@dataclass(frozen=True, slots=True)
class Started:
    """The start of a stream. `parameters` are those that the document gave the stream when it opened it."""

    stream_sid: str
    call_sid: str
    account_sid: str
    parameters: Mapping[str, str] = field(repr=False)


# Fifty a second for each call: a frozen dataclass takes seven times as long to make, and garbage collections count it.
class Media(msgspec.Struct, frozen=True, gc=False):
    """Audio of one track: mu-law, 8 kHz, mono, of any length.

    `timestamp_ms` is the time of its first sample since the stream began. It is None where the carrier does not tell;
    then the audio follows what came before it. `is_inbound`: the caller's own track.
    """

    timestamp_ms: float | None
    is_inbound: bool
    mulaw: bytes

    def __repr__(self) -> str:
        return f"Media(timestamp_ms={self.timestamp_ms}, is_inbound={self.is_inbound})"


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key that the caller pressed: 0 to 9, A to D, `*` or `#`. One-way streams do not have it."""

    digit: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """Notice that the audio sent before the mark `name` was played or cleared. One-way streams do not have it."""

    name: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The end of a stream: it was stopped, or the call is over."""


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of a kind that this version does not know. A carrier may add kinds at any time."""

    kind: str


@dataclass(frozen=True, slots=True)
class OddMessage:
    """A message that cannot be read, and that the call can do without. `why` is one of a small set of reasons."""

    why: str


StreamEvent = Connected | Started | Media | Dtmf | Mark | Stopped | UnknownMessage | OddMessage
