"""A worker's life: it serves calls, tells the others how it is, and drains when it is told to end."""

import gc
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import requests
from gevent.event import Event

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.config.settings import Settings
from lexbridge.logs import Log
from lexbridge.net import resolver as names
from lexbridge.net.capped_http import capped_session
from lexbridge.net.http_server import MediaServer
from lexbridge.server import ecs
from lexbridge.server import uncaught as escaped
from lexbridge.server.accepting import Accepting
from lexbridge.server.build import Service
from lexbridge.server.inspection import Inspection
from lexbridge.server.overload import MEASURE_EVERY_S, Busyness, Load, memory_limit, resident_memory
from lexbridge.server.scoreboard import Place, State
from lexbridge.server.watchdog import Watchdog

LEAVE_S = 10.0
"""In which all calls are told to leave, at the most: each that does costs those who take it some milliseconds."""
LEAVE_AFTER_S = 0.2
"""Before the first is told: workers that are told to end together have to stop accepting, or it would come to one."""
LEAVES_HZ = 10.0
"""So many are told in a second, or more if that would take too long."""
CLOSE_S = 2.0
"""For the close frames of the sockets that are closed in the end."""
LAST_REQUESTS_S = 0.5
"""For what Twilio still has to say of calls that just ended."""
LAST_ANSWERS_S = 0.1
"""For our answers to requests that are here already."""
LAST_CONNECTIONS_S = 1.0
"""For connections that we accepted to say what they want."""
PROBE_EVERY_S = 1.0
PROBE_DEADLINE_S = 2.0
_LOOK_EVERY_S = 0.05


def serve(settings: Settings, place: Place, build: Callable[[], Service]) -> int:
    """Builds the server and serves until SIGTERM, or until the parent is gone; then drains. Returns the exit status.

    Raises what `build` raises.
    """
    escaped.install()
    inspection = Inspection(place)
    starting = gevent.spawn(_beat_while_starting, place)
    service = build()
    server, calls = service.server, service.calls
    inspection.has_calls(calls)
    names.install().keep_warm(names.hosts_of(service.peer_urls))
    # What was made so far stays for good; a full collection that looks through it stops every call for 50 ms.
    gc.collect()
    gc.freeze()
    told = Event()
    gevent.signal_handler(signal.SIGTERM, told.set)
    starting.kill()
    load = Load(calls, settings.max_loop_lag_ms / 1000, memory_limit(settings.max_memory_mb, settings.web_concurrency))
    # Not before: on a small machine the start takes seconds, and holds nobody.
    watchdog = Watchdog(busyness := Busyness())
    server.share_listener(Accepting(place))
    server.start()
    beating = gevent.spawn(_beat, place, server, calls, load, busyness, told, inspection)
    if settings.ecs_agent_uri:
        gevent.spawn(ecs.report, place, settings.ecs_agent_uri, settings.service_name)
    told.wait()
    place.write(State.DRAINING, calls.live_calls)  # with no call to drain we may be gone before the next beat
    if place.others_are_ready():
        server.stop_accepting()  # nor may a call that leaves come back before it
    with _others(place, f"{settings.url}/ready", settings.url_ca_file) as others_are_there:
        drain(calls, others_are_there, settings.drain_s)
    beating.kill()
    server.stop_accepting()
    hear_until_s = time.monotonic() + LAST_CONNECTIONS_S
    while server.idle_connections and time.monotonic() < hear_until_s:
        gevent.sleep(_LOOK_EVERY_S)
    gevent.sleep(LAST_ANSWERS_S)
    server.stop(timeout=0)
    watchdog.stop()
    return 0


def _beat_while_starting(place: Place) -> None:
    while True:
        place.write(State.STARTING)
        gevent.sleep(MEASURE_EVERY_S)


