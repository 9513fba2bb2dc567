"""What a CallSession wants done: all of the world that it may touch. The bridge carries it out, in order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lexbridge.lex.model import Checkpoint, Message


@dataclass(frozen=True, slots=True)
class OpenUtterance:
    """Start a request to Lex for `turn`. `session_attributes` None: leave those of the session alone. `checkpoint`: put
    the session back to it first; if that fails the turn is not sent. `waited_ms`: so long the caller has been waiting
    for the answer already."""

    turn: int
    session_id: str
    session_attributes: Mapping[str, str] | None = field(repr=False)
    checkpoint: Checkpoint | None = field(default=None, repr=False)
    waited_ms: int = 0


@dataclass(frozen=True, slots=True)
class AppendAudio:
    """Send more of the utterance: PCM, 8 kHz, 16-bit little-endian, whole frames."""

    turn: int
    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CloseUtterance:
    """The utterance is complete: end the request's body and await the answer."""

    turn: int


@dataclass(frozen=True, slots=True)
class CancelUtterance:
    """Break the request off; its answer, or what is still to come of it, is of no use any more. `turn`: also that of a
    SynthesizeSpeech."""

    turn: int


@dataclass(frozen=True, slots=True)
class SendKeys:
    """Send the keys that the caller pressed in `turn` to Lex, as text. `session_attributes`: as in OpenUtterance."""

    turn: int
    session_id: str
    session_attributes: Mapping[str, str] | None = field(repr=False)
    keys: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BeginDialog:
    """Have Lex begin the dialog with `intent`, as `turn`: it welcomes the caller."""

    turn: int
    session_id: str
    session_attributes: Mapping[str, str] | None = field(repr=False)
    intent: str


@dataclass(frozen=True, slots=True)
class FetchSession:
    """Ask Lex where the dialog of this session stands."""

    session_id: str


@dataclass(frozen=True, slots=True)
class SynthesizeSpeech:
    """Have Lex say `messages` aloud. Its voice comes as that of a reply to `turn`, which is below 0: a prompt's, and no
    turn's of the caller."""

    turn: int
    messages: tuple[Message, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class UpdateCall:
    """Give the live call a new document. One that was not carried out yet gives way to a newer one.

    `hands_over`: it stops this stream, and opens another that goes on with the call. `asks_for_keys`: Twilio may be
    collecting keys by it, and stops this stream when it has them.
    """

    number: int
    account_sid: str
    call_sid: str
    twiml: str = field(repr=False)
    hands_over: bool = False
    asks_for_keys: bool = False


@dataclass(frozen=True, slots=True)
class SendAudio:
    """Play audio to the caller after all that was sent before: mu-law, 8 kHz, whole frames."""

    mulaw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendMark:
    """Have the carrier send the mark `name` back once the audio sent before it has been played, or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class ClearAudio:
    """Have the carrier drop the audio that it has not played yet, and send its marks back."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a log line. `fields` holds no word that was spoken, no key, no number, no secret."""

    level: str
    event: str
    fields: Mapping[str, Any]


StreamOutput = SendAudio | SendMark | ClearAudio

Action = (
    OpenUtterance
    | AppendAudio
    | CloseUtterance
    | CancelUtterance
    | SendKeys
    | BeginDialog
    | FetchSession
    | SynthesizeSpeech
    | UpdateCall
    | StreamOutput
    | Note
)
