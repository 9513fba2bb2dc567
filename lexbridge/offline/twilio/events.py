"""Typed events of a simulated call: the items of `PhoneCall.events`, in order.

`at_s` is seconds of the monotonic clock. Times on the line (20 ms frames) count from the answer of the call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class EndReason(StrEnum):
    """The reason for which a call ended."""

    HANGUP_VERB = "the document said <Hangup>"
    REST_COMPLETED = "a REST request set the status completed"
    DOCUMENT_ENDED = "the document ended with no verb left"
    REJECTED = "the document said <Reject>"
    CALLER_HUNG_UP = "the caller hung up"
    APPLICATION_ERROR = "application error"
    CALLEE_HUNG_UP = "the called party hung up"
    NOT_ANSWERED = "the call was not answered"
    DIAL_OVER = "the call that dialled it went on without it"
    TIME_LIMIT = "the time limit was reached"
    SIMULATOR_STOPPED = "the simulated Twilio was stopped"


BOT_HUNG_UP = frozenset({EndReason.HANGUP_VERB, EndReason.REST_COMPLETED})


@dataclass(frozen=True, slots=True)
class Event:
    """An event at `at_s`, in monotonic seconds."""

    at_s: float


@dataclass(frozen=True, slots=True)
class WebhookRequested(Event):
    """Twilio asks for a document (`purpose` "document") or tells of something ("stream-status", "call-status")."""

    url: str
    purpose: str
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookAnswered(Event):
    """The answer; `status` 0 and the reason in `body` when there was none. `attempts`: how many requests it took."""

    url: str
    purpose: str
    status: int
    body: str = field(repr=False)
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """The line is open: media time 0."""


@dataclass(frozen=True, slots=True)
class VerbStarted(Event):
    """A verb begins. A Say begins when its first sound is on the line. `text`: what is said, or the verb's address."""

    verb: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class VerbEnded(Event):
    """A verb is over; `interrupted` by an update or the call's end."""

    verb: str
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class StreamOpened(Event):
    """The socket is open, `connected` and `start` are sent."""

    stream_sid: str
    url: str


@dataclass(frozen=True, slots=True)
class StreamRefused(Event):
    """A stream was not opened: Twilio's code, and why."""

    url: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class StreamClosed(Event):
    """A stream is over.

    code: 0 if Twilio ended it, else the error. 31921 means that the server closed the socket, which is how a bridge
    ends a stream that is `two_way`.
    """

    stream_sid: str
    code: int = 0
    reason: str = ""
    two_way: bool = False


@dataclass(frozen=True, slots=True)
class MessageSent(Event):
    """The bridge sent a message on a two-way stream other than media: `kind` mark or clear.

    dropped_ms: how much audio a clear found unplayed.
    """

    kind: str
    name: str = ""
    dropped_ms: int = 0


@dataclass(frozen=True, slots=True)
class MediaBegan(Event):
    """The bridge's first media on a two-way stream since its last mark or clear."""

    stream_sid: str


@dataclass(frozen=True, slots=True)
class MarkReturned(Event):
    """A mark goes back to the bridge: what was sent before it was played, or `cleared`."""

    name: str
    cleared: bool = False


@dataclass(frozen=True, slots=True)
class UpdateReceived(Event):
    """A REST update that Twilio carries out. `fields`: the request's form."""

    fields: Mapping[str, str] = field(repr=False)
    twiml: str = ""


@dataclass(frozen=True, slots=True)
class StreamStopReceived(Event):
    """A REST request stops the stream that it names by `name`: its name or its SID."""

    name: str


@dataclass(frozen=True, slots=True)
class UpdateRefused(Event):
    """A REST request for this call that Twilio refused, or that a fault of the test's befell (`code` 0)."""

    status: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class SpeechStarted(Event):
    """The caller's voice is on the line, from its very first voiced frame."""

    text: str


@dataclass(frozen=True, slots=True)
class SpeechEnded(Event):
    """The last voiced frame of what the caller said is over."""

    text: str


@dataclass(frozen=True, slots=True)
class BotBegan(Event):
    """The first of the bot's sound is on the line, by a Say or a two-way stream (then without `text`)."""

    text: str


@dataclass(frozen=True, slots=True)
class BotAudible(Event):
    """The first frame of the bot's voice that the caller can hear (`first_audible_ms`) was on the line.

    Silence at the beginning of the voice is over. A voice that is silent as a whole has no such event.
    """


@dataclass(frozen=True, slots=True)
class BotFinished(Event):
    """The bot's sound is over, or was cut off."""

    text: str


@dataclass(frozen=True, slots=True)
class Coughed(Event):
    """The caller coughs: a noise that is no speech begins."""


@dataclass(frozen=True, slots=True)
class FaultSwitched(Event):
    """A fault of a rehearsal was switched while the call was on. `fault`: it, in words."""

    fault: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class KeyPressed(Event):
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class Whispered(Event):
    """A called party heard this before the connection: the text of a Say, or the address of a Play."""

    number: str
    text: str


@dataclass(frozen=True, slots=True)
class Transferred(Event):
    """`<Dial>` connected the caller, or could not. `status`: DialCallStatus."""

    number: str
    status: str


@dataclass(frozen=True, slots=True)
class Detected(Event):
    """Answering machine detection has found out what answered. `answered_by`: Twilio's AnsweredBy."""

    answered_by: str


@dataclass(frozen=True, slots=True)
class Queued(Event):
    """The caller waits in a queue. `queue`: its name, or the SID of the workflow."""

    queue: str


@dataclass(frozen=True, slots=True)
class LeftTheQueue(Event):
    """The caller does not wait any more, and does not talk to who took them out either. `result`: QueueResult."""

    queue: str
    result: str


@dataclass(frozen=True, slots=True)
class Complained(Event):
    """Twilio would refuse this or warn about it."""

    text: str


@dataclass(frozen=True, slots=True)
class CallEnded(Event):
    """The call is over. `detail`: the application error."""

    reason: EndReason
    detail: str = ""
