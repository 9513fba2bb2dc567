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
class Progress:
    """Address at which the progress of a leg of a call is told: `statusCallback` and its events."""

    url: str = ""
    method: str = "POST"
    events: tuple[str, ...] = ("completed",)


@dataclass(frozen=True, slots=True)
class Target:
    """A noun of `<Dial>` that is called: `<Number>`, `<Sip>` or `<Client>`, or the text of `<Dial>`.

    address: a number in E.164, `sip:...` without its headers, or `client:NAME`. whisper_url: the document that the
    called party hears before the two are connected. headers: custom SIP headers. parameters: those of `<Client>`.
    problem: Twilio's complaint if this cannot be called at all.
    """

    kind: str
    address: str
    send_digits: str = ""
    whisper_url: str = ""
    whisper_method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    progress: Progress = Progress()
    problem: Warned | None = None


@dataclass(frozen=True, slots=True)
class QueueTarget:
    """`<Dial><Queue>`: the first caller who waits in the queue. `whisper_url`: heard by that caller."""

    name: str
    whisper_url: str = ""
    whisper_method: str = "POST"


@dataclass(frozen=True, slots=True)
class Conference:
    """`<Dial><Conference>`. `beep`: true, false, onEnter or onExit."""

    name: str
    is_muted: bool = False
    beep: str = "true"
    starts_on_enter: bool = True
    ends_on_exit: bool = False
    wait_url: str | None = None
    label: str = ""
    progress: Progress = Progress(events=())


@dataclass(frozen=True, slots=True)
class Dial:
    """Call `targets` and connect the first who answers, or join a queue's first caller or a conference.

    caller_id: "" for the calling number. A Dial without any target is one whose only target Twilio left out.
    """

    targets: tuple[Target, ...] = ()
    queue: QueueTarget | None = None
    conference: Conference | None = None
    action: str = ""
    method: str = "POST"
    timeout_s: int = 30
    time_limit_s: int = 14_400
    caller_id: str = ""
    answer_on_bridge: bool = False
    hangup_on_star: bool = False
    is_sequential: bool = False

    @property
    def addresses(self) -> str:
        """Everything that is dialled, as a report shows it."""
        named = [target.address for target in self.targets]
        named += [f"queue:{self.queue.name}"] if self.queue is not None else []
        named += [f"conference:{self.conference.name}"] if self.conference is not None else []
        return ", ".join(named)


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Wait in the queue `name`, or as a task of the workflow `workflow_sid`.

    task: the attributes of the task as JSON text. priority, task_timeout_s: of the task, None if not given.
    """

    name: str = ""
    workflow_sid: str = ""
    task: str = ""
    priority: int | None = None
    task_timeout_s: int | None = None
    action: str = ""
    method: str = "POST"
    wait_url: str = ""
    wait_method: str = "POST"


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave the queue: the document of the `<Enqueue>` goes on."""


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
    Say
    | Play
    | Pause
    | Redirect
    | Hangup
    | Reject
    | StartStream
    | StopStream
    | ConnectStream
    | Dial
    | Gather
    | Enqueue
    | Leave
)  # all this Twilio can carry out


@dataclass(frozen=True, slots=True)
class Document:
    """A document that can be executed. `warnings`: what Twilio would write to its debugger."""

    verbs: tuple[Verb, ...]
    warnings: tuple[Warned, ...] = ()
    text: str = field(default="", repr=False)


SSML = frozenset({"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"})
