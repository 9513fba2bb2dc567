"""One simulated call: its line, its document, its streams, and what Twilio tells the bridge about it."""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import gevent
from gevent.event import Event as Signal
from gevent.lock import BoundedSemaphore

from lexbridge.audio.pcm import first_audible_ms
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.call_backs import CALLBACK_LIMIT_S, CallBacks
from lexbridge.offline.twilio.call_streams import CallStreams
from lexbridge.offline.twilio.events import CallEnded, EndReason, Event
from lexbridge.offline.twilio.executed_call import ExecutedCall, Network
from lexbridge.offline.twilio.keypad import Keypad
from lexbridge.offline.twilio.line import Line, Listener, Party
from lexbridge.offline.twilio.number import USUAL_LINE, LineConditions, Number
from lexbridge.offline.twilio.telephone_audio import TelephoneVoice
from lexbridge.offline.twilio.twiml_document import parse_twiml
from lexbridge.offline.twilio.twiml_execution import Execution
from lexbridge.offline.twilio.verbs import Document, Progress, TwimlError
from lexbridge.offline.twilio.webhooks import Answer, OverrideError, Webhooks

# What Twilio reads as TwiML: /docs/voice/twiml#twilios-request-to-your-application and error 12300.
_TWIML_TYPES = frozenset({"text/xml", "application/xml", "text/html"})
_NOT_OVER = ("queued", "initiated", "ringing", "in-progress")

Kind = TypeVar("Kind", bound=Event)


