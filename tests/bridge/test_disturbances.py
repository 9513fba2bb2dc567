"""Disturbances around a call that the caller must not hear: a wall clock that moves, and names that do not resolve.

A log whose reader is stuck is tested with the server.
"""

import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import botocore.auth
import gevent
import pytest
from gevent.event import Event

from lexbridge.net import resolver
from lexbridge.offline.twilio.events import BotFinished, StreamOpened, UpdateReceived
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, running, says

ORDER = ("I would like to order flowers", "roses", "tomorrow", "five pm")
HOUR_S = 3600


class WallClock:
    """The wall clock of this process, botocore's included. `moved_s`: how far it is from the true time."""

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
        assert abs(apart_s - HOUR_S) < PATIENCE_S  # botocore has seen the clock move

        call.wait_for(BotFinished, PATIENCE_S, where=lambda event: "time" in event.text)
        lost_s = call.now_s()
        call.streams[0].cut()  # and a stream that is lost is opened again, with a token of the new time
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        call.wait_for(BotFinished, PATIENCE_S, where=lambda event: event.at_s > lost_s and "time" in event.text)
        caller.say("five pm")
        rig.hears(call, "okay")

        late = rig.place_call(says("some flowers"))  # and other calls are taken
        late.wait_for(StreamOpened, PATIENCE_S)
        for each in (call, late):
            each.hang_up()
            each.wait(PATIENCE_S)
        wait_until(lambda: rig.calls.live_calls == 0)


@pytest.fixture
def kept_names() -> Iterator[resolver.CachingResolver]:
    """Install the resolver of a serving process."""
    hub = gevent.get_hub()
    before = hub.resolver
    yield resolver.install()
    hub.resolver = before


def no_such_name(*_: object) -> None:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def no_answer(*_: object) -> None:
    Event().wait()


@pytest.mark.parametrize("becomes", [no_such_name, no_answer], ids=["fail", "hang"])
def test_a_call_does_not_notice_that_names_do_not_resolve(
    becomes: Callable[..., None], kept_names: resolver.CachingResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(ORDER, host="localhost") as rig:
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        rig.hears(call, "What type of flowers")

        monkeypatch.setattr(kept_names._inner, "getaddrinfo", becomes)
        monkeypatch.setattr(kept_names, "_fresh_s", 0)  # every connection resolves again
        monkeypatch.setattr(kept_names, "_deadline_s", 0.1)
        with pytest.raises(socket.gaierror):
            socket.getaddrinfo("never-seen.example.com", 443)
        for phrase, asked in (("roses please", "day"), ("tomorrow", "time")):
            rig.lex.drop_connections()  # new connections are needed, to names that were resolved before
            rig.twilio.drop_connections()
            caller.say(phrase)
            rig.hears(call, asked)
        assert len({request.client_port for request in rig.lex.requests}) == 3
        assert [request.status for request in rig.lex.requests] == [200] * 3
        call.hang_up()
        rig.ended(call)
