"""Execution of a document's verbs on a live call.

One greenlet of the call runs the verbs. A REST update or a hang-up kills that greenlet, and a verb cleans up in its
`finally`. A stream outlives the document that started it, except the stream of `<Connect>`.
"""

import io
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from lexbridge.audio.pcm import MULAW_SILENCE, RATE_HZ
from lexbridge.offline.twilio.events import EndReason, Event, Transferred
from lexbridge.offline.twilio.keypad import Keypad
from lexbridge.offline.twilio.line import Line
from lexbridge.offline.twilio.media_socket import MediaSocket
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.telephone_audio import TelephoneVoice, for_telephone, key_tone
from lexbridge.offline.twilio.verbs import (
    ConnectStream,
    Dial,
    Document,
    Gather,
    Hangup,
    Pause,
    Play,
    Redirect,
    Reject,
    Say,
    StartStream,
    StopStream,
    Stream,
    TwimlError,
    Verb,
)
from lexbridge.offline.twilio.webhooks import OverrideError, Webhooks

APOLOGY = "We are sorry, an application error has occurred. Goodbye."
# Content types of <Play>: https://www.twilio.com/docs/voice/twiml/play
_AUDIO_TYPES = frozenset(
    f"audio/{kind}"
    for kind in ("mpeg", "wav", "wave", "x-wav", "aiff", "x-aifc", "x-aiff", "x-gsm", "gsm", "ulaw", "basic")
)


class CallOver(Exception):
    """The document ended the call."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class ExecutedCall(Protocol):
    """The call on which documents are executed, as far as their verbs need it."""

    number: Number
    webhooks: Webhooks
    voice: TelephoneVoice
    line: Line
    keypad: Keypad
    dial_outcome: tuple[str, int]
    document_url: str
    asked_url: str

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

    def start_stream(self, stream: Stream) -> None:
        """Open a one-way stream while the document goes on."""
        ...

    def connect_stream(self, stream: Stream) -> MediaSocket | None:
        """Open the call's two-way stream and return it, or None if that failed."""
        ...

    def disconnect_stream(self, stream: MediaSocket) -> None:
        """End the call's two-way stream, drop the audio that it has not played, and wait until its socket is closed."""
        ...

    def stop_stream(self, name: str) -> MediaSocket | None:
        """Stop the one-way stream with this name or SID and return it, or None if there is no such stream."""
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


