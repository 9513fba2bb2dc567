"""Turns as Lex answers them: their state in headers, their messages spoken at the sample rate that was asked for."""

from collections.abc import Mapping, Sequence

from lexbridge.audio.resampler import resample
from lexbridge.offline.lex import wire, wire_v1, wire_v2
from lexbridge.offline.lex.answers import NO_PCM
from lexbridge.offline.lex.bots import Message
from lexbridge.offline.lex.dialogue import Turn
from lexbridge.offline.lex.operation_address import LATEST_V1
from lexbridge.offline.lex.requests import ReceivedRequest, media_type
from lexbridge.offline.lex.sessions import Session
from lexbridge.offline.lex.voice import Voice
from lexbridge.offline.lex.wire import Response


class TurnAnswers:
    """Answers with the speech of one voice."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice

    def answer(
        self,
        call: ReceivedRequest,
        session: Session,
        turn: Turn,
        heard: tuple[str, str] | None,
        rate_hz: int | None,
        request_attributes: Mapping[str, str] | None,
    ) -> Response:
        """Return the answer to a request that made a turn.

        heard: V2's input mode and what was understood, or None if the client said nothing. rate_hz: sample rate of
        the speech, or None for an answer without speech.
        """
        if call.record.api == "v1":
            version = LATEST_V1 if call.alias == LATEST_V1 else call.bot.version
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
        return at_rate(self._voice.speak(text), self._voice.rate_hz, rate_hz) if text.strip() else b""


def at_rate(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Return `pcm` at another sample rate."""
    return pcm if from_hz == to_hz else resample(pcm, from_hz, to_hz)
