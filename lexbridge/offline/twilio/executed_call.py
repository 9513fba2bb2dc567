"""The call on which documents are executed, and the network beyond it, as far as the execution needs them."""

from collections.abc import Mapping
from typing import Any, Protocol

from lexbridge.offline.twilio.call_streams import CallStreams
from lexbridge.offline.twilio.events import EndReason, Event
from lexbridge.offline.twilio.keypad import Keypad
from lexbridge.offline.twilio.line import Line
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.telephone_audio import TelephoneVoice
from lexbridge.offline.twilio.verbs import Dial, Document, Enqueue
from lexbridge.offline.twilio.webhooks import Webhooks


class Network(Protocol):
    """The world that a call can reach beyond the bridge: people, queues and conferences."""

    def dial(self, call: Any, verb: Dial) -> dict[str, str]:
        """Carry out a `<Dial>` of `call`, and return what Twilio tells its action: DialCallStatus and more."""
        ...

    def enqueue(self, call: Any, verb: Enqueue) -> dict[str, str]:
        """Carry out an `<Enqueue>` of `call`, and return what Twilio tells its action: QueueResult and more."""
        ...


class ExecutedCall(Protocol):
    """The call on which documents are executed, as far as their verbs need it."""

    number: Number
    webhooks: Webhooks
    voice: TelephoneVoice
    line: Line
    keypad: Keypad
    media: CallStreams
    network: Network | None
    document_url: str
    asked_url: str

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        ...

    @property
    def answered(self) -> bool:
        """Whether the line is, or was, open."""
        ...

    @staticmethod
    def now_s() -> float:
        """Return the time of an event that happens now, in monotonic seconds."""
        ...

    def answer(self) -> None:
        """Open the line. Does nothing if the line is open."""
        ...

    def refuse(self, status: str) -> None:
        """End the call unanswered, with this CallStatus."""
        ...

    def end(self, reason: EndReason, detail: str = "") -> None:
        """End the call. Does nothing if the call has ended."""
        ...

    def fetch(self, url: str, method: str = "POST", more: Mapping[str, str] | None = None) -> Document:
        """Request a document as Twilio does. Raises TwimlError for another answer, or a wrong override."""
        ...

    def pass_s(self, seconds: float) -> None:
        """Wait for `seconds` of the line, which need not be open."""
        ...

    def call_back(self, url: str, parameters: Mapping[str, str], purpose: str, method: str = "POST") -> None:
        """Tell the bridge of something. Nobody waits for the answer."""
        ...

    def verb_started(self, verb: str, text: str) -> None:
        """Record that a verb has begun."""
        ...

    def verb_ended(self, verb: str, *, interrupted: bool) -> None:
        """Record that a verb has ended."""
        ...

    def complain(self, code: int, message: str) -> None:
        """Record what Twilio would refuse or warn about."""
        ...

    def record(self, event: Event) -> None:
        """Record an event of the call."""
        ...
