"""Runs of a detector's model for all calls of a process: one run for many windows, off the loop, one at a time.

calls --ask--> windows that wait --at the end of the round--> one run, on a thread --> answers, in the hub
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from gevent import get_hub
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

from lexbridge.audio.vad.base import Window
from lexbridge.logs import Log, RateLimitedLog

MOST_WINDOWS = 64
"""Most windows of one run, because more are no cheaper, and all of them wait for the slowest: 2 ms for 64."""

RUN_LIMIT_S = 5.0
"""Longest wait for a run, in seconds, because a run takes milliseconds. Meanwhile a call does not even hear its end."""

Answered = Callable[[float | None], object]
"""What a call does with the probability of speech, or with None if the model failed. It neither switches nor raises."""


class ModelBatches:
    """The windows of all calls of a process on their way through the model.

    A run that does not return is given up: until it does, the calls go on without the model.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Window, Answered]] = deque()
        self._is_running = False
        self._thread: ThreadPool | None = None  # made in the process that uses it
        self._batch: Sequence[tuple[Window, Answered]] = ()  # what the present run is for
        self._is_stuck = False  # whether a run was given up and has not returned
        self._limit = get_hub().loop.timer(RUN_LIMIT_S, RUN_LIMIT_S)
        self._failures = RateLimitedLog("model-failed")

    def ask(self, window: Window, answered: Answered) -> None:
        """Have `window` judged, and call `answered` in the hub. This does not switch, and may be called in the hub."""
        self._waiting.append((window, answered))
        if not self._is_running:
            self._is_running = True
            # Not at once, so that what other calls ask in the same round goes along.
            get_hub().loop.run_callback(self._run)

    def _run(self) -> None:
        """Start a run for the windows that wait, if any do."""
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_WINDOWS))]
        self._is_running = bool(batch)
        if not batch:
            return
        if self._is_stuck:
            self._fail(batch, "TimeoutError")
            get_hub().loop.run_callback(self._run)  # not at once: a call may have asked anew
            return
        if self._thread is None:  # not `or`, because a pool without tasks is false
            self._thread = ThreadPool(1)
        self._batch = batch
        self._limit.again(self._give_up, update=True)  # from now on; `start` would go on where it stopped
        self._thread.spawn(_judge, [window for window, _ in batch]).rawlink(partial(self._finish, batch))

    def _finish(self, batch: Sequence[tuple[Window, Answered]], run: "AsyncResult[list[float | None] | str]") -> None:
        """Hand out the answers of a run, and start the next one."""
        if batch is not self._batch:  # it was given up
            self._is_stuck = False
            return
        self._limit.stop()
        answers = run.value
        if isinstance(answers, list):
            for (window, answered), answer in zip(batch, answers, strict=True):
                if answer is None:  # the window has another piece, which depends on this one
                    self._waiting.append((window, answered))
                else:
                    _answer(answered, answer)
        else:
            self._fail(batch, str(answers))
        self._run()

    def _give_up(self) -> None:
        """Go on without the run that has not returned."""
        self._limit.stop()
        batch, self._batch, self._is_stuck = self._batch, (), True
        self._fail(batch, "TimeoutError")
        self._run()

    def _fail(self, batch: Sequence[tuple[Window, Answered]], reason: str) -> None:
        self._failures.count(reason)
        for _, answered in batch:
            _answer(answered, None)


def _answer(answered: Answered, probability: float | None) -> None:
    """Call `answered`. A bug in it must not keep the others of its batch, and all later ones, without an answer."""
    try:
        answered(probability)
    except Exception:
        Log().exception("call-broken")


def _judge(windows: Sequence[Window]) -> list[float | None] | str:
    """Return the answers to `windows` of one model, or the name of the error that it raised."""
    try:
        return windows[0].model.judge(windows)
    except Exception as error:  # the calls go on without answers
        return type(error).__name__
