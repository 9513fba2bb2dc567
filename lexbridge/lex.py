"""Utterances to Lex, by boto3: one live request an utterance, sent while the caller is still speaking.

boto3 takes any object with `read()` as a request's body and sends what it returns as HTTP chunks, unsigned payload,
on both generations. botocore's own retries are off: it cannot rewind such a body. The retry is ours, from the bytes
that `Utterance` keeps.
"""

import math
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self, TypeVar

import boto3
import botocore.session
import gevent
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from botocore.loaders import create_loader
from botocore.parsers import ResponseParserError
from gevent.event import Event

from lexbridge.audio import RATE_HZ
from lexbridge.aws_clock import follow_aws_clock, is_refused_for_its_time
from lexbridge.breaker import Breaker
from lexbridge.config import LexV1Bot, LexV2Bot, Settings
from lexbridge.dialog import (
    Checkpoint,
    Reply,
    pack,
    reply_from_post_content,
    reply_from_recognize_utterance,
    reply_from_v1_session,
    reply_from_v2_session,
)
from lexbridge.errors import ConfigError, LexError, LexRejected, LexUnavailable, NotPutBack, Problem
from lexbridge.logs import Log
from lexbridge.reply_audio import ReplyAudio

_Result = TypeVar("_Result")
_FIRST_BYTES, _READ_BYTES = 640, 1600
"""Of a reply's audio at a time: botocore waits until so many are there. The first are one frame, at 16 kHz."""

SPEECH = "audio/lpcm; sample-rate=8000; sample-size-bits=16; channel-count=1; is-big-endian=false"
TEXT = "text/plain; charset=utf-8"
PCM = "audio/pcm"
"""Content types of what Lex is sent, and of what it is asked for."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long Lex may take, seconds.

    `answer_s`: from the end of the utterance to the end of its answer, a second request included, whatever drips in
    between; where the session is put back first, that included. `recall_s`: for GetSession, and to put a session back.
    """

    connect_s: float = 2.0
    answer_s: float = 5.0
    recall_s: float = 1.5


_RETRY_WITHIN = 0.75
"""A request that has failed in this share of the time for an answer is sent again: there is time for it."""

# Before the second request; longer where Lex is crowded. Random, so that calls that failed together spread out.
_PAUSE_S = (0.05, 0.15)
_CROWDED_PAUSE_S = (0.3, 0.9)

# 4xx that another try, or another utterance, may well get past. The others mean that a setting is wrong.
_PASSING_STATUSES = (408, 409, 424, 429)
_CROWDED_STATUSES = (409, 429)
_EXPIRED_CODES = ("ExpiredToken", "ExpiredTokenException")
"""403s of credentials that are renewed by the next request."""


class Utterance:
    """What the caller says in one turn, PCM: appended to as they speak, read live by a request, and kept. Or keys that
    they pressed, as text: then it is complete from the start.

    One greenlet writes, others read; nothing here blocks the writer.
    """

    def __init__(self, keys: str | None = None) -> None:
        self.content_type = SPEECH if keys is None else TEXT
        self._audio = bytearray((keys or "").encode())
        self._is_complete = keys is not None
        self._more = Event()
        self._at_end: Callable[[], object] = _nothing

    def append(self, pcm: bytes) -> None:
        """More audio."""
        self._audio += pcm
        self._more.set()

    def close(self) -> None:
        """There is no more."""
        self._is_complete = True
        self._more.set()
        self._at_end()

    def call_at_end(self, at_end: Callable[[], object]) -> None:
        """`at_end` is called when the utterance is complete, at once if it is. It must not block."""
        self._at_end = at_end
        if self._is_complete:
            at_end()

    @property
    def is_complete(self) -> bool:
        """There is no more to come."""
        return self._is_complete

    def whole(self) -> bytes:
        """All of it; waits for its end."""
        while not self._is_complete:
            self._wait()
        return bytes(self._audio)

    def read_from(self, start: int, size: int) -> bytes:
        """At most `size` bytes from `start` on; waits until there are some. b"" only at the end."""
        while len(self._audio) <= start and not self._is_complete:
            self._wait()
        return bytes(self._audio[start : start + size])

    def _wait(self) -> None:
        self._more.clear()
        self._more.wait()


