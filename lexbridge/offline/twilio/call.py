"""One simulated call: its line, its document, its streams, and what Twilio tells the bridge about it."""

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import gevent
from gevent.event import Event as Signal
from gevent.lock import BoundedSemaphore

from lexbridge.audio.pcm import first_audible_ms
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.events import CallEnded, EndReason, Event
from lexbridge.offline.twilio.keypad import Keypad
from lexbridge.offline.twilio.line import Line, Listener, Party
from lexbridge.offline.twilio.media_socket import MediaSocket, StreamFailed, StreamOwner
from lexbridge.offline.twilio.number import USUAL_LINE, LineConditions, Number
from lexbridge.offline.twilio.playback import Playback, SentAudio
from lexbridge.offline.twilio.telephone_audio import SilenceSuppression, TelephoneVoice
from lexbridge.offline.twilio.twiml_document import parse_twiml, stream_url_problem
from lexbridge.offline.twilio.twiml_execution import ExecutedCall, Execution
from lexbridge.offline.twilio.verbs import Document, Stream, TwimlError
from lexbridge.offline.twilio.webhooks import Answer, OverrideError, Webhooks

TRACKS_PER_CALL = 4  # https://www.twilio.com/docs/voice/media-streams: one-way streams of a call
CALLBACK_LIMIT_S = 15.0
# What Twilio reads as TwiML: /docs/voice/twiml#twilios-request-to-your-application and error 12300.
_TWIML_TYPES = frozenset({"text/xml", "application/xml", "text/html"})

Kind = TypeVar("Kind", bound=Event)


