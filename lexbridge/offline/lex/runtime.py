"""The local Lex runtime: bots behind Lex's own HTTP interface, both generations, for the real boto3.

    with LocalLex(bots=shipped_bots(), recogniser=recogniser, voice=voice) as lex:
        client = boto3.client("lex-runtime", endpoint_url=lex.url, ...)

Audio is read as it arrives; when the upload ends it is recognised against what the dialog expects, and answered with
text and speech. Every bot answers V1 by its name and V2 by `Bot.v2_id`. `requests` is what happened lately, `think_s`
makes every answer late, `audio_pace` sends its speech bit by bit, `faults` makes it fail on demand.

What it does not do: run Lambda functions, speak MP3 or Ogg, hear Opus, stream (StartConversation).
"""

import base64
import gzip
import json
import logging
import re
import select
import socket
import struct
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import gevent
from gevent import GreenletExit
from gevent import socket as gevent_socket
from gevent.monkey import get_original
from gevent.pool import Pool
from gevent.pywsgi import Input, WSGIHandler, WSGIServer

from lexbridge.audio.pcm import RATE_HZ, resample
from lexbridge.offline.lex import wire
from lexbridge.offline.lex.bots import Bot, Message
from lexbridge.offline.lex.dialogue import Conversation, Turn, take_turn
from lexbridge.offline.lex.grammar import grammar_for
from lexbridge.offline.lex.identity import LONGEST_QUERY, caller_identity
from lexbridge.offline.lex.recognition import Recogniser
from lexbridge.offline.lex.voice import Voice
from lexbridge.offline.lex.wire import LexError, LexErrorKind, Response
from lexbridge.offline.odd_answers import PIECE_BYTES, bomb, send_endless, send_infos

log = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_SPEECH_S = 15
LONGEST_TEXT = 1024
_READ_BYTES = 320  # 20 ms of telephone audio
_MIDDLE_BYTES = 10 * _READ_BYTES
_REPLY_RATE_HZ = 16000
_KEPT_REQUESTS = 2000  # with their audio: a runtime may be left running
_LATEST_V1 = "$LATEST"
_ODD = frozenset({"endless", "compressed", "bomb", "state bomb", "state odd", "voiceless"})
_AT_THE_END = frozenset({"drip", "truncated", "slow", "broken", "stalled", "dripping", "mistyped"}) | _ODD
_NO_PCM = b"\xff\xf3\x44\xc4" + bytes(140)  # the head of a frame of MP3, and nothing in it

_V1_PATH = re.compile(r"/bot/([^/]+)/alias/([^/]+)/user/([^/]+)/(content|text|session)/?")
_V2_PATH = re.compile(r"/bots/([^/]+)/botAliases/([^/]+)/botLocales/([^/]+)/sessions/([^/]+)(?:/(utterance|text))?/?")
_UTTERANCES = frozenset({"PostContent", "RecognizeUtterance", "PostText", "RecognizeText"})
_SESSION_ID = re.compile(r"[0-9a-zA-Z._:-]{2,100}")
_OPERATIONS = {
    ("v1", "POST", "content"): "PostContent",
    ("v1", "POST", "text"): "PostText",
    ("v1", "GET", "session"): "GetSession",
    ("v1", "POST", "session"): "PutSession",
    ("v1", "DELETE", "session"): "DeleteSession",
    ("v2", "POST", "utterance"): "RecognizeUtterance",
    ("v2", "POST", "text"): "RecognizeText",
    ("v2", "GET", None): "GetSession",
    ("v2", "POST", None): "PutSession",
    ("v2", "DELETE", None): "DeleteSession",
}


@dataclass(slots=True)
class LexRequest:
    """The history of one request. Times are `time.monotonic()` in seconds, or None for what did not happen."""

    api: Literal["v1", "v2"]
    operation: str
    bot: str
    session_id: str
    began: float
    first_audio: float | None = None
    ended: float | None = None  # the whole body was here
    answered: float | None = None  # the answer was handed to the network
    audio: bytes = b""  # what was uploaded, as it came
    aborted: bool = False  # the client went away before the end of its upload
    status: int | None = None
    transcript: str | None = None
    intent: str | None = None
    dialog_state: str | None = None
    fault: "LexFault | None" = None
    client_port: int = 0  # the same for requests that came on one connection
    is_text: bool = False  # what was uploaded is text: typed, or keys
    said: str = ""  # the texts of the answer
    speech_began: float | None = None  # the first of the answer's speech was handed to the network
    speech_ended: float | None = None  # and the last of it
    speech_bytes: int = 0  # of it, handed to the network so far