class UtteranceStream:
    """An utterance as the body of one HTTP request: `read()` returns what is there, and waits if nothing is."""

    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes (any number if negative); b"" at the end of the utterance."""
        pcm = self._utterance.read_from(self._position, size if size >= 0 else 1 << 30)
        self._position += len(pcm)
        return pcm


def _nothing() -> None:
    pass


class _NotAskedError(LexUnavailable):
    """The breaker is open. It says nothing new of Lex: counted as a failure it would keep the breaker open for good."""


@dataclass(frozen=True, slots=True)
class Question:
    """What Lex is asked in one turn. `session_attributes` replace the session's; None leaves them."""

    session_id: str
    session_attributes: Mapping[str, str] | None = field(repr=False)
    utterance: Utterance
    intent: str | None = None
    """The bot begins the dialog with it, and the utterance is of no account."""
    checkpoint: Checkpoint | None = field(default=None, repr=False)
    """Where the session is put back to first."""
    waited_s: float = 0.0
    """So long the answer is awaited already: that is less time for it."""


class Speech:
    """Lex's voice for a reply, as it comes. It is awaited little longer than it plays: a peer that drips is cut off."""

    def __init__(self, body: Any, content_type: str, answer_s: float, asked_s: float = math.inf) -> None:
        """`body`: boto3's StreamingBody. `asked_s`: since when it is awaited, monotonic, if that was before now.

        Raises LexUnavailable if `content_type` is no PCM.
        """
        self.audio = ReplyAudio(content_type)
        self._body = body
        self._answer_s = answer_s
        self._since_s = min(asked_s, time.monotonic())  # until it begins; then since when it plays
        self._played_s = 0.0
        self._is_over = False

    def read(self) -> bytes:
        """More of it: mu-law, whole frames; b"" at the end. Blocks the calling greenlet only.

        Raises LexUnavailable if it breaks off, does not begin within `answer_s`, or comes so slowly that it would have
        been silent for as long.
        """
        mulaw = b""
        while not mulaw and not self._is_over:
            late_s = time.monotonic() - self._since_s - self._played_s
            received = self._read(self._answer_s - late_s)
            self._is_over = not received
            mulaw = self.audio.push(received) if received else self.audio.flush()
        if not self._played_s:
            self._since_s = time.monotonic()
        self._played_s += len(mulaw) / RATE_HZ
        return mulaw

    def close(self) -> None:
        """What was not read is not wanted."""
        self._body.close()

    def _read(self, within_s: float) -> bytes:
        late = LexUnavailable("its audio does not come")
        try:
            with gevent.Timeout(max(0.001, within_s), late):
                return bytes(self._body.read(_READ_BYTES if self._played_s else _FIRST_BYTES))
        except (BotoCoreError, OSError) as error:
            raise LexUnavailable(f"its audio breaks off: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class Answer:
    """Lex's reply, and its voice if that was asked for."""

    reply: Reply
    speech: Speech | None = None


class LexRuntime(Protocol):
    """A bot that can be asked."""

    def ask(self, question: Question, log: Log) -> Answer:
        """Sends an utterance as it is spoken, or what else the turn is, and returns the bot's answer.

        Blocks the calling greenlet only. Raises LexUnavailable or LexRejected; NotPutBack, and asks nothing, if the
        session is to be put back before and that fails.
        """
        ...

    def recall(self, session_id: str) -> Reply | None:
        """What the bot said last in this session, with the state of its dialog; None if there is no such session.

        Blocks the calling greenlet only. Raises LexUnavailable or LexRejected.
        """
        ...

    def speak(self, text: str) -> bytes:
        """`text` in the bot's voice, mu-law, whole frames; it is said in a session of its own.

        Blocks the calling greenlet only. Raises LexUnavailable or LexRejected.
        """
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
        self._utterance.call_at_end(_nothing)
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


class _Client:
    """What both generations share: the request twice at most, each within its deadline, errors as ours."""

    check: Mapping[int, str]
    """Settings to look at when Lex answers with this status."""

    def __init__(self, client: Any, deadlines: Deadlines, speaks: bool = False) -> None:
        """`speaks`: replies are asked for as audio."""
        self._client = client
        self._deadlines = deadlines
        self._accept = PCM if speaks else TEXT
        self._breaker = Breaker(time.monotonic)
        self._may_put_back = True  # until AWS says that this process may not

    def _request(self, question: Question, body: Any) -> Mapping[str, Any]:
        raise NotImplementedError

    def _reply(self, response: Mapping[str, Any]) -> Reply:
        raise NotImplementedError

    def _session(self, session_id: str) -> Reply:
        raise NotImplementedError

    def _spoken(self, session_id: str, text: str) -> Mapping[str, Any]:
        raise NotImplementedError

    def _put(self, session_id: str, checkpoint: Checkpoint) -> Mapping[str, Any]:
        raise NotImplementedError

    def ask(self, question: Question, log: Log) -> Answer:
        """See LexRuntime."""
        try:
            answer = self._ask(question, log)
        except LexUnavailable as error:
            is_verdict = not _is_crowded(error) and not isinstance(error, _NotAskedError)
            if is_verdict and self._breaker.failed():
                log.error("lex-down", error=str(error))
            raise
        if self._breaker.succeeded():
            log.warning("lex-up")
        return answer

    @property
    def endpoint_url(self) -> str:
        """Where its Lex is."""
        return str(self._client.meta.endpoint_url)

    def recall(self, session_id: str) -> Reply | None:
        """See LexRuntime."""
        if self._breaker.is_open:
            raise _NotAskedError("not asked: Lex has failed many times in a row")
        deadline = gevent.Timeout(self._deadlines.recall_s)
        deadline.start()
        try:
            return self._attempt(lambda: self._session(session_id), deadline)
        except LexRejected as error:
            if isinstance(error.__cause__, ClientError) and _status(error.__cause__) == 404:
                return None
            raise
        finally:
            deadline.close()

    def speak(self, text: str) -> bytes:
        """See LexRuntime."""
        deadline = gevent.Timeout(self._deadlines.answer_s)
        deadline.start()
        try:
            return self._attempt(lambda: self._speak(text), deadline)
        finally:
            deadline.close()

    def _speak(self, text: str) -> bytes:
        response = self._spoken(f"lexbridge-{uuid.uuid4()}", text)
        stream = response["audioStream"]
        try:
            speech = Speech(stream, response.get("contentType", ""), self._deadlines.answer_s)
            return b"".join(iter(speech.read, b""))
        finally:
            stream.close()

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
                        crowded = _is_crowded(error)
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
            stream = self._attempt(lambda: self._put(session_id, checkpoint)["audioStream"], deadline)
            self._attempt(stream.read, deadline)  # empty: only then can its connection serve the next request
        except LexRejected as error:
            self._may_put_back = not _is_forbidden(error)
            log.error("session-not-put-back", error=str(error))
            raise NotPutBack(str(error)) from error
        except LexUnavailable as error:
            log.warning("session-not-put-back", error=str(error))
            raise NotPutBack(str(error)) from error
        except gevent.Timeout as timeout:
            if timeout is not answer_by.timeout:
                raise
            raise NotPutBack("the turn's own time is over") from None
        finally:
            deadline.close()

    def _answer(self, question: Question, body: Any, deadline: _Deadline, log: Log) -> Answer:
        """One request and its answer, without the voice: that is still to come."""
        response = self._request(question, body)
        stream = response.get("audioStream")
        if stream is None:
            return Answer(self._reply(response))
        if self._accept == TEXT:
            stream.read()  # empty or not: only then can its connection serve the next request
            return Answer(self._reply(response))
        try:
            reply = self._reply(response)
        except LexError:
            stream.close()
            raise
        try:
            speech = Speech(stream, response.get("contentType", ""), self._deadlines.answer_s, deadline.ended_s)
        except LexUnavailable as error:
            stream.close()
            if reply.messages:  # else there is nothing to be spoken, of whatever type
                log.error("lex-audio-failed", error=str(error))
            # Lex has taken the turn: asked again it would take it twice. The words are here, and Twilio can say them.
            return Answer(reply)
        return Answer(reply, speech)

    def _attempt(self, request: Callable[[], _Result], deadline: gevent.Timeout, is_last: bool = False) -> _Result:
        """One request, its errors as ours. `is_last`: there will be no other."""
        try:
            return request()
        except gevent.Timeout as timeout:
            if timeout is not deadline:
                raise
            raise LexUnavailable(f"no answer within {deadline.seconds:g} s") from None
        except LexError:
            raise
        except ClientError as error:
            raise self._refusal(error, is_last) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise LexRejected(
                "no AWS credentials; check ACCESS_KEY_ID and SECRET_ACCESS_KEY or the task role"
            ) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise LexUnavailable(f"{type(error).__name__}: {error}") from error
        except OSError as error:
            # What a broken connection raises while an answer's body is read is not wrapped by botocore.
            raise LexUnavailable(f"{type(error).__name__}: {error}") from error

    def _refusal(self, error: ClientError, is_last: bool) -> LexError:
        status = _status(error)
        code = error.response.get("Error", {}).get("Code", "")
        said = f"Lex answered {status} {code}"
        is_stale = code in _EXPIRED_CODES or is_refused_for_its_time(error.response)
        if status >= 500 or status in _PASSING_STATUSES or (is_stale and not is_last):
            return LexUnavailable(said)
        return LexRejected(f"{said}; check {self.check.get(status, self.check[400])}")


def _is_crowded(error: LexUnavailable) -> bool:
    return isinstance(error.__cause__, ClientError) and _status(error.__cause__) in _CROWDED_STATUSES


def _is_forbidden(error: LexRejected) -> bool:
    return isinstance(error.__cause__, ClientError) and _status(error.__cause__) == 403


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))


