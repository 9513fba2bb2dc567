"""A call's requests to Lex, each on a greenlet of its own that also reads the answer."""

import time
from collections.abc import Callable, Sequence

import gevent

from lexbridge.call.actions import BeginDialog, OpenUtterance, SendKeys
from lexbridge.call.events import (
    AttributesFetched,
    CallEvent,
    LexEvent,
    LexFailed,
    LexReplied,
    LexSpeechEnded,
    LexSpeechFailed,
    LexSpoke,
    SessionFetched,
    SessionFetchFailed,
)
from lexbridge.errors import LexError, LexRejected, LexUnavailable, LexUnreadable
from lexbridge.lex.model import Message, Reply
from lexbridge.lex.runtime import LexRequest, LexRuntime
from lexbridge.lex.speech import Speech
from lexbridge.lex.utterance import Utterance
from lexbridge.logs import Log

MAX_NAMED = 10
"""The most parts of an answer, and the most payloads, whose names are logged, because one log line has limited room."""


class LexRequests:
    """The requests of one call to Lex. Only the call's own greenlet uses it, and none of its methods blocks."""

    __slots__ = ("_fetching", "_greenlets", "_lex", "_post", "_utterances", "log")

    def __init__(self, lex: LexRuntime, post: Callable[[LexEvent], object]) -> None:
        """`post`: takes what comes of a request. It may block."""
        self._lex = lex
        self._post = post
        self._utterances: dict[int, Utterance] = {}
        self._greenlets: dict[int, gevent.Greenlet[..., None]] = {}
        self._fetching: gevent.Greenlet[..., None] | None = None
        self.log = Log()

    def open(self, action: OpenUtterance | SendKeys | BeginDialog) -> None:
        """Start the request of a turn."""
        request = _make_request(action)
        self._utterances[action.turn] = request.utterance
        self._greenlets[action.turn] = gevent.spawn(self._ask, action.turn, request)

    def flush(self, turn: int) -> None:
        """Send what the caller has said since the last time."""
        self._utterances[turn].flush()

    def close(self, turn: int) -> None:
        """End the utterance: the caller has said everything."""
        self._utterances[turn].close()

    def speak(self, turn: int, messages: Sequence[Message]) -> None:
        """Request `messages` in Lex's voice. It is posted as that of a reply to `turn`, which no other request has."""
        self._greenlets[turn] = gevent.spawn(self._speak, turn, messages)

    def cancel(self, turn: int) -> None:
        """Break off a request whose answer or audio is not needed any more."""
        self._utterances.pop(turn, None)
        if turn in self._greenlets:  # the last of its audio may wait in the inbox
            self._greenlets.pop(turn).kill(block=False)

    def forget_finished(self, event: CallEvent) -> None:
        """Drop the request whose answer is complete with `event`, if it is one of Lex's."""
        match event:
            case LexReplied(speaks=False) | LexFailed() | LexSpeechEnded() | LexSpeechFailed():
                self._utterances.pop(event.turn, None)
                self._greenlets.pop(event.turn, None)

    def fetch_session(self, session_id: str) -> None:
        """Ask Lex for the position of the dialog."""
        self._fetching = gevent.spawn(self._fetch_session, session_id)

    def fetch_attributes(self, session_id: str, origin: LexRuntime | None) -> None:
        """Ask the bot that handed the call over for the attributes of the session. None: there is no such bot."""
        self._fetching = gevent.spawn(self._fetch_attributes, session_id, origin)

    def cancel_all(self) -> None:
        """Break off all requests, because the call is over, and post nothing more."""
        self._post = _ignore
        for greenlet in self._greenlets.values():  # any that are left after a bug would never end
            greenlet.kill(block=False)
        if self._fetching is not None:
            self._fetching.kill(block=False)

    # -- on greenlets of their own

    def _ask(self, turn: int, request: LexRequest) -> None:
        """Send a turn, and post its answer."""
        log = self.log.bind(turn=turn)
        try:
            response = self._lex.ask(request, log)
        except LexError as error:
            if isinstance(error, LexRejected):
                log.error("lex-rejected", error=str(error))
            if isinstance(error, LexUnreadable):
                log.warning("lex-answer-unreadable", error=str(error))
            self._post(LexFailed(turn, error))
        except Exception as error:
            log.exception("lex-request-broken")
            self._post(LexFailed(turn, LexUnavailable(type(error).__name__)))
        else:
            answered_s = time.monotonic()
            _log_what_is_left_out(response.reply, log)
            if response.speech is None:
                self._post(LexReplied(turn, response.reply, speaks=False))
            else:
                self._post_spoken_reply(turn, response.reply, response.speech, log)
            _log_times(request.utterance.ended_s, answered_s, log)

    def _post_spoken_reply(self, turn: int, reply: Reply, speech: Speech, log: Log) -> None:
        """Post Lex's reply, and its voice while it arrives."""
        result: LexEvent = LexSpeechFailed(turn)
        try:
            self._post(LexReplied(turn, reply, speaks=True))
            if speech.audio.is_rate_assumed:
                log.write("debug", "audio-rate-assumed", {"rate_hz": speech.audio.rate_hz})
            self._post_speech(turn, speech)
            if speech.is_cut:
                log.warning("lex-audio-failed", error="its audio does not end: cut off")
            result = LexSpeechEnded(turn)
        except LexError as error:
            log.warning("lex-audio-failed", error=str(error))
        except Exception:
            log.exception("lex-audio-broken")
        finally:
            speech.close()
        self._post(result)

    def _post_speech(self, turn: int, speech: Speech) -> int:
        """Post a voice while it arrives. Return how many bytes there were. Raise LexUnavailable."""
        posted = 0
        while mulaw := speech.read():
            posted += len(mulaw)
            self._post(LexSpoke(turn, mulaw))
            gevent.sleep(0)  # audio that has arrived is read without waiting: other calls have their turn here
        return posted

    def _speak(self, turn: int, messages: Sequence[Message]) -> None:
        """Post the messages in Lex's voice, one after the other."""
        result: LexEvent = LexSpeechFailed(turn)
        try:
            for message in messages:
                speech = self._lex.speak(message)
                try:
                    if not self._post_speech(turn, speech):
                        raise LexUnavailable("its answer has no audio")
                finally:
                    speech.close()
            result = LexSpeechEnded(turn)
        except LexError as error:
            self.log.warning("words-not-voiced", error=str(error), check="lex:PutSession")
        except Exception:
            self.log.exception("voice-broken")
        self._post(result)

    def _fetch_session(self, session_id: str) -> None:
        """Post the position of the dialog."""
        result: LexEvent = SessionFetchFailed()
        try:
            reply = self._lex.fetch_session(session_id)
            if reply is not None:
                _log_what_is_left_out(reply, self.log)
            result = SessionFetched(reply)
        except LexError as error:
            self.log.warning("session-not-recalled", error=str(error))
        except Exception:
            self.log.exception("recall-broken")
        self._post(result)

    def _fetch_attributes(self, session_id: str, origin: LexRuntime | None) -> None:
        """Post the attributes of the session with the bot that handed the call over."""
        attributes, error = None, "that bot is not in the table"
        try:
            if origin is not None:
                reply = origin.fetch_session(session_id)
                attributes, error = (None, "it has no session") if reply is None else (reply.session_attributes, "")
        except LexError as fault:
            error = str(fault)
        except Exception:
            error = "a bug"
            self.log.exception("recall-broken")
        if attributes is None:
            self.log.warning("attributes-not-carried", error=error, check="lex:GetSession")
        self._post(AttributesFetched(attributes))


