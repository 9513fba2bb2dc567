"""Clock beside media time, for a caller whose phone sends nothing while they are silent.

    Twilio    m m m m . . . . . . . . . . . . . . . . m m m       m: a media message
    bridge             ping  ping  ping  ...
    Twilio               pong  pong  pong  ...
    heard     m m m m s s s s s s s s s s s s s s s s m m m       s: silence, up to a ping that was answered

TCP keeps the order, so when a pong comes, all that Twilio sent before it took the ping is there. A pong and no media
mean that the caller's side is silent. No pong means that the network stalls: the media may still come, and nothing is
assumed. A peer that answers no pings at all is taken for silent after NO_PONG_SILENT_S.

The clock does not read the time: `now_s` is seconds on a clock that never goes back.
"""

from lexbridge.audio.pcm import FRAME_MS

QUIET_S = 0.3
"""Time without media after which the peer is pinged, seconds. Twilio sends a message every 20 ms."""

PULSE_S = 0.06
"""Time between two looks at the clock, and so between two pings at first, seconds.

The end of an utterance may be found this much later."""

CALM_AFTER_S = 6.0
"""Time without media after which no utterance can be open, seconds, because the longest hangover is 5 s."""

CALM_S = 0.24
"""Time between two pings once no utterance can be open, seconds."""

NO_PONG_SILENT_S = 2.5
"""Time without media after which a peer that answers no pings counts as silent, seconds.

It is hoped that no message is on its way for longer."""

LONGEST_PULSE_S = 0.2
"""Most of one pulse that counts as time without media, seconds.

A pulse that is later was held up, and messages may be waiting behind it."""


class MediaClock:
    """Measure of the time in which a call brought no media, and of how much of it was certainly silence."""

    __slots__ = ("_known_s", "_media_s", "_next_ping_s", "_pinged_ms", "_pulsed_s", "_waited_s", "answers_pings")

    def __init__(self, now_s: float) -> None:
        """`now_s`: when the stream began."""
        self._media_s = now_s
        self._known_s = now_s  # until then all is known: media came, or silence was reported
        self._pulsed_s = now_s
        self._waited_s = 0.0  # without media, counted in pulses
        self._next_ping_s = 0.0
        self._pinged_ms = 0  # payload of the newest ping: when it was sent
        self.answers_pings = False
        """Whether the peer has ever answered a ping."""

    def media_arrived(self, now_s: float) -> None:
        """Note that media has come, and was taken at `now_s`."""
        self._media_s = now_s

    def pulse(self, now_s: float) -> tuple[bytes | None, int]:
        """Look at the clock; call this every PULSE_S.

        Return the payload of the ping that is due, or None if none is; and the silence of a peer that answers no pings,
        in milliseconds.
        """
        step_s = min(now_s - self._pulsed_s, LONGEST_PULSE_S)
        self._pulsed_s = now_s
        quiet_s = now_s - self._media_s
        if quiet_s < QUIET_S:
            self._waited_s = 0.0
            return (
                None if self._pinged_ms else self._ping(now_s)
            ), 0  # the first ping is due at once: does this peer answer any?
        self._waited_s += step_s
        silence_ms = 0
        if not self.answers_pings and self._waited_s >= NO_PONG_SILENT_S:
            silence_ms = self._silence_until(self._media_s + self._waited_s)
        if now_s < self._next_ping_s:
            return None, silence_ms
        self._next_ping_s = now_s + (CALM_S if quiet_s >= CALM_AFTER_S else 0)
        return self._ping(now_s), silence_ms

    def pong_arrived(self, payload: bytes) -> int:
        """Take the pong of the ping that held `payload`, once all messages before it have been taken.

        Return the silence that passed up to that ping and was not reported before, in milliseconds.
        """
        if not payload.isdigit() or len(payload) > 15 or int(payload) > self._pinged_ms:
            return 0  # the clock sent no such ping
        self.answers_pings = True
        return self._silence_until(int(payload) / 1000)

    def _ping(self, now_s: float) -> bytes:
        self._pinged_ms = round(now_s * 1000)
        return b"%d" % self._pinged_ms

    def _silence_until(self, until_s: float) -> int:
        """Return the silence from what is known to `until_s`, in whole frames. The rest is reported with the next."""
        self._known_s = max(self._known_s, self._media_s)
        frames = max(0, round((until_s - self._known_s) * 1000) // FRAME_MS)
        self._known_s += frames * FRAME_MS / 1000
        return frames * FRAME_MS
