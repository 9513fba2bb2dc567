"""The local Lex runtime: bots behind Lex's own HTTP interface, both generations, for the real boto3.

    with LocalLex(bots=shipped_bots(), recogniser=recogniser, voice=voice) as lex:
        client = boto3.client("lex-runtime", endpoint_url=lex.url, ...)

Audio is read as it arrives; when the upload ends it is recognised against what the dialog expects, and answered with
text and speech. Every bot answers V1 by its name and V2 by `Bot.v2_id`. `requests` is what happened lately, `think_s`
makes every answer late, `audio_pace` sends its speech bit by bit, `faults` makes it fail on demand.

A request goes from here to `operations.py`, which takes its dialog from `sessions.py` and its bot's words from
`dialogue.py`. `wire_v1.py` and `wire_v2.py` know how each generation writes them, `fault_injection.py` breaks them.

What it does not do: run Lambda functions, speak MP3 or Ogg, hear Opus, stream (StartConversation).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from time import monotonic
from typing import Any

import gevent

from lexbridge.offline.lex import wire
from lexbridge.offline.lex.answers import AlreadyAnswered, made_odd, noted_speech, pieces, status_line
from lexbridge.offline.lex.bots import Bot
from lexbridge.offline.lex.fault_injection import break_answer
from lexbridge.offline.lex.faults import LexFault, take_fault
from lexbridge.offline.lex.identity import LONGEST_QUERY, caller_identity
from lexbridge.offline.lex.operation_address import api_of, bot_at, read_address
from lexbridge.offline.lex.operations import Operations
from lexbridge.offline.lex.recognition import Recogniser
from lexbridge.offline.lex.requests import LexRequest, ReceivedRequest, signed_region
from lexbridge.offline.lex.sessions import Sessions
from lexbridge.offline.lex.turn_answers import TurnAnswers
from lexbridge.offline.lex.voice import Voice
from lexbridge.offline.lex.wire import LexError, Response
from lexbridge.offline.loopback_server import LoopbackServer

_KEPT_REQUESTS = 2000  # with their audio: a runtime may be left running


class LocalLex(LoopbackServer):
    """A server of bots, from entering it as a context manager (or `start()`) until leaving it (or `stop()`).

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
        super().__init__((host, port), self._respond)
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
        self._operations = Operations(Sessions(clock), recogniser, TurnAnswers(voice), self._think, today)

    def _respond(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        call: ReceivedRequest | None = None
        api = api_of(environ["PATH_INFO"])
        try:
            call = self._receive(environ)
            response = self._operations.answer(call)
        except AlreadyAnswered as answered:
            response = answered.response
        except LexError as error:
            response = wire.error_response(api, error)
        if call is not None:
            call.record.status = response.status
            response = made_odd(call, response)
            break_answer(call, response)
            call.record.answered = monotonic()
            if response.speech_hz and self.audio_pace is not None:
                # No Content-Length: the server sends it in chunks, each as it comes.
                start_response(status_line(response.status), [*response.headers.items()])
                return self._at_its_pace(call.record, response, self.audio_pace)
        length = ("Content-Length", str(len(response.body)))
        start_response(status_line(response.status), [*response.headers.items(), length])
        return noted_speech(call.record, response.body) if call is not None and response.speech_hz else [response.body]

    def _at_its_pace(self, record: LexRequest, response: Response, pace: float) -> Iterator[bytes]:
        """Yield the answer's speech in pieces, at `pace` seconds of it in a second."""
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
        address = read_address(method, path)
        record = LexRequest(
            address.api,
            address.operation,
            address.bot,
            address.session_id,
            began=monotonic(),
            client_port=int(environ["REMOTE_PORT"]),
            locale_id=address.locale_id,
            alias=address.alias,
            region=signed_region(environ.get("HTTP_AUTHORIZATION", "")),
        )
        self.requests.append(record)
        del self.requests[:-_KEPT_REQUESTS]
        try:
            call = ReceivedRequest(environ, record, bot_at(address, self._bots), address.alias)
        except LexError as error:
            record.status = wire.error_response(address.api, error).status
            raise
        call.fault = record.fault = take_fault(self.faults, address.operation, address.session_id)
        return call

    def _think(self, call: ReceivedRequest) -> None:
        gevent.sleep(call.fault.after_s if call.fault and call.fault.kind == "slow" else self.think_s)
        self.before_answer(call.record)
