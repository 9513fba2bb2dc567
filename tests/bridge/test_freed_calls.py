"""A call that has ended is freed at once: the garbage collector looks so rarely that it would keep thousands."""

import gc
import time
from collections.abc import Callable, Iterator
from weakref import ref

import gevent
import pytest
from gevent.event import Event

from lexbridge.bridge.live_call import LiveCall
from lexbridge.bridge.stream_opening import StreamOpening
from lexbridge.call.context import CallContext
from lexbridge.call.session import CallSession
from lexbridge.errors import LexUnavailable
from tests.support.flower_order import KINDS
from tests.support.live_calls import live_stream
from tests.support.rehearsal import Rehearsal, RehearsedControl, RehearsedLex, says, wait_until
from tests.support.rig import running
from tests.support.rig import says as speaker
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, stop_text

MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ref[object]]]:
    """Keep the garbage collector away, and collect weak references to each opening, call, session and context."""
    made: list[ref[object]] = []
    for kind in (StreamOpening, LiveCall, CallSession, CallContext):
        original = kind.__init__

        def noted(self: object, *values: object, original: Callable[..., None] = original, **more: object) -> None:
            made.append(ref(self))
            original(self, *values, **more)

        monkeypatch.setattr(kind, "__init__", noted)
    gc.collect()
    gc.disable()
    yield made
    gc.enable()


def are_freed(calls: list[ref[object]], call: Rehearsal) -> bool:
    """Return whether the call is freed soon after its end, once the socket has let go of it."""
    call.ended()
    call.socket._receiver = None  # as the real one does when it has said goodbye to its peer
    until_s = time.monotonic() + 5
    while any(made() is not None for made in calls) and time.monotonic() < until_s:
        gevent.sleep(0.01)
    return bool(calls) and not any(made() is not None for made in calls)


@MODES
def test_after_a_turn(calls: list[ref[object]], mode: str) -> None:
    lex = RehearsedLex(says("Which day?"))
    call = Rehearsal(lex, RehearsedControl(), REPLY_MODE=mode)
    call.speaks()
    wait_until(lambda: lex.asked and not lex.busy)
    call.socket.sends([stop_text()])
    assert are_freed(calls, call)


@MODES
def test_after_a_turn_that_failed(calls: list[ref[object]], mode: str) -> None:
    lex = RehearsedLex(LexUnavailable("503"))
    call = Rehearsal(lex, RehearsedControl(), REPLY_MODE=mode)
    call.speaks()
    wait_until(lambda: lex.asked and not lex.busy)
    call.socket.sends([None])
    assert are_freed(calls, call)


@MODES
def test_while_the_caller_speaks(calls: list[ref[object]], mode: str) -> None:
    lex = RehearsedLex()
    call = Rehearsal(lex, RehearsedControl(), REPLY_MODE=mode)
    call.speaks(silence_ms=0)
    wait_until(lambda: lex.busy)
    call.socket.sends([None])
    assert are_freed(calls, call)


def test_while_twilio_is_told_what_to_say(calls: list[ref[object]]) -> None:
    control = RehearsedControl(Event())
    call = Rehearsal(RehearsedLex(says("Which day?")), control)
    call.speaks()
    wait_until(lambda: control.busy)
    call.socket.sends([stop_text()])
    assert are_freed(calls, call)


def test_after_another_stream_has_taken_the_call(calls: list[ref[object]]) -> None:
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    wait_until(lambda: call.calls.live_calls)
    call.calls.add(live_stream(CALL_SID, account_sid=ACCOUNT_SID))
    gevent.sleep(0.05)
    call.socket.sends([stop_text()])
    assert are_freed(calls, call)


def test_after_a_stream_that_was_refused(calls: list[ref[object]]) -> None:
    call = Rehearsal(RehearsedLex(), RehearsedControl(), is_admitted=False)
    assert are_freed(calls, call)


def test_after_a_bug(calls: list[ref[object]], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(CallSession, "_hear", broken)
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    call.speaks()
    assert are_freed(calls, call)


def test_over_real_sockets(calls: list[ref[object]]) -> None:
    with running(["I would like to order flowers"]) as rig:
        call = rig.place_call(speaker("some flowers"))
        rig.hears(call, KINDS)
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: calls and not any(made() is not None for made in calls))
