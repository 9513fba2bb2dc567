"""A Lex bot of either generation, asked through boto3: deadlines, one retry, the circuit breaker, translated errors.

botocore's own retries are switched off, because it cannot send a live body twice. The retry here sends the bytes that
`Utterance` has kept.
"""

import math
import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import gevent

from lexbridge.errors import LexError, LexRejected, LexUnavailable, LexUnreadable, SessionNotRestored
from lexbridge.lex.api import LexApi
from lexbridge.lex.circuit_breaker import Breakers
from lexbridge.lex.content_types import PCM, TEXT
from lexbridge.lex.deadline import TurnDeadline
from lexbridge.lex.faults import (
    BOTO_ERRORS,
    is_forbidden,
    is_not_found,
    is_throttled,
    parser_errors_only,
    shows_lex_is_up,
    translate_error,
)
from lexbridge.lex.model import Checkpoint, DialogState, Message, Reply
from lexbridge.lex.request_queue import NotSentError, RequestQueue
from lexbridge.lex.response_body import audio_type, drain
from lexbridge.lex.runtime import Deadlines, LexRequest, LexResponse, LexRuntime
from lexbridge.lex.speech import Speech
from lexbridge.lex.utterance import UtteranceStream
from lexbridge.logs import Log

_Result = TypeVar("_Result")

# The pause before the second request, in seconds: longer if Lex throttles. It is random, so that the retries of calls
# that failed at the same time spread out.
_PAUSE_S = (0.05, 0.15)
_THROTTLED_PAUSE_S = (0.3, 0.9)

FORBIDDEN_FOR_S = 60.0
"""The time without PutSession after AWS has forbidden it, in seconds, because callers would wait for a refusal."""

_LEX_IS_DOWN = "not asked: Lex has failed many times in a row"