class PhoneCall(Listener, ExecutedCall):
    """A call from `party` to `number`, under `conditions`. `network`: what the call can reach beyond the bridge."""

    direction = "inbound"
    """Twilio's Direction."""

    def __init__(
        self,
        number: Number,
        party: Party,
        webhooks: Webhooks,
        voice: TelephoneVoice,
        account_sid: str,
        conditions: LineConditions = USUAL_LINE,
        network: Network | None = None,
    ) -> None:
        self.sid = "CA" + secrets.token_hex(16)
        self.account_sid = account_sid
        self.number = number
        self.webhooks = webhooks
        self.voice = voice
        self.conditions = conditions
        self.pace = conditions.pace
        self.network = network
        self.status = "ringing"
        """Twilio's CallStatus: queued, ringing, in-progress, completed, busy, failed, no-answer or canceled."""
        self.events: list[Event] = []
        """Events of the call, in order."""
        self.complaints: list[str] = []
        """Everything that Twilio would refuse or warn about: code and reason. Empty for a bridge without fault."""
        self.legs: list[PhoneCall] = []
        """Calls that the documents of this call have made by `<Dial>`: DialledLeg, in order."""
        self.line = Line(party, self.pace, echo_db=conditions.echo_db, echo_delay_ms=conditions.echo_delay_ms)
        self.line.listeners.insert(0, self)  # first: what the caller does at once comes after it
        self.keypad = Keypad(self.line, conditions.key_tones)
        self.media = CallStreams(self, sends_silence=conditions.sends_silence)
        self.streams = self.media.open
        """The streams that are open now."""
        self.sent_audio = self.media.sent_audio
        """Audio that the bridge sent on two-way streams, mark by mark, and how much of it the caller heard."""
        self.document_url = self.asked_url = number.webhook_url  # asked: the last one, whatever came of it
        self.answered_at_s = 0.0
        self.progress = Progress(number.status_callback)
        """Where the progress of the call is told."""
        self.answer_facts: Mapping[str, str] = {}
        """Fields about who answered, told at the end of the call."""
        self._call_backs = CallBacks(self, conditions.callback_latency_s)
        self._execution = Execution(self)
        self._runner: gevent.Greenlet[..., Any] | None = None
        self._replacing = BoundedSemaphore()
        self._changed = Signal()
        self._ended = Signal()
        self._awaits_sound = False  # the bot's voice has begun, and nothing of it can be heard yet
        self._over: CallEnded | None = None

    # For whoever placed the call

    def start(self) -> None:
        """Ring: request the webhook's document and carry it out."""
        self._run(lambda: self.fetch(self.number.webhook_url, self.number.method))

    def wait(self, timeout_s: float) -> CallEnded:
        """Wait until the call is over and all its connections are closed. Raises TimeoutError if it goes on."""
        if not self._ended.wait(timeout_s) or self._over is None:
            raise TimeoutError(f"the call goes on after {timeout_s} s; its last events: {self.events[-5:]}")
        return self._over

    def wait_until_closed(self, timeout_s: float) -> bool:
        """Wait until all connections of a call that is over are closed, and return whether they are."""
        return self._ended.wait(timeout_s)

    def wait_for(
        self, kind: type[Kind], timeout_s: float, count: int = 1, where: Callable[[Kind], bool] | None = None
    ) -> Kind:
        """The `count`th event of `kind` (for which `where` holds). Raises TimeoutError when it does not come."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._changed.clear()
            found = [event for event in self.events if isinstance(event, kind) and (where is None or where(event))]
            if len(found) >= count:
                return found[count - 1]
            if not self._changed.wait(max(0.0, deadline_s - time.monotonic())):
                raise TimeoutError(f"no {kind.__name__} ({len(found)} of {count}) within {timeout_s} s: {self.events}")

    def hang_up(self) -> None:
        """The caller puts the phone down."""
        self.end(EndReason.CALLER_HUNG_UP)

    def press(self, digit: str) -> None:
        """The caller presses a key: for a `<Gather>`, and for two-way streams."""
        self.record(happened.KeyPressed(self.now_s(), digit))
        self.keypad.press(digit)
        self.media.press(digit)

    @property
    def answered(self) -> bool:
        return self.answered_at_s > 0

    @property
    def over(self) -> CallEnded | None:
        """The end of the call, or None while the call lives."""
        return self._over

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self._over is not None

    def line_s(self, at_s: float) -> float:
        """A monotonic time as seconds on the line: where it is in the recording."""
        return (at_s - self.answered_at_s) / self.pace

    # For Twilio's REST API

    def replace_document(self, document: Callable[[], Document], answer_url: str = "") -> None:
        """Stop the present document and go on with `document`. One-way streams live on."""
        if answer_url:
            self.document_url = answer_url
        self._run(document)

    def end(self, reason: EndReason, detail: str = "") -> None:
        """End the call, and send `stop` to every stream. Does nothing if the call has ended."""
        if self._over is not None:
            return
        self._over = CallEnded(self.now_s(), reason, detail)
        if self.status in _NOT_OVER:
            self.status = "completed" if reason is not EndReason.APPLICATION_ERROR or self.answered else "failed"
        self.line.close()
        self.record(self._over)
        runner, self._runner = self._runner, None
        gevent.spawn(self._close, runner if runner is not gevent.getcurrent() else None)

    def refuse(self, status: str) -> None:
        self.status = status

    # For the execution of its document

    def answer(self) -> None:
        if self.answered:
            return
        self.status = "in-progress"
        self.answered_at_s = time.monotonic()
        self.record(happened.Answered(self.answered_at_s))
        self.line.taps.append(self._carry)
        self.line.open()

    def fetch(self, url: str, method: str = "POST", more: Mapping[str, str] | None = None) -> Document:
        self.asked_url = url
        try:
            answer = self.tell(url, {**self.parameters(), **(more or {})}, "document", method)
        except OverrideError as error:  # [?] whether that is an error, or Twilio goes on with its defaults
            raise TwimlError(error.code, str(error)) from error
        if not answer.status:
            raise TwimlError(11205, f"HTTP connection failure: {url}: {answer.text}")
        if not 200 <= answer.status < 300:
            raise TwimlError(11200, f"HTTP retrieval failure: {url} answered {answer.status}")
        kind = answer.content_type.partition(";")[0].strip().lower()
        if kind not in _TWIML_TYPES:
            raise TwimlError(12300, f"Invalid Content-Type {answer.content_type!r} of {url}")
        self.document_url = url
        return parse_twiml(answer.text, url)

    def tell(self, url: str, parameters: Mapping[str, str], purpose: str, method: str = "POST") -> Answer:
        """A signed request to the bridge, recorded, with all its retries. Raises OverrideError."""
        self.record(happened.WebhookRequested(self.now_s(), url, purpose, parameters))
        answer = self.webhooks.request(url, parameters, method)
        self.record(happened.WebhookAnswered(self.now_s(), url, purpose, answer.status, answer.text, answer.attempts))
        return answer

    def parameters(self) -> dict[str, str]:
        """The parameters of every request about this call: /docs/voice/twiml#request-parameters."""
        return {
            "CallSid": self.sid,
            "AccountSid": self.account_sid,
            "From": self.number.caller,
            "To": self.number.called,
            "Caller": self.number.caller,
            "Called": self.number.called,
            "CallStatus": self.status,
            "ApiVersion": "2010-04-01",
            "Direction": self.direction,
            "FromCountry": "US",
            "ToCountry": "US",
            **self.number.facts,
        }

    def pass_s(self, seconds: float) -> None:
        """Wait for `seconds` of the line, which need not be open."""
        if self.answered:
            self.line.wait_ms(round(seconds * 1000))
        else:
            gevent.sleep(seconds * self.pace)

    def verb_started(self, verb: str, text: str) -> None:
        self.record(happened.VerbStarted(self.now_s(), verb, text))

    def verb_ended(self, verb: str, *, interrupted: bool) -> None:
        self.record(happened.VerbEnded(self.now_s(), verb, interrupted))

    # For its line

    def bot_began(self, text: str) -> None:
        self._awaits_sound = True
        self.record(happened.BotBegan(self.now_s(), text))

    def bot_finished(self, text: str) -> None:
        self._awaits_sound = False
        self.record(happened.BotFinished(self.now_s(), text))

    # Within

    def complain(self, code: int, message: str) -> None:
        self.complaints.append(f"{code} {message}")
        self.record(happened.Complained(self.now_s(), self.complaints[-1]))

    def tell_progress(self, event: str) -> None:
        """Tell that the call was initiated, rings, was answered or is completed, if that was asked for."""
        self._call_backs.tell_progress(event)

    def call_back(self, url: str, parameters: Mapping[str, str], purpose: str, method: str = "POST") -> None:
        """Tell the bridge of something. Nobody waits for the answer."""
        self._call_backs.send(url, parameters, purpose, method)

    def record(self, event: Event) -> None:
        """Keep an event of the call, and wake whoever waits for one."""
        self.events.append(event)
        self._changed.set()

    @staticmethod
    def now_s() -> float:
        """Return the time of the call's events, time.monotonic()."""
        return time.monotonic()

    def _run(self, first: Callable[[], Document]) -> None:
        with self._replacing:  # ending a verb may take time: of two updates at once the later one is to stay
            if self._over is not None:
                return
            old, self._runner = self._runner, None
            if old is not None:
                old.kill()
            if self._over is None:
                self._runner = gevent.spawn(self._execution.run, first)

    def _carry(self, line_ms: int, inbound: bytes, outbound: bytes) -> None:
        if self._awaits_sound and first_audible_ms(outbound) is not None:
            self._awaits_sound = False
            self.record(happened.BotAudible(self.now_s()))
        self.media.carry(line_ms, inbound, outbound)

    def _close(self, runner: "gevent.Greenlet[..., Any] | None") -> None:
        """Close everything that the call holds. Then `wait` returns."""
        if runner is not None:
            runner.kill()
        for leg in self.legs:
            leg.end(EndReason.DIAL_OVER)
            leg.wait_until_closed(CALLBACK_LIMIT_S)
        self.media.close()
        self.tell_progress("completed")
        self._call_backs.join()
        self._ended.set()