_CREDENTIALS = "ACCESS_KEY_ID, SECRET_ACCESS_KEY and what they, or the task role, are allowed to do"


class PostContent(_Client):
    """A Lex V1 bot (API_runtime_PostContent of the Lex V1 guide)."""

    check = {400: "LEX_BOT_NAME, LEX_BOT_ALIAS, AWS_REGION", 403: _CREDENTIALS}

    def __init__(self, client: Any, bot: LexV1Bot, deadlines: Deadlines, speaks: bool = False) -> None:
        """`client`: boto3's "lex-runtime". `speaks`: replies are asked for as audio."""
        super().__init__(client, deadlines, speaks)
        self._bot = bot

    def _request(self, question: Question, body: Any) -> Mapping[str, Any]:
        names = {"botName": self._bot.name, "botAlias": self._bot.alias, "userId": question.session_id}
        attributes = question.session_attributes
        more: dict[str, Any] = {} if attributes is None else {"sessionAttributes": dict(attributes)}
        if question.intent is not None:
            action = {"type": "Delegate", "intentName": question.intent}
            return self._client.put_session(**names, **more, dialogAction=action, accept=self._accept)  # type: ignore[no-any-return]
        return self._client.post_content(  # type: ignore[no-any-return]
            **names, **more, contentType=question.utterance.content_type, accept=self._accept, inputStream=body
        )

    def _reply(self, response: Mapping[str, Any]) -> Reply:
        return reply_from_post_content(response)

    def _spoken(self, session_id: str, text: str) -> Mapping[str, Any]:
        names = {"botName": self._bot.name, "botAlias": self._bot.alias, "userId": session_id}
        action = {"type": "ElicitIntent", "message": text, "messageFormat": "PlainText"}
        return self._client.put_session(**names, dialogAction=action, accept=PCM)  # type: ignore[no-any-return]

    def _put(self, session_id: str, checkpoint: Checkpoint) -> Mapping[str, Any]:
        names = {"botName": self._bot.name, "botAlias": self._bot.alias, "userId": session_id}
        begun: Checkpoint = {
            "dialogAction": {"type": "ElicitIntent"},
            "sessionAttributes": {},
            "activeContexts": [],
            "recentIntentSummaryView": [],
        }
        return self._client.put_session(**names, **(checkpoint or begun), accept=TEXT)  # type: ignore[no-any-return]

    def _session(self, session_id: str) -> Reply:
        names = {"botName": self._bot.name, "botAlias": self._bot.alias}
        return reply_from_v1_session(self._client.get_session(**names, userId=session_id))


