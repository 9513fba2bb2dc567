"""A bot asked through boto3, of either generation: deadlines, one retry, the breaker, errors as ours.

botocore's own retries are off: it cannot rewind a live body. The retry is ours, from the bytes that `Utterance` keeps.
"""

import math
import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self, TypeVar

import gevent

from lexbridge.errors import LexError, LexRejected, LexUnavailable, LexUnreadable, NotPutBack
from lexbridge.lex.circuit_breaker import Breakers
from lexbridge.lex.faults import FAILURES, as_ours, is_crowded, is_forbidden, is_unknown, readable, tells_lex_is_up
from lexbridge.lex.model import Checkpoint, DialogState, Message, Reply
from lexbridge.lex.runtime import PCM, TEXT, Answer, Deadlines, Question, Speech, Utterance, UtteranceStream
from lexbridge.logs import Log
from lexbridge.net.capped_http import is_encoded

_Result = TypeVar("_Result")

_DRAINED_BYTES = 64 * 1024
"""Of the body of an answer without a voice, which is empty: then its connection can serve the next request."""

_DRAINED_WITHIN_S = 0.2
"""The caller waits for it, and a new connection takes no longer."""

_RETRY_WITHIN = 0.75
"""A request that has failed in this share of the time for an answer is sent again: there is time for it."""

# Before the second request; longer where Lex is crowded. Random, so that calls that failed together spread out.
_PAUSE_S = (0.05, 0.15)
_CROWDED_PAUSE_S = (0.3, 0.9)

FORBIDDEN_FOR_S = 60.0
"""So long after AWS has forbidden PutSession nobody waits for it to be forbidden again."""


class _NotAskedError(LexUnavailable):
    """The breaker is open. It says nothing new of Lex: counted as a failure it would keep the breaker open for good."""


class LexApi(Protocol):
    """A bot of one generation of Lex: its requests, and its answers as ours. Raises what boto3 raises."""

    settings: str
    """What to look at when Lex rejects a request."""

    @property
    def endpoint_url(self) -> str:
        """Where its Lex is."""
        ...

    @property
    def alias(self) -> str:
        """Which bot it is, in which version and language: for a log line, and to tell it from others."""
        ...

    def ask(self, question: Question, body: Any, accept: str) -> Mapping[str, Any]:
        """The turn, with `body` for its utterance. `accept`: TEXT or PCM."""
        ...

    def reply(self, response: Mapping[str, Any]) -> Reply:
        """What `ask` returned, but for the voice. Raises LexUnreadable."""
        ...

    def session(self, session_id: str) -> Reply:
        """What the bot said last, and where the dialog stands."""
        ...

    def put(self, session_id: str, checkpoint: Checkpoint) -> Mapping[str, Any]:
        """The session becomes what it was at `checkpoint`."""
        ...

    def speak(self, session_id: str, message: Message) -> Mapping[str, Any]:
        """The bot says `message`."""
        ...


class _Deadline:
    """Throws `timeout` into the greenlet that made it, `seconds` after an utterance's end.

    It runs whether or not a request ever came to read that end: names may not resolve, addresses may not answer.
    Timeout.start() would throw at whoever ends the utterance.
    """

    def __init__(self, utterance: Utterance, seconds: float) -> None:
        self.timeout = gevent.Timeout(seconds)
        self.ended_s = math.inf
        """When the utterance ended, monotonic."""
        self._seconds = seconds
        self._utterance = utterance
        self._asking = gevent.getcurrent()
        self._timer = gevent.get_hub().loop.timer(seconds)

    def __enter__(self) -> Self:
        self._utterance.call_at_end(self._start)
        return self

    def __exit__(self, *_: object) -> None:
        self._utterance.call_at_end(lambda: None)
        self._timer.stop()
        self._timer.close()
        self.timeout.close()

    @property
    def is_near(self) -> bool:
        """It is too late for another request."""
        return time.monotonic() > self.ended_s + _RETRY_WITHIN * self._seconds

    def _start(self) -> None:
        self.ended_s = time.monotonic()
        self._timer.start(self._asking.throw, self.timeout)