class PhoneCall(Listener, StreamOwner, ExecutedCall):
    """A call from `party` to `number`, under `conditions`."""

    def __init__(
        self,
        number: Number,
        party: Party,
        webhooks: Webhooks,
        voice: TelephoneVoice,
        account_sid: str,
        conditions: LineConditions = USUAL_LINE,
    ) -> None:
        self.sid = "CA" + secrets.token_hex(16)
        self.account_sid = account_sid
        self.number = number
        self.webhooks = webhooks
        self.voice = voice
        self.pace = conditions.pace
        self.dial_outcome = conditions.dial_outcome
        self.status = "ringing"
        """Twilio's CallStatus: ringing, in-progress, completed, busy or failed."""
        self.events: list[Event] = []
        """Events of the call, in order."""
        self.complaints: list[str] = []
        """Everything that Twilio would refuse or warn about: code and reason. Empty for a bridge without fault."""
        self.streams: list[MediaSocket] = []
        """The streams that are open now."""
        self.sent_audio: list[SentAudio] = []
        """Audio that the bridge sent on two-way streams, mark by mark, and how much of it the caller heard."""
        self.line = Line(party, self.pace, echo_db=conditions.echo_db, echo_delay_ms=conditions.echo_delay_ms)
        self.line.listeners.insert(0, self)  # first: what the caller does at once comes after it
        self.keypad = Keypad(self.line, conditions.key_tones)
        self._suppression = None if conditions.sends_silence else SilenceSuppression()
        self.document_url = self.asked_url = number.webhook_url  # asked: the last one, whatever came of it
        self.answered_at_s = 0.0
        self.status_callback = number.status_callback
        self._callback_latency_s = conditions.callback_latency_s
        self._playbacks: dict[str, Playback] = {}
        self._execution = Execution(self)
        self._runner: gevent.Greenlet[..., Any] | None = None
        self._replacing = BoundedSemaphore()
        self._opening: list[gevent.Greenlet[..., Any]] = []
        self._names_opening: list[str] = []
        self._stopping: list[gevent.Greenlet[..., Any]] = []
        self._callbacks: list[gevent.Greenlet[..., Any]] = []
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
        for stream in self.streams:
            stream.press(digit)

    @property
    def answered(self) -> bool:
        return self.answered_at_s > 0

    @property
    def over(self) -> CallEnded | None:
        """The end of the call, or None while the call lives."""
        return self._over

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
        if self.status in ("ringing", "in-progress"):
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
            "Direction": "inbound",
            "FromCountry": "US",
            "ToCountry": "US",
        }

    def start_stream(self, stream: Stream) -> None:
        self._opening.append(gevent.spawn(self._open, stream, two_way=False))

    def connect_stream(self, stream: Stream) -> MediaSocket | None:
        return self._open(stream, two_way=True)

    def disconnect_stream(self, stream: MediaSocket) -> None:
        """End the call's two-way stream, drop the audio that it has not played, and wait until its socket is closed.

        [?] whether Twilio plays what it has buffered when the bridge closes the socket is not documented. A bridge
        that waits for its mark before it closes is safe.
        """
        stopping = gevent.spawn(stream.stop)
        gevent.sleep(0)  # `stop` is on its way before any mark could be
        self.line.clear()
        stopping.join()

    def stop_stream(self, name: str) -> MediaSocket | None:
        """Stop the one-way stream with this name or SID and return it, or None if there is no such stream.

        Does not wait for the end of the stream. Its name is free from now on.
        """
        gevent.joinall(self._opening)
        for stream in self.streams:
            if not stream.stopping and not stream.two_way and name in (stream.stream.name or stream.sid, stream.sid):
                self._stopping.append(gevent.spawn(stream.stop))
                gevent.sleep(0)  # `stop` is on its way before anything else happens
                return stream
        return None

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

    # For its streams

    def complain(self, code: int, message: str) -> None:
        self.complaints.append(f"{code} {message}")
        self.record(happened.Complained(self.now_s(), self.complaints[-1]))

    def stream_closed(self, stream: MediaSocket, code: int, reason: str) -> None:
        self.streams.remove(stream)
        self.record(happened.StreamClosed(self.now_s(), stream.sid, code, reason, stream.two_way))
        if code:
            if code != 31921 or not stream.two_way:  # closing its socket is how a bridge ends a two-way stream
                self.complain(code, reason)
            self._stream_status(stream.stream, stream.sid, "stream-error", f"{code} {reason}")
        else:
            self._stream_status(stream.stream, stream.sid, "stream-stopped")

    def stream_says(self, stream: MediaSocket, kind: str, value: str | bytes) -> None:
        """Play media in order; send a mark back when the audio before it has been played; drop audio at a `clear`."""
        if stream.stopping:  # too late: nothing of it is played any more
            return
        playback = self._playbacks.get(stream.sid)
        if playback is None:
            playback = Playback(self.line, stream.sid, self.sent_audio, self.record, self.now_s, stream.played)
            self._playbacks[stream.sid] = playback
        if isinstance(value, bytes):
            playback.media(value)
        elif kind == "mark":
            playback.mark(value)
        else:
            playback.clear()

    # Within

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
        sent = inbound if self._suppression is None or self._suppression.sends(inbound) else b""
        for stream in list(self.streams):
            if not stream.stopping:
                stream.carry(line_ms, sent, outbound)

    def _open(self, stream: Stream, *, two_way: bool) -> MediaSocket | None:
        sid = "MZ" + secrets.token_hex(16)
        try:
            opened = self._connect(stream, sid, two_way=two_way)
        except StreamFailed as error:
            self.record(happened.StreamRefused(self.now_s(), stream.url, error.code, error.reason))
            self.complain(error.code, error.reason)
            self._stream_status(stream, sid, "stream-error", f"{error.code} {error.reason}")
            return None
        self.record(happened.StreamOpened(self.now_s(), sid, stream.url))
        self._stream_status(stream, sid, "stream-started")
        return opened

    def _connect(self, stream: Stream, sid: str, *, two_way: bool) -> MediaSocket:
        problem = stream_url_problem(stream.url)
        if problem is not None:
            raise StreamFailed(problem.code, problem.message)
        taken = [*self._names_opening, *(other.stream.name for other in self.streams if not other.stopping)]
        if stream.name and stream.name in taken:
            # The name has to be unique within the call (/docs/voice/twiml/stream). [?] what happens otherwise, and
            # with which code, is not documented; nor whether the name of a stream that was stopped or lost is free
            # again. Here the second is refused, and the name is free. A bridge is safe if it never uses one twice.
            raise StreamFailed(12200, f"<Stream>: this call has a stream named {stream.name!r} already")
        if two_way and any(other.two_way for other in self.streams):
            # One to a call: /docs/voice/media-streams#bidirectional-media-streams . [?] with which code.
            raise StreamFailed(12200, "<Connect><Stream>: this call has a two-way stream already")
        if not two_way and len(self.streams) >= TRACKS_PER_CALL:
            raise StreamFailed(31930, f"Stream: the call has {TRACKS_PER_CALL} tracks streaming already")  # [?] code
        self._names_opening.append(stream.name)
        try:
            return self._handshake(stream, sid, two_way=two_way)
        finally:
            self._names_opening.remove(stream.name)

    def _handshake(self, stream: Stream, sid: str, *, two_way: bool) -> MediaSocket:
        opened = MediaSocket(self, stream, sid, self.sid, self.account_sid, two_way=two_way)
        # Signed as the document has it, whatever the connection goes to.
        signature = self.webhooks.signature(stream.url, {})
        address, host = self.webhooks.address(stream.url), urlsplit(stream.url).netloc
        opened.open(address, host, signature, self.webhooks.ca_file)
        opened.begin(self.line.now_ms)
        self.streams.append(opened)
        if self._over is not None:  # the call ended while the socket opened
            opened.stop()
        return opened

    def _stream_status(self, stream: Stream, sid: str, event: str, error: str = "") -> None:
        """The stream's own status callback: /docs/voice/twiml/stream#statuscallback."""
        if not stream.status_callback:
            return
        parameters = {
            "AccountSid": self.account_sid,
            "CallSid": self.sid,
            "StreamSid": sid,
            "StreamName": stream.name or sid,
            "StreamEvent": event,
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if error:
            parameters["StreamError"] = error
        self._call_back(stream.status_callback, parameters, "stream-status", stream.status_callback_method)

    def _call_back(self, url: str, parameters: Mapping[str, str], purpose: str, method: str = "POST") -> None:
        def send() -> None:
            """A greenlet: nobody waits for a callback."""
            gevent.sleep(self._callback_latency_s)
            try:
                answer = self.tell(url, parameters, purpose, method)
            except OverrideError as error:
                self.complain(error.code, f"{url}: {error}")
                return
            if not 200 <= answer.status < 300:
                self.complain(15003, f"Warning response to callback URL {url}: {answer.status or answer.text}")

        self._callbacks.append(gevent.spawn(send))

    def _close(self, runner: "gevent.Greenlet[..., Any] | None") -> None:
        """Close everything that the call holds. Then `wait` returns."""
        if runner is not None:
            runner.kill()
        gevent.joinall(self._opening)
        gevent.joinall([*self._stopping, *(gevent.spawn(stream.stop) for stream in list(self.streams))])
        if self.status_callback:
            seconds = max(0, round(self.line.now_ms / 1000))
            more = {
                "CallDuration": str(seconds),
                "Duration": str(-(-seconds // 60)),
                "SequenceNumber": "0",
                "CallbackSource": "call-progress-events",
                "Timestamp": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000"),
            }
            self._call_back(self.status_callback, {**self.parameters(), **more}, "call-status")
        gevent.joinall(self._callbacks, timeout=CALLBACK_LIMIT_S)
        self._ended.set()
