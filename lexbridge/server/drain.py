"""The drain: how a worker that is about to end finishes its calls, or moves them to other workers."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import requests

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.logs import Log
from lexbridge.net.capped_http import capped_session
from lexbridge.server.scoreboard import WorkerSlot

MAX_LEAVE_S = 10.0
"""Limits the time in which all calls are asked to move to another worker, in seconds."""
LEAVE_DELAY_S = 0.2
"""Delay in seconds before the first call is asked to move.

Workers that end together all have to stop accepting first: else a call could move to a worker that ends too."""
MIN_LEAVES_PER_S = 10.0
"""Calls that are asked to move each second, at least; more if MAX_LEAVE_S would be exceeded.

They are spread out because each call that moves costs its new worker some milliseconds."""
CLOSE_S = 2.0
"""Limits the wait for close frames, in seconds, once the remaining sockets are being closed."""
LAST_REQUESTS_S = 0.5
"""Seconds for which the worker still serves requests after its last call.

Twilio reports the end of a call by a webhook."""
PROBE_INTERVAL_S = 1.0
"""Interval between two probes of other instances, in seconds."""
PROBE_TIMEOUT_S = 2.0
"""Limits a probe of another instance, in seconds."""
_POLL_INTERVAL_S = 0.05


def drain(calls: CallRegistry, others_are_ready: Callable[[], bool], drain_s: float) -> None:
    """Stop taking calls, and return once no call is live. Calls that are live after `drain_s` are closed.

    While other workers or instances are ready, live calls are asked to move there.
    """
    log = Log(pid=os.getpid())
    calls.admission.is_draining = True
    had_calls = calls.live_calls > 0
    log.info("draining", live_calls=calls.live_calls, drain_s=drain_s)
    now_s = time.monotonic()
    deadline_s = now_s + drain_s
    leaves_per_s = max(MIN_LEAVES_PER_S, calls.live_calls / max(0.1, min(MAX_LEAVE_S, drain_s / 3)))
    leave_at_s = now_s + min(LEAVE_DELAY_S, drain_s / 10)
    while calls.live_calls and now_s < deadline_s:
        if not others_are_ready():
            # This worker still listens: a live call that loses its stream must find a worker to resume with.
            calls.is_leaving = False
            leave_at_s = now_s
        elif now_s >= leave_at_s:
            calls.ask_to_leave(math.ceil(leaves_per_s * _POLL_INTERVAL_S))
            leave_at_s = now_s + math.ceil(leaves_per_s * _POLL_INTERVAL_S) / leaves_per_s
        gevent.sleep(_POLL_INTERVAL_S)
        now_s = time.monotonic()
    closed = calls.live_calls
    calls.close()
    close_by_s = time.monotonic() + CLOSE_S
    while calls.live_calls and time.monotonic() < close_by_s:
        gevent.sleep(_POLL_INTERVAL_S)
    if had_calls:
        gevent.sleep(LAST_REQUESTS_S)
    log.info("stopped", live_calls=closed)


@contextmanager
def probing_others(slot: WorkerSlot, ready_url: str, ca_file: str | None = None) -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether live calls could move: to another worker, or to another instance.

    A greenlet probes `ready_url`, the /ready of the whole service behind its load balancer. `ca_file`: the file of
    certificates for that request, as in URL_CA_FILE.
    """
    ready_at_s = float("-inf")

    def probe() -> None:
        """Probe again and again; note in `ready_at_s` when an instance was last ready."""
        nonlocal ready_at_s
        with capped_session() as session:
            session.verify = ca_file or True
            while True:
                gevent.sleep(PROBE_INTERVAL_S)  # before the first probe too: our other workers may drain right after us
                if not slot.others_are_ready() and is_ready(session, ready_url):
                    ready_at_s = time.monotonic()

    probing = gevent.spawn(probe)
    try:
        yield lambda: slot.others_are_ready() or time.monotonic() - ready_at_s < PROBE_INTERVAL_S + PROBE_TIMEOUT_S
    finally:
        probing.kill()


def is_ready(session: requests.Session, ready_url: str) -> bool:
    """Return whether `ready_url` answers 200 within PROBE_TIMEOUT_S, however slowly the answer's body drips in."""
    try:
        with (
            gevent.Timeout(PROBE_TIMEOUT_S, TimeoutError),
            # A new connection each time, because it may reach another worker.
            session.get(ready_url, headers={"Connection": "close"}, allow_redirects=False, stream=True) as answer,
        ):
            return bool(answer.status_code == 200)
    except (OSError, ValueError):  # requests' errors are subclasses of these, and so is TimeoutError
        return False
