"""Lex's operations, both generations: utterances in speech and text, and sessions that clients read, put and delete."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from lexbridge.audio.pcm import RATE_HZ
from lexbridge.offline.lex import wire, wire_v1, wire_v2
from lexbridge.offline.lex.bots import Bot
from lexbridge.offline.lex.dialogue import Conversation, Turn, take_turn
from lexbridge.offline.lex.fault_injection import strike
from lexbridge.offline.lex.grammar import grammar_for
from lexbridge.offline.lex.recognition import Recogniser
from lexbridge.offline.lex.requests import (
    ReceivedRequest,
    checked_text,
    input_type,
    json_body,
    or_bad_request,
    reply_rate_hz,
    text_of,
)
from lexbridge.offline.lex.sessions import Session, Sessions
from lexbridge.offline.lex.turn_answers import TurnAnswers, at_rate
from lexbridge.offline.lex.upload import read_speech, read_text
from lexbridge.offline.lex.wire import LexError, LexErrorKind, Response


class Operations:
    """The operations on bots and their sessions. think: waits for as long as a request's answer is to take."""

    def __init__(
        self,
        sessions: Sessions,
        recogniser: Recogniser,
        answers: TurnAnswers,
        think: Callable[[ReceivedRequest], None],
        today: Callable[[], date],
    ) -> None:
        self._sessions = sessions
        self._recogniser = recogniser
        self._answers = answers
        self._think = think
        self._today = today

    def answer(self, call: ReceivedRequest) -> Response:
        """Carry out the operation that a request asks for. Raises LexError, AlreadyAnswered or ConnectionDropped."""
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

    def _take_utterance(self, call: ReceivedRequest) -> Response:
        strike(call, "start")
        is_text, rate_hz = input_type(call.header("Content-Type"))
        call.record.is_text = is_text
        accept = reply_rate_hz(call.header("Accept" if call.record.api == "v1" else "Response-Content-Type"))
        with self._sessions.taken(call) as session:
            conversation = self._conversation_asked_for(call, session)
            body = read_text(call) if is_text else read_speech(call, rate_hz)
            strike(call, "end")
            self._think(call)
            if is_text:
                text, mode = text_of(body), "Text"
            else:
                text, mode = self._hear(body, rate_hz, call.bot, conversation), "Speech"
            turn = self._turn(call, session, conversation, text)
            attributes = wire.read_gzip_json(call.header("x-amz-lex-request-attributes"), "requestAttributes")
            return self._answers.answer(call, session, turn, (mode, text), accept, attributes)

    def _conversation_asked_for(self, call: ReceivedRequest, session: Session) -> Conversation:
        """The session's conversation, after what the request's own headers change in it."""
        conversation = session.last.conversation
        if call.record.api == "v2":
            state = wire.read_gzip_json(call.header("x-amz-lex-session-state"), "sessionState")
            return or_bad_request(lambda: wire_v2.v2_apply_state(call.bot, conversation, state).conversation)
        attributes = wire.read_base64_json(call.header("x-amz-lex-session-attributes"), "sessionAttributes")
        return conversation if attributes is None else replace(conversation, attributes=attributes)

    def _hear(self, audio: bytes, rate_hz: int, bot: Bot, conversation: Conversation) -> str:
        pcm = audio[: len(audio) // 2 * 2]
        return self._recogniser.recognise(at_rate(pcm, rate_hz, RATE_HZ), grammar_for(bot, conversation))

    def _turn(self, call: ReceivedRequest, session: Session, conversation: Conversation, text: str) -> Turn:
        turn = take_turn(call.bot, conversation, text, self._today())
        self._sessions.keep(call, session, turn)
        call.record.transcript = text
        return turn

    def _take_text(self, call: ReceivedRequest) -> Response:
        strike(call, "start")
        with self._sessions.taken(call) as session:
            body = json_body(read_text(call))
            strike(call, "end")
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

    def _get_session(self, call: ReceivedRequest) -> Response:
        strike(call, "start")
        strike(call, "end")
        session = self._sessions.find(call)
        if session is None or not session.kept:
            raise LexError(LexErrorKind.NOT_FOUND, f"no session {call.record.session_id}")
        if call.record.api == "v1":
            document = wire_v1.v1_session(call.bot, session.last, session.session_id, session.recent)
        else:
            document = wire_v2.v2_session(call.bot, session.last, call.record.session_id)
        return wire.json_response(document)

    def _put_session(self, call: ReceivedRequest) -> Response:
        strike(call, "start")
        accept_header = "Accept" if call.record.api == "v1" else "ResponseContentType"
        # [?] what is answered when no content type is asked for is not documented: here, text.
        accept = reply_rate_hz(call.header(accept_header) or "text/plain")
        with self._sessions.taken(call) as session:
            body = json_body(read_text(call))
            strike(call, "end")
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
            self._sessions.keep(call, session, turn)
            return self._answers.answer(call, session, turn, None, accept, body.get("requestAttributes"))

    def _delete_session(self, call: ReceivedRequest) -> Response:
        session = self._sessions.delete(call)
        if call.record.api == "v1":
            names = {"botName": call.bot.name, "botAlias": call.alias, "userId": call.record.session_id}
            return wire.json_response({**names, "sessionId": session.session_id})
        ids = {"botId": call.bot.v2_id, "botAliasId": call.alias, "localeId": call.bot.locale_id}
        return wire.json_response({**ids, "sessionId": call.record.session_id})