@dataclass(slots=True)
class LexFault:
    """A fault for the next requests that send speech or text, or for one `operation` only (PutSession, GetSession).

    kind: "status" answers with `status`, "reset" resets the connection, "hang" never answers, "unread" does not even
    read on, "drip" sends the right answer a byte every `every_s`, "truncated" closes in the middle of the right
    answer, "slow" answers right, but `after_s` late, "empty" answers 200 and nothing else, "foreign" answers 200 with
    a page that is not Lex's, "redirect" answers 302 and an address, "infos" answers `100 Continue` without end, "error
    endless" answers `status` with a body without end, "error odd" with JSON that is no object.

    What can be odd about an answer that is right otherwise: "endless" has a body without end, its speech again and
    again; "compressed" has its body in gzip, "bomb" a body that unpacks to 100 MB, "voiceless" none; of "state bomb"
    and "state odd" the session's state unpacks to 20 MB, and is no base64.

    What can go wrong with the speech of an answer: "broken" closes the connection after `after_bytes` of it, "stalled"
    sends no more after `after_bytes` until the client gives up, "dripping" sends `piece_bytes` every `every_s`, all
    three in chunks; "mistyped" answers in `content_type` instead of the one asked for: audio/pcm at the rate it names
    (the one asked for, if it names none), anything else as bytes that are no PCM. An answer without speech is as it
    should be.

    when: before the body is read, after 200 ms of it, or at its end ("drip", "truncated", "slow", what is odd about a
    right answer and what befalls the speech are always at the end). An answer before the end closes the connection at
    once, as a load balancer does, and a client that is still sending sees that. times: how many requests it hits, None
    for all. session: only that session's. The dialog has gone on after those that are always at the end: nobody tells
    Lex that it was not heard.
    """

    status: int = 500
    when: Literal["start", "middle", "end"] = "end"
    times: int | None = 1
    session: str | None = None
    operation: str | None = None
    kind: Literal[
        "status",
        "reset",
        "hang",
        "unread",
        "drip",
        "truncated",
        "slow",
        "empty",
        "foreign",
        "redirect",
        "infos",
        "error endless",
        "error odd",
        "endless",
        "compressed",
        "bomb",
        "state bomb",
        "state odd",
        "voiceless",
        "broken",
        "stalled",
        "dripping",
        "mistyped",
    ] = "status"
    every_s: float = 0.05
    after_s: float = 4.0
    after_bytes: int = 16_000
    piece_bytes: int = 333  # odd: a sample is cut in two
    content_type: str = "audio/mpeg"


@dataclass(slots=True)
class _Session:
    """A session's state. `busy` while a request for it is under way; `used` is when it last was, by the clock."""

    session_id: str
    used: float
    last: Turn = field(default_factory=lambda: Turn(Conversation(), ()))
    recent: list[wire.Json] = field(default_factory=list)
    busy: bool = False
    kept: bool = False  # something was said or put: GetSession knows it


class _Dropped(Exception):
    """No error: the connection is not to be answered any more."""


class _Answered(Exception):
    """No error: the request is answered with this, whatever else would have come of it."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class _Handler(WSGIHandler):
    """pywsgi's, and the application can reach its socket and give the connection up."""

    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), "lexbridge.socket": self.socket}

    def run_application(self) -> None:
        """Run the application. A connection that the application gave up is closed without an answer."""
        try:
            super().run_application()
        except _Dropped:
            self._give_up()
            self.result = ()
        except GreenletExit:
            self._give_up()  # or the server's end would wait for the rest of an upload that may never come
            raise

    def _give_up(self) -> None:
        self.close_connection = True
        self.wsgi_input = Input(self.rfile, 0)  # nothing of the body is waited for

    def handle_error(self, t: type[BaseException] | None, v: BaseException | None, tb: TracebackType | None) -> None:
        if isinstance(v, GreenletExit):  # the server stops: its clients see a closed connection, not a 500
            self.close_connection = True
        else:
            super().handle_error(t, v, tb)


@dataclass(slots=True)
class _Call:
    """A request on its way through: whom it is for, what it brings, what we note about it."""

    environ: dict[str, Any]
    record: LexRequest
    bot: Bot
    alias: str
    fault: LexFault | None = None

    @property
    def socket(self) -> socket.socket:
        connection: socket.socket = self.environ["lexbridge.socket"]
        return connection

    def header(self, name: str) -> str | None:
        """A request header's value."""
        key = name.upper().replace("-", "_")
        value = self.environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")
        return None if value is None else str(value)