class RecognizeUtterance(_Client):
    """A Lex V2 bot (API_runtime_RecognizeUtterance of the Lex V2 reference)."""

    check = {400: "LEX_BOT_ID, LEX_BOT_ALIAS_ID, LEX_LOCALE_ID, AWS_REGION", 403: _CREDENTIALS}

    def __init__(self, client: Any, bot: LexV2Bot, deadlines: Deadlines, speaks: bool = False) -> None:
        """`client`: boto3's "lexv2-runtime". `speaks`: replies are asked for as audio."""
        super().__init__(client, deadlines, speaks)
        self._bot = bot

    def _request(self, question: Question, body: Any) -> Mapping[str, Any]:
        ids = {"botId": self._bot.bot_id, "botAliasId": self._bot.alias_id, "localeId": self._bot.locale_id}
        names = {**ids, "sessionId": question.session_id, "responseContentType": self._accept}
        attributes = question.session_attributes
        state: dict[str, Any] = {} if attributes is None else {"sessionAttributes": dict(attributes)}
        if question.intent is not None:
            state |= {"dialogAction": {"type": "Delegate"}, "intent": {"name": question.intent}}
            return self._client.put_session(**names, sessionState=state)  # type: ignore[no-any-return]
        more = {"sessionState": pack(state)} if state else {}
        return self._client.recognize_utterance(  # type: ignore[no-any-return]
            **names, **more, requestContentType=question.utterance.content_type, inputStream=body
        )

    def _reply(self, response: Mapping[str, Any]) -> Reply:
        return reply_from_recognize_utterance(response)

    def _spoken(self, session_id: str, text: str) -> Mapping[str, Any]:
        ids = {"botId": self._bot.bot_id, "botAliasId": self._bot.alias_id, "localeId": self._bot.locale_id}
        state = {"dialogAction": {"type": "ElicitIntent"}}
        said = [{"content": text, "contentType": "PlainText"}]
        return self._client.put_session(  # type: ignore[no-any-return]
            **ids, sessionId=session_id, sessionState=state, messages=said, responseContentType=PCM
        )

    def _put(self, session_id: str, checkpoint: Checkpoint) -> Mapping[str, Any]:
        ids = {"botId": self._bot.bot_id, "botAliasId": self._bot.alias_id, "localeId": self._bot.locale_id}
        state = {"dialogAction": {"type": "ElicitIntent"}, "sessionAttributes": {}, "activeContexts": []}
        begun: Checkpoint = {"sessionState": state}
        return self._client.put_session(  # type: ignore[no-any-return]
            **ids, sessionId=session_id, responseContentType=TEXT, **(checkpoint or begun)
        )

    def _session(self, session_id: str) -> Reply:
        ids = {"botId": self._bot.bot_id, "botAliasId": self._bot.alias_id, "localeId": self._bot.locale_id}
        return reply_from_v2_session(self._client.get_session(**ids, sessionId=session_id))


