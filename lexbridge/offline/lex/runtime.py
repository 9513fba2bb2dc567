"""The local Lex runtime: bots behind Lex's own HTTP interface, both generations, for the real boto3.

    with LocalLex(bots=shipped_bots(), recogniser=recogniser, voice=voice) as lex:
        client = boto3.client("lex-runtime", endpoint_url=lex.url, ...)

Audio is read as it arrives; when the upload ends it is recognised against what the dialog expects, and answered with
text and speech. Every bot answers V1 by its name and V2 by `Bot.v2_id`. `requests` is what happened lately, `think_s`
makes every answer late, `audio_pace` sends its speech bit by bit, `faults` makes it fail on demand.

What it does not do: run Lambda functions, speak MP3 or Ogg, hear Opus, stream (StartConversation).
"""

import logging
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from time import monotonic
from types import TracebackType
from typing import Any, Literal

import gevent
from gevent import GreenletExit
from gevent.pywsgi import Input, WSGIHandler

from lexbridge.audio.pcm import RATE_HZ
from lexbridge.audio.resampler import resample
from lexbridge.offline.lex import wire, wire_v1, wire_v2
from lexbridge.offline.lex.answers import (
    NO_PCM,
    READ_BYTES,
    AlreadyAnswered,
    ConnectionDropped,
    made_odd,
    noted_speech,
    pieces,
    read_until_closed,
    reset_on_close,
    send,
    send_broken_speech,
    send_without_end,
    status_line,
    wait_until_closed,
    wrong_answer,
)
from lexbridge.offline.lex.bots import Bot, Message
from lexbridge.offline.lex.dialogue import Conversation, Turn, take_turn
from lexbridge.offline.lex.faults import AT_THE_END, LexFault
from lexbridge.offline.lex.grammar import grammar_for
from lexbridge.offline.lex.identity import LONGEST_QUERY, caller_identity
from lexbridge.offline.lex.recognition import Recogniser
from lexbridge.offline.lex.requests import (
    LONGEST_TEXT,
    LexRequest,
    ReceivedRequest,
    checked_text,
    input_type,
    json_body,
    media_type,
    or_bad_request,
    reply_rate_hz,
    signed_region,
    text_of,
)
from lexbridge.offline.lex.voice import Voice
from lexbridge.offline.lex.wire import LexError, LexErrorKind, Response
from lexbridge.offline.loopback_server import LoopbackServer

log = logging.getLogger(__name__)


LONGEST_SPEECH_S = 15
_MIDDLE_BYTES = 10 * READ_BYTES
_KEPT_REQUESTS = 2000  # with their audio: a runtime may be left running
_LATEST_V1 = "$LATEST"

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
class _Session:
    """A session's state. `busy` while a request for it is under way; `used` is when it last was, by the clock."""

    session_id: str
    used: float
    last: Turn = field(default_factory=lambda: Turn(Conversation(), ()))
    recent: list[wire.Json] = field(default_factory=list)
    busy: bool = False
    kept: bool = False  # something was said or put: GetSession knows it


class _Handler(WSGIHandler):
    """pywsgi's, and the application can reach its socket and give the connection up."""

    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), "lexbridge.socket": self.socket}

    def run_application(self) -> None:
        """Run the application. A connection that the application gave up is closed without an answer."""
        try:
            super().run_application()
        except ConnectionDropped:
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


