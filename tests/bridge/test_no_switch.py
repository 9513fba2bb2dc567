"""Nothing that a live call does in the hub's callbacks switches greenlets, whatever happens to the call.

A callback that waits would hold up all calls, and one that lets others run would have them see half of a change.
"""

from collections.abc import Callable, Iterator
from typing import Any, get_args

import gevent
import greenlet
import pytest
from gevent.exceptions import BlockingSwitchOutError
from gevent.hub import Hub

from lexbridge.audio.utterance_audio import UtteranceAudio
from lexbridge.bridge.live_call import LiveCall
from lexbridge.bridge.stream_opening import StreamOpening
from lexbridge.call.actions import (
    Action,
    BeginDialog,
    CancelUtterance,
    ClearAudio,
    CloseUtterance,
    FetchAttributes,
    FetchSession,
    FlushUtterance,
    HearMore,
    JudgeVoice,
    Note,
    OpenUtterance,
    SendAudio,
    SendKeys,
    SendMark,
    SynthesizeSpeech,
    UpdateCall,
)
from lexbridge.call.session import CallSession
from lexbridge.config.route import CallRoute
from lexbridge.lex.model import Message
from lexbridge.net.rfc6455 import Limits
from lexbridge.net.websocket import MediaSocket
from tests.support.flower_order import ORDER
from tests.support.live_calls import live_stream
from tests.support.rehearsal import SILENCE, Rehearsal, RehearsedControl, RehearsedLex, wait_until
from tests.support.rehearsal import says as replies
from tests.support.rig import HummingVoice, running, says
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, media_text, start_text, stop_text

MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])
WAYS_IN = [
    (StreamOpening, "received"),
    (StreamOpening, "pulse"),
    (LiveCall, "received"),
    (LiveCall, "ended"),
    (LiveCall, "post"),
    (LiveCall, "pulse"),
    (LiveCall, "hear"),
    (LiveCall, "_take_inbox"),
    (LiveCall, "_round"),
    (MediaSocket, "read"),
]

EVERY_ACTION: list[Action] = [
    OpenUtterance(7, "session", None, UtteranceAudio(SILENCE)),
    FlushUtterance(7),
    CloseUtterance(7),
    CancelUtterance(7),
    SendKeys(8, "session", None, "12"),
    CancelUtterance(8),
    BeginDialog(9, "session", None, "GreetingIntent"),
    FetchSession("session"),
    FetchAttributes("session", CallRoute()),
    SynthesizeSpeech(-1, (Message("Hello"),)),
    UpdateCall(1, ACCOUNT_SID, CALL_SID, "<Response/>"),
    UpdateCall(2, ACCOUNT_SID, CALL_SID, "<Response/>", hands_over=True, asks_for_keys=True),
    SendAudio(SILENCE),
    SendMark("mark"),
    ClearAudio(),
    Note("info", "handed-over", {}),
    HearMore(),
]


@pytest.fixture
def switches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record each switch of greenlets within a way into a live call, or into its socket, and each attempt at one."""
    found: list[str] = []
    inside: list[str] = []

    def watched(kind: type, name: str) -> Callable[..., Any]:
        way_in = getattr(kind, name)

        def enter(*values: Any) -> Any:
            inside.append(f"{kind.__name__}.{name}")
            try:
                return way_in(*values)
            finally:
                inside.pop()

        return enter

    for kind, name in WAYS_IN:
        monkeypatch.setattr(kind, name, watched(kind, name))

    def refuse(_: Hub) -> None:
        """Record that a callback of the hub wants to wait, which gevent refuses."""
        found.extend(inside)
        raise BlockingSwitchOutError

    monkeypatch.setattr(Hub, "switch_out", refuse)
    before = greenlet.settrace(lambda *_: found.extend(inside))
    yield found
    greenlet.settrace(before)


def test_the_trap_finds_a_switch(switches: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Waiting(CallSession):
        def receive(self, event: Any) -> None:
            super().receive(event)
            gevent.sleep(0)

    monkeypatch.setattr("lexbridge.bridge.bridge.CallSession", Waiting)
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    call.socket.sends([stop_text()])
    call.ended()
    assert "LiveCall.received" in switches


@MODES
def test_no_action_switches(mode: str, switches: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert {type(action) for action in EVERY_ACTION} == set(get_args(Action)) - {JudgeVoice}
    waiting: list[Action] = []

    class Scripted(CallSession):
        def actions(self) -> list[Action]:
            given, waiting[:] = [*super().actions(), *waiting], []
            return given

    monkeypatch.setattr("lexbridge.bridge.bridge.CallSession", Scripted)
    call = Rehearsal(RehearsedLex(), RehearsedControl(), REPLY_MODE=mode)
    wait_until(lambda: call.calls.live_calls)
    waiting += EVERY_ACTION
    call.socket.sends([media_text(0, SILENCE)])
    wait_until(lambda: not waiting and len(call.socket.sent) >= 3)
    call.socket.sends([stop_text()])
    assert call.ended() == 1000
    assert switches == []


@pytest.mark.parametrize(("mode", "vad"), [("call-update", "adaptive"), ("stream", "adaptive"), ("stream", "hybrid")])
def test_no_conversation_switches(mode: str, vad: str, switches: list[str]) -> None:
    """A whole order over real sockets: requests, answers, documents or audio, models, the log, and the end."""
    with running(ORDER, REPLY_MODE=mode, VAD=vad, lex_voice=HummingVoice()) as rig:
        rig.ended(rig.place_call(says(*ORDER)))
        assert len(rig.lex.requests) >= len(ORDER)
    assert switches == []


def taken_over(call: Rehearsal) -> None:
    call.calls.add(live_stream(CALL_SID, account_sid=ACCOUNT_SID))
    call.socket.sends([media_text(0, SILENCE), stop_text()])


def asked_to_leave(call: Rehearsal) -> None:
    call.calls.ask_to_leave(1)
    call.speaks()
    call.socket.sends([stop_text()])


ENDS: dict[str, tuple[Callable[[Rehearsal], object], int]] = {
    "stopped while Lex is asked": (lambda call: (call.speaks(), call.socket.sends([stop_text()])), 1000),
    "lost": (lambda call: call.socket.sends([None]), 1000),
    "taken over": (taken_over, 1000),
    "asked to leave": (asked_to_leave, 1000),
    "closed": (lambda call: call.calls.close(), 1001),
    "broken protocol": (lambda call: call.socket.sends(["no JSON"]), 1007),
    "start twice": (lambda call: call.socket.sends([start_text({})]), 1007),
    "too much media": (lambda call: call.socket.sends([media_text(n * 6000, SILENCE) for n in range(100)]), 1008),
}


@MODES
@pytest.mark.parametrize("end", ENDS)
def test_no_end_switches(end: str, mode: str, switches: list[str]) -> None:
    act, code = ENDS[end]
    call = Rehearsal(RehearsedLex(replies("Which flowers?")), RehearsedControl(), Limits(), REPLY_MODE=mode)
    wait_until(lambda: call.calls.live_calls)
    act(call)
    assert call.ended() == code
    assert switches == []


def test_no_refusal_switches(switches: list[str]) -> None:
    call = Rehearsal(RehearsedLex(), RehearsedControl(), is_admitted=False)
    assert call.ended() == 1008
    assert switches == []
