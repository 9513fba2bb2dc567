"""A bridge of ours: its faults, and its switches to another bot and mode."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.commands.bridge_process import BridgeFailed
from lexbridge.offline.phone.bridges import OfferedBot, OwnBridge
from lexbridge.offline.phone.rehearsal import FaultRefused, Rehearsal, worker_of
from lexbridge.offline.phone.switchboard import KEPT_CALLS, Switchboard, SwitchRefused
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.rig import TOKEN, HummingVoice


def test_the_worker_of_a_call_is_the_last_one_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "bridge.log"
    log.write_text(
        '{"event": "call-answered", "call_sid": "CA1", "pid": 11}\n'
        '{"event": "call-answered", "call_sid": "CA2", "pid": 12}\n'
        "no JSON, of CA1\n"
        '{"event": "call-resumed", "call_sid": "CA1", "pid": 13}\n'
        '{"event": "utterance-st CA1',
        encoding="utf-8",
    )
    assert worker_of("CA1", log) == 13
    assert worker_of("CA2", log) == 12
    assert worker_of("CA3", log) is None


def test_no_worker_is_killed_without_a_call(tmp_path: Path) -> None:
    twilio = SimulatedTwilio(auth_token=TOKEN)
    bridge = OwnBridge([OfferedBot("OrderFlowers", {})], None, {}, tmp_path)
    rehearsal = Rehearsal(twilio, None, bridge)
    assert [each["name"] for each in rehearsal.described()] == ["rest-429", "stream-lost", "worker-killed"]
    with pytest.raises(FaultRefused, match="no call is on"):
        rehearsal.switch("worker-killed", True)
    rehearsal.switch("worker-killed", False)  # it is off already


class RehearsedBridge(OwnBridge):
    """A bridge of ours that starts no process. It fails with the bots in `broken`."""

    broken: tuple[str, ...] = ()

    def switch(self, mode: str, bot: str) -> None:
        self.mode, self.bot = mode, next(each for each in self.bots if each.name == bot)
        if bot in self.broken:
            raise BridgeFailed("server.py ended with status 2")

    @property
    def webhook(self) -> str:
        return "http://127.0.0.1:9/twiml"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Switchboard]:
    """A switchboard whose bridge can be set to two bots."""
    with SimulatedTwilio(auth_token=TOKEN) as twilio:
        bridge = RehearsedBridge([OfferedBot("OrderFlowers", {}), OfferedBot("OrderCoffee", {})], None, {}, tmp_path)
        switchboard = Switchboard(bridge, twilio, HummingVoice())
        switchboard.be_ready()
        yield switchboard


def test_pages_are_told_of_each_switch(board: Switchboard) -> None:
    told: list[tuple[object, ...]] = []
    board.watchers.add(lambda: told.append(tuple(board.describe()[name] for name in ("ready", "mode", "bot"))))
    board.switch("stream", "OrderCoffee")
    assert told == [(False, "call-update", "OrderFlowers"), (True, "stream", "OrderCoffee")]


def test_a_bridge_that_does_not_start_goes_back(board: Switchboard) -> None:
    """After a switch that failed the bridge runs as before, so that callers can call, and choose something else."""
    assert isinstance(board.bridge, RehearsedBridge)
    board.bridge.broken = ("OrderCoffee",)
    with pytest.raises(SwitchRefused, match=r"does not start with OrderCoffee in stream mode.*status 2"):
        board.switch("stream", "OrderCoffee")
    assert [board.describe()[name] for name in ("ready", "mode", "bot")] == [True, "call-update", "OrderFlowers"]
    board.bridge.broken = ("OrderCoffee", "OrderFlowers")
    with pytest.raises(SwitchRefused):
        board.switch("stream", "OrderCoffee")
    assert "does not start" in board.describe()["problem"]
    assert not board.is_ready


def test_nobody_is_cut_off_by_a_switch(board: Switchboard) -> None:
    call = board.twilio.place_call("http://127.0.0.1:9/twiml", SimulatedCaller(HummingVoice()))
    with pytest.raises(SwitchRefused, match="A call is on"):
        board.switch("stream", "OrderCoffee")
    call.hang_up()
    board.switch("stream", "OrderCoffee")
    assert board.is_ready


def test_old_calls_are_forgotten(board: Switchboard) -> None:
    for _ in range(KEPT_CALLS + 3):
        board.twilio.place_call("http://127.0.0.1:9/twiml", SimulatedCaller(HummingVoice())).hang_up()
    live = board.twilio.place_call("http://127.0.0.1:9/twiml", SimulatedCaller(HummingVoice()))
    board.forget_old_calls()
    assert len(board.twilio.calls) == KEPT_CALLS + 1
    assert live.sid in board.twilio.calls


def test_a_bridge_is_switched_to_what_it_has_alone(board: Switchboard) -> None:
    for mode, bot in (("smoke-signals", "OrderFlowers"), ("stream", "OrderPizza")):
        with pytest.raises(SwitchRefused, match=f"no {bot} in {mode}"):
            board.switch(mode, bot)
