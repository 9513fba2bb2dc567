"""What happens around a call and must not be heard in it: the clock on the wall, and names that do not resolve.

A log that nobody reads is in test_server.py.
"""

import importlib
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import botocore.auth
import gevent
import pytest
from gevent.event import Event
from rehearsal import wait_until
from rig import PATIENCE_S, running, says

from lexbridge.offline.call_events import StreamOpened, UpdateReceived

ORDER = ("I would like to order flowers", "roses", "tomorrow", "five pm")
HOUR_S = 3600


class WallClock:
    """The wall clock as this process sees it, botocore's included; `moved_s` is how far it is wrong."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moved_s = 0
        self.signed_at: list[datetime] = []
        now_s, now_ns, now = time.time, time.time_ns, botocore.auth.get_current_datetime
        monkeypatch.setattr(time, "time", lambda: now_s() + self.moved_s)
        monkeypatch.setattr(time, "time_ns", lambda: now_ns() + self.moved_s * 10**9)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *given: self._signed(now(*given)))

    def _signed(self, at: datetime) -> datetime:
        self.signed_at.append(at + timedelta(seconds=self.moved_s))
        return self.signed_at[-1]


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S], ids=["forward", "backward"])
def test_a_call_does_not_notice_the_wall_clock(by_s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WallClock(monkeypatch)
    with running(ORDER) as rig:
        rig.lex.think_s = 0.2
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        wait_until(lambda: bool(rig.lex.requests) and rig.lex.requests[0].ended is not None)
        clock.moved_s = by_s  # while Lex thinks
        rig.hears(call, "What type of flowers")
        assert [request.status for request in rig.lex.requests] == [200]

        caller.say("roses please " * 4)
        wait_until(lambda: len(rig.lex.requests) == 2)
        clock.moved_s = 0  # while the caller speaks
        rig.hears(call, "day")
        clock.moved_s = by_s  # while the prompt is being said

        caller.say("tomorrow")
        rig.hears(call, "time")
        assert len([event for event in call.events if isinstance(event, UpdateReceived)]) == 3
        assert [request.session_id for request in rig.lex.requests] == [call.sid] * 3
        apart_s = (max(clock.signed_at) - min(clock.signed_at)).total_seconds()
        assert abs(apart_s - HOUR_S) < PATIENCE_S  # botocore did see the clock move

        call.streams[0].cut()  # and a stream that is lost is opened again: its token is of the new time
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        caller.say("five pm")
        rig.hears(call, "okay")

        late = rig.place_call(says("some flowers"))  # and others are taken
        late.wait_for(StreamOpened, PATIENCE_S)
        for each in (call, late):
            each.hang_up()
            each.wait(PATIENCE_S)
        wait_until(lambda: rig.calls.live_calls == 0)


@contextmanager
def no_names(answer: Callable[[], Any]) -> Iterator[None]:
    """No name resolves any more: `answer` is what becomes of the attempt. Addresses do, as they need no resolving."""

    class DeadResolver:
        def __init__(self, alive: Any) -> None:
            self._alive = alive

        def __getattr__(self, name: str) -> Any:
            return getattr(self._alive, name)

        def getaddrinfo(self, host: Any, *more: Any, **named: Any) -> Any:
            text = host.decode() if isinstance(host, bytes) else str(host or "")
            if text.replace(".", "").isdigit() or ":" in text:
                return self._alive.getaddrinfo(host, *more, **named)
            return answer()

        def gethostbyname(self, *_: Any) -> Any:
            return answer()

    hub = gevent.get_hub()
    alive = hub.resolver
    hub.resolver = DeadResolver(alive)
    try:
        yield
    finally:
        hub.resolver = alive


def no_such_name() -> None:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def test_the_names_of_these_tests_are_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    with no_names(no_such_name):
        with pytest.raises(socket.gaierror):
            socket.create_connection(("localhost", 9), timeout=1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 9), timeout=1)


@pytest.mark.xfail(reason="lexbridge.names, which remembers what a name resolved to, is not there yet", strict=False)
@pytest.mark.parametrize("answer", [no_such_name, lambda: Event().wait()], ids=["raises", "hangs"])
def test_a_call_goes_on_without_names(answer: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)  # put back afterwards
    importlib.import_module("lexbridge.names").install()
    with running(ORDER, host="localhost") as rig:
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        rig.hears(call, "What type of flowers")
        with no_names(answer):
            for phrase, asked in (("roses please", "day"), ("tomorrow", "time")):
                rig.lex.drop_connections()  # new ones are needed, of addresses that were known before
                rig.twilio.drop_connections()
                caller.say(phrase)
                rig.hears(call, asked)
            assert len({request.client_port for request in rig.lex.requests}) == 3
            assert [request.status for request in rig.lex.requests] == [200] * 3
        call.hang_up()
        rig.ended(call)
