"""Actions: all that a CallSession may want done. The bridge carries them out in order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lexbridge.audio.utterance_audio import UtteranceAudio
from lexbridge.audio.vad.base import Window
from lexbridge.config.route import CallRoute
from lexbridge.lex.model import Checkpoint, Message


@dataclass(frozen=True, slots=True)
class OpenUtterance:
    """Start a request to Lex for the turn `turn`, which sends `audio` as it grows, up to CloseUtterance.

    `audio` is the turn's own, and is only read here. `session_attributes`: None leaves those of Lex's session alone.
    `checkpoint`: restore the session to it first; if that fails, do not send the turn. `waited_ms`: how long the caller
    has already waited for the answer.
    """

    turn: int
    session_id: str
    session_attributes: Mapping[str, str] | None = field(repr=False)
    audio: UtteranceAudio = field(repr=False, compare=False)
    checkpoint: Checkpoint | None = field(default=None, repr=False)
    waited_ms: int = 0


@dataclass(frozen=True, slots=True)
class FlushUtterance:
    """Send Lex what the utterance has gained since the last time."""

    turn: int


@dataclass(frozen=True, slots=True)
class CloseUtterance:
    """End the body of the request, because the utterance is complete, and wait for Lex's answer."""

    turn: int


@dataclass(frozen=True, slots=True)
class CancelUtterance:
    """Break the request for `turn` off, whose answer or audio is not wanted any more.

    `turn` may also be that of a SynthesizeSpeech.
    """

    turn: int


@dataclass(frozen=True, slots=True)
class SendKeys:
    """Send Lex, as text, the keys that the caller pressed. `session_attributes`: None leaves those of Lex alone."""

    turn: int
    session_id: str
    session_attributes: Mapping[str, str] | None = field(repr=False)
    keys: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BeginDialog:
    """Begin the dialog with `intent`, so that the bot welcomes the caller."""

    turn: int
    session_id: str
    session_attributes: Mapping[str, str] | None = field(repr=False)
    intent: str


@dataclass(frozen=True, slots=True)
class FetchSession:
    """Ask Lex where the dialog of a session stands."""

    session_id: str


@dataclass(frozen=True, slots=True)
class FetchAttributes:
    """Ask the bot of `origin`, a route, for the attributes of a session, which go along to the call's bot."""

    session_id: str
    origin: CallRoute


@dataclass(frozen=True, slots=True)
class SynthesizeSpeech:
    """Ask Lex to say `messages` aloud. Its audio comes back like that of a reply to the turn `turn`.

    `turn` is below 0, because it is the number of a prompt and not of a turn of the caller.
    """

    turn: int
    messages: tuple[Message, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class UpdateCall:
    """Give the live call a new document. It replaces an earlier one that was not carried out yet.

    `hands_over`: the document stops this stream and opens another that goes on with the call. `asks_for_keys`: the
    carrier may be collecting keys by the document, and stops this stream when it has them.
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
    """Ask the carrier to send the mark `name` back once the audio sent before it has been played, or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class ClearAudio:
    """Ask the carrier to drop the audio that it has not played yet, and to send its marks back."""


@dataclass(frozen=True, slots=True)
class HearMore:
    """Send a MoreToHear as soon as other calls had their turn, because media waits to be heard."""


@dataclass(frozen=True, slots=True)
class JudgeVoice:
    """Run the detector's model for `window`, and send a VoiceJudged. Until then the call hears nothing."""

    window: Window = field(repr=False)


@dataclass(frozen=True, slots=True)
class Note:
    """Write a log line. `fields` holds no word that was spoken, no key, no number and no secret."""

    level: str
    event: str
    fields: Mapping[str, Any]


StreamOutput = SendAudio | SendMark | ClearAudio

Action = (
    OpenUtterance
    | FlushUtterance
    | CloseUtterance
    | CancelUtterance
    | SendKeys
    | BeginDialog
    | FetchSession
    | FetchAttributes
    | SynthesizeSpeech
    | UpdateCall
    | StreamOutput
    | HearMore
    | JudgeVoice
    | Note
)
