"""The faults of a rehearsal that need a bridge of ours."""

from pathlib import Path

import pytest

from lexbridge.offline.phone.bridges import OfferedBot, OwnBridge
from lexbridge.offline.phone.rehearsal import FaultRefused, Rehearsal, worker_of
from lexbridge.offline.phone.switchboard import Switchboard, SwitchRefused
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


def test_a_bridge_is_switched_to_what_it_has_alone(tmp_path: Path) -> None:
    with SimulatedTwilio(auth_token=TOKEN) as twilio:
        bridge = OwnBridge([OfferedBot("OrderFlowers", {})], None, {}, tmp_path)
        switchboard = Switchboard(bridge, twilio, HummingVoice())
        for mode, bot in (("smoke-signals", "OrderFlowers"), ("stream", "OrderPizza")):
            with pytest.raises(SwitchRefused, match=f"no {bot} in {mode}"):
                switchboard.switch(mode, bot)
