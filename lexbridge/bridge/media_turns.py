"""The sharing of the CPU between calls: after some media of one call the other calls have their turn."""

import gevent

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.call.hearing import SLICE_MS

TURN_MS = SLICE_MS
"""The media after which other greenlets have their turn, in ms, because one call must not hold up the others.

An item that is no media counts as one frame. With the slice that was begun just before, one turn is less than 1 s of
media: some 9 ms of CPU with VAD=silero.
"""

PAUSE_S = 0.001
"""The pause between two turns, in seconds.

It is not 0, because gevent looks at its sockets and timers only after every fiftieth sleep of 0.
"""


class MediaTurns:
    """The turns of one call: how much media it has taken since other greenlets had theirs."""

    def __init__(self) -> None:
        self._heard_ms = 0  # the call's media at the last look
        self._turn_ms = 0

    def share(self, heard_ms: int) -> None:
        """Give other greenlets their turn if this one is over. `heard_ms`: the media that the call has heard in all."""
        self._turn_ms += max(FRAME_MS, heard_ms - self._heard_ms)
        self._heard_ms = heard_ms
        if self._turn_ms >= TURN_MS:
            self._turn_ms = 0
            gevent.sleep(PAUSE_S)

    def restart(self) -> None:
        """Begin a new turn, because the call is about to wait and the others run meanwhile."""
        self._turn_ms = 0