class LexClient:
    """A LexRuntime: each request twice at most, within its deadline, errors as ours."""

    def __init__(
        self, api: LexApi, deadlines: Deadlines, speaks: bool = False, breakers: Breakers | None = None
    ) -> None:
        """`speaks`: replies are asked for as audio. `breakers`: those of the process, where it has several clients."""
        self._api = api
        self._deadlines = deadlines
        self._accept = PCM if speaks else TEXT
        self._breaker = (breakers or Breakers(time.monotonic)).of((api.alias, api.endpoint_url))
        self._may_put_back = True  # until AWS says that this process may not
        self._may_voice_at_s = -math.inf  # monotonic

    def ask(self, question: Question, log: Log) -> Answer:
        """See LexRuntime."""
        try:
            answer = self._ask(question, log)
        except (LexUnavailable, LexRejected, LexUnreadable) as error:
            self._learn_from(error, log)
            raise
        self._is_up(log)
        return answer

    def _learn_from(self, error: LexError, log: Log) -> None:
        """Tells the breaker what a turn without a good answer says of Lex."""
        is_up = None if isinstance(error, _NotAskedError) else tells_lex_is_up(error)
        if is_up:
            self._is_up(log)
        elif is_up is False and self._breaker.failed():
            log.error("lex-down", error=str(error), bot=self._api.alias)

    def _is_up(self, log: Log) -> None:
        if self._breaker.succeeded():
            log.warning("lex-up", bot=self._api.alias)

    @property
    def endpoint_url(self) -> str:
        """Where its Lex is."""
        return self._api.endpoint_url

    def recall(self, session_id: str) -> Reply | None:
        """See LexRuntime."""
        if self._breaker.is_open:
            raise _NotAskedError("not asked: Lex has failed many times in a row")
        deadline = gevent.Timeout(self._deadlines.recall_s)
        deadline.start()
        try:
            return self._attempt(lambda: self._session(session_id), deadline)
        except LexRejected as error:
            if is_unknown(error):
                return None
            raise
        finally:
            deadline.close()

    def speak(self, text: str) -> bytes:
        """See LexRuntime."""
        deadline = gevent.Timeout(self._deadlines.answer_s)
        deadline.start()
        try:
            return self._attempt(lambda: self._spoken(text), deadline)
        finally:
            deadline.close()

    def voice(self, message: Message) -> Speech:
        """See LexRuntime."""
        if self._breaker.is_open:
            raise _NotAskedError("not asked: Lex has failed many times in a row")
        if time.monotonic() < self._may_voice_at_s:
            raise _NotAskedError("not asked: it was forbidden just now")
        deadline = gevent.Timeout(self._deadlines.recall_s)
        deadline.start()
        try:
            return self._attempt(lambda: self._voiced(message, self._deadlines.recall_s), deadline)
        except LexRejected as error:
            if is_forbidden(error):
                self._may_voice_at_s = time.monotonic() + FORBIDDEN_FOR_S
            raise
        finally:
            deadline.close()

    def _session(self, session_id: str) -> Reply:
        with readable():
            return self._api.session(session_id)

    def _spoken(self, text: str) -> bytes:
        speech = self._voiced(Message(text), self._deadlines.answer_s)
        try:
            audio = b"".join(iter(speech.read, b""))
        finally:
            speech.close()
        if speech.is_cut:
            raise LexUnavailable("its audio does not end")
        return audio

    def _voiced(self, message: Message, within_s: float) -> Speech:
        """`within_s`: for it to begin, and for each piece."""
        asked_s = time.monotonic()
        with readable():
            response = self._api.speak(f"lexbridge-{uuid.uuid4()}", message)
        stream = response["audioStream"]
        try:
            return Speech(stream, _kind_of_audio(response), within_s, asked_s)
        except LexUnavailable:
            stream.close()
            raise

    def _ask(self, question: Question, log: Log) -> Answer:
        """The request, live if it can be; and once more if that fails while there is time."""
        utterance = question.utterance
        with _Deadline(utterance, self._deadlines.answer_s - question.waited_s) as deadline:
            try:
                if question.checkpoint is not None:
                    self._put_back(question.session_id, question.checkpoint, deadline, log)
                crowded = False
                if self._breaker.may_ask():
                    try:
                        live = utterance.whole() if utterance.is_complete else UtteranceStream(utterance)
                        return self._attempt(lambda: self._answer(question, live, deadline, log), deadline.timeout)
                    except LexUnavailable as error:
                        log.warning("lex-request-failed", error=str(error), attempt=1)
                        if deadline.is_near:
                            raise
                        if tells_lex_is_up(error):  # else a breaker that tries for all would not let it be asked again
                            self._is_up(log)
                        crowded = is_crowded(error)
                # Whole and not live: against a Lex that refuses early, a live upload only shows a broken connection,
                # while one with a known length lets its answer be read.
                kept = utterance.whole()
                gevent.sleep(random.uniform(*(_CROWDED_PAUSE_S if crowded else _PAUSE_S)))
                if not self._breaker.may_ask():
                    raise _NotAskedError("not asked: Lex has failed many times in a row")
                try:
                    return self._attempt(
                        lambda: self._answer(question, kept, deadline, log), deadline.timeout, is_last=True
                    )
                except LexUnavailable as error:
                    log.warning("lex-request-failed", error=str(error), attempt=2)
                    raise
            except gevent.Timeout as timeout:  # between two requests
                if timeout is not deadline.timeout:
                    raise
                raise LexUnavailable(f"no answer within {self._deadlines.answer_s:g} s") from None

    def _put_back(self, session_id: str, checkpoint: Checkpoint, answer_by: _Deadline, log: Log) -> None:
        """The session as it was at `checkpoint`. Raises NotPutBack."""
        if self._breaker.is_open or not self._may_put_back:
            raise NotPutBack("not tried")
        deadline = gevent.Timeout(self._deadlines.recall_s)
        deadline.start()
        try:
            self._attempt(lambda: self._put(session_id, checkpoint), deadline)
        except LexRejected as error:
            self._may_put_back = not is_forbidden(error)
            log.error("session-not-put-back", error=str(error))
            raise NotPutBack(str(error)) from error
        except (LexUnavailable, LexUnreadable) as error:
            log.warning("session-not-put-back", error=str(error))
            raise NotPutBack(str(error)) from error
        except gevent.Timeout as timeout:
            if timeout is not answer_by.timeout:
                raise
            raise NotPutBack("the turn's own time is over") from None
        finally:
            deadline.close()

    def _put(self, session_id: str, checkpoint: Checkpoint) -> None:
        with readable():
            response = self._api.put(session_id, checkpoint)
        _drain(response["audioStream"])

    def _answer(self, question: Question, body: Any, deadline: _Deadline, log: Log) -> Answer:
        """One request and its answer, without the voice: that is still to come."""
        with readable():
            response = self._api.ask(question, body, self._accept)
        # From here on Lex has taken the turn: asked again it would take it twice.
        stream = response.get("audioStream")
        unreadable: LexUnreadable | None = None
        try:
            reply = self._api.reply(response)
        except LexUnreadable as error:
            reply, unreadable = Reply(DialogState.ELICIT_INTENT, odd_parts=error.parts), error
        speech = None
        if stream is not None and self._accept == TEXT:
            _drain(stream, deadline.timeout)
        elif stream is not None:
            is_voiced = any(not message.is_unvoiced for message in reply.messages)
            speech = self._speech_of(response, stream, deadline, log, is_voiced=is_voiced)
        if unreadable is not None and (speech is None or not speech.begins()):
            if speech is not None:
                speech.close()
            raise unreadable
        return Answer(reply, speech)

    def _speech_of(
        self, response: Mapping[str, Any], stream: Any, deadline: _Deadline, log: Log, *, is_voiced: bool
    ) -> Speech | None:
        """The voice of an answer; None: it cannot be played, and Twilio can say the words."""
        try:
            return Speech(stream, _kind_of_audio(response), self._deadlines.answer_s, deadline.ended_s)
        except LexUnavailable as error:
            stream.close()
            if is_voiced:  # else there is nothing to be spoken, of whatever type
                log.error("lex-audio-failed", error=str(error))
            return None

    def _attempt(self, request: Callable[[], _Result], deadline: gevent.Timeout, is_last: bool = False) -> _Result:
        """One request, its errors as ours. `is_last`: there will be no other."""
        try:
            return request()
        except gevent.Timeout as timeout:
            if timeout is not deadline:
                raise
            raise LexUnavailable(f"no answer within {deadline.seconds:g} s") from None
        except FAILURES as error:
            raise as_ours(error, self._api.settings, is_last) from error


def _drain(stream: Any, deadline: gevent.Timeout | None = None) -> None:
    """Reads what is left of a body to its end; gives it up with its connection if that does not come soon. Whatever is
    wrong with it, nobody wanted it. `deadline`: of the turn, whose answer is here."""
    left_bytes = _DRAINED_BYTES
    late = gevent.Timeout(_DRAINED_WITHIN_S)
    try:
        with late:
            while left_bytes > 0 and (received := stream.read(left_bytes)):
                left_bytes -= len(received)
    except gevent.Timeout as timeout:
        if timeout not in (late, deadline):
            raise
        left_bytes = 0
    except FAILURES:
        left_bytes = 0
    if left_bytes <= 0:
        stream.close()


def _kind_of_audio(response: Mapping[str, Any]) -> str:
    """The content type of an answer's audio. Raises LexUnavailable if the audio is compressed: nobody asked for that,
    and played as it is it would be noise."""
    if is_encoded(response.get("ResponseMetadata", {}).get("HTTPHeaders", {})):
        raise LexUnavailable("Lex's audio has a Content-Encoding")
    return str(response.get("contentType", ""))