_LOADER = create_loader()
"""Of boto3's own descriptions of AWS's services: once read they are kept, in processes that are forked later too."""


def warm_up(settings: Settings) -> None:
    """Reads what `make_lex_runtime` needs of the disk, and asks nobody: for a process that will fork."""
    session = _session("none", "none", settings.aws_region)
    session.client(_service_of(settings), endpoint_url="http://127.0.0.1:9")


def _session(access_key_id: str | None, secret_access_key: str | None, region: str) -> boto3.Session:
    core = botocore.session.get_session()
    core.register_component("data_loader", _LOADER)
    return boto3.Session(
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        region_name=region,
        botocore_session=core,
    )


def _service_of(settings: Settings) -> Literal["lex-runtime", "lexv2-runtime"]:
    return "lex-runtime" if isinstance(settings.bot, LexV1Bot) else "lexv2-runtime"


def make_lex_runtime(settings: Settings, deadlines: Deadlines) -> PostContent | RecognizeUtterance:
    """The one client that all calls share: made before serving, for it takes 0.4 s.

    Raises ConfigError if boto3 finds no AWS credentials.
    """
    try:
        session = _session(settings.access_key_id, settings.secret_access_key, settings.aws_region)
        credentials = session.get_credentials()
    except BotoCoreError as error:  # no such profile, half a pair of AWS_* keys, a broken ~/.aws/config
        rule = "set ACCESS_KEY_ID and SECRET_ACCESS_KEY, or mend what boto3 reads"
        raise ConfigError([Problem("AWS_*", f"boto3 says: {error}", rule)]) from error
    if credentials is None:
        rule = (
            "set it and SECRET_ACCESS_KEY, or run where boto3 finds credentials by itself (task role, profile, AWS_*)"
        )
        raise ConfigError([Problem("ACCESS_KEY_ID", "is not set and boto3 finds no AWS credentials", rule)])
    config = Config(
        connect_timeout=deadlines.connect_s,
        read_timeout=deadlines.answer_s,
        retries={"total_max_attempts": 1},
        max_pool_connections=settings.max_calls,
        tcp_keepalive=True,
    )
    client = session.client(_service_of(settings), config=config)
    follow_aws_clock(client)
    if isinstance(settings.bot, LexV1Bot):
        return PostContent(client, settings.bot, deadlines, settings.reply_mode == "stream")
    return RecognizeUtterance(client, settings.bot, deadlines, settings.reply_mode == "stream")
