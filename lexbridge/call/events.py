"""Events: all that may happen to a call, for `CallSession.receive`.

Those of the media stream are made by a carrier's package, of its messages. The others come of the requests to Lex, of
the updates of the call, and of the process that serves it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from lexbridge.call.documents import Opening
from lexbridge.errors import LexError
from lexbridge.lex.model import Reply


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


@dataclass(frozen=True, slots=True)
class SilencePassed:
    """The passing of `ms` without media, of which none is on its way. Some phones send nothing while silent."""

    ms: int


@dataclass(frozen=True, slots=True)
class StreamLost:
    """The end of the stream's socket. After a `Stopped` it changes nothing."""


@dataclass(frozen=True, slots=True)
class CallNotFound:
    """The carrier's answer that there is no such call any more, although its stream has not ended."""


@dataclass(frozen=True, slots=True)
class CallReleased:
    """The notice that another program has the call. Nothing more may be done with it."""


@dataclass(frozen=True, slots=True)
class UpdateFailed:
    """The failure of the UpdateCall `number`: the carrier did not carry it out. The call goes on."""

    number: int


@dataclass(frozen=True, slots=True)
class LexReplied:
    """Lex's reply to the turn `turn`.

    `speaks`: its audio follows, by LexSpoke until LexSpeechEnded or LexSpeechFailed.
    """

    turn: int
    reply: Reply
    speaks: bool = False


@dataclass(frozen=True, slots=True)
class LexFailed:
    """The failure of Lex to answer the turn `turn`, after all attempts."""

    turn: int
    error: LexError


@dataclass(frozen=True, slots=True)
class LexSpoke:
    """More of Lex's audio for the turn `turn`: mu-law, whole frames."""

    turn: int
    mulaw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LexSpeechEnded:
    """The end of Lex's audio for the turn `turn`: all of it has come."""

    turn: int


@dataclass(frozen=True, slots=True)
class LexSpeechFailed:
    """The end of Lex's audio for the turn `turn`, which broke off."""

    turn: int


@dataclass(frozen=True, slots=True)
class SessionFetched:
    """The last answer in Lex's session, or None if Lex knows no session because nothing was said yet."""

    reply: Reply | None


@dataclass(frozen=True, slots=True)
class SessionFetchFailed:
    """The failure of GetSession: Lex did not tell where the dialog stands."""


@dataclass(frozen=True, slots=True)
class AttributesFetched:
    """The attributes of the session with the bot that handed the call over, or None if they cannot be had."""

    attributes: Mapping[str, str] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class NextStreamOpened:
    """The stream over which the call may go on, for a document that opens it; None: there is none any more."""

    opening: Opening | None


@dataclass(frozen=True, slots=True)
class LeaveRequested:
    """The request to go on over another stream as soon as the call can, because this process is to end."""


@dataclass(frozen=True, slots=True)
class MoreToHear:
    """The answer to a HearMore: other calls had their turn, and this one may hear its next slice."""


@dataclass(frozen=True, slots=True)
class VoiceJudged:
    """The answer to a JudgeVoice: the probability of speech in its window, or None if the model failed."""

    probability: float | None


AnswerEvent = LexReplied | LexFailed | LexSpoke | LexSpeechEnded | LexSpeechFailed
LexEvent = AnswerEvent | SessionFetched | SessionFetchFailed | AttributesFetched
CallEvent = (
    StreamEvent
    | SilencePassed
    | StreamLost
    | CallNotFound
    | CallReleased
    | UpdateFailed
    | LexEvent
    | NextStreamOpened
    | LeaveRequested
    | MoreToHear
    | VoiceJudged
)
