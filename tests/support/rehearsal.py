"""A call through the bridge with doubles for the media socket, Lex and Twilio: bugs, and bad luck in timing.

The doubles implement the Protocols. The test says beforehand what they do. All of it happens in one process, without
sockets, and always in the same order.
"""

import gc
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable

import gevent
from gevent import get_hub
from gevent.event import Event

from lexbridge.audio.pcm import FRAME_MS, FRAME_SAMPLES, MULAW_SILENCE, encode_mulaw
from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import DialogState, Message, Reply
from lexbridge.lex.runtime import LexRequest, LexResponse, LexRuntime
from lexbridge.lex.speech import Speech
from lexbridge.logs import Log
from lexbridge.net.receiver import Receiver
from lexbridge.net.rfc6455 import Limits, Pong
from lexbridge.server.build import build_service
from lexbridge.twilio.stream_token import make_stream_token
from tests.support.rig import PATIENCE_S, PATIENT, TOKEN, settings
from tests.support.sounds import VOICE_LEVEL
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, media_text, start_text

VOICE = encode_mulaw(struct.pack("<h", VOICE_LEVEL)) * FRAME_SAMPLES
SILENCE = MULAW_SILENCE * FRAME_SAMPLES


def wait_until(holds: Callable[[], object]) -> None:
    """Wait until `holds()` is true. The test fails after PATIENCE_S."""
    # Ever longer pauses, up to a fifth of the time that it has waited: looking takes CPU that others need meanwhile.
    pause_s = 0.01
    with gevent.Timeout(PATIENCE_S):
        while not holds():
            gevent.sleep(pause_s)
            pause_s = min(1.2 * pause_s, 0.1)


def living_greenlets() -> "set[gevent.Greenlet[..., object]]":
    """Return every greenlet of this process that has not ended."""
    return {found for found in gc.get_objects() if isinstance(found, gevent.Greenlet) and not found.dead}


def says(*texts: str, state: DialogState = DialogState.ELICIT_SLOT, intent: str = "OrderFlowers") -> Reply:
    """Return a reply of Lex with these messages."""
    return Reply(state, messages=tuple(Message(text) for text in texts), intent=intent)


