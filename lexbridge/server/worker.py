"""The life of a worker: build the service, serve calls, report its state to the others, drain at SIGTERM."""

import gc
import signal
import time
from collections.abc import Callable

import gevent
from gevent.event import Event

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.config.settings import Settings
from lexbridge.net import resolver
from lexbridge.net.http_server import MediaServer
from lexbridge.server import ecs, uncaught
from lexbridge.server.accepting import FewestSocketsFirst
from lexbridge.server.build import Service
from lexbridge.server.drain import drain, probing_others
from lexbridge.server.inspection import Inspection
from lexbridge.server.overload import (
    MEASURE_INTERVAL_S,
    LoopUtilization,
    OverloadDetector,
    memory_limit,
    resident_memory,
)
from lexbridge.server.scoreboard import State, WorkerSlot
from lexbridge.server.telling import Telling, WorkerReport
from lexbridge.server.watchdog import Watchdog

LAST_ANSWERS_S = 0.1
"""Seconds for which the server still answers requests that it has read, before it stops."""
LAST_CONNECTIONS_S = 1.0
"""Limits the wait for connections that were accepted but have sent no request yet, in seconds."""
_POLL_INTERVAL_S = 0.05

GC_THRESHOLDS = 10_000, 50, 100
"""Thresholds of the garbage collector: new objects before it looks at them, and how rarely it looks at older ones.

By Python's own (700, 10, 10) a worker with 1,200 calls looks at all their objects every few seconds. A call makes few
cycles, so little waits to be found: with 50,000 new objects, the longest waits of its messages (p99) fell from 25 to
17 ms. With 10,000 a look takes about 1 ms, and what handshakes leave behind is gone sooner: 4 kB a call.
"""


def serve(settings: Settings, slot: WorkerSlot, build: Callable[[], Service], telling: Telling | None = None) -> int:
    """Build the service and serve until SIGTERM, or until the supervisor is gone; then drain. Return the exit status.

    `telling`: tells the observer process of the worker, or None if there is none. Raises what `build` raises.
    """
    uncaught.install()
    inspection = Inspection(slot)
    starting = gevent.spawn(_heartbeat_while_starting, slot)
    service = build()
    server, calls = service.server, service.calls
    inspection.report_calls_of(calls)
    _keep_peers_warm(service)
    settle_memory()
    stop_requested = Event()
    gevent.signal_handler(signal.SIGTERM, stop_requested.set)
    starting.kill()
    max_memory = memory_limit(settings.service.max_memory_mb, settings.service.web_concurrency)
    overload = OverloadDetector(calls, settings.service.max_loop_lag_ms / 1000, max_memory)
    # The watchdog starts only here: on a small machine the start takes seconds, and no call waits for it.
    watchdog = Watchdog(utilization := LoopUtilization())
    server.share_listener(FewestSocketsFirst(slot))
    server.start()
    if telling is not None:
        telling.start(lambda: _report(service, overload))
    heartbeat = gevent.spawn(_heartbeat, slot, service, overload, utilization, stop_requested, inspection)
    if settings.service.ecs_agent_uri:
        gevent.spawn(ecs.report, slot, settings.service.ecs_agent_uri, settings.service.service_name)
    stop_requested.wait()
    slot.write(State.DRAINING, calls.live_calls)  # without calls the process may end before its next heartbeat
    if slot.others_are_ready():
        server.stop_accepting()  # else a call that moves could come back to this worker
    with probing_others(slot, f"{settings.service.url}/ready", settings.service.url_ca_file) as others_are_ready:
        drain(calls, others_are_ready, settings.service.drain_s)
    heartbeat.kill()
    _stop(server)
    if telling is not None:
        telling.finish()
    watchdog.stop()
    return 0


def _keep_peers_warm(service: Service) -> None:
    """Keep the names of all peers resolved, also of those that a newer table of lines brings."""
    warm = resolver.WarmHosts(resolver.install())

    def keep() -> None:
        warm.keep(resolver.parse_hosts(service.peer_urls()))

    keep()
    service.bridge.lines.when_taken(keep)


def _report(service: Service, overload: OverloadDetector) -> WorkerReport:
    calls = service.calls
    state = _state(calls)
    return WorkerReport(
        state.name.lower(),
        calls.live_calls,
        state is State.READY,
        overload.lag_s,
        overload.utilization,
        resident_memory(),
        overload.max_memory,
        calls.media,
        calls.live_lines(),
        service.bridge.lines.generation,
    )


def settle_memory() -> None:
    """Keep the garbage collector away from what lives long. A full collection stops all calls meanwhile."""
    # The objects made so far live as long as the process: visiting them takes 50 ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _stop(server: MediaServer) -> None:
    """Stop the server once connections that it has accepted were answered, or have sent nothing for a second."""
    server.stop_accepting()
    wait_until_s = time.monotonic() + LAST_CONNECTIONS_S
    while server.idle_connections and time.monotonic() < wait_until_s:
        gevent.sleep(_POLL_INTERVAL_S)
    gevent.sleep(LAST_ANSWERS_S)
    server.stop(timeout=0)


def _heartbeat_while_starting(slot: WorkerSlot) -> None:
    while True:
        slot.write(State.STARTING)
        gevent.sleep(MEASURE_INTERVAL_S)


def _heartbeat(
    slot: WorkerSlot,
    service: Service,
    overload: OverloadDetector,
    utilization: LoopUtilization,
    stop_requested: Event,
    inspection: Inspection,
) -> None:
    """Write the worker's state ten times a second, as a greenlet. If it stops, the supervisor ends the worker."""
    server, calls = service.server, service.calls
    busy_s = server.busy_s
    while not server.closed:
        inspection.follow_log_level()
        service.bridge.lines.follow()
        state = _state(calls)
        slot.write(state, calls.live_calls)
        calls.admission.others_are_ready = slot.others_are_ready()
        calls.calls_of_others = slot.live_calls_of_all() - calls.live_calls
        # New connections go to workers that take calls, as long as there is one. Connections that are open here stay.
        if state is State.READY or not calls.admission.others_are_ready:
            server.start_accepting()
        else:
            server.stop_accepting()
        if slot.is_orphaned():
            stop_requested.set()
        due_s = time.monotonic() + MEASURE_INTERVAL_S
        gevent.sleep(MEASURE_INTERVAL_S)
        # Time spent on strangers does not count as busy: they only get the time that calls leave over.
        strangers_s, busy_s = server.busy_s - busy_s, server.busy_s
        overload.record(time.monotonic() - due_s, resident_memory(), utilization.measure(strangers_s))


def _state(calls: CallRegistry) -> State:
    if calls.admission.is_draining:
        return State.DRAINING
    return State.BUSY if calls.admission.own_refusal else State.READY
