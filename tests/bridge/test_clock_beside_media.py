"""What a live call does by the clock, while its media comes, does not come, or waits for a detector's model."""

import math
import time
from collections import Counter
from itertools import groupby

import gevent
import pytest
from gevent import get_hub
from gevent.event import Event

import lexbridge.bridge.bridge as bridge_module
from lexbridge.audio.vad.base import ModelDetector, Window
from lexbridge.bridge import next_stream
from lexbridge.bridge.live_call import LiveCall
from lexbridge.bridge.model_batches import ModelBatches
from lexbridge.bridge.next_stream import NextStream
from lexbridge.bridge.stream_opening import StreamOpening
from lexbridge.net.rfc6455 import Pong
from lexbridge.server.build import build_service
from tests.support.rehearsal import (
    SILENCE,
    Rehearsal,
    RehearsedControl,
    RehearsedLex,
    RehearsedSocket,
    wait_until,
)
from tests.support.rig import settings
from tests.support.twilio_messages import stop_text


class _AsksAlways(ModelDetector):
    """A detector that asks its model about every frame."""

    def window(self, frame: bytes, mulaw: bytes) -> Window | None:
        return Window(None)  # type: ignore[arg-type]

    def decide(self, probability: float | None) -> bool:
        return False


@pytest.fixture
def live_calls(monkeypatch: pytest.MonkeyPatch) -> list[LiveCall]:
    """Collect the calls that begin."""
    calls: list[LiveCall] = []
    begin = LiveCall.begin
    monkeypatch.setattr(LiveCall, "begin", lambda self, *start: (calls.append(self), begin(self, *start)))
    return calls


def test_a_pong_is_no_media_while_the_model_is_asked(
    monkeypatch: pytest.MonkeyPatch, live_calls: list[LiveCall]
) -> None:
    answer = Event()
    monkeypatch.setattr("lexbridge.bridge.lines.load_detector", lambda *_: _AsksAlways)
    monkeypatch.setattr(
        ModelBatches, "ask", lambda _, __, answered: gevent.spawn(lambda: (answer.wait(), answered(0.0)))
    )
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    wait_until(lambda: call.socket.pings)  # the first is due at once
    call.socket.sends(call._media(SILENCE, 20))
    gevent.sleep(0.1)
    media_watch = live_calls[0]._media.watch
    look_from_s = media_watch.look_from_s
    call.socket.sends([Pong(b"1")])
    gevent.sleep(0.1)
    assert media_watch.look_from_s == look_from_s
    answer.set()
    call.socket.sends([stop_text()])
    assert call.ended() == 1000  # else its last log lines come in another test


def test_the_next_streams_opening_stays_fresh(monkeypatch: pytest.MonkeyPatch, live_calls: list[LiveCall]) -> None:
    """It is made anew also while nothing happens in the call and the clock beside media has nothing to look at."""
    made: list[object] = []
    renew = NextStream.renew

    def noted(self: NextStream, started: object) -> object:
        opening = renew(self, started)  # type: ignore[arg-type]
        made.extend([opening] if opening else [])
        return opening

    monkeypatch.setattr(next_stream, "TOKEN_KEPT_S", 0.05)
    monkeypatch.setattr(NextStream, "renew", noted)
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    wait_until(lambda: made)
    live_calls[0]._media.watch.look_from_s = math.inf
    wait_until(lambda: len(made) >= 4)
    assert len({opening.parameters[0] for opening in made}) == len(made)  # type: ignore[attr-defined]
    call.socket.sends([stop_text()])
    assert call.ended() == 1000  # else its last log lines come in another test


def test_calls_look_at_the_clock_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a thousand of them would hold up the loop, where each has a ping to send, or needs a new token."""
    seen: list[object] = []

    def pulse(self: StreamOpening, now_s: float) -> None:
        seen.append(self)
        while time.monotonic() < now_s + 1e-5:  # longer than the slice, which is over with the first call
            pass

    monkeypatch.setattr(bridge_module, "PULSE_SLICE_S", 1e-6)
    monkeypatch.setattr(StreamOpening, "pulse", pulse)
    service = build_service(settings(), lex=RehearsedLex(), call_control=RehearsedControl())
    sockets = [RehearsedSocket() for _ in range(5)]
    for socket in sockets:
        service.bridge.serve(socket)  # each looks at the clock in each pulse, because its stream has not started
    turns = get_hub().loop.prepare()  # called at the beginning of each turn of the loop, in which others are served
    turns.start(lambda: seen.append(None))
    wait_until(lambda: len(seen) - seen.count(None) >= 20)
    turns.stop()
    turns.close()
    for socket in sockets:
        socket.close()
    between = [len(list(group)) for is_turn, group in groupby(seen, lambda one: one is None) if not is_turn]
    assert max(between) == 1
    assert Counter(map(id, filter(None, seen))).most_common()[-1][1] >= 3