def _ignore(_: LexEvent) -> None:
    pass


def _make_request(action: OpenUtterance | SendKeys | BeginDialog) -> LexRequest:
    head = action.session_id, action.session_attributes
    match action:
        case OpenUtterance():
            spoken = Utterance(action.audio)
            return LexRequest(*head, spoken, checkpoint=action.checkpoint, waited_s=action.waited_ms / 1000)
        case SendKeys():
            return LexRequest(*head, Utterance(action.keys))
        case BeginDialog():
            return LexRequest(*head, Utterance(""), action.intent)


def _log_times(said_s: float, answered_s: float, log: Log) -> None:
    """Log how long Lex took from `said_s`, the end of the utterance, to the head of its answer and to its end, now.

    Both are 0 if Lex has answered before the caller had finished.
    """
    now_s = time.monotonic()
    first_byte_ms, total_ms = (max(0, round((at_s - min(said_s, now_s)) * 1000)) for at_s in (answered_s, now_s))
    log.write("debug", "lex-timed", {"first_byte_ms": first_byte_ms, "total_ms": total_ms})


def _log_what_is_left_out(reply: Reply, log: Log) -> None:
    """Log the names of the parts of an answer that are not used, without their content."""
    if reply.odd_parts:
        log.warning("lex-answer-odd", parts=list(reply.odd_parts[:MAX_NAMED]))
    for names in reply.unspoken_payloads[:MAX_NAMED]:
        log.warning("payload-not-spoken", keys=list(names))
