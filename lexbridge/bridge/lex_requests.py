"""A call's turns at Lex: each asked, and its answer heard, on a greenlet of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import gevent

from lexbridge.call.actions import BeginDialog, OpenUtterance, SendKeys
from lexbridge.errors import LexError, LexRejected, LexUnavailable, LexUnreadable
from lexbridge.lex.model import Message, Reply
from lexbridge.lex.runtime import LexRequest, LexRuntime
from lexbridge.lex.speech import Speech
from lexbridge.lex.utterance import Utterance
from lexbridge.logs import Log

MAX_NAMED = 10
"""Of the parts of one answer that are odd, and of its payloads that say nothing, so many are in the log."""


@dataclass(frozen=True, slots=True)
class LexReplied:
    """The answer to a turn. `speaks`: its audio follows."""

    turn: int
    reply: Reply
    speaks: bool


@dataclass(frozen=True, slots=True)
class LexSpoke:
    """More of the reply's audio, mu-law; b"" when that was all."""

    turn: int
    mulaw: bytes


@dataclass(frozen=True, slots=True)
class LexSpeechFailed:
    """The end of a reply's audio before all of it came."""

    turn: int


@dataclass(frozen=True, slots=True)
class LexFailed:
    """A turn that Lex did not answer, for good."""

    turn: int
    error: LexError


@dataclass(frozen=True, slots=True)
class SessionFetched:
    """What the bot said last; None: there is no session."""

    reply: Reply | None


@dataclass(frozen=True, slots=True)
class SessionFetchFailed:
    """Nobody knows."""


FromLex = LexReplied | LexSpoke | LexSpeechFailed | LexFailed | SessionFetched | SessionFetchFailed


