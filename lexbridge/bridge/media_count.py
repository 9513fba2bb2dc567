"""The media that a stream brings: counted against what it may bring, and for the clock beside it."""

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.bridge.media_watch import MediaWatch
from lexbridge.bridge.stream_check import StreamRefused
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.events import SilencePassed
from lexbridge.call.session import CallSession
from lexbridge.logs import Log
from lexbridge.net import close_codes
from lexbridge.net.refused import refused
from lexbridge.net.token_bucket import TokenBucket

MEDIA_BURST_S = 120.0
"""The most media time that may arrive at once, in seconds, skipped time included.

A network that stalls lets go some 16 s at its end, and Twilio may skip time then. In the long run a stream may bring as
many frames a second as messages, which is 8 times what a call has.
"""


class MediaCount:
    """The count of one stream's media. What `quiet_messages` counts is taken in when the call looks at its clock."""

    __slots__ = ("_counted_ms", "_media_s", "_owed_ms", "_session", "quiet_messages", "quiet_s", "watch")

    def __init__(self, session: CallSession, websocket: WebSocket) -> None:
        self._session = session
        self._media_s = TokenBucket(websocket.limits.rate_hz * FRAME_MS / 1000, MEDIA_BURST_S)
        self._owed_ms = 0  # silence that waits in the session
        self._counted_ms = 0  # the session's media at the last look
        self.quiet_messages = 0
        """The number of messages since the last look in which nothing happened, of 20 ms each."""
        self.quiet_s = 0.0
        """When the last of them came."""
        self.watch = MediaWatch(websocket)

    def look(self, now_s: float) -> None:
        """Take in the media that has come since the last look, the newest at `now_s`.

        Raise StreamRefused if it is too much.
        """
        self._take_in_quiet()
        media_ms = self._session.media_ms
        if media_ms != self._counted_ms:
            new_ms, self._counted_ms = media_ms - self._counted_ms, media_ms
            self._came(new_ms, now_s)

    def waits(self, now_s: float) -> None:
        """Note that messages have come at `now_s` which the session keeps, because they may bring media."""
        self._take_in_quiet()
        self.watch.media_arrived(now_s)

    def pong_arrived(self, payload: bytes, now_s: float) -> None:
        """Tell the session of the silence that the answer to a ping shows to have passed. Raise as `look` does."""
        self.look(now_s)
        self._pass_silence(self.watch.pong_arrived(payload))

    def pulse(self, now_s: float, log: Log) -> None:
        """Look at the clock, and tell the session of the silence that has passed for sure. Raise as `look` does."""
        self._take_in_quiet()
        if now_s >= self.watch.look_from_s:
            self._pass_silence(self.watch.pulse(now_s, log))

    def _take_in_quiet(self) -> None:
        if self.quiet_messages:
            quiet_ms, self.quiet_messages = self.quiet_messages * FRAME_MS, 0
            self._counted_ms += quiet_ms
            self._came(quiet_ms, self.quiet_s)

    def _came(self, ms: int, now_s: float) -> None:
        paid_ms = min(self._owed_ms, ms)
        self._owed_ms -= paid_ms
        if not (ms := ms - paid_ms):
            return
        self.watch.media_arrived(now_s)
        if not self._media_s.take(now_s, ms / 1000):
            refused.count("too much media")
            raise StreamRefused("too much media", close_codes.POLICY_VIOLATION)

    def _pass_silence(self, ms: int) -> None:
        if ms:
            before_ms = self._session.media_ms
            self._session.receive(SilencePassed(ms))
            self._owed_ms += ms - (self._session.media_ms - before_ms)
            self._counted_ms = self._session.media_ms  # silence that passed is no media that came