class Execution:
    """The execution of documents on `call`, one after the other, until one ends the call."""

    def __init__(self, call: ExecutedCall) -> None:
        self._call = call
        self._perform: Mapping[type, Callable[[Any], Document | None]] = {
            Say: self._say,
            Play: self._play,
            Pause: self._pause,
            Redirect: self._redirect,
            Hangup: self._hangup,
            Reject: self._reject,
            StartStream: self._start_stream,
            StopStream: self._stop_stream,
            ConnectStream: self._connect_stream,
            Dial: self._dial,
            Gather: self._gather,
        }

    def run(self, first: Callable[[], Document]) -> None:
        """Run the document that `first` returns, and the documents to which it leads, until the call has ended."""
        try:
            document = self._or_fallback(first)
            while document is not None:
                document = self._or_fallback(partial(self._document, document))
            self._call.end(EndReason.DOCUMENT_ENDED)
        except CallOver as over:
            self._call.end(over.reason)
        except TwimlError as error:
            self._call.complain(error.code, error.message)
            self._apologise()
            self._call.end(EndReason.APPLICATION_ERROR, str(error))

    def _or_fallback(self, get: Callable[[], Document | None]) -> Document | None:
        """Return the document of `get`; if that fails, the document of the number's fallback address, if it has one.

        https://www.twilio.com/docs/usage/security/availability-reliability : "in the event of a fatal error while
        executing your call". [?] whether more than once in a call; here it is as often as there is one.
        """
        try:
            return get()
        except TwimlError as error:
            if not self._call.number.fallback_url:
                raise
            self._call.complain(error.code, error.message)
            more = {"ErrorCode": str(error.code), "ErrorUrl": self._call.asked_url}
            return self._call.fetch(self._call.number.fallback_url, "POST", more)

    def _document(self, document: Document) -> Document | None:
        """The document that this one leads to; None when it falls off its end."""
        for warning in document.warnings:
            self._call.complain(warning.code, warning.message)
        for verb in document.verbs:
            if not isinstance(verb, Reject):
                self._call.answer()
            following = self._perform[type(verb)](verb)
            if following is not None:
                return following
        self._call.answer()
        return None

    def _apologise(self) -> None:
        """Say what the caller hears of an application error."""
        if self._call.answered:
            self._call.line.play(self._call.voice.speak(APOLOGY), APOLOGY)

    @contextmanager
    def _verb(self, name: str, text: str = "") -> Iterator[None]:
        """Marks a verb's beginning and end; when it does not end by itself, what it was playing stops."""
        self._call.verb_started(name, text)
        ended = False
        try:
            yield
            ended = True
        finally:
            if not ended:
                self._call.line.clear()
            self._call.verb_ended(name, interrupted=not ended)

    def _say(self, verb: Say) -> None:
        mulaw = self._call.voice.speak(verb.text)
        with self._verb("Say", verb.text):
            for _ in range(verb.loop):
                self._call.line.play(mulaw, verb.text)

    def _play(self, verb: Play) -> None:
        mulaw = b"".join(map(key_tone, verb.digits)) if verb.digits else self._fetch_audio(verb.url)
        with self._verb("Play", verb.digits or verb.url):
            for _ in range(verb.loop):
                self._call.line.play(mulaw)

    def _fetch_audio(self, url: str) -> bytes:
        # The standard parameters are not sent when fetching: /docs/voice/twiml/play.
        try:
            answer = self._call.webhooks.request(url, {}, "GET")
        except OverrideError as error:
            raise TwimlError(error.code, f"Play: {url}: {error}") from error
        if not 200 <= answer.status < 300:
            raise TwimlError(11200 if answer.status else 11205, f"Play: {url}: {answer.status or answer.text}")
        kind = answer.content_type.partition(";")[0].strip().lower()
        if kind not in _AUDIO_TYPES:
            raise TwimlError(13420, f"Play: Invalid Content-Type {kind!r} of {url}")
        if kind in ("audio/ulaw", "audio/basic"):
            return answer.body
        try:
            with wave.open(io.BytesIO(answer.body)) as sound:
                if (sound.getnchannels(), sound.getsampwidth()) == (1, 2):
                    return for_telephone(sound.readframes(sound.getnframes()), sound.getframerate())
        except (wave.Error, EOFError):
            pass
        return MULAW_SILENCE * RATE_HZ  # mp3 and the like: no decoder here, so a second of silence stands for it

    def _pause(self, verb: Pause) -> None:
        with self._verb("Pause", f"{verb.length_s} s"):
            self._call.line.wait_ms(verb.length_s * 1000)

    def _redirect(self, verb: Redirect) -> Document:
        with self._verb("Redirect", verb.url):
            return self._call.fetch(verb.url, verb.method)

    def _hangup(self, _: Hangup) -> None:
        with self._verb("Hangup"):
            pass
        raise CallOver(EndReason.HANGUP_VERB)

    def _reject(self, verb: Reject) -> None:
        if self._call.answered:  # only a call that still rings can be rejected; else it is a hang-up
            raise CallOver(EndReason.HANGUP_VERB)
        self._call.refuse("busy" if verb.reason == "busy" else "failed")
        raise CallOver(EndReason.REJECTED)

    def _start_stream(self, verb: StartStream) -> None:
        with self._verb("Start", verb.stream.url):
            self._call.start_stream(verb.stream)

    def _stop_stream(self, verb: StopStream) -> None:
        with self._verb("Stop", verb.name):
            if self._call.stop_stream(verb.name) is None:
                # [?] Twilio's code, and whether it says anything at all
                self._call.complain(12200, f"<Stop>: no stream of this call is named {verb.name!r}")

    def _connect_stream(self, verb: ConnectStream) -> Document | None:
        with self._verb("Connect", verb.stream.url):
            stream = self._call.connect_stream(verb.stream)
            if stream is not None:
                try:
                    stream.over.wait()  # until the bridge closes the socket, or loses it
                finally:
                    self._call.disconnect_stream(stream)
        return self._call.fetch(verb.action, verb.method) if verb.action else None

    def _dial(self, verb: Dial) -> Document | None:
        """`<Dial>`: rings, and the other side answers, talks and hangs up, or does not, as the simulation was told."""
        status, talk_ms = self._call.dial_outcome
        with self._verb("Dial", verb.number):
            self._call.record(Transferred(self._call.now_s(), verb.number, status))
            self._call.line.wait_ms(min(talk_ms, verb.time_limit_s * 1000))
        if not verb.action:
            return None
        more = {"DialCallStatus": status, "DialBridged": str(status == "completed").lower()}
        if status == "completed":
            more["DialCallDuration"] = str(talk_ms // 1000)
        return self._call.fetch(verb.action, verb.method, more)

    def _gather(self, verb: Gather) -> Document | None:
        """`<Gather>` of keys. Speech is not recognised here: a Gather of speech hears nothing."""
        with self._verb("Gather", verb.action):
            digits = self._call.keypad.gather(verb, self._prompt)
        if not digits and not verb.action_on_empty_result:
            return None
        return self._call.fetch(verb.action or self._call.document_url, verb.method, {"Digits": digits})

    def _prompt(self, verb: Verb) -> None:
        """A Say, Play or Pause inside a Gather."""
        self._perform[type(verb)](verb)
