"""The media streams of one simulated call: opened by its documents, carried by its line, stopped and told about."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import gevent

from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.events import Event
from lexbridge.offline.twilio.line import Line
from lexbridge.offline.twilio.media_socket import MediaSocket, StreamOwner
from lexbridge.offline.twilio.playback import Playback, SentAudio
from lexbridge.offline.twilio.stream_handshake import StreamFailed
from lexbridge.offline.twilio.telephone_audio import SilenceSuppression
from lexbridge.offline.twilio.twiml_document import stream_url_problem
from lexbridge.offline.twilio.verbs import Stream
from lexbridge.offline.twilio.webhooks import Webhooks

TRACKS_PER_CALL = 4  # https://www.twilio.com/docs/voice/media-streams: one-way streams of a call


class StreamedCall(Protocol):
    """The call that has the streams, as far as they need it."""

    sid: str
    account_sid: str
    line: Line
    webhooks: Webhooks

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        ...

    @staticmethod
    def now_s() -> float:
        """Return the time of an event that happens now, in monotonic seconds."""
        ...

    def record(self, event: Event) -> None:
        """Record an event of the call."""
        ...

    def complain(self, code: int, message: str) -> None:
        """Record what Twilio would refuse or warn about."""
        ...

    def call_back(self, url: str, parameters: Mapping[str, str], purpose: str, method: str = "POST") -> None:
        """Tell the bridge of something. Nobody waits for the answer."""
        ...


class CallStreams(StreamOwner):
    """The streams of `call`. `sends_silence`: whether the caller's phone sends frames while the caller is silent."""

    def __init__(self, call: StreamedCall, *, sends_silence: bool) -> None:
        self.open: list[MediaSocket] = []
        """The streams that are open now."""
        self.sent_audio: list[SentAudio] = []
        """Audio that the bridge sent on two-way streams, mark by mark, and how much of it the caller heard."""
        self._call = call
        self._suppression = None if sends_silence else SilenceSuppression()
        self._playbacks: dict[str, Playback] = {}
        self._opening: list[gevent.Greenlet[..., Any]] = []
        self._names_opening: list[str] = []
        self._stopping: list[gevent.Greenlet[..., Any]] = []

    def carry(self, line_ms: int, inbound: bytes, outbound: bytes) -> None:
        """Carry a frame of the line in each direction."""
        sent = inbound if self._suppression is None or self._suppression.sends(inbound) else b""
        for stream in list(self.open):
            if not stream.stopping:
                stream.carry(line_ms, sent, outbound)

    def press(self, digit: str) -> None:
        """Tell the two-way streams of a key of the caller's."""
        for stream in self.open:
            stream.press(digit)

    def close(self) -> None:
        """Stop every stream, and wait until their sockets are closed."""
        gevent.joinall(self._opening)
        gevent.joinall([*self._stopping, *(gevent.spawn(stream.stop) for stream in list(self.open))])

    def start_stream(self, stream: Stream) -> None:
        """Open a one-way stream while the document goes on."""
        self._opening.append(gevent.spawn(self._try, stream, two_way=False))

    def connect_stream(self, stream: Stream) -> MediaSocket | None:
        """Open the call's two-way stream and return it, or None if that failed."""
        return self._try(stream, two_way=True)

    def disconnect_stream(self, stream: MediaSocket) -> None:
        """End the call's two-way stream, drop the audio that it has not played, and wait until its socket is closed.

        [?] whether Twilio plays what it has buffered when the bridge closes the socket is not documented. A bridge
        that waits for its mark before it closes is safe.
        """
        stopping = gevent.spawn(stream.stop)
        gevent.sleep(0)  # `stop` is on its way before any mark could be
        self._call.line.clear()
        stopping.join()

    def stop_stream(self, name: str) -> MediaSocket | None:
        """Stop the one-way stream with this name or SID and return it, or None if there is no such stream.

        Does not wait for the end of the stream. Its name is free from now on.
        """
        gevent.joinall(self._opening)
        for stream in self.open:
            if not stream.stopping and not stream.two_way and name in (stream.stream.name or stream.sid, stream.sid):
                self._stopping.append(gevent.spawn(stream.stop))
                gevent.sleep(0)  # `stop` is on its way before anything else happens
                return stream
        return None

    def complain(self, code: int, message: str) -> None:
        """Let the call record what Twilio would refuse or warn about."""
        self._call.complain(code, message)

    def stream_closed(self, stream: MediaSocket, code: int, reason: str) -> None:
        """Take a stream from the open ones, and tell the bridge and the call how it ended."""
        self.open.remove(stream)
        self._call.record(happened.StreamClosed(self._call.now_s(), stream.sid, code, reason, stream.two_way))
        if code:
            if code != 31921 or not stream.two_way:  # closing its socket is how a bridge ends a two-way stream
                self._call.complain(code, reason)
            self._stream_status(stream.stream, stream.sid, "stream-error", f"{code} {reason}")
        else:
            self._stream_status(stream.stream, stream.sid, "stream-stopped")

    def stream_says(self, stream: MediaSocket, kind: str, value: str | bytes) -> None:
        """Play media in order; send a mark back when the audio before it has been played; drop audio at a `clear`."""
        if stream.stopping:  # too late: nothing of it is played any more
            return
        playback = self._playbacks.get(stream.sid)
        if playback is None:
            playback = Playback(
                self._call.line, stream.sid, self.sent_audio, self._call.record, self._call.now_s, stream.played
            )
            self._playbacks[stream.sid] = playback
        if isinstance(value, bytes):
            playback.media(value)
        elif kind == "mark":
            playback.mark(value)
        else:
            playback.clear()

    def _try(self, stream: Stream, *, two_way: bool) -> MediaSocket | None:
        sid = "MZ" + secrets.token_hex(16)
        try:
            opened = self._connect(stream, sid, two_way=two_way)
        except StreamFailed as error:
            self._call.record(happened.StreamRefused(self._call.now_s(), stream.url, error.code, error.reason))
            self._call.complain(error.code, error.reason)
            self._stream_status(stream, sid, "stream-error", f"{error.code} {error.reason}")
            return None
        self._call.record(happened.StreamOpened(self._call.now_s(), sid, stream.url))
        self._stream_status(stream, sid, "stream-started")
        return opened

    def _connect(self, stream: Stream, sid: str, *, two_way: bool) -> MediaSocket:
        problem = stream_url_problem(stream.url)
        if problem is not None:
            raise StreamFailed(problem.code, problem.message)
        taken = [*self._names_opening, *(other.stream.name for other in self.open if not other.stopping)]
        if stream.name and stream.name in taken:
            # The name has to be unique within the call (/docs/voice/twiml/stream). [?] what happens otherwise, and
            # with which code, is not documented; nor whether the name of a stream that was stopped or lost is free
            # again. Here the second is refused, and the name is free. A bridge is safe if it never uses one twice.
            raise StreamFailed(12200, f"<Stream>: this call has a stream named {stream.name!r} already")
        if two_way and any(other.two_way for other in self.open):
            # One to a call: /docs/voice/media-streams#bidirectional-media-streams . [?] with which code.
            raise StreamFailed(12200, "<Connect><Stream>: this call has a two-way stream already")
        if not two_way and len(self.open) >= TRACKS_PER_CALL:
            raise StreamFailed(31930, f"Stream: the call has {TRACKS_PER_CALL} tracks streaming already")  # [?] code
        self._names_opening.append(stream.name)
        try:
            return self._handshake(stream, sid, two_way=two_way)
        finally:
            self._names_opening.remove(stream.name)

    def _handshake(self, stream: Stream, sid: str, *, two_way: bool) -> MediaSocket:
        opened = MediaSocket(self, stream, sid, self._call.sid, self._call.account_sid, two_way=two_way)
        # Signed as the document has it, whatever the connection goes to.
        signature = self._call.webhooks.signature(stream.url, {})
        address, host = self._call.webhooks.address(stream.url), urlsplit(stream.url).netloc
        opened.open(address, host, signature, self._call.webhooks.ca_file)
        opened.begin(self._call.line.now_ms)
        self.open.append(opened)
        if self._call.is_over:  # the call ended while the socket opened
            opened.stop()
        return opened

    def _stream_status(self, stream: Stream, sid: str, event: str, error: str = "") -> None:
        """The stream's own status callback: /docs/voice/twiml/stream#statuscallback."""
        if not stream.status_callback:
            return
        parameters = {
            "AccountSid": self._call.account_sid,
            "CallSid": self._call.sid,
            "StreamSid": sid,
            "StreamName": stream.name or sid,
            "StreamEvent": event,
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if error:
            parameters["StreamError"] = error
        self._call.call_back(stream.status_callback, parameters, "stream-status", stream.status_callback_method)
