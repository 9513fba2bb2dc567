"""Call of the lightweight Twilio: carries out TwiML, and opens the media streams that the TwiML asks for."""

import asyncio
import json
import re
import secrets
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench.harness.twilio.clock import Speech
from bench.harness.twilio.media_stream import MediaStream, StreamOwner
from bench.harness.twilio.party import End, Party
from bench.harness.twilio.playback import Listener, Playback
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

if TYPE_CHECKING:
    from bench.harness.twilio.simulator import LightTwilio

TRACKS_PER_CALL = 4
"""Most streams of one call: Twilio's limit."""


class Call(Listener, StreamOwner):
    """One call: the TwiML document that runs, its streams, and who speaks."""

    def __init__(self, twilio: "LightTwilio", sid: str, party: Party, webhook: str) -> None:
        self.sid = sid
        self.speech = Speech()
        self.is_over = False
        self.without_stream: list[tuple[float, float]] = []
        """Times of the answered call without a live stream: when each began (monotonic), and its length, s."""
        self._without_since_s: float | None = None
        self._twilio = twilio
        self._party = party
        self._is_answered = False
        self._streams: list[tuple[MediaStream, Stream]] = []
        self._live = 0
        self._saying: str | None = None
        self._connected: tuple[MediaStream, Playback, asyncio.Event] | None = None  # until the event
        self._running = self._start(lambda: self._fetch(webhook))

    def say(self, turn: int) -> None:
        """Make the caller say `turn` from now on."""
        self.speech = Speech(turn, self._twilio.clock.tick)

    def replace_document(self, twiml: str) -> None:
        """Run another document in place of the present one, as a REST update does.

        A bidirectional stream ends with the present document; one-way streams live on.
        """

        async def parsed() -> Document:
            return parse_twiml(twiml, None)

        self._running.cancel()
        self._disconnect()
        self.bot_ends(whole=False)
        self._running = self._start(parsed)

    def stop_streams(self, name: str) -> list[MediaStream]:
        """Stop the streams with that name or SID. Return them."""
        found = [stream for stream, _ in self._streams if name in (stream.name, stream.sid) and not stream.is_over]
        for stream in found:
            stream.stop(self._twilio.account_sid, self.sid)
        return found

    def end(self, how: End, detail: str = "") -> None:
        """End the call. Nothing happens if it is over already."""
        if self.is_over:
            return
        self.is_over = True
        self._running.cancel()
        self._disconnect()
        self.bot_ends(whole=False)
        if self._without_since_s is not None:
            self._stream_is_back()
        for stream, _ in list(self._streams):
            stream.stop(self._twilio.account_sid, self.sid)
        self._twilio.forget(self)
        if how is End.APPLICATION_ERROR:
            self._twilio.complain(0, f"application error: {re.sub('[0-9a-f]{32}', '...', detail)}")
        self._party.ended(how, detail)

    # The document

    def _start(self, first: Callable[[], Coroutine[Any, Any, Document]]) -> asyncio.Task[None]:
        running = asyncio.create_task(self._run(first))
        running.add_done_callback(self._twilio.watch)
        return running

    async def _run(self, first: Callable[[], Coroutine[Any, Any, Document]]) -> None:
        try:
            document: Document | None = await first()
            while document is not None:
                for warning in document.warnings:
                    self._twilio.complain(warning.code, warning.message)
                document = await self._carry_out(document)
        except (TwimlError, ValueError) as error:
            self.end(End.APPLICATION_ERROR, str(error))
        else:
            self.end(End.RAN_OUT)

    async def _carry_out(self, document: Document) -> Document | None:
        """Carry out the verbs in order. Return the document that a `<Redirect>` names, or None."""
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
                await asyncio.sleep(self._twilio.pace.say_s(verb))
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
                    self._twilio.complain(12200, "<Stop>: the call has no live stream of that name")
            case _:
                raise TwimlError(13750, f"{type(verb).__name__} is not carried out here")

    def bot_begins(self, text: str) -> None:
        self.bot_ends(whole=False)
        self._saying = text
        self._party.bot_began(text)

    def bot_ends(self, *, whole: bool) -> None:
        text, self._saying = self._saying, None
        if text is not None:
            self._party.bot_finished(text, whole=whole)

    async def _fetch(self, url: str) -> Document:
        form = {
            "CallSid": self.sid,
            "AccountSid": self._twilio.account_sid,
            "From": "+12065550100",
            "To": "+12065550199",
            "Caller": "+12065550100",
            "Called": "+12065550199",
            "CallStatus": "in-progress" if self._is_answered else "ringing",
            "ApiVersion": "2010-04-01",
            "Direction": "inbound",
        }
        answer = await self._twilio.webhooks.post(url, form)
        if not answer.status:
            raise TwimlError(11205, f"HTTP connection failure: {url}: {answer.text}")
        if not answer.is_good:
            raise TwimlError(11200, f"HTTP retrieval failure: {url} answered {answer.status}")
        return parse_twiml(answer.text, url.partition("#")[0])

    # The streams

    async def _connect(self, asked: Stream) -> None:
        """Open a bidirectional stream, and wait for its end as the document does."""
        twilio = self._twilio
        stream = self._open_stream(asked, is_two_way=True)
        if stream is None:
            return
        is_over = asyncio.Event()
        playback = Playback(asyncio.get_running_loop(), self, stream.send_back, twilio.complain)
        self._connected = stream, playback, is_over
        await is_over.wait()
        await asyncio.sleep(twilio.pace.callback_s)

    def _disconnect(self) -> None:
        """End the bidirectional stream, if there is one."""
        connected, self._connected = self._connected, None
        if connected is not None:
            stream, playback, is_over = connected
            stream.stop(self._twilio.account_sid, self.sid)
            playback.stop()
            is_over.set()

    def stream_said(self, stream: MediaStream, text: str) -> None:
        if self._connected is not None and self._connected[0] is stream:
            self._connected[1].take(json.loads(text))

    def _open_stream(self, asked: Stream, *, is_two_way: bool = False) -> MediaStream | None:
        twilio = self._twilio
        problem = stream_url_problem(asked.url)
        if problem is not None:
            twilio.complain(problem.code, problem.message)
            return None
        sid = "MZ" + secrets.token_hex(16)
        if asked.name and any(stream.name == asked.name for stream, _ in self._streams if not stream.is_over):
            twilio.complain(12200, "<Stream>: the call has a live stream of that name")
        if len(self._streams) >= TRACKS_PER_CALL:
            twilio.complain(31930, f"<Stream>: the call has {TRACKS_PER_CALL} streams already")
            return None
        stream = MediaStream(self, twilio.clock, sid, asked.name or sid, is_two_way=is_two_way)
        self._streams.append((stream, asked))
        start = {
            "accountSid": twilio.account_sid,
            "streamSid": sid,
            "callSid": self.sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(asked.parameters),
        }
        twilio.do(stream.open(asked.url, twilio.webhooks.signature(asked.url, {}), start))
        return stream

    def stream_opened(self, stream: MediaStream) -> None:
        self._twilio.streams_opened += 1
        self._live += 1
        if self._without_since_s is not None:
            self._stream_is_back()
        self._tell(stream, "stream-started")

    def stream_over(self, stream: MediaStream, code: int, reason: str) -> None:
        if self._connected is not None and self._connected[0] is stream:
            self._disconnect()
        if stream.was_open:
            self._live -= 1
            if not self._live and not self.is_over:
                self._without_since_s = time.monotonic()
        if code and not self.is_over:
            self._twilio.streams_lost[f"{code} {reason}"] += 1
        self._tell(stream, "stream-error" if code else "stream-stopped", f"{code} {reason}" if code else "")
        self._streams = [(other, asked) for other, asked in self._streams if other is not stream]

    def _stream_is_back(self) -> None:
        assert self._without_since_s is not None
        self.without_stream.append((self._without_since_s, time.monotonic() - self._without_since_s))
        self._without_since_s = None

    def _tell(self, stream: MediaStream, event: str, error: str = "") -> None:
        """Send the status callback of the stream, a moment later."""
        asked = next((asked for other, asked in self._streams if other is stream), None)
        if asked is None or not asked.status_callback:
            return
        form = {
            "AccountSid": self._twilio.account_sid,
            "CallSid": self.sid,
            "StreamSid": stream.sid,
            "StreamName": stream.name,
            "StreamEvent": event,
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if error:
            form["StreamError"] = error
        self._twilio.do(self._call_back(asked.status_callback, form))

    async def _call_back(self, url: str, form: dict[str, str]) -> None:
        await asyncio.sleep(self._twilio.pace.callback_s)
        try:
            answer = await self._twilio.webhooks.post(url, form)
        except ValueError as error:
            self._twilio.complain(11100, str(error))
            return
        if not answer.is_good:
            self._twilio.complain(15003, f"{form['StreamEvent']} was answered with {answer.status or answer.text}")
