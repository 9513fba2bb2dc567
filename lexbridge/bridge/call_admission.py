"""Admission of new calls and streams: the reasons that keep them out of this process."""

from collections.abc import Callable


class CallAdmission:
    """The decision whether this process takes another call, or another stream."""

    def __init__(self, max_calls: int, count_calls: Callable[[], int]) -> None:
        """`max_calls`: the most live calls of this process. `count_calls`: returns how many are live now."""
        self._max_calls = max_calls
        self._count_calls = count_calls
        self.is_draining = False
        """Whether the process is about to end, so that it takes no new call."""
        self.is_overloaded = False
        """Whether the live calls need all that this process has, so that it takes no new call."""
        self.others_are_ready = False
        """Whether another worker of this service takes new calls: a webhook that arrives here is answered for it."""

    @property
    def refusal(self) -> str | None:
        """The reason why the service takes no new call, or None if it does."""
        return None if self.others_are_ready else self.own_refusal

    @property
    def own_refusal(self) -> str | None:
        """The reason why this process takes no new call ("draining", "full" or "overloaded"), or None if it does."""
        if self.is_draining:
            return "draining"
        if self._count_calls() >= self._max_calls:
            return "full"
        return "overloaded" if self.is_overloaded else None

    def stream_refusal(self, open_sockets: int) -> str | None:
        """Return the reason why no stream is taken, even of a live call, or None if it is.

        `open_sockets`: the number of media sockets, with those on which no stream has started yet.
        """
        # A draining process takes the stream of a live call all the same: the call would be lost otherwise.
        return "full" if max(open_sockets, self._count_calls()) >= 2 * self._max_calls else None