class LexRequests:
    """What a call asks of Lex. Only the greenlet that owns it calls it, and none of it blocks."""

    def __init__(self, lex: LexRuntime, tell: Callable[[FromLex], object]) -> None:
        """`tell`: whom to tell what came of it; it may block."""
        self._lex = lex
        self._tell = tell
        self._utterances: dict[int, Utterance] = {}
        self._asking: dict[int, gevent.Greenlet[..., None]] = {}
        self._recalling: gevent.Greenlet[[str], None] | None = None
        self.log = Log()

    def open(self, action: OpenUtterance | SendKeys | BeginDialog) -> None:
        """A turn goes to Lex."""
        utterance = Utterance(action.keys if isinstance(action, SendKeys) else None)
        intent = action.intent if isinstance(action, BeginDialog) else None
        if intent is not None:
            utterance.close()
        request = LexRequest(action.session_id, action.session_attributes, utterance, intent)
        if isinstance(action, OpenUtterance):
            request = replace(request, checkpoint=action.checkpoint, waited_s=action.waited_ms / 1000)
        self._utterances[action.turn] = utterance
        self._asking[action.turn] = gevent.spawn(self._ask, action.turn, request)

    def append(self, turn: int, pcm: bytes) -> None:
        """More of what the caller says."""
        self._utterances[turn].append(pcm)

    def close(self, turn: int) -> None:
        """The caller has said it all."""
        self._utterances[turn].close()

    def voice(self, turn: int, messages: Sequence[Message]) -> None:
        """Lex is to say `messages` aloud. Its voice is told like that of a reply to `turn`, which nobody else has."""
        self._asking[turn] = gevent.spawn(self._voice, turn, messages)

    def cancel(self, turn: int) -> None:
        """Its answer, or the voice that was asked for, is not wanted any more."""
        self._utterances.pop(turn, None)
        if turn in self._asking:  # the last of its audio may be on its way to us
            self._asking.pop(turn).kill(block=False)

    def forget(self, turn: int) -> None:
        """All of its answer has been taken."""
        self._utterances.pop(turn, None)
        self._asking.pop(turn, None)

    def recall(self, session_id: str) -> None:
        """Lex is asked where the dialog stands."""
        self._recalling = gevent.spawn(self._recall, session_id)

    def drop(self) -> None:
        """The call is over, or somebody else's."""
        for asking in self._asking.values():  # alive only after a bug: nobody else would end them
            asking.kill(block=False)
        if self._recalling is not None:
            self._recalling.kill(block=False)

    def _ask(self, turn: int, request: LexRequest) -> None:
        """A greenlet each request: the turn to Lex, and what comes of it told."""
        log = self.log.bind(turn=turn)
        try:
            answer = self._lex.ask(request, log)
        except LexError as error:
            if isinstance(error, LexRejected):
                log.error("lex-rejected", error=str(error))
            if isinstance(error, LexUnreadable):
                log.warning("lex-answer-unreadable", error=str(error))
            self._tell(LexFailed(turn, error))
        except Exception as error:
            log.exception("lex-request-broken")
            self._tell(LexFailed(turn, LexUnavailable(type(error).__name__)))
        else:
            _note_what_is_left_out(answer.reply, log)
            if answer.speech is None:
                self._tell(LexReplied(turn, answer.reply, speaks=False))
            else:
                self._hear(turn, answer.reply, answer.speech, log)

    def _hear(self, turn: int, reply: Reply, speech: Speech, log: Log) -> None:
        """Lex's reply is told, and its voice as it comes."""
        result: FromLex = LexSpeechFailed(turn)
        try:
            self._tell(LexReplied(turn, reply, speaks=True))
            if speech.audio.is_rate_assumed:
                log.write("debug", "audio-rate-assumed", {"rate_hz": speech.audio.rate_hz})
            self._read(turn, speech)
            if speech.is_cut:
                log.warning("lex-audio-failed", error="its audio does not end: cut off")
            result = LexSpoke(turn, b"")
        except LexError as error:
            log.warning("lex-audio-failed", error=str(error))
        except Exception:
            log.exception("lex-audio-broken")
        finally:
            speech.close()
        self._tell(result)

    def _read(self, turn: int, speech: Speech) -> int:
        """Tells the voice as it comes. Returns how much there was, bytes. Raises LexUnavailable."""
        told = 0
        while mulaw := speech.read():
            told += len(mulaw)
            self._tell(LexSpoke(turn, mulaw))
            gevent.sleep(0)  # audio that has arrived is read without waiting: this call and others go on between
        return told

    def _voice(self, turn: int, messages: Sequence[Message]) -> None:
        """A greenlet: the words in Lex's voice, one message after the other, told as they come."""
        result: FromLex = LexSpeechFailed(turn)
        try:
            for message in messages:
                speech = self._lex.speak(message)
                try:
                    if not self._read(turn, speech):
                        raise LexUnavailable("its answer has no audio")
                finally:
                    speech.close()
            result = LexSpoke(turn, b"")
        except LexError as error:
            self.log.warning("words-not-voiced", error=str(error), check="lex:PutSession")
        except Exception:
            self.log.exception("voice-broken")
        self._tell(result)

    def _recall(self, session_id: str) -> None:
        """A greenlet: where the dialog stands is told."""
        result: FromLex = SessionFetchFailed()
        try:
            reply = self._lex.fetch_session(session_id)
            if reply is not None:
                _note_what_is_left_out(reply, self.log)
            result = SessionFetched(reply)
        except LexError as error:
            self.log.warning("session-not-recalled", error=str(error))
        except Exception:
            self.log.exception("recall-broken")
        self._tell(result)


def _note_what_is_left_out(reply: Reply, log: Log) -> None:
    """Logs which parts of an answer were of no use: their names, and nothing of what is in them."""
    if reply.odd_parts:
        log.warning("lex-answer-odd", parts=list(reply.odd_parts[:MAX_NAMED]))
    for keys in reply.unspoken_payloads[:MAX_NAMED]:
        log.warning("payload-not-spoken", keys=list(keys))