class LexClient(LexRuntime):
    """A LexRuntime over boto3: it sends a turn twice at most, within the turn's deadline."""

    def __init__(
        self,
        api: LexApi,
        deadlines: Deadlines,
        speaks: bool = False,
        breakers: Breakers | None = None,
        queue: RequestQueue | None = None,
    ) -> None:
        """`speaks`: whether replies are asked for as audio. `breakers`: those of the process, if it has several
        clients. `queue`: that of the line, if it has a limit of requests."""
        self._api = api
        self._deadlines = deadlines
        self._accept = PCM if speaks else TEXT
        self._breaker = (breakers or Breakers(time.monotonic)).for_bot((api.alias, api.endpoint_url))
        self._queue = queue or RequestQueue()
        self._may_restore = True  # until AWS says that this process may not
        self._may_speak_at_s = -math.inf  # monotonic

    @property
    def endpoint_url(self) -> str:
        """The address of Lex."""
        return self._api.endpoint_url

    def ask(self, request: LexRequest, log: Log) -> LexResponse:
        try:
            response = self._send_with_retry(request, log)
        except (LexUnavailable, LexRejected, LexUnreadable) as error:
            self._record_failure(error, log)
            raise
        self._record_success(log)
        return response

    def fetch_session(self, session_id: str) -> Reply | None:
        if self._breaker.is_open:
            raise NotSentError(_LEX_IS_DOWN)
        deadline = gevent.Timeout(self._deadlines.session_s)
        deadline.start()
        try:
            with self._queue.place(deadline):
                return self._translating(lambda: self._get_session(session_id), deadline)
        except LexRejected as error:
            if is_not_found(error):
                return None
            raise
        finally:
            deadline.close()

    def speak(self, message: Message) -> Speech:
        if self._breaker.is_open:
            raise NotSentError(_LEX_IS_DOWN)
        if time.monotonic() < self._may_speak_at_s:
            raise NotSentError("not asked: it was forbidden just now")
        deadline = gevent.Timeout(self._deadlines.session_s)
        deadline.start()
        try:
            with self._queue.place(deadline):
                return self._translating(lambda: self._start_speech(message, self._deadlines.session_s), deadline)
        except LexRejected as error:
            if is_forbidden(error):
                self._may_speak_at_s = time.monotonic() + FORBIDDEN_FOR_S
            raise
        finally:
            deadline.close()

    def synthesize(self, text: str) -> bytes:
        deadline = gevent.Timeout(self._deadlines.answer_s)
        deadline.start()
        try:
            with self._queue.place(deadline):
                return self._translating(lambda: self._read_speech(text), deadline)
        finally:
            deadline.close()

    # -- the circuit breaker

    def _record_failure(self, error: LexError, log: Log) -> None:
        """Tell the breaker what the failure of a turn shows of Lex."""
        is_up = None if isinstance(error, NotSentError) else shows_lex_is_up(error)
        if is_up:
            self._record_success(log)
        elif is_up is False and self._breaker.record_failure():
            log.error("lex-down", error=str(error), bot=self._api.alias)

    def _record_success(self, log: Log) -> None:
        if self._breaker.record_success():
            log.warning("lex-up", bot=self._api.alias)

    # -- turns

    def _send_with_retry(self, request: LexRequest, log: Log) -> LexResponse:
        """Send a turn when the line's requests leave room for it, live if it can be, and once more if that fails."""
        with TurnDeadline(request.utterance, self._deadlines.answer_s - request.waited_s) as deadline:
            try:
                with self._queue.place(deadline.timeout, log):
                    if request.checkpoint is not None:
                        self._restore_session(request.session_id, request.checkpoint, deadline, log)
                    return self._send_twice(request, deadline, log)
            except gevent.Timeout as timeout:  # between two requests
                if timeout is not deadline.timeout:
                    raise
                raise LexUnavailable(f"no answer within {self._deadlines.answer_s:g} s") from None

    def _send_twice(self, request: LexRequest, deadline: TurnDeadline, log: Log) -> LexResponse:
        """Send a turn, live if it can be, and once more if that fails while there is time."""
        utterance = request.utterance
        is_lex_throttling = False
        if self._breaker.allow_request():
            try:
                live = utterance.read_all() if utterance.is_complete else UtteranceStream(utterance)
                return self._translating(lambda: self._send(request, live, deadline, log), deadline.timeout)
            except LexUnavailable as error:
                log.warning("lex-request-failed", error=str(error), attempt=1)
                if deadline.is_near:
                    raise
                if shows_lex_is_up(error):  # else a half-open breaker would not allow the second request
                    self._record_success(log)
                is_lex_throttling = is_throttled(error)
        # The second request is sent with its length, not live: if Lex refuses a live upload early, its answer is lost
        # in a broken connection.
        whole = utterance.read_all()
        gevent.sleep(random.uniform(*(_THROTTLED_PAUSE_S if is_lex_throttling else _PAUSE_S)))
        if not self._breaker.allow_request():
            raise NotSentError(_LEX_IS_DOWN)
        try:
            return self._translating(lambda: self._send(request, whole, deadline, log), deadline.timeout, is_last=True)
        except LexUnavailable as error:
            log.warning("lex-request-failed", error=str(error), attempt=2)
            raise

    def _send(self, request: LexRequest, body: Any, deadline: TurnDeadline, log: Log) -> LexResponse:
        """Send one request and read its answer, but for the audio, which is still to come."""
        with parser_errors_only():
            response = self._request_turn(request, body)
        # From here on Lex has taken the turn. It must not be sent again: Lex would take it twice.
        stream = response.get("audioStream")
        unreadable: LexUnreadable | None = None
        try:
            reply = self._api.read_reply(response)
        except LexUnreadable as error:
            reply, unreadable = Reply(DialogState.ELICIT_INTENT, odd_parts=error.parts), error
        speech = None
        if stream is not None and self._accept == TEXT:
            drain(stream, deadline.timeout)
        elif stream is not None:
            is_voiced = any(not message.is_unvoiced for message in reply.messages)
            speech = self._speech_of(response, stream, deadline, log, is_voiced=is_voiced)
        if unreadable is not None and (speech is None or not speech.has_audio()):
            if speech is not None:
                speech.close()
            raise unreadable
        return LexResponse(reply, speech)

    def _request_turn(self, request: LexRequest, body: Any) -> Mapping[str, Any]:
        session = request.session_id, request.session_attributes
        if request.intent is not None:
            return self._api.begin_intent(*session, request.intent, self._accept)
        return self._api.send_input(*session, request.utterance.content_type, body, self._accept)

    def _speech_of(
        self, response: Mapping[str, Any], stream: Any, deadline: TurnDeadline, log: Log, *, is_voiced: bool
    ) -> Speech | None:
        """Return the audio of an answer, or None if it cannot be played: then Twilio says the words.

        `is_voiced`: whether the answer has words that Lex speaks.
        """
        try:
            return Speech(stream, audio_type(response), self._deadlines.answer_s, deadline.ended_s)
        except LexUnavailable as error:
            stream.close()
            if is_voiced:  # else the type of the empty audio does not matter
                log.error("lex-audio-failed", error=str(error))
            return None

    # -- sessions

    def _get_session(self, session_id: str) -> Reply:
        with parser_errors_only():
            return self._api.get_session(session_id)

    def _restore_session(self, session_id: str, checkpoint: Checkpoint, turn_deadline: TurnDeadline, log: Log) -> None:
        """Put the session back to `checkpoint`. Raise SessionNotRestored."""
        if self._breaker.is_open or not self._may_restore:
            raise SessionNotRestored("not tried")
        deadline = gevent.Timeout(self._deadlines.session_s)
        deadline.start()
        try:
            self._translating(lambda: self._put_session(session_id, checkpoint), deadline)
        except LexRejected as error:
            self._may_restore = not is_forbidden(error)
            log.error("session-not-put-back", error=str(error))
            raise SessionNotRestored(str(error)) from error
        except (LexUnavailable, LexUnreadable) as error:
            log.warning("session-not-put-back", error=str(error))
            raise SessionNotRestored(str(error)) from error
        except gevent.Timeout as timeout:
            if timeout is not turn_deadline.timeout:
                raise
            raise SessionNotRestored("the turn's own time is over") from None
        finally:
            deadline.close()

    def _put_session(self, session_id: str, checkpoint: Checkpoint) -> None:
        with parser_errors_only():
            response = self._api.restore_session(session_id, checkpoint)
        drain(response["audioStream"])

    # -- speech without a turn

    def _read_speech(self, text: str) -> bytes:
        speech = self._start_speech(Message(text), self._deadlines.answer_s)
        try:
            audio = b"".join(iter(speech.read, b""))
        finally:
            speech.close()
        if speech.is_cut:
            raise LexUnavailable("its audio does not end")
        return audio

    def _start_speech(self, message: Message, within_s: float) -> Speech:
        """Make the bot say `message`. `within_s`: the time for the audio to begin, and for all of its pauses."""
        asked_s = time.monotonic()
        with parser_errors_only():
            response = self._api.speak(f"lexbridge-{uuid.uuid4()}", message)
        stream = response["audioStream"]
        try:
            return Speech(stream, audio_type(response), within_s, asked_s)
        except LexUnavailable:
            stream.close()
            raise

    def _translating(self, send: Callable[[], _Result], deadline: gevent.Timeout, is_last: bool = False) -> _Result:
        """Return the result of `send`, its errors translated to LexError. `is_last`: whether no retry follows."""
        try:
            return send()
        except gevent.Timeout as timeout:
            if timeout is not deadline:
                raise
            raise LexUnavailable(f"no answer within {deadline.seconds:g} s") from None
        except BOTO_ERRORS as error:
            raise translate_error(error, self._api.settings, is_last) from error
