"""Execution of a document's verbs on a live call.

One greenlet of the call runs the verbs. A REST update or a hang-up kills that greenlet, and a verb cleans up in its
`finally`. A stream outlives the document that started it, except the stream of `<Connect>`.
"""

import io
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lexbridge.audio.pcm import MULAW_SILENCE, RATE_HZ
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.executed_call import ExecutedCall, Network
from lexbridge.offline.twilio.telephone_audio import for_telephone, key_tone
from lexbridge.offline.twilio.verbs import (
    ConnectStream,
    Dial,
    Document,
    Enqueue,
    Gather,
    Hangup,
    Leave,
    Pause,
    Play,
    Redirect,
    Reject,
    Say,
    StartStream,
    StopStream,
    TwimlError,
    Verb,
)
from lexbridge.offline.twilio.webhooks import OverrideError

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


class LeftQueue(Exception):
    """The document that a caller hears in a queue said `<Leave>`."""


@dataclass(frozen=True, slots=True)
class Aside:
    """A kind of document that is executed beside the call's own. `refused`: Twilio's codes of verbs it may not have.

    name: how a complaint names it. `others`: the code of all verbs that are neither in `verbs` nor in `refused`.
    """

    name: str
    verbs: frozenset[type]
    refused: Mapping[type, int] = field(default_factory=dict)
    others: int = 12200  # [?] Twilio's code


WHISPER = Aside("a whisper", frozenset({Say, Play, Pause, Gather, Redirect, Hangup}), {Dial: 13201})
"""Document heard by a called party before the call is connected: /docs/voice/twiml/number#url, /errors/13201."""

WAITING = Aside("a waitUrl", frozenset({Say, Play, Pause, Gather, Redirect, Hangup, Leave}))
"""Document heard in a queue: /docs/voice/twiml/enqueue#waiturl."""

ANNOUNCEMENT = Aside("the url of a queue", frozenset({Say, Play, Pause, Redirect}))
"""Document heard by a queued caller before they are connected: /docs/voice/twiml/queue#url."""

CONFERENCE_MUSIC = Aside("a conference's waitUrl", frozenset({Say, Play, Pause, Redirect}), others=13238)
"""Document heard in a conference that has not started: /docs/voice/twiml/conference#waiturl, /errors/13238."""


class Execution:
    """The execution of documents on `call`, one after the other, until one ends the call.

    aside: the kind of the documents, if they are not the call's own.
    """

    def __init__(self, call: ExecutedCall, aside: Aside | None = None) -> None:
        self._call = call
        self._aside = aside
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
            Enqueue: self._enqueue,
            Leave: self._leave,
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
            self.apologise()
            self._call.end(EndReason.APPLICATION_ERROR, str(error))

    def run_aside(self, first: Callable[[], Document]) -> None:
        """Run the document that `first` returns, and those to which it leads, until one has no verb left.

        Raises CallOver for a `<Hangup>`, LeftQueue for a `<Leave>`, and TwimlError.
        """
        document: Document | None = first()
        while document is not None:
            document = self._document(document)

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
            if self._aside is not None and not self._takes(verb, self._aside):
                continue
            if not isinstance(verb, Reject) and not (isinstance(verb, Dial) and verb.answer_on_bridge):
                self._call.answer()
            following = self._perform[type(verb)](verb)
            if following is not None:
                return following
        self._call.answer()
        return None

    def _takes(self, verb: Verb, aside: Aside) -> bool:
        """Return whether a document of the kind `aside` may have `verb`. Complains if not."""
        kind = type(verb)
        if kind in aside.verbs:
            return True
        if kind in aside.refused:
            raise TwimlError(aside.refused[kind], f"<{kind.__name__}> may not stand in {aside.name}")
        self._call.complain(aside.others, f"<{kind.__name__}> may not stand in {aside.name}; it is left out")
        return False

    def apologise(self) -> None:
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
            self._call.media.start_stream(verb.stream)

    def _stop_stream(self, verb: StopStream) -> None:
        with self._verb("Stop", verb.name):
            if self._call.media.stop_stream(verb.name) is None:
                # [?] Twilio's code, and whether it says anything at all
                self._call.complain(12200, f"<Stop>: no stream of this call is named {verb.name!r}")

    def _connect_stream(self, verb: ConnectStream) -> Document | None:
        with self._verb("Connect", verb.stream.url):
            stream = self._call.media.connect_stream(verb.stream)
            if stream is not None:
                try:
                    stream.over.wait()  # until the bridge closes the socket, or loses it
                finally:
                    self._call.media.disconnect_stream(stream)
        return self._call.fetch(verb.action, verb.method) if verb.action else None

    def _dial(self, verb: Dial) -> Document | None:
        with self._verb("Dial", verb.addresses):
            told = self._network.dial(self._call, verb)
        return self._call.fetch(verb.action, verb.method, told) if verb.action else None

    def _enqueue(self, verb: Enqueue) -> Document | None:
        with self._verb("Enqueue", verb.name or verb.workflow_sid):
            told = self._network.enqueue(self._call, verb)
        return self._call.fetch(verb.action, verb.method, told) if verb.action else None

    def _leave(self, _: Leave) -> None:
        """`<Leave>`. Outside of a queue there is nothing to leave, and the document goes on."""
        with self._verb("Leave"):
            pass
        if self._aside is WAITING:
            raise LeftQueue

    @property
    def _network(self) -> Network:
        if self._call.network is None:
            raise AssertionError("this call has no network")
        return self._call.network

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