class RehearsedSocket(WebSocket):
    """A media socket on which the test sends Twilio's messages. Each arrives by a read of its own.

    `code`: the close code, or None while the socket is open. `sent`: the bridge's messages, in order. `limits` hold for
    media time; the number of messages is up to the test.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self.code: int | None = None
        self.closed = Event()
        self.sent: list[str] = []
        self.pings: list[bytes] = []
        self.pong: Callable[[bytes], bytes | None] = lambda _: b"0"
        """Return the answer to a ping, or None for no answer. The default answers no ping that the bridge has sent, and
        so tells nothing: a test that takes its time is no silent caller."""
        self.is_paused = True
        self._messages: deque[str | Pong | None] = deque()
        self._receiver: Receiver | None = None
        self._has_ended = False

    @property
    def limits(self) -> Limits:
        return self._limits

    def deliver_to(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.resume_reading()

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        get_hub().loop.run_callback(self._read)

    def traffic(self) -> tuple[int, int]:
        return 0, 0

    def sends(self, messages: Iterable[str | Pong | None]) -> None:
        """Send messages of Twilio, all at once. None closes the socket."""
        self._messages.extend(messages)
        get_hub().loop.run_callback(self._read)

    def ping(self, payload: bytes) -> None:
        self.pings.append(payload)
        if (answer := self.pong(payload)) is not None:
            self.sends([Pong(answer)])

    def send(self, message: str) -> None:
        self.sent.append(message)

    def close(self, code: int = 1000, message: bytes = b"") -> None:
        if self.code is None:
            self.code = code
            self.closed.set()
            self._end()

    def _read(self) -> None:
        """Deliver a message, in the hub as the real socket does, and look again for the next."""
        if self.is_paused or self._has_ended or not self._messages or self._receiver is None:
            return
        message = self._messages.popleft()
        if message is None:
            self._end()
        else:
            self._receiver.received([message], time.monotonic())
            get_hub().loop.run_callback(self._read)

    def _end(self) -> None:
        if not self._has_ended and self._receiver is not None:
            self._has_ended = True
            self._receiver.ended()


class RehearsedLex(LexRuntime):
    """A Lex that answers each complete utterance with the next of `answers`; it raises an exception."""

    def __init__(self, *answers: Reply | Exception) -> None:
        self._answers = list(answers)
        self.asked = 0
        """Number of utterances so far."""
        self.busy = 0
        """Number of utterances that are being answered."""

    def ask(self, request: LexRequest, log: Log) -> LexResponse:
        self.asked += 1
        self.busy += 1
        try:
            request.utterance.read_all()
            answer = self._answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return LexResponse(answer)
        finally:
            self.busy -= 1

    def fetch_session(self, session_id: str) -> Reply | None:
        return None

    def speak(self, message: Message) -> Speech:
        raise LexUnavailable("it has no voice")

    def synthesize(self, text: str) -> bytes:
        raise LexUnavailable("it has no voice")


class RehearsedControl(CallControl):
    """A CallControl whose updates meet `outcomes` in order: it raises an exception, or waits for an Event."""

    def __init__(self, *outcomes: Exception | Event) -> None:
        self._outcomes = list(outcomes)
        self.documents: list[str] = []
        """The TwiML of every update, in order."""
        self.stopped: list[str] = []
        """The streams that the bridge has stopped, by their names or SIDs."""
        self.busy = 0
        """Number of updates that have not returned."""

    def update(
        self, account_sid: str, call_sid: str, twiml: str, log: Log, is_wanted: Callable[[], bool] = bool
    ) -> None:
        self.documents.append(twiml)
        self.busy += 1
        try:
            while self._outcomes:
                outcome = self._outcomes.pop(0)
                if isinstance(outcome, Exception):
                    raise outcome
                outcome.wait()
        finally:
            self.busy -= 1

    def stop_stream(self, account_sid: str, call_sid: str, stream: str) -> None:
        self.stopped.append(stream)


class Rehearsal:
    """One call with a started stream at a bridge between these doubles. `changes`: settings."""

    def __init__(
        self,
        lex: RehearsedLex,
        control: RehearsedControl,
        limits: Limits | None = None,
        is_admitted: bool = True,
        **changes: str,
    ) -> None:
        """`is_admitted`: whether the token of the stream is valid."""
        set_up = settings(**{"NO_INPUT_S": "120", "BARGE_IN": "off", **changes})
        service = build_service(set_up, lex=lex, call_control=control, deadlines=PATIENT)
        self.calls = service.calls
        self.socket = RehearsedSocket(limits)
        self._said_ms = 0
        self.before = living_greenlets()
        service.bridge.serve(self.socket)
        token = make_stream_token(TOKEN, CALL_SID, ACCOUNT_SID, now_s=time.time()) if is_admitted else "malformed"
        self.socket.sends([start_text({"lexbridge:token": token})])

    def speaks(self, voice_ms: int = 1000, silence_ms: int = 700) -> None:
        """Let the caller say something. An utterance without silence after it is not complete."""
        self.socket.sends(self._media(VOICE, voice_ms))
        self.socket.sends(self._media(SILENCE, silence_ms))

    def ended(self) -> int | None:
        """Wait for the end of the call. Return the close code of its socket."""
        assert self.socket.closed.wait(PATIENCE_S)
        return self.socket.code

    def left(self) -> "set[gevent.Greenlet[..., object]]":
        """Return the greenlets that the call has left behind."""
        return living_greenlets() - self.before

    def _media(self, frame: bytes, length_ms: int) -> list[str]:
        begins_ms, self._said_ms = self._said_ms, self._said_ms + length_ms
        return [media_text(at_ms, frame) for at_ms in range(begins_ms, self._said_ms, FRAME_MS)]
