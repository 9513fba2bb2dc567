"""A clock beside media time, for a call whose caller's phone sends nothing while they are silent.

    Twilio    m m m m . . . . . . . . . . . . . . . . m m m       m: a media message
    bridge             ping  ping  ping  ...
    Twilio               pong  pong  pong  ...
    heard     m m m m s s s s s s s s s s s s s s s s m m m       s: silence, up to a ping that was answered

TCP keeps the order: when a pong comes, all that Twilio had sent before it took the ping is there. A pong and no media
means that the caller's side is silent. No pong means that the network stalls, and nothing is assumed: the media may
still come. A peer that has never answered a ping, nor the one at the start, is taken at its silence after BARE_AFTER_S.

It has no clock itself: `now_s` is seconds on one that never goes back.
"""

from lexbridge.audio.pcm import FRAME_MS

QUIET_S = 0.3
"""Without media, after which the peer is pinged. Twilio sends a message each 20 ms."""

PULSE_S = 0.06
"""Between two looks at the clock, and so between two pings at first: the end of an utterance is found so much later."""

CALM_AFTER_S = 6.0
"""Without media, after which no utterance is open any more: the longest hangover has 5 s."""

CALM_S = 0.24
"""Between two pings then."""

BARE_AFTER_S = 2.5
"""Without media from a peer that answers no pings: no message is on its way for so long, or so it is hoped."""

LONGEST_PULSE_S = 0.2
"""A pulse that comes later was held up, and messages may wait behind it: no more counts as time without any."""


class MediaClock:
    """How long a call has brought no media, and how much of that is silence for sure."""

    __slots__ = ("_known_s", "_media_s", "_next_ping_s", "_pinged_ms", "_pulsed_s", "_waited_s", "answers_pings")

    def __init__(self, now_s: float) -> None:
        """`now_s`: when the stream began."""
        self._media_s = now_s
        self._known_s = now_s  # up to then all is known: media came, or silence was told
        self._pulsed_s = now_s
        self._waited_s = 0.0  # without media, by pulses
        self._next_ping_s = 0.0
        self._pinged_ms = 0  # what the newest ping holds: when it was sent
        self.answers_pings = False
        """The peer has answered one."""

    def media_came(self, now_s: float) -> None:
        """Note that media has come, and was taken at `now_s`."""
        self._media_s = now_s

    def pulse(self, now_s: float) -> tuple[bytes | None, int]:
        """Looks at the clock, each PULSE_S. Returns what a ping is to hold, or None if none is due; and the silence
        of a peer that answers no pings, in milliseconds."""
        step_s = min(now_s - self._pulsed_s, LONGEST_PULSE_S)
        self._pulsed_s = now_s
        quiet_s = now_s - self._media_s
        if quiet_s < QUIET_S:
            self._waited_s = 0.0
            return (None if self._pinged_ms else self._ping(now_s)), 0  # one at once: does this peer answer any?
        self._waited_s += step_s
        silence_ms = 0
        if not self.answers_pings and self._waited_s >= BARE_AFTER_S:
            silence_ms = self._silence_to(self._media_s + self._waited_s)
        if now_s < self._next_ping_s:
            return None, silence_ms
        self._next_ping_s = now_s + (CALM_S if quiet_s >= CALM_AFTER_S else 0)
        return self._ping(now_s), silence_ms

    def ponged(self, payload: bytes) -> int:
        """Take the pong of the ping that held `payload`; every message that the peer had sent before it has been taken.
        Returns the silence that has passed up to that ping and was not told yet, in milliseconds."""
        if not payload.isdigit() or len(payload) > 15 or int(payload) > self._pinged_ms:
            return 0  # it answers none of ours
        self.answers_pings = True
        return self._silence_to(int(payload) / 1000)

    def _ping(self, now_s: float) -> bytes:
        self._pinged_ms = round(now_s * 1000)
        return b"%d" % self._pinged_ms

    def _silence_to(self, until_s: float) -> int:
        """Return the silence from what is known to `until_s`, in whole frames. The rest is told with the next."""
        self._known_s = max(self._known_s, self._media_s)
        frames = max(0, round((until_s - self._known_s) * 1000) // FRAME_MS)
        self._known_s += frames * FRAME_MS / 1000
        return frames * FRAME_MS
