"""One axis for all of a call: Unix time, but for a call whose media runs faster or slower than the clock.

Media time is what the caller hears by. A simulated call may run ten times as fast as the clock, and a network may stand
still. So what has media time is placed by it, from the place at which its stream began. The rest is placed between.
"""

from dataclasses import dataclass

PACE_OVER_S = 5.0
"""Shortest time over which a pace is told, seconds, because a network brings much or little in one second."""

PACE_DIFFERS = 0.1
"""Smallest share by which a pace differs, because less is the carrier's rounding, or a fact that came late."""


@dataclass(slots=True)
class StreamPlace:
    """Place of a media stream on the axis. `x_began_s`: that of its media time 0."""

    x_began_s: float
    first_s: float
    first_ms: int
    last_s: float
    last_ms: int

    @property
    def rate(self) -> float:
        """Media seconds per second of the clock; 1 if that is not known yet."""
        wall_s = self.last_s - self.first_s
        return max(0, self.last_ms - self.first_ms) / 1000 / wall_s if wall_s >= PACE_OVER_S else 1.0

    @property
    def pace(self) -> float | None:
        """The rate if it differs from that of the clock, or None."""
        return round(self.rate, 2) if abs(self.rate - 1) > PACE_DIFFERS else None


class CallAxis:
    """The axis of one call. It places facts as they come."""

    def __init__(self) -> None:
        self._streams: dict[str, StreamPlace] = {}
        self._last: tuple[float, float] | None = None  # clock and place of the newest fact

    def begin(self, stream_sid: str, at_s: float, media_ms: int) -> float:
        """Place a stream by its first fact, and return the place of its media time 0."""
        media_ms = max(0, media_ms)
        place = StreamPlace(self.between(at_s, 1.0) - media_ms / 1000, at_s, media_ms, at_s, media_ms)
        self._streams[stream_sid] = place
        return place.x_began_s

    def pace(self, stream_sid: str) -> float | None:
        """Return the pace of a stream, if it differs from that of the clock."""
        stream = self._streams.get(stream_sid)
        return stream.pace if stream is not None else None

    def of_media(self, stream_sid: str, media_ms: int | None, unknown_x_s: float) -> float:
        """Return the place of a media time, or `unknown_x_s` if that is not known."""
        stream = self._streams.get(stream_sid)
        return unknown_x_s if stream is None or media_ms is None else stream.x_began_s + media_ms / 1000

    def place(self, at_s: float, stream_sid: str, media_ms: int) -> float:
        """Return the place of a fact on the axis, Unix time in seconds."""
        stream = self._streams.get(stream_sid)
        if stream is None or media_ms < 0:
            return self.between(at_s, 1.0 if stream is None else stream.rate)
        if at_s >= stream.last_s:
            stream.last_s, stream.last_ms = at_s, media_ms
        x_s = stream.x_began_s + media_ms / 1000
        if self._last is None or at_s >= self._last[0]:
            self._last = at_s, x_s
        return x_s

    def between(self, at_s: float, rate: float) -> float:
        """Return the place of what has no media time: as far from the newest fact as the clock says, at that rate."""
        if self._last is None:
            return at_s
        last_s, x_s = self._last
        return x_s + (at_s - last_s) * rate
