"""Whole calls over real sockets that a router's bot hands to other bots, of both generations of Lex."""

from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import StreamOpened
from tests.support.fixtures import Logged
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S
from tests.support.switching_rig import AT_ONCE, FLOWER_WORDS, SwitchingRig, say, switching


def begun(rig: SwitchingRig, call: PhoneCall, switches: int) -> None:
    """Wait until the bot to which the call was handed hears the caller."""
    call.wait_for(StreamOpened, PATIENCE_S, count=switches + 1)
    wait_until(
        lambda: sum(one.operation == "GetSession" and one.answered is not None for one in rig.lex.requests) >= switches
    )
    call.line.wait_ms(2000)


def test_a_call_is_handed_to_another_bot(logged: Logged) -> None:
    with switching("flowers please", "some roses") as rig:
        caller, call = rig.place_call()
        call.wait_for(StreamOpened, PATIENCE_S)
        say(rig, caller, "flowers please")
        rig.said(call, AT_ONCE)
        begun(rig, call, 1)
        say(rig, caller, "some roses")
        rig.said(call, FLOWER_WORDS.replace("[customer]", "4711"))
        assert rig.answers() == [("ROUTER0000", "en_US"), ("FLOWERS000", "en_US")]
        assert {request.session_id for request in rig.lex.requests} == {call.sid}
        call.hang_up()
        assert call.complaints == []
    assert [line["resumed"] for line in logged() if line["event"] == "stream-started"] == [None, "switched"]
    assert [line["why"] for line in logged() if line["event"] == "call-left"] == ["switched"]
