"""A call that was let go: its stream hears and says nothing more, and nothing pulls it back."""

from dataclasses import replace

import gevent
import pytest
from gevent.event import Event

from lexbridge.bridge import released_calls
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.released_calls import ReleasedCalls, UnreleasedCallControl
from lexbridge.config.twilio_account import TwilioAccounts
from lexbridge.errors import CallLetGo
from lexbridge.logs import Log
from tests.support.fixtures import Logged
from tests.support.live_calls import live_stream
from tests.support.rehearsal import Rehearsal, RehearsedControl, RehearsedLex, says, wait_until
from tests.support.rig import settings
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, stop_text

MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])


def of_event(logged: Logged, event: str) -> list[dict[str, object]]:
    return [line for line in logged() if line["event"] == event]


def test_a_call_is_let_go_by_its_account_or_by_the_operator() -> None:
    released = ReleasedCalls()
    released.add("AC1", "CA1")
    released.add("", "CA2")
    assert released.has("AC1", "CA1")
    assert not released.has("AC2", "CA1")
    assert released.has("AC2", "CA2")
    released.take_back("AC1", "CA1")
    released.take_back("AC2", "CA2")
    assert not released.has("AC1", "CA1")
    assert not released.has("AC2", "CA2")


def test_no_account_pushes_out_the_release_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(released_calls, "STREAM_FOUND_S", 0.0)
    own, other = settings().service.account, "AC" + "a" * 32
    accounts = TwilioAccounts(own, [replace(own, twilio_auth_token="u" * 32, twilio_account_sid=other)])
    calls = CallRegistry(9, ReleasedCalls(buckets=1, in_bucket=8), accounts.signer_of)
    assert not calls.release(other, "CA1")
    calls.note_left(live_stream("CA2", account_sid=other))
    calls.released.let_go("CA3")
    for number in range(200):  # every other AccountSid is one of the environment's account
        calls.release(f"AC{number:032x}", "CA1")
        calls.note_left(live_stream("CA2", account_sid=f"AC{number:032x}"))
    assert calls.released.has(other, "CA1")
    assert calls.released.has(other, "CA2")
    assert calls.released.has("AC1", "CA3")
    assert calls.release(other, "CA2")  # it is still known that its stream has let go of it


def test_nothing_is_asked_of_twilio_for_a_released_call() -> None:
    inner, released = RehearsedControl(), ReleasedCalls()
    control = UnreleasedCallControl(inner, released)
    control.update("AC1", "CA1", "<Response/>", Log())
    released.add("AC1", "CA1")
    with pytest.raises(CallLetGo):
        control.update("AC1", "CA1", "<Response/>", Log())
    with pytest.raises(CallLetGo):
        control.stop_stream("AC1", "CA1", "lexbridge-0")
    assert (len(inner.documents), inner.stopped) == (1, [])


@MODES
def test_a_released_call_hears_and_says_nothing_more(mode: str, logged: Logged) -> None:
    control, lex = RehearsedControl(), RehearsedLex(says("Which day?"), says("Never said."))
    call = Rehearsal(lex, control, REPLY_MODE=mode)
    call.speaks()
    wait_until(lambda: of_event(logged, "turn-answered"))
    wait_until(lambda: not control.busy)
    documents = len(control.documents)
    assert call.calls.released.let_go(CALL_SID)
    assert call.calls.live_calls == 0
    (ended,) = of_event(logged, "call-ended")
    assert (ended["ended_by"], ended["why"]) == ("release", None)
    call.speaks()
    call.socket.sends([stop_text()] if mode == "stream" else [])
    assert call.ended() == 1000
    assert (lex.asked, len(control.documents), control.stopped) == (1, documents, [])
    assert len(of_event(logged, "call-ended")) == 1
    wait_until(lambda: not call.left())


def test_a_two_way_stream_stays_until_the_call_is_redirected() -> None:
    call = Rehearsal(RehearsedLex(), RehearsedControl(), REPLY_MODE="stream")
    wait_until(lambda: call.calls.live_calls == 1)
    assert call.calls.released.let_go(CALL_SID)
    call.speaks()
    gevent.sleep(0.2)
    assert call.socket.code is None  # closed from here, the call would end before somebody has it
    call.socket.sends([stop_text()])
    assert call.ended() == 1000


def test_a_request_to_lex_is_broken_off() -> None:
    lex, control = RehearsedLex(says("Never said.")), RehearsedControl()
    call = Rehearsal(lex, control)
    call.speaks(silence_ms=0)
    wait_until(lambda: lex.busy == 1)
    assert call.calls.released.let_go(CALL_SID)
    wait_until(lambda: lex.busy == 0)
    assert control.documents == []


def test_an_update_under_way_is_broken_off() -> None:
    control = RehearsedControl(Event())
    call = Rehearsal(RehearsedLex(says("Which day?")), control)
    call.speaks()
    wait_until(lambda: control.busy == 1)
    assert call.calls.released.let_go(CALL_SID)
    wait_until(lambda: control.busy == 0)
    assert len(control.documents) == 1


@MODES
def test_a_stream_that_begins_after_the_release_does_nothing(mode: str, logged: Logged) -> None:
    control = RehearsedControl()
    call = Rehearsal(RehearsedLex(), control, REPLY_MODE=mode, WELCOME="bot", WELCOME_INTENT="Hello")
    call.calls.released.add(ACCOUNT_SID, CALL_SID)
    wait_until(lambda: of_event(logged, "call-ended"))
    assert control.documents == []


def test_the_release_of_another_call_is_none_of_this_one() -> None:
    lex = RehearsedLex(says("Which day?"))
    call = Rehearsal(lex, RehearsedControl())
    call.calls.released.add(ACCOUNT_SID, "CA" + "0" * 32)
    call.calls.released.add("AC" + "0" * 32, CALL_SID)
    call.speaks()
    wait_until(lambda: lex.asked == 1)
    assert call.calls.live_calls == 1
    call.socket.sends([stop_text()])
    call.ended()