class LocalLex(LoopbackServer):
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
        super().__init__((host, port), self._respond, _Handler)
        self.think_s = think_s
        self.audio_pace = audio_pace
        self.audio_piece_ms = audio_piece_ms
        self.before_answer: Callable[[LexRequest], object] = lambda _: None
        """Called when an answer has been thought of. It may wait, for as long as the answer is to take."""
        self.before_piece: Callable[[LexRequest], object] = lambda _: None
        """Called before each piece of an answer's speech, if audio_pace is set. It may wait, too."""
        self.requests: list[LexRequest] = []
        self.faults: list[LexFault] = []
        self._bots = list(bots)
        self._recogniser = recogniser
        self._voice = voice
        self._today = today
        self._clock = clock
        self._sessions: dict[tuple[str, ...], _Session] = {}

    # --- one request ---

    def _respond(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        call: ReceivedRequest | None = None
        api = "v1" if environ["PATH_INFO"].startswith("/bot/") else "v2"
        try:
            call = self._receive(environ)
            response = self._answer(call)
        except AlreadyAnswered as answered:
            response = answered.response
        except LexError as error:
            response = wire.error_response(api, error)
        if call is not None:
            call.record.status = response.status
            response = made_odd(call, response)
            self._break_answer(call, response)
            call.record.answered = monotonic()
            if response.speech_hz and self.audio_pace is not None:
                # No Content-Length: the server sends it in chunks, each as it comes.
                start_response(status_line(response.status), [*response.headers.items()])
                return self._at_its_pace(call.record, response, self.audio_pace)
        length = ("Content-Length", str(len(response.body)))
        start_response(status_line(response.status), [*response.headers.items(), length])
        return noted_speech(call.record, response.body) if call is not None and response.speech_hz else [response.body]

    def _at_its_pace(self, record: LexRequest, response: Response, pace: float) -> Iterator[bytes]:
        """The answer's speech in pieces, at `pace` seconds of it in a second."""
        began, sent_bytes = monotonic(), 0
        for piece in pieces(response.body, 2 * response.speech_hz * self.audio_piece_ms // 1000):
            gevent.sleep(max(0.0, began + sent_bytes / (2 * response.speech_hz * pace) - monotonic()))
            self.before_piece(record)
            yield from noted_speech(record, piece)
            sent_bytes += len(piece)

    def _receive(self, environ: dict[str, Any]) -> ReceivedRequest:
        """Read which bot is asked for what. Raises LexError, or AlreadyAnswered for a request to STS."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if (method, path) == ("POST", "/"):
            raise AlreadyAnswered(caller_identity(environ["wsgi.input"].read(LONGEST_QUERY)))
        if found := _V1_PATH.fullmatch(path):
            api: Literal["v1", "v2"] = "v1"
            name, alias, session_id, what = found.groups()
            bot, locale_id = next((bot for bot in self._bots if bot.name == name), None), None
        elif found := _V2_PATH.fullmatch(path):
            api = "v2"
            name, alias, locale_id, session_id, what = found.groups()
            of_id = [bot for bot in self._bots if bot.v2_id == name]  # one for each locale
            bot = next((bot for bot in of_id if bot.locale_id == locale_id), of_id[0] if of_id else None)
        else:
            raise LexError(LexErrorKind.NOT_FOUND, f"unknown operation: {path}")
        operation = _OPERATIONS.get((api, method, what))
        if operation is None:
            raise LexError(LexErrorKind.BAD_REQUEST, f"unknown operation: {method} {path}")
        record = LexRequest(
            api,
            operation,
            name,
            session_id,
            began=monotonic(),
            client_port=int(environ["REMOTE_PORT"]),
            locale_id=locale_id,
            alias=alias,
            region=signed_region(environ.get("HTTP_AUTHORIZATION", "")),
        )
        self.requests.append(record)
        del self.requests[:-_KEPT_REQUESTS]
        try:
            call = ReceivedRequest(environ, record, self._check_address(bot, name, alias, locale_id, session_id), alias)
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

    def _answer(self, call: ReceivedRequest) -> Response:
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

    def _take_utterance(self, call: ReceivedRequest) -> Response:
        self._strike(call, "start")
        is_text, rate_hz = input_type(call.header("Content-Type"))
        call.record.is_text = is_text
        accept = reply_rate_hz(call.header("Accept" if call.record.api == "v1" else "Response-Content-Type"))
        with _Busy(self._session(call)) as session:
            conversation = self._conversation_asked_for(call, session)
            body = self._read_body(call, rate_hz if not is_text else None)
            self._strike(call, "end")
            self._think(call)
            if is_text:
                text, mode = text_of(body), "Text"
            else:
                text, mode = self._hear(body, rate_hz, call.bot, conversation), "Speech"
            turn = self._turn(call, session, conversation, text)
            attributes = wire.read_gzip_json(call.header("x-amz-lex-request-attributes"), "requestAttributes")
            return self._utterance_response(call, session, turn, (mode, text), accept, attributes)

    def _conversation_asked_for(self, call: ReceivedRequest, session: _Session) -> Conversation:
        """The session's conversation, after what the request's own headers change in it."""
        conversation = session.last.conversation
        if call.record.api == "v2":
            state = wire.read_gzip_json(call.header("x-amz-lex-session-state"), "sessionState")
            return or_bad_request(lambda: wire_v2.v2_apply_state(call.bot, conversation, state).conversation)
        attributes = wire.read_base64_json(call.header("x-amz-lex-session-attributes"), "sessionAttributes")
        return conversation if attributes is None else replace(conversation, attributes=attributes)

    def _read_body(self, call: ReceivedRequest, rate_hz: int | None) -> bytes:
        """The upload, as it comes. `rate_hz`: of speech, which has a longest length; None for a text."""
        longest = 8 * LONGEST_TEXT if rate_hz is None else LONGEST_SPEECH_S * rate_hz * 2
        upload, record = call.environ["wsgi.input"], call.record
        body = bytearray()
        try:
            while piece := upload.read(READ_BYTES):
                if record.first_audio is None:
                    record.first_audio = monotonic()
                body += piece
                if len(body) >= _MIDDLE_BYTES:
                    self._strike(call, "middle")
                if len(body) > longest:
                    raise LexError(LexErrorKind.TOO_LONG, f"the input is longer than {LONGEST_SPEECH_S} s of speech")
        except OSError as error:
            record.aborted = True
            raise ConnectionDropped from error
        finally:
            record.audio = bytes(body)
        self._strike(call, "middle")  # of an upload that was shorter than that
        record.ended = monotonic()
        return bytes(body)

    def _think(self, call: ReceivedRequest) -> None:
        gevent.sleep(call.fault.after_s if call.fault and call.fault.kind == "slow" else self.think_s)
        self.before_answer(call.record)

    def _hear(self, audio: bytes, rate_hz: int, bot: Bot, conversation: Conversation) -> str:
        pcm = audio[: len(audio) // 2 * 2]
        return self._recogniser.recognise(_at_rate(pcm, rate_hz, RATE_HZ), grammar_for(bot, conversation))

    def _turn(self, call: ReceivedRequest, session: _Session, conversation: Conversation, text: str) -> Turn:
        turn = take_turn(call.bot, conversation, text, self._today())
        self._keep(call, session, turn)
        call.record.transcript = text
        return turn

    def _utterance_response(
        self,
        call: ReceivedRequest,
        session: _Session,
        turn: Turn,
        heard: tuple[str, str] | None,
        rate_hz: int | None,
        request_attributes: Mapping[str, str] | None,
    ) -> Response:
        if call.record.api == "v1":
            version = _LATEST_V1 if call.alias == _LATEST_V1 else call.bot.version
            headers = wire_v1.v1_headers(call.bot, turn, session.session_id, version, heard[1] if heard else None)
        else:
            headers = wire_v2.v2_headers(call.bot, turn, call.record.session_id, request_attributes or {}, heard)
        if rate_hz is None:
            return Response(200, {**headers, "Content-Type": wire.TEXT_TYPE})
        content_type = "audio/pcm"
        if call.fault is not None and call.fault.kind == "mistyped":
            content_type = call.fault.content_type
            kind, parameters = media_type(content_type)
            if kind != "audio/pcm":
                return Response(200, {**headers, "Content-Type": content_type}, NO_PCM * 100)
            rate_hz = int(parameters.get("sample-rate", rate_hz))
        speech = self._say(turn.messages, rate_hz)
        return Response(200, {**headers, "Content-Type": content_type}, speech, speech_hz=rate_hz if speech else 0)

    def _say(self, messages: Sequence[Message], rate_hz: int) -> bytes:
        text = " ".join(message.text for message in messages if message.kind != "CustomPayload")
        return _at_rate(self._voice.speak(text), self._voice.rate_hz, rate_hz) if text.strip() else b""

    def _take_text(self, call: ReceivedRequest) -> Response:
        self._strike(call, "start")
        with _Busy(self._session(call)) as session:
            body = json_body(self._read_body(call, None))
            self._strike(call, "end")
            self._think(call)
            conversation = session.last.conversation
            if call.record.api == "v1":
                if body.get("sessionAttributes") is not None:
                    conversation = replace(conversation, attributes=body["sessionAttributes"])
                turn = self._turn(call, session, conversation, checked_text(body.get("inputText")))
                return wire.json_response(wire_v1.v1_text_reply(call.bot, turn, session.session_id, call.bot.version))
            applied = or_bad_request(lambda: wire_v2.v2_apply_state(call.bot, conversation, body.get("sessionState")))
            turn = self._turn(call, session, applied.conversation, checked_text(body.get("text")))
            document = wire_v2.v2_session(call.bot, turn, call.record.session_id)
            return wire.json_response({**document, "requestAttributes": body.get("requestAttributes") or {}})

    # --- sessions ---

    def _key(self, call: ReceivedRequest) -> tuple[str, ...]:
        return call.record.api, call.bot.name, call.alias, call.record.locale_id or "", call.record.session_id

    def _live_session(self, call: ReceivedRequest) -> _Session | None:
        """The session, if there is one and its time to live is not over."""
        session = self._sessions.get(self._key(call))
        if session and not session.busy and self._clock() - session.used > call.bot.session_ttl_s:
            del self._sessions[self._key(call)]
            return None
        return session

    def _session(self, call: ReceivedRequest) -> _Session:
        session = self._live_session(call)
        if session is None:
            session = self._sessions[self._key(call)] = _Session(str(uuid.uuid4()), self._clock())
        return session

    def _keep(self, call: ReceivedRequest, session: _Session, turn: Turn) -> None:
        session.last, session.used, session.kept = turn, self._clock(), True
        call.record.intent = turn.conversation.intent
        call.record.dialog_state = turn.conversation.state.value
        call.record.attributes = turn.conversation.attributes
        call.record.slots = {name: filling.value for name, filling in turn.conversation.fillings.items()}
        call.record.said = " ".join(message.text for message in turn.messages if message.text)
        if turn.conversation.intent:
            summary = wire_v1.v1_intent_summary(call.bot, turn.conversation)
            others = [one for one in session.recent if one["intentName"] != summary["intentName"]]
            session.recent = [summary, *others][:3]

    def _get_session(self, call: ReceivedRequest) -> Response:
        self._strike(call, "start")
        self._strike(call, "end")
        session = self._live_session(call)
        if session is None or not session.kept:
            raise LexError(LexErrorKind.NOT_FOUND, f"no session {call.record.session_id}")
        if call.record.api == "v1":
            document = wire_v1.v1_session(call.bot, session.last, session.session_id, session.recent)
        else:
            document = wire_v2.v2_session(call.bot, session.last, call.record.session_id)
        return wire.json_response(document)

    def _put_session(self, call: ReceivedRequest) -> Response:
        self._strike(call, "start")
        accept_header = "Accept" if call.record.api == "v1" else "ResponseContentType"
        # [?] what is answered when no content type is asked for is not documented: here, text.
        accept = reply_rate_hz(call.header(accept_header) or "text/plain")
        with _Busy(self._session(call)) as session:
            body = json_body(self._read_body(call, None))
            self._strike(call, "end")
            self._think(call)
            conversation = session.last.conversation
            if call.record.api == "v1":
                turn = or_bad_request(lambda: wire_v1.v1_put_session(call.bot, conversation, body))
                if body.get("recentIntentSummaryView") is not None:
                    session.recent = list(body["recentIntentSummaryView"])
            elif not body.get("sessionState"):
                raise LexError(LexErrorKind.BAD_REQUEST, "sessionState is missing")
            else:
                turn = or_bad_request(
                    lambda: wire_v2.v2_apply_state(
                        call.bot, conversation, body.get("sessionState"), body.get("messages") or ()
                    )
                )
            self._keep(call, session, turn)
            return self._utterance_response(call, session, turn, None, accept, body.get("requestAttributes"))

    def _delete_session(self, call: ReceivedRequest) -> Response:
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

    def _strike(self, call: ReceivedRequest, when: Literal["start", "middle", "end"]) -> None:
        """Carry out the part of the request's fault that belongs to this point of the upload."""
        fault = call.fault
        if fault is None or fault.when != when or fault.kind in AT_THE_END:
            return
        match fault.kind:
            case "hang":
                read_until_closed(call.socket)
            case "unread":
                wait_until_closed(call.socket)
            case "reset":
                reset_on_close(call.socket)
            case "infos" | "error endless":
                send_without_end(call.socket, Response(fault.status, {"Content-Type": "application/json"}), fault)
            case _:
                response = wrong_answer(call.record.api, fault)
                call.record.status = response.status
                if when == "end":
                    raise AlreadyAnswered(response)
                call.fault = None
                send(call.socket, response)
        raise ConnectionDropped

    @staticmethod
    def _break_answer(call: ReceivedRequest, response: Response) -> None:
        """Send the answer as its fault says, and raise ConnectionDropped. Return if there is no such fault."""
        fault = call.fault
        if fault is None or response.status != 200:
            return
        if response.speech_hz and fault.kind in ("broken", "stalled", "dripping"):
            call.record.answered = monotonic()
            send_broken_speech(call, response, fault)
            raise ConnectionDropped
        if fault.kind == "endless":
            call.record.answered = monotonic()
            send_without_end(call.socket, response, fault)
            raise ConnectionDropped
        if fault.kind == "truncated":
            send(call.socket, response, truncated=True)
            raise ConnectionDropped
        if fault.kind == "drip":
            send(call.socket, response, every_s=fault.every_s)
            raise ConnectionDropped


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


def _at_rate(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    return pcm if from_hz == to_hz else resample(pcm, from_hz, to_hz)
