"""A light Twilio for hundreds of real-time calls: places them, carries out their TwiML, streams their callers' audio
and plays the bot's, serves the REST API that updates them. One asyncio process. Not a measurement itself.

What the simulated Twilio of lexbridge/offline does in detail this does cheaply, and strictly where that costs little:
whatever Twilio would refuse or warn about is counted in `complaints`. On a bidirectional stream the bot speaks in
marked audio. No Dial. Nobody presses a key: a Gather is what it holds, and then its timeout.
"""

import asyncio
import base64
import json
import re
import secrets
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

from bench.harness import light_http
from bench.harness.light_http import Request
from bench.harness.marked_audio import LONGEST_SAY_S
from bench.harness.twilio.media_stream import Clock, MediaStream, Speech
from bench.harness.twilio.playback import Playback
from bench.harness.twilio.webhooks import Webhooks
from lexbridge.offline.twilio.twiml_document import parse_twiml, stream_url_problem
from lexbridge.offline.twilio.verbs import (
    ConnectStream,
    Document,
    Gather,
    Hangup,
    Pause,
    Redirect,
    Say,
    StartStream,
    StopStream,
    Stream,
    TwimlError,
    Verb,
)

TRACKS_PER_CALL = 4
LONGEST_TWIML = 4000
GONE_REMEMBERED = 20_000
_REST_PATH = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-f]{32})/Calls/([^/]+?)(?:/Streams/([^/]+))?\.json")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, seconds. `callback_s`: from what happens to a stream to the request that tells of it, and
    to the verb after a `<Connect>` whose stream has ended; `rest_s`: from a REST request to its answer and effect."""

    say_s_per_character: float = 0.030
    longest_say_s: float = LONGEST_SAY_S
    callback_s: float = 0.050
    rest_s: float = 0.0

    def say_s(self, say: Say) -> float:
        """How long it takes to say that."""
        return min(self.longest_say_s, len(say.text) * self.say_s_per_character) * say.loop


class End(Enum):
    """How a call ended."""

    HANGUP = "hung up by the bridge"
    RAN_OUT = "its document ran out"
    REST = "completed by REST"
    APPLICATION_ERROR = "application error"
    CALLER = "the caller hung up"


class Party(Protocol):
    """Whoever is on the line. It may `say` something in the call, and hang up by `call.end(End.CALLER)`."""

    def answered(self, call: "ExchangeCall") -> None:
        """The line is open."""
        ...

    def bot_began(self, text: str) -> None:
        """A Say begins, or words in the audio of a stream."""
        ...

    def bot_finished(self, text: str, *, whole: bool) -> None:
        """They are over; not `whole`: an update cut them, or the end of the stream, or a `clear`."""
        ...

    def ended(self, how: End, detail: str) -> None:
        """The line is dead."""
        ...


class RestRefusal(Exception):
    """HTTP status and Twilio's code."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Exchange:
    """One account's calls. Use it as an asynchronous context manager."""

    def __init__(
        self,
        auth_token: str,
        *,
        pace: Pace | None = None,
        frames_per_message: int = 2,
        sign_fragment: bool = False,
    ) -> None:
        self.auth_token = auth_token
        self.account_sid = "AC" + secrets.token_hex(16)
        self.pace = pace or Pace()
        self.clock = Clock(frames_per_message)
        self.webhooks = Webhooks(auth_token, sign_fragment=sign_fragment)
        self.calls: dict[str, ExchangeCall] = {}
        """The live calls by SID."""
        self.complaints: Counter[str] = Counter()
        """What Twilio would refuse or warn about, and how often."""
        self.streams_opened = 0
        self.streams_lost: Counter[str] = Counter()
        """Streams that broke, were closed by the server or did not open: by Twilio's code and its words."""
        self.updates = 0
        self._gone: deque[str] = deque(maxlen=GONE_REMEMBERED)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Exchange":
        self._server = await light_http.serve(self)
        self._ticking = asyncio.create_task(self.clock.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        assert self._ticking
        for call in list(self.calls.values()):
            call.end(End.CALLER, "the bench is over")
        await self.settle(3)
        self._ticking.cancel()
        self._server.close()

    @property
    def url(self) -> str:
        """The REST API's address."""
        assert self._server
        return f"http://127.0.0.1:{light_http.port_of(self._server)}"

    def place_call(self, webhook: str, party: Party, sid: str | None = None) -> "ExchangeCall":
        """`party` dials the number whose voice webhook is `webhook`."""
        call = ExchangeCall(self, sid or "CA" + secrets.token_hex(16), party, webhook)
        self.calls[call.sid] = call
        return call

    async def settle(self, limit_s: float) -> None:
        """Waits until every request under way is answered; those that take longer are dropped."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=limit_s)
            for task in late:
                task.cancel()

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Does it in the background, and waits for it when all is over."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self.watch)

    def watch(self, task: asyncio.Task[None]) -> None:
        """A task is done: one that raised is a bug of ours, and is not to go unseen."""
        if not task.cancelled() and (error := task.exception()) is not None:
            traceback.print_exception(error)
            self.complain(0, f"a bug of the bench: {error!r}")

    def complain(self, code: int, message: str) -> None:
        """Counts it."""
        self.complaints[f"{code} {message}"] += 1

    def forget(self, call: "ExchangeCall") -> None:
        """The call is over."""
        if self.calls.pop(call.sid, None) is not None:
            self._gone.append(call.sid)

    # The REST API, a Site

    def began(self, request: Request) -> None:
        """See Site."""

    def broke_off(self, request: Request) -> None:
        """See Site."""

    def finished(self, request: Request) -> None:
        """See Site."""
        if self.pace.rest_s:
            asyncio.get_running_loop().call_later(self.pace.rest_s, self._answer, request)
        else:
            self._answer(request)

    def _answer(self, request: Request) -> None:
        try:
            status, resource = 200, self._carry_out(request)
        except RestRefusal as refusal:
            status, resource = refusal.status, {"code": refusal.code, "message": str(refusal), "status": refusal.status}
            if refusal.code != 21220:  # a call that has just ended is nobody's fault
                self.complain(refusal.code, f"REST: {refusal}")
        request.connection.answer(status, {"Content-Type": "application/json"}, json.dumps(resource).encode())

    def _carry_out(self, request: Request) -> dict[str, Any]:
        given = request.headers.get("authorization", "")
        if given != "Basic " + base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode():
            raise RestRefusal(401, 20003, "Authenticate")
        found = _REST_PATH.fullmatch(request.path)
        if request.method != "POST" or found is None or found[1] != self.account_sid:
            raise RestRefusal(404, 20404, "The requested resource was not found")
        call = self.calls.get(found[2])
        if call is None and found[2] not in self._gone:
            raise RestRefusal(404, 20404, "The requested call was not found")
        fields = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        if found[3]:
            return self._stop_stream(call, unquote(found[3]), fields)
        if call is None:
            raise RestRefusal(400, 21220, "Call is not in-progress. Cannot redirect.")
        self._update(call, fields)
        return _resource(call)

    def _stop_stream(self, call: "ExchangeCall | None", name: str, fields: dict[str, str]) -> dict[str, Any]:
        if fields != {"Status": "stopped"}:
            raise RestRefusal(400, 20001, f"Streams: only Status=stopped is allowed, not {fields}")
        stopped = call.stop_streams(name) if call else []
        if call is None or not stopped:
            raise RestRefusal(404, 20404, "The requested stream was not found")
        now = _rfc2822()
        return {
            "sid": stopped[0].sid,
            "account_sid": self.account_sid,
            "call_sid": call.sid,
            "name": stopped[0].name,
            "status": "stopped",
            "date_updated": now,
            "uri": "",
        }

    def _update(self, call: "ExchangeCall", fields: dict[str, str]) -> None:
        self.updates += 1
        if set(fields) == {"Status"} and fields["Status"] == "completed":
            call.end(End.REST)
            return
        if set(fields) != {"Twiml"}:
            raise RestRefusal(400, 20001, f"only Twiml or Status=completed are served here, not {sorted(fields)}")
        if len(fields["Twiml"]) > LONGEST_TWIML:
            raise RestRefusal(400, 32018, f"Twiml has {len(fields['Twiml'])} characters")
        call.replace_document(fields["Twiml"])


class ExchangeCall:
    """One call: its document, its streams, its line."""

    def __init__(self, exchange: Exchange, sid: str, party: Party, webhook: str) -> None:
        self.sid = sid
        self.speech = Speech()
        self.is_over = False
        self.without_stream: list[tuple[float, float]] = []
        """Stretches of the answered call without a live stream: when each began (monotonic), and how long it was, s."""
        self._without_since_s: float | None = None
        self._exchange = exchange
        self._party = party
        self._is_answered = False
        self._streams: list[tuple[MediaStream, Stream]] = []
        self._live = 0
        self._saying: str | None = None
        self._connected: tuple[MediaStream, Playback, asyncio.Event] | None = None  # until the event
        self._running = self._start(lambda: self._fetch(webhook))

    def say(self, turn: int) -> None:
        """The caller says `turn`, from now on."""
        self.speech = Speech(turn, self._exchange.clock.tick)

    def replace_document(self, twiml: str) -> None:
        """A REST update: what runs is stopped, a bidirectional stream with it. One-way streams live on."""

        async def given() -> Document:
            return parse_twiml(twiml, None)

        self._running.cancel()
        self._disconnect()
        self.bot_ends(whole=False)
        self._running = self._start(given)

    def stop_streams(self, name: str) -> list[MediaStream]:
        """Stops the streams of that name or SID; returns them."""
        found = [stream for stream, _ in self._streams if name in (stream.name, stream.sid) and not stream.is_over]
        for stream in found:
            stream.stop(self._exchange.account_sid, self.sid)
        return found

    def end(self, how: End, detail: str = "") -> None:
        """Ends the call, once."""
        if self.is_over:
            return
        self.is_over = True
        self._running.cancel()
        self._disconnect()
        self.bot_ends(whole=False)
        if self._without_since_s is not None:
            self._stream_is_back()
        for stream, _ in list(self._streams):
            stream.stop(self._exchange.account_sid, self.sid)
        self._exchange.forget(self)
        if how is End.APPLICATION_ERROR:
            self._exchange.complain(0, f"application error: {re.sub('[0-9a-f]{32}', '...', detail)}")
        self._party.ended(how, detail)

    # Its document

    def _start(self, first: Callable[[], Coroutine[Any, Any, Document]]) -> asyncio.Task[None]:
        running = asyncio.create_task(self._run(first))
        running.add_done_callback(self._exchange.watch)
        return running

    async def _run(self, first: Callable[[], Coroutine[Any, Any, Document]]) -> None:
        try:
            document: Document | None = await first()
            while document is not None:
                for warning in document.warnings:
                    self._exchange.complain(warning.code, warning.message)
                document = await self._carry_out(document)
        except (TwimlError, ValueError) as error:
            self.end(End.APPLICATION_ERROR, str(error))
        else:
            self.end(End.RAN_OUT)

    async def _carry_out(self, document: Document) -> Document | None:
        """Its verbs in order. Returns the document to go on with, if it names one."""
        if not self._is_answered:
            self._is_answered = True
            self._without_since_s = time.monotonic()
            self._party.answered(self)
        for verb in document.verbs:
            if isinstance(verb, Redirect):
                return await self._fetch(verb.url)
            if isinstance(verb, Hangup):
                self.end(End.HANGUP)
                return None
            await self._do(verb)
        return None

    async def _do(self, verb: Verb) -> None:
        match verb:
            case Say():
                self.bot_begins(verb.text)
                await asyncio.sleep(self._exchange.pace.say_s(verb))
                self.bot_ends(whole=True)
            case Pause():
                await asyncio.sleep(verb.length_s)
            case Gather():
                for prompt in verb.prompts:
                    await self._do(prompt)
                await asyncio.sleep(verb.timeout_s)
            case StartStream():
                self._open_stream(verb.stream)
            case ConnectStream(action=""):
                await self._connect(verb.stream)
            case StopStream():
                if not self.stop_streams(verb.name):
                    self._exchange.complain(12200, "<Stop>: the call has no live stream of that name")
            case _:
                raise TwimlError(13750, f"{type(verb).__name__} is not carried out here")

    def bot_begins(self, text: str) -> None:
        """See Ear."""
        self.bot_ends(whole=False)
        self._saying = text
        self._party.bot_began(text)

    def bot_ends(self, *, whole: bool) -> None:
        """See Ear."""
        text, self._saying = self._saying, None
        if text is not None:
            self._party.bot_finished(text, whole=whole)

    async def _fetch(self, url: str) -> Document:
        form = {
            "CallSid": self.sid,
            "AccountSid": self._exchange.account_sid,
            "From": "+12065550100",
            "To": "+12065550199",
            "Caller": "+12065550100",
            "Called": "+12065550199",
            "CallStatus": "in-progress" if self._is_answered else "ringing",
            "ApiVersion": "2010-04-01",
            "Direction": "inbound",
        }
        answer = await self._exchange.webhooks.post(url, form)
        if not answer.status:
            raise TwimlError(11205, f"HTTP connection failure: {url}: {answer.text}")
        if not answer.is_good:
            raise TwimlError(11200, f"HTTP retrieval failure: {url} answered {answer.status}")
        return parse_twiml(answer.text, url.partition("#")[0])

    # Its streams

    async def _connect(self, asked: Stream) -> None:
        """The document waits for the end of the stream."""
        exchange = self._exchange
        stream = self._open_stream(asked, is_two_way=True)
        if stream is None:
            return
        over = asyncio.Event()
        playback = Playback(asyncio.get_running_loop(), self, stream.send_back, exchange.complain)
        self._connected = stream, playback, over
        await over.wait()
        await asyncio.sleep(exchange.pace.callback_s)

    def _disconnect(self) -> None:
        """The bidirectional stream is over, or to be."""
        connected, self._connected = self._connected, None
        if connected is not None:
            stream, playback, over = connected
            stream.stop(self._exchange.account_sid, self.sid)
            playback.stop()
            over.set()

    def stream_said(self, stream: MediaStream, text: str) -> None:
        """See StreamOwner."""
        if self._connected is not None and self._connected[0] is stream:
            self._connected[1].take(json.loads(text))

    def _open_stream(self, asked: Stream, *, is_two_way: bool = False) -> MediaStream | None:
        exchange = self._exchange
        problem = stream_url_problem(asked.url)
        if problem is not None:
            exchange.complain(problem.code, problem.message)
            return None
        sid = "MZ" + secrets.token_hex(16)
        if asked.name and any(stream.name == asked.name for stream, _ in self._streams if not stream.is_over):
            exchange.complain(12200, "<Stream>: the call has a live stream of that name")
        if len(self._streams) >= TRACKS_PER_CALL:
            exchange.complain(31930, f"<Stream>: the call has {TRACKS_PER_CALL} streams already")
            return None
        stream = MediaStream(self, exchange.clock, sid, asked.name or sid, is_two_way=is_two_way)
        self._streams.append((stream, asked))
        start = {
            "accountSid": exchange.account_sid,
            "streamSid": sid,
            "callSid": self.sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(asked.parameters),
        }
        exchange.do(stream.open(asked.url, exchange.webhooks.signature(asked.url, {}), start))
        return stream

    def stream_opened(self, stream: MediaStream) -> None:
        """See StreamOwner."""
        self._exchange.streams_opened += 1
        self._live += 1
        if self._without_since_s is not None:
            self._stream_is_back()
        self._tell(stream, "stream-started")

    def stream_over(self, stream: MediaStream, code: int, reason: str) -> None:
        """See StreamOwner."""
        if self._connected is not None and self._connected[0] is stream:
            self._disconnect()
        if stream.was_open:
            self._live -= 1
            if not self._live and not self.is_over:
                self._without_since_s = time.monotonic()
        if code and not self.is_over:
            self._exchange.streams_lost[f"{code} {reason}"] += 1
        self._tell(stream, "stream-error" if code else "stream-stopped", f"{code} {reason}" if code else "")
        self._streams = [(other, asked) for other, asked in self._streams if other is not stream]

    def _stream_is_back(self) -> None:
        assert self._without_since_s is not None
        self.without_stream.append((self._without_since_s, time.monotonic() - self._without_since_s))
        self._without_since_s = None

    def _tell(self, stream: MediaStream, event: str, error: str = "") -> None:
        """The stream's status callback, a moment later."""
        asked = next((asked for other, asked in self._streams if other is stream), None)
        if asked is None or not asked.status_callback:
            return
        form = {
            "AccountSid": self._exchange.account_sid,
            "CallSid": self.sid,
            "StreamSid": stream.sid,
            "StreamName": stream.name,
            "StreamEvent": event,
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if error:
            form["StreamError"] = error
        self._exchange.do(self._call_back(asked.status_callback, form))

    async def _call_back(self, url: str, form: dict[str, str]) -> None:
        await asyncio.sleep(self._exchange.pace.callback_s)
        try:
            answer = await self._exchange.webhooks.post(url, form)
        except ValueError as error:
            self._exchange.complain(11100, str(error))
            return
        if not answer.is_good:
            self._exchange.complain(15003, f"{form['StreamEvent']} was answered with {answer.status or answer.text}")


def _rfc2822() -> str:
    return datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")


def _resource(call: ExchangeCall) -> dict[str, Any]:
    return {"sid": call.sid, "status": "completed" if call.is_over else "in-progress", "date_updated": _rfc2822()}