def _beat(
    place: Place,
    server: MediaServer,
    calls: CallRegistry,
    load: Load,
    busyness: Busyness,
    told: Event,
    inspection: Inspection,
) -> None:
    """The worker's heart. If it stops, for whatever reason, the parent ends the worker."""
    spent_s = server.busy_s
    while not server.closed:
        inspection.follow_level()
        state = _state(calls)
        place.write(state, calls.live_calls)
        calls.admission.others_are_ready = place.others_are_ready()
        calls.calls_of_others = place.live_calls() - calls.live_calls
        # A new connection goes to a worker that takes calls, while there is one. Those that we have go on.
        if state is State.READY or not calls.admission.others_are_ready:
            server.start_accepting()
        else:
            server.stop_accepting()
        if place.is_orphaned():
            told.set()
        due_s = time.monotonic() + MEASURE_EVERY_S
        gevent.sleep(MEASURE_EVERY_S)
        # A flood of strangers takes the time that calls leave, and no other: it is no overload.
        strangers_s, spent_s = server.busy_s - spent_s, server.busy_s
        load.measured(time.monotonic() - due_s, resident_memory(), busyness.measure(strangers_s))


def _state(calls: CallRegistry) -> State:
    if calls.admission.is_draining:
        return State.DRAINING
    return State.BUSY if calls.admission.own_refusal else State.READY


def drain(calls: CallRegistry, others_are_there: Callable[[], bool], drain_s: float) -> None:
    """Takes no new call, and returns when no live one is left; those that are left after `drain_s` are closed.

    While others are there, live calls are told to go on with them.
    """
    log = Log(pid=os.getpid())
    calls.admission.is_draining = True
    had_calls = calls.live_calls > 0
    log.info("draining", live_calls=calls.live_calls, drain_s=drain_s)
    now_s = time.monotonic()
    deadline_s = now_s + drain_s
    leaves_hz = max(LEAVES_HZ, calls.live_calls / max(0.1, min(LEAVE_S, drain_s / 3)))
    leave_at_s = now_s + min(LEAVE_AFTER_S, drain_s / 10)
    while calls.live_calls and now_s < deadline_s:
        if not others_are_there():
            # It still listens: a live call whose stream is lost has to find somebody to resume with.
            calls.is_leaving = False
            leave_at_s = now_s
        elif now_s >= leave_at_s:
            calls.ask_to_leave(math.ceil(leaves_hz * _LOOK_EVERY_S))
            leave_at_s = now_s + math.ceil(leaves_hz * _LOOK_EVERY_S) / leaves_hz
        gevent.sleep(_LOOK_EVERY_S)
        now_s = time.monotonic()
    given_up = calls.live_calls
    calls.close()
    close_by_s = time.monotonic() + CLOSE_S
    while calls.live_calls and time.monotonic() < close_by_s:
        gevent.sleep(_LOOK_EVERY_S)
    if had_calls:
        gevent.sleep(LAST_REQUESTS_S)
    log.info("stopped", live_calls=given_up)


@contextmanager
def _others(place: Place, address: str, ca_file: str | None = None) -> Iterator[Callable[[], bool]]:
    """Yields whether others are there: a worker of this server, or of another one behind `address`, which is asked
    again and again, on a greenlet of its own, whether it takes calls. `ca_file`: see URL_CA_FILE."""
    said_s = float("-inf")

    def ask() -> None:
        """The greenlet: keeps `said_s`, when it was last told yes."""
        nonlocal said_s
        with capped_session() as session:
            session.verify = ca_file or True
            while True:
                gevent.sleep(PROBE_EVERY_S)  # at first too: our own other workers may be told to drain just after us
                if not place.others_are_ready() and says_ok(session, address):
                    said_s = time.monotonic()

    asking = gevent.spawn(ask)
    try:
        yield lambda: place.others_are_ready() or time.monotonic() - said_s < PROBE_EVERY_S + PROBE_DEADLINE_S
    finally:
        asking.kill()


def says_ok(session: requests.Session, address: str) -> bool:
    """Whether it answers 200 within PROBE_DEADLINE_S, whatever drips in. Each time on a new connection, which may reach
    another worker."""
    try:
        with (
            gevent.Timeout(PROBE_DEADLINE_S, TimeoutError),
            session.get(address, headers={"Connection": "close"}, allow_redirects=False, stream=True) as answer,
        ):
            return bool(answer.status_code == 200)
    except (OSError, ValueError):  # requests' own are of these, and TimeoutError is
        return False