class LocalLex:
    """The server, from entering it as a context manager (or `start()`) until leaving it (or `stop()`).

    recogniser and voice stay the caller's, to be shared and closed. port 0 takes any free one; see `url`.
    today: what "tomorrow" is counted from. clock: seconds, for sessions' time to live. audio_pace: seconds of speech
    sent in a second, in chunks of audio_piece_ms; None sends it at once. These two and think_s may be set at any time.
    """

    def __init__(
        self,
        *,
        bots: Sequence[Bot],
        recogniser: Recogniser,
        voice: Voice,
        host: str = "127.0.0.1",
        port: int = 0,
        think_s: float = 0.0,
        audio_pace: float | None = None,
        audio_piece_ms: int = 60,
        today: Callable[[], date] = lambda: datetime.now().astimezone().date(),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.think_s = think_s
        self.audio_pace = audio_pace
        self.audio_piece_ms = audio_piece_ms
        self.requests: list[LexRequest] = []
        self.faults: list[LexFault] = []
        self._bots = list(bots)
        self._recogniser = recogniser
        self._voice = voice
        self._today = today
        self._clock = clock
        self._sessions: dict[tuple[str, str, str, str], _Session] = {}
        self._connections = Pool()
        self._address = (host, port)
        self._server: WSGIServer | None = None

    @property
    def url(self) -> str:
        """Address of the local Lex after `start`: the value for boto3's endpoint variables."""
        if self._server is None:
            raise AssertionError("the server was not started")
        return f"http://{self._server.server_host}:{self._server.server_port}"

    def start(self) -> None:
        """Begin to listen. Raises OSError if that is not possible."""
        listener = _listen(self._address)
        self._server = WSGIServer(
            listener, self._application, handler_class=_Handler, spawn=self._connections, log=None
        )
        self._server.start()

    def stop(self) -> None:
        """Stop listening, and close every connection, answered or not."""
        if self._server is not None:
            self._server.stop(timeout=0)
            self._connections.kill()

    def drop_connections(self) -> None:
        """Close every connection, answered or not, and go on accepting new ones."""
        self._connections.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- one request ---

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        call: _Call | None = None
        api = "v1" if environ["PATH_INFO"].startswith("/bot/") else "v2"
        try:
            call = self._receive(environ)
            response = self._answer(call)
        except _Answered as answered:
            response = answered.response
        except LexError as error:
            response = wire.error_response(api, error)
        if call is not None:
            call.record.status = response.status
            response = _made_odd(call, response)
            self._break_answer(call, response)
            call.record.answered = monotonic()
            if response.speech_hz and self.audio_pace is not None:
                # No Content-Length: the server sends it in chunks, each as it comes.
                start_response(_status_line(response.status), [*response.headers.items()])
                return self._at_its_pace(call.record, response, self.audio_pace)
        length = ("Content-Length", str(len(response.body)))
        start_response(_status_line(response.status), [*response.headers.items(), length])
        return _noted(call.record, response.body) if call is not None and response.speech_hz else [response.body]

    def _at_its_pace(self, record: LexRequest, response: Response, pace: float) -> Iterator[bytes]:
        """The answer's speech in pieces, at `pace` seconds of it in a second."""
        began, sent_bytes = monotonic(), 0
        for piece in _pieces(response.body, 2 * response.speech_hz * self.audio_piece_ms // 1000):
            gevent.sleep(max(0.0, began + sent_bytes / (2 * response.speech_hz * pace) - monotonic()))
            yield from _noted(record, piece)
            sent_bytes += len(piece)

    def _receive(self, environ: dict[str, Any]) -> _Call:
        """Read which bot is asked for what. Raises LexError, or _Answered for a request to STS."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if (method, path) == ("POST", "/"):
            raise _Answered(caller_identity(environ["wsgi.input"].read(LONGEST_QUERY)))
        if found := _V1_PATH.fullmatch(path):
            api: Literal["v1", "v2"] = "v1"
            name, alias, session_id, what = found.groups()
            bot, locale_id = next((bot for bot in self._bots if bot.name == name), None), None
        elif found := _V2_PATH.fullmatch(path):
            api = "v2"
            name, alias, locale_id, session_id, what = found.groups()
            bot = next((bot for bot in self._bots if bot.v2_id == name), None)
        else:
            raise LexError(LexErrorKind.NOT_FOUND, f"unknown operation: {path}")
        operation = _OPERATIONS.get((api, method, what))
        if operation is None:
            raise LexError(LexErrorKind.BAD_REQUEST, f"unknown operation: {method} {path}")
        record = LexRequest(
            api, operation, name, session_id, began=monotonic(), client_port=int(environ["REMOTE_PORT"])
        )
        self.requests.append(record)
        del self.requests[:-_KEPT_REQUESTS]
        try:
            call = _Call(environ, record, self._check_address(bot, name, alias, locale_id, session_id), alias)
        except LexError as error:
            record.status = error.kind.value[0] if api == "v1" else wire.error_response(api, error).status
            raise
        call.fault = record.fault = self._take_fault(operation, session_id)
        return call

    @staticmethod
    def _check_address(bot: Bot | None, name: str, alias: str, locale_id: str | None, session_id: str) -> Bot:
        if bot is None:
            raise LexError(LexErrorKind.NOT_FOUND, f"no bot {name} here")
        if bot.aliases and alias not in bot.aliases | {_LATEST_V1, "TSTALIASID"}:
            raise LexError(LexErrorKind.NOT_FOUND, f"bot {bot.name} has no alias {alias}")
        if locale_id is not None and locale_id != bot.locale_id:
            raise LexError(LexErrorKind.NOT_FOUND, f"bot {bot.name} has no locale {locale_id}, but {bot.locale_id}")
        if not _SESSION_ID.fullmatch(session_id):
            raise LexError(LexErrorKind.BAD_REQUEST, "a session's id is 2 to 100 of [0-9a-zA-Z._:-]")
        return bot

    def _answer(self, call: _Call) -> Response:
        match call.record.operation:
            case "PostContent" | "RecognizeUtterance":
                return self._take_utterance(call)
            case "PostText" | "RecognizeText":
                return self._take_text(call)
            case "GetSession":
                return self._get_session(call)
            case "PutSession":
                return self._put_session(call)
            case _:
                return self._delete_session(call)

    # --- utterances ---

    def _take_utterance(self, call: _Call) -> Response:
        self._strike(call, "start")
        is_text, rate_hz = _input_type(call.header("Content-Type"))
        call.record.is_text = is_text
        accept = _reply_rate_hz(call.header("Accept" if call.record.api == "v1" else "Response-Content-Type"))
        with _Busy(self._session(call)) as session:
            conversation = self._conversation_asked_for(call, session)
            body = self._read_body(call, rate_hz if not is_text else None)
            self._strike(call, "end")
            self._think(call)
            if is_text:
                text, mode = _text_of(body), "Text"
            else:
                text, mode = self._hear(body, rate_hz, call.bot, conversation), "Speech"
            turn = self._turn(call, session, conversation, text)
            attributes = wire.read_gzip_json(call.header("x-amz-lex-request-attributes"), "requestAttributes")
            return self._utterance_response(call, session, turn, (mode, text), accept, attributes)

    def _conversation_asked_for(self, call: _Call, session: _Session) -> Conversation:
        """The session's conversation, after what the request's own headers change in it."""
        conversation = session.last.conversation
        if call.record.api == "v2":
            state = wire.read_gzip_json(call.header("x-amz-lex-session-state"), "sessionState")
            return _or_bad_request(lambda: wire.v2_apply_state(call.bot, conversation, state).conversation)
        attributes = wire.read_base64_json(call.header("x-amz-lex-session-attributes"), "sessionAttributes")
        return conversation if attributes is None else replace(conversation, attributes=attributes)

    def _read_body(self, call: _Call, rate_hz: int | None) -> bytes:
        """The upload, as it comes. `rate_hz`: of speech, which has a longest length; None for a text."""
        longest = 8 * LONGEST_TEXT if rate_hz is None else LONGEST_SPEECH_S * rate_hz * 2
        upload, record = call.environ["wsgi.input"], call.record
        body = bytearray()
        try:
            while piece := upload.read(_READ_BYTES):
                if record.first_audio is None:
                    record.first_audio = monotonic()
                body += piece
                if len(body) >= _MIDDLE_BYTES:
                    self._strike(call, "middle")
                if len(body) > longest:
                    raise LexError(LexErrorKind.TOO_LONG, f"the input is longer than {LONGEST_SPEECH_S} s of speech")
        except OSError as error:
            record.aborted = True
            raise _Dropped from error
        finally:
            record.audio = bytes(body)
        self._strike(call, "middle")  # of an upload that was shorter than that
        record.ended = monotonic()
        return bytes(body)

    def _think(self, call: _Call) -> None:
        gevent.sleep(call.fault.after_s if call.fault and call.fault.kind == "slow" else self.think_s)

    def _hear(self, audio: bytes, rate_hz: int, bot: Bot, conversation: Conversation) -> str:
        pcm = audio[: len(audio) // 2 * 2]
        return self._recogniser.recognise(_at_rate(pcm, rate_hz, RATE_HZ), grammar_for(bot, conversation))

    def _turn(self, call: _Call, session: _Session, conversation: Conversation, text: str) -> Turn:
        turn = take_turn(call.bot, conversation, text, self._today())
        self._keep(call, session, turn)
        call.record.transcript = text
        return turn

    def _utterance_response(
        self,
        call: _Call,
        session: _Session,
        turn: Turn,
        heard: tuple[str, str] | None,
        rate_hz: int | None,
        request_attributes: Mapping[str, str] | None,
    ) -> Response:
        if call.record.api == "v1":
            version = _LATEST_V1 if call.alias == _LATEST_V1 else call.bot.version
            headers = wire.v1_headers(call.bot, turn, session.session_id, version, heard[1] if heard else None)
        else:
            headers = wire.v2_headers(call.bot, turn, call.record.session_id, request_attributes or {}, heard)
        if rate_hz is None:
            return Response(200, {**headers, "Content-Type": wire.TEXT_TYPE})
        content_type = "audio/pcm"
        if call.fault is not None and call.fault.kind == "mistyped":
            content_type = call.fault.content_type
            kind, parameters = _media_type(content_type)
            if kind != "audio/pcm":
                return Response(200, {**headers, "Content-Type": content_type}, _NO_PCM * 100)
            rate_hz = int(parameters.get("sample-rate", rate_hz))
        speech = self._say(turn.messages, rate_hz)
        return Response(200, {**headers, "Content-Type": content_type}, speech, speech_hz=rate_hz if speech else 0)

    def _say(self, messages: Sequence[Message], rate_hz: int) -> bytes:
        text = " ".join(message.text for message in messages if message.kind != "CustomPayload")
        return _at_rate(self._voice.speak(text), self._voice.rate_hz, rate_hz) if text.strip() else b""

    def _take_text(self, call: _Call) -> Response:
        self._strike(call, "start")
        with _Busy(self._session(call)) as session:
            body = _json_body(self._read_body(call, None))
            self._strike(call, "end")
            self._think(call)
            conversation = session.last.conversation
            if call.record.api == "v1":
                if body.get("sessionAttributes") is not None:
                    conversation = replace(conversation, attributes=body["sessionAttributes"])
                turn = self._turn(call, session, conversation, _checked(body.get("inputText")))
                return wire.json_response(wire.v1_text_reply(call.bot, turn, session.session_id, call.bot.version))
            applied = _or_bad_request(lambda: wire.v2_apply_state(call.bot, conversation, body.get("sessionState")))
            turn = self._turn(call, session, applied.conversation, _checked(body.get("text")))
            document = wire.v2_session(call.bot, turn, call.record.session_id)
            return wire.json_response({**document, "requestAttributes": body.get("requestAttributes") or {}})

    # --- sessions ---

    def _key(self, call: _Call) -> tuple[str, str, str, str]:
        return call.record.api, call.bot.name, call.alias, call.record.session_id

    def _live_session(self, call: _Call) -> _Session | None:
        """The session, if there is one and its time to live is not over."""
        session = self._sessions.get(self._key(call))
        if session and not session.busy and self._clock() - session.used > call.bot.session_ttl_s:
            del self._sessions[self._key(call)]
            return None
        return session

    def _session(self, call: _Call) -> _Session:
        session = self._live_session(call)
        if session is None:
            session = self._sessions[self._key(call)] = _Session(str(uuid.uuid4()), self._clock())
        return session

    def _keep(self, call: _Call, session: _Session, turn: Turn) -> None:
        session.last, session.used, session.kept = turn, self._clock(), True
        call.record.intent = turn.conversation.intent
        call.record.dialog_state = turn.conversation.state.value
        call.record.said = " ".join(message.text for message in turn.messages if message.text)
        if turn.conversation.intent:
            summary = wire.v1_intent_summary(call.bot, turn.conversation)
            others = [one for one in session.recent if one["intentName"] != summary["intentName"]]
            session.recent = [summary, *others][:3]

    def _get_session(self, call: _Call) -> Response:
        self._strike(call, "start")
        self._strike(call, "end")
        session = self._live_session(call)
        if session is None or not session.kept:
            raise LexError(LexErrorKind.NOT_FOUND, f"no session {call.record.session_id}")
        if call.record.api == "v1":
            document = wire.v1_session(call.bot, session.last, session.session_id, session.recent)
        else:
            document = wire.v2_session(call.bot, session.last, call.record.session_id)
        return wire.json_response(document)

    def _put_session(self, call: _Call) -> Response:
        self._strike(call, "start")
        accept_header = "Accept" if call.record.api == "v1" else "ResponseContentType"
        # [?] what is answered when no content type is asked for is not documented: here, text.
        accept = _reply_rate_hz(call.header(accept_header) or "text/plain")
        with _Busy(self._session(call)) as session:
            body = _json_body(self._read_body(call, None))
            self._strike(call, "end")
            self._think(call)
            conversation = session.last.conversation
            if call.record.api == "v1":
                turn = _or_bad_request(lambda: wire.v1_put_session(call.bot, conversation, body))
                if body.get("recentIntentSummaryView") is not None:
                    session.recent = list(body["recentIntentSummaryView"])
            elif not body.get("sessionState"):
                raise LexError(LexErrorKind.BAD_REQUEST, "sessionState is missing")
            else:
                turn = _or_bad_request(
                    lambda: wire.v2_apply_state(
                        call.bot, conversation, body.get("sessionState"), body.get("messages") or ()
                    )
                )
            self._keep(call, session, turn)
            return self._utterance_response(call, session, turn, None, accept, body.get("requestAttributes"))

    def _delete_session(self, call: _Call) -> Response:
        session = self._live_session(call)
        if session is None:
            raise LexError(LexErrorKind.NOT_FOUND, f"no session {call.record.session_id}")
        if session.busy:
            raise LexError(LexErrorKind.CONFLICT, "a request for this session is under way")
        del self._sessions[self._key(call)]
        if call.record.api == "v1":
            names = {"botName": call.bot.name, "botAlias": call.alias, "userId": call.record.session_id}
            return wire.json_response({**names, "sessionId": session.session_id})
        ids = {"botId": call.bot.v2_id, "botAliasId": call.alias, "localeId": call.bot.locale_id}
        return wire.json_response({**ids, "sessionId": call.record.session_id})

    # --- faults ---

    def _take_fault(self, operation: str, session_id: str) -> LexFault | None:
        for fault in self.faults:
            befalls = operation == fault.operation if fault.operation else operation in _UTTERANCES
            if befalls and fault.session in (None, session_id) and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _strike(self, call: _Call, when: Literal["start", "middle", "end"]) -> None:
        """Carry out the part of the request's fault that belongs to this point of the upload."""
        fault = call.fault
        if fault is None or fault.when != when or fault.kind in _AT_THE_END:
            return
        match fault.kind:
            case "hang":
                _read_until_closed(call.socket)
            case "unread":
                _wait_until_closed(call.socket)
            case "reset":
                _reset(call.socket)
            case "infos" | "error endless":
                _send_without_end(call.socket, Response(fault.status, {"Content-Type": "application/json"}), fault)
            case _:
                response = _wrong_answer(call.record.api, fault)
                call.record.status = response.status
                if when == "end":
                    raise _Answered(response)
                call.fault = None
                _send(call.socket, response)
        raise _Dropped

    @staticmethod
    def _break_answer(call: _Call, response: Response) -> None:
        """Send the answer as its fault says, and raise _Dropped. Return if there is no such fault."""
        fault = call.fault
        if fault is None or response.status != 200:
            return
        if response.speech_hz and fault.kind in ("broken", "stalled", "dripping"):
            call.record.answered = monotonic()
            _send_speech(call, response, fault)
            raise _Dropped
        if fault.kind == "endless":
            call.record.answered = monotonic()
            _send_without_end(call.socket, response, fault)
            raise _Dropped
        if fault.kind == "truncated":
            _send(call.socket, response, truncated=True)
            raise _Dropped
        if fault.kind == "drip":
            _send(call.socket, response, every_s=fault.every_s)
            raise _Dropped


class _Busy:
    """A session, to one request at a time. Raises LexError on the way in when it is another's."""

    def __init__(self, session: _Session) -> None:
        self._session = session

    def __enter__(self) -> _Session:
        if self._session.busy:
            raise LexError(LexErrorKind.CONFLICT, "another request for this session is under way")
        self._session.busy = True
        return self._session

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.busy = False


# --- what clients send ---


def _input_type(content_type: str | None) -> tuple[bool, int]:
    """(is it text?, sample rate of speech, Hz). Raises LexError."""
    if not content_type:
        raise LexError(LexErrorKind.BAD_REQUEST, "there is no Content-Type")
    kind, parameters = _media_type(content_type)
    if kind == "text/plain" and parameters.get("charset", "utf-8") == "utf-8":
        return True, 0
    if kind == "audio/lpcm" and _is_lpcm_8khz(parameters):
        return False, 8000
    if (kind == "audio/l16" and parameters == {"rate": "16000", "channels": "1"}) or (
        kind == "audio/x-l16" and parameters == {"sample-rate": "16000", "channel-count": "1"}
    ):
        return False, 16000
    if kind == "audio/x-cbr-opus-with-preamble":
        raise LexError(LexErrorKind.UNSUPPORTED_MEDIA_TYPE, "the local Lex runtime does not decode Opus")
    raise LexError(LexErrorKind.UNSUPPORTED_MEDIA_TYPE, f"Content-Type is none that Lex knows: {content_type}")


def _is_lpcm_8khz(parameters: dict[str, str]) -> bool:
    _, wanted = _media_type(wire.LPCM_8KHZ)
    return parameters == wanted


def _media_type(header: str) -> tuple[str, dict[str, str]]:
    kind, *rest = (part.strip() for part in header.lower().split(";"))
    return kind, dict(part.split("=", 1) for part in rest if "=" in part)


def _reply_rate_hz(accept: str | None) -> int | None:
    """Sample rate of the speech asked for; None for an answer without speech. Raises LexError."""
    kind, parameters = _media_type(accept or "audio/mpeg")  # Lex's own default
    if kind == "text/plain":
        return None
    if kind == "audio/pcm" and parameters.get("sample-rate", str(_REPLY_RATE_HZ)) in ("8000", "16000"):
        return int(parameters.get("sample-rate", _REPLY_RATE_HZ))
    raise LexError(
        LexErrorKind.NOT_ACCEPTABLE,
        f"the local Lex runtime answers audio/pcm and text/plain; charset=utf-8, not {accept or 'audio/mpeg'}",
    )


def _text_of(body: bytes) -> str:
    try:
        return _checked(body.decode())
    except UnicodeDecodeError as error:
        raise LexError(LexErrorKind.BAD_REQUEST, "the text is not UTF-8") from error


def _checked(text: Any) -> str:
    if not isinstance(text, str) or not 1 <= len(text) <= LONGEST_TEXT:
        raise LexError(LexErrorKind.BAD_REQUEST, f"a text has 1 to {LONGEST_TEXT} characters")
    return text


def _json_body(body: bytes) -> wire.Json:
    try:
        document = json.loads(body or b"{}")
    except ValueError as error:
        raise LexError(LexErrorKind.BAD_REQUEST, "the body is not JSON") from error
    if not isinstance(document, dict):
        raise LexError(LexErrorKind.BAD_REQUEST, "the body is no JSON object")
    return document


def _or_bad_request(read: Callable[[], T]) -> T:
    """`read()`, where what a client sent may have any shape."""
    try:
        return read()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise LexError(LexErrorKind.BAD_REQUEST, f"not in the shape of Lex: {error}") from error


def _at_rate(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    return pcm if from_hz == to_hz else resample(pcm, from_hz, to_hz)


# --- the connection itself ---


def _listen(address: tuple[str, int]) -> socket.socket:
    listener: socket.socket = gevent_socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(256)
    except BaseException:
        listener.close()
        raise
    return listener


def _status_line(status: int) -> str:
    names = {200: "OK", 302: "Found", 400: "Bad Request", 404: "Not Found", 409: "Conflict", 429: "Too Many Requests"}
    return f"{status} {names.get(status, 'Error' if status >= 400 else 'OK')}"


def _wrong_answer(api: str, fault: LexFault) -> Response:
    """Return the answer that a fault sends instead of the right one."""
    if fault.kind == "empty":
        return Response(200, {})
    if fault.kind == "foreign":
        return Response(200, {"Content-Type": "text/html"}, b"<html><body>It works!</body></html>")
    if fault.kind == "redirect":
        return Response(302, {"Location": "http://127.0.0.1:9/"})
    if fault.kind == "error odd":
        return Response(fault.status, {"Content-Type": "application/json"}, b"[]")
    return wire.response_of_status(api, fault.status)


def _made_odd(call: _Call, response: Response) -> Response:
    """A right answer, with what its fault makes of it: without speech that the record would know of."""
    kind = call.fault.kind if call.fault is not None and response.status == 200 else ""
    headers, body = response.headers, response.body
    match kind:
        case "compressed":
            return Response(200, {**headers, "Content-Encoding": "gzip"}, gzip.compress(body))
        case "bomb":
            return Response(200, {**headers, "Content-Encoding": "gzip"}, bomb())
        case "voiceless":
            return Response(200, headers)
        case "state bomb":
            state = base64.b64encode(gzip.compress(b"[" + b" " * (20 << 20) + b"]")).decode()
        case "state odd":
            state = "%"
        case _:
            return response
    name = "x-amz-lex-slots" if call.record.api == "v1" else "x-amz-lex-session-state"
    return Response(200, {**headers, name: state}, body)


def _send_without_end(connection: socket.socket, response: Response, fault: LexFault) -> None:
    """Write an answer without end past the WSGI server, until the client closes the connection."""
    try:
        if fault.kind == "infos":
            send_infos(connection)
        elif fault.kind == "endless":
            # Its speech is what comes first.
            piece = response.body + bytes(PIECE_BYTES)
            send_endless(connection, _status_line(200), response.headers, piece)
        else:
            send_endless(connection, _status_line(fault.status), response.headers, b" " * PIECE_BYTES)
    except OSError:
        log.debug("the client went away: it has read enough")


def _send(connection: socket.socket, response: Response, truncated: bool = False, every_s: float = 0.0) -> None:
    """Write an answer past the WSGI server: up to half of its body (or of its head without a body), or byte by byte."""
    headers = {**response.headers, "Content-Length": str(len(response.body)), "Connection": "close"}
    head = [f"HTTP/1.1 {_status_line(response.status)}", *(f"{name}: {value}" for name, value in headers.items())]
    answer = "\r\n".join([*head, "", ""]).encode() + response.body
    if truncated:
        kept = len(response.body) // 2 - len(response.body) if response.body else len(answer) // 2
        answer = answer[:kept]
    try:
        if not every_s:
            connection.sendall(answer)
            return
        for at in range(len(answer)):
            connection.sendall(answer[at : at + 1])
            gevent.sleep(every_s)
    except OSError:
        log.debug("the client went away before it had the whole answer")


def _pieces(body: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


def _noted(record: LexRequest, speech: bytes) -> Iterator[bytes]:
    """`speech` on its way to the network, and the record of it."""
    if record.speech_began is None:
        record.speech_began = monotonic()
    yield speech
    record.speech_bytes += len(speech)
    record.speech_ended = monotonic()


def _send_speech(call: _Call, response: Response, fault: LexFault) -> None:
    """Write an answer past the WSGI server with its speech in pieces, which goes wrong as the fault says."""
    headers = {**response.headers, "Transfer-Encoding": "chunked", "Connection": "close"}
    head = [f"HTTP/1.1 {_status_line(response.status)}", *(f"{name}: {value}" for name, value in headers.items())]
    dripping = fault.kind == "dripping"
    speech = response.body if dripping else response.body[: fault.after_bytes]
    try:
        call.socket.sendall("\r\n".join([*head, "", ""]).encode())
        for piece in _pieces(speech, fault.piece_bytes if dripping else _READ_BYTES):
            for noted in _noted(call.record, piece):
                call.socket.sendall(b"%x\r\n%s\r\n" % (len(noted), noted))
            if dripping:
                gevent.sleep(fault.every_s)
        if dripping:
            call.socket.sendall(b"0\r\n\r\n")
        if fault.kind == "stalled":
            _read_until_closed(call.socket)
    except OSError:
        log.debug("the client went away before it had the whole answer")


def _reset(connection: socket.socket) -> None:
    """Closing the socket sends a TCP reset from now on."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _wait_until_closed(connection: socket.socket) -> None:
    """Wait until the client gives up, without reading."""
    watch = get_original("select", "poll")()  # what it tells, it tells at once
    watch.register(connection, getattr(select, "POLLRDHUP", 0))
    while not watch.poll(0):
        gevent.sleep(0.02)


def _read_until_closed(connection: socket.socket) -> None:
    """Read and discard until the client gives up."""
    try:
        while connection.recv(65536):
            continue
    except OSError:
        log.debug("the client gave up")
