"""The verbs of a TwiML document, as data."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning of Twilio: its code, and what is wrong."""

    code: int
    message: str

    def __str__(self) -> str:
        return f"{self.code} {self.message}"


class TwimlError(Exception):
    """A document, or the way to it, that Twilio answers by ending the call with an application error.

    `code`: Twilio's error code.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Stream:
    """`<Stream>`: `parameters` in the document's order; `name` "" when it has none."""

    url: str
    name: str = ""
    track: str = "inbound_track"
    status_callback: str = ""
    status_callback_method: str = "POST"
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Say:
    """Speak `text`, `loop` times. `text` is without its SSML elements."""

    text: str
    voice: str = ""
    language: str = ""
    loop: int = 1


@dataclass(frozen=True, slots=True)
class Play:
    """Play the audio at `url`, `loop` times, or the keys `digits`."""

    url: str
    loop: int = 1
    digits: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    length_s: int = 1


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go on with the document at `url`."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the call before it is answered. `reason`: rejected or busy."""

    reason: str = "rejected"


@dataclass(frozen=True, slots=True)
class StartStream:
    """`<Start><Stream>`: one-way; the document goes on at once."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class StopStream:
    """`<Stop><Stream name>`."""

    name: str


@dataclass(frozen=True, slots=True)
class ConnectStream:
    """`<Connect><Stream>`: two-way; the document goes on when the server closes the socket."""

    stream: Stream
    action: str = ""
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Dial:
    """Call `number` and connect the two."""

    number: str
    action: str = ""
    method: str = "POST"
    timeout_s: int = 30
    time_limit_s: int = 14_400


@dataclass(frozen=True, slots=True)
class Gather:
    """Collect keys while `prompts` play, and `timeout_s` longer."""

    action: str = ""
    method: str = "POST"
    input: str = "dtmf"
    timeout_s: int = 5
    num_digits: int = 0
    finish_on_key: str = "#"
    action_on_empty_result: bool = False
    prompts: tuple["Say | Play | Pause", ...] = ()


Verb = (
    Say | Play | Pause | Redirect | Hangup | Reject | StartStream | StopStream | ConnectStream | Dial | Gather
)  # all this Twilio can carry out


@dataclass(frozen=True, slots=True)
class Document:
    """A document that can be executed. `warnings`: what Twilio would write to its debugger."""

    verbs: tuple[Verb, ...]
    warnings: tuple[Warned, ...] = ()
    text: str = field(default="", repr=False)


SSML = frozenset({"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"})
