"""The observer process: it receives the facts of all workers, hands them to each sink, and serves the console."""

import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

import gevent
from gevent.event import Event as Signal
from gevent.socket import wait_read

from lexbridge.config.settings import Settings
from lexbridge.logs import Log, RateLimitedLog
from lexbridge.observer.admin.admin_server import serve_admin
from lexbridge.observer.admin.app import build_admin
from lexbridge.observer.admin.call_settings import CallSettings
from lexbridge.observer.calls.call_book import CallBook
from lexbridge.observer.events.posted_events import PostedEvents
from lexbridge.observer.recording.recorder import Recorder
from lexbridge.observer.sinks import Sink
from lexbridge.telemetry.channel import read_facts, write_request
from lexbridge.telemetry.facts import Fact, Follow

MESSAGE_BYTES = 1 << 20
"""The most bytes of one message. A worker sends about 32 kB, and more only with a very long document."""

MESSAGES_AT_ONCE = 16
"""The messages of one worker that are taken in one go, because the others and the console wait meanwhile."""

ASK_AGAIN_S = 1.0
"""Interval in seconds at which workers are asked again for audio, because a new worker has not heard it."""

BEAT_S = 1.0
"""Interval in seconds of the heartbeat, because the supervisor ends a process that is silent for much longer."""

CLOSE_S = 5.0
"""Limits the time that all sinks together take to finish, in seconds: the supervisor waits for 8."""


class Observer:
    """The receiver of facts. `ends`: the observer's ends of the channel."""

    def __init__(self, ends: Sequence[socket.socket], sinks: Sequence[Sink], *, follows_all: bool) -> None:
        """`follows_all`: whether the audio of all calls is needed."""
        self._ends = ends
        self._sinks = sinks
        self._greenlets: list[gevent.Greenlet[..., None]] = []
        self._follow = Follow([], all_calls=follows_all)
        self._faults = RateLimitedLog("observer-fault")
        self._buffer = memoryview(bytearray(MESSAGE_BYTES))  # one for all, because nothing switches while it is full

    def start(self) -> None:
        """Receive from now on."""
        self._greenlets = [gevent.spawn(self._receive, end) for end in self._ends]
        self._greenlets.append(gevent.spawn(self._ask_again))

    def stop(self) -> None:
        """Receive no more."""
        gevent.killall(self._greenlets)

    def follow(self, call_sids: frozenset[str]) -> None:
        """Ask all workers for the audio of these calls, and of no others."""
        wanted = sorted(call_sids)
        if wanted != self._follow.call_sids:
            self._follow = Follow(wanted, all_calls=self._follow.all_calls)
            self._ask()

    def take_rest(self) -> None:
        """Take what has come so far."""
        for end in self._ends:
            while self._take_next(end):
                pass

    def _ask_again(self) -> None:
        while True:
            self._ask()
            gevent.sleep(ASK_AGAIN_S)

    def _ask(self) -> None:
        message = write_request(self._follow)
        for end in self._ends[:-1]:  # the last is the supervisor's, which has no calls
            with suppress(OSError):  # no worker in this slot takes them, so the buffer is full
                end.send(message)

    def _receive(self, end: socket.socket) -> None:
        while True:
            wait_read(end.fileno())
            for _ in range(MESSAGES_AT_ONCE):
                if not self._take_next(end):
                    break
            gevent.sleep(0)

    def _take_next(self, end: socket.socket) -> bool:
        """Take the next message. Return whether there was one."""
        try:
            size = end.recv_into(self._buffer)
        except BlockingIOError:
            return False
        except OSError:
            self._faults.count("channel")
            return False
        try:
            facts = read_facts(self._buffer[:size])
        except Exception:  # a worker of another version, while a new one is rolled out
            self._faults.count("unreadable")
            return True
        for fact in facts:
            self._hand_out(fact)
        return True

    def _hand_out(self, fact: Fact) -> None:
        for sink in self._sinks:
            try:
                sink.take(fact)
            except Exception as error:  # a bug of one sink must not cost the others their facts
                self._faults.count(type(sink).__name__, {"error": type(error).__name__})


def observe(
    settings: Settings,
    ends: Sequence[socket.socket],
    listener: socket.socket | None,
    supervisor: int,
    beat: Callable[[], None],
    call_settings: CallSettings | None = None,
    let_go: Callable[[str], bool] | None = None,
) -> int:
    """Observe until SIGTERM, or until the supervisor is gone. Return the exit status.

    `call_settings`: those of each call; without them, all have those of the default line.
    `listener`: the socket that listens on ADMIN_PORT, or None. `supervisor`: its process id. `beat`: called every
    BEAT_S as long as the loop turns. `let_go`: lets a call go, and returns whether a worker had its stream.
    """
    stop_requested = Signal()
    gevent.signal_handler(signal.SIGTERM, stop_requested.set)
    sinks = _make_sinks(settings)
    observer = Observer(ends, sinks, follows_all=settings.service.record_dir is not None)
    if listener is not None:
        book = CallBook()
        sinks.insert(0, book)
        serve_admin(listener, build_admin(settings, book, observer.follow, call_settings, let_go))
    observer.start()
    Log().info("observing", admin_port=settings.service.admin_port)
    while not stop_requested.wait(BEAT_S) and os.getppid() == supervisor:
        beat()
    observer.stop()
    observer.take_rest()
    gevent.joinall([gevent.spawn(sink.close, CLOSE_S) for sink in sinks], timeout=CLOSE_S)
    return 0


def _make_sinks(settings: Settings) -> list[Sink]:
    """Return the sinks that the settings ask for."""
    sinks: list[Sink] = []
    if settings.service.events_url is not None:
        sinks.append(PostedEvents(settings))
    if settings.service.record_dir is not None:
        sinks.append(Recorder(settings))
    if settings.service.otel_exporter_otlp_endpoint is not None:
        from lexbridge.observer.tracing.traces import Traces  # its packages are installed only where it is asked for

        sinks.append(Traces(settings))
    return sinks
