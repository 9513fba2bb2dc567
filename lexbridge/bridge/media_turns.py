"""The sharing of the CPU between calls that are behind: one slice of media of one call at a time."""

from collections import deque
from collections.abc import Callable

from gevent import get_hub

PAUSE_S = 0.001
"""The pause between two slices, in seconds.

In it the process looks at its sockets and timers, and so at all other calls. A slice of a call takes up to 5 ms of CPU
with VAD=silero.
"""


class MediaTurns:
    """The turns of all calls of a process that have media which they have not heard yet."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._timer = get_hub().loop.timer(PAUSE_S, PAUSE_S)

    def add(self, hear_more: Callable[[], object]) -> None:
        """Call `hear_more` once, after the calls that came before. It must neither raise nor switch greenlets."""
        if not self._waiting:
            self._timer.start(self._hear)
        self._waiting.append(hear_more)

    def _hear(self) -> None:
        """Let the next call hear a slice. The hub calls it."""
        self._waiting.popleft()()
        if not self._waiting:
            self._timer.stop()
