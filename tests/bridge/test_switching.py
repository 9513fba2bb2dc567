"""Whole calls over real sockets that a router's bot hands to other bots, of both generations of Lex."""

import re

import pytest

from lexbridge.call.documents import speaking_ms
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import StreamOpened, UpdateReceived
from tests.support.fixtures import Logged
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S
from tests.support.switching_rig import (
    AT_ONCE,
    FLOWER_WORDS,
    GERMAN_WELCOMES,
    GERMAN_WORDS,
    OTHERS,
    TO_GERMAN,
    SwitchingRig,
    say,
    switching,
    turns_heard,
)

MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])
EN, DE = "en_US", "de_DE"


def begun(rig: SwitchingRig, call: PhoneCall, switches: int) -> None:
    """Wait until the bot to which the call was handed hears the caller."""
    call.wait_for(StreamOpened, PATIENCE_S, count=switches + 1)
    wait_until(
        lambda: len([one for one in rig.lex.requests if one.operation == "GetSession" and one.answered]) >= switches
    )
    call.line.wait_ms(2000 + speaking_ms("Coffee here."))


@MODES
def test_a_call_is_handed_to_another_bot_and_back(mode: str, logged: Logged) -> None:
    with switching("flowers please", "some roses", "back please", "nothing please", REPLY_MODE=mode) as rig:
        caller, call = rig.place_call()
        call.wait_for(StreamOpened, PATIENCE_S)
        routed = say(rig, caller, "flowers please")
        assert routed.said == AT_ONCE
        begun(rig, call, 1)
        ordered = say(rig, caller, "some roses")
        assert ordered.said == FLOWER_WORDS.replace("[customer]", "4711")
        steering = {name for name in ordered.attributes if name in ("lexbridge:bot", "lexbridge:voice")}
        assert (steering, ordered.attributes["lexbridge:switches"]) == (set(), "1")
        call.line.wait_ms(10_000)  # nobody interrupts a prompt here
        say(rig, caller, "back please")
        begun(rig, call, 2)
        stays = say(rig, caller, "nothing please")
        assert stays.attributes["lexbridge:switches"] == "2"
        assert "lexbridge:bot" not in stays.attributes  # the router's session had it from the first visit
        call.hang_up()
        assert rig.answers() == [("ROUTER0000", EN), ("FLOWERS000", EN), ("FLOWERS000", EN), ("ROUTER0000", EN)]
        assert {request.session_id for request in turns_heard(rig.lex)} == {call.sid}
        assert call.complaints == []
    lines = logged()
    assert [line["resumed"] for line in lines if line["event"] == "stream-started"] == [None, "switched", "switched"]
    assert [line["why"] for line in lines if line["event"] == "call-left"] == ["switched", "switched"]
    assert [line["bot"] for line in lines if line["event"] == "bot-switched"] == ["flowers", "router"]


def test_a_call_goes_on_in_german_with_the_bots_own_welcome() -> None:
    with switching("german please", "some roses", bots={**OTHERS, **GERMAN_WELCOMES}) as rig:
        caller, call = rig.place_call()
        call.wait_for(StreamOpened, PATIENCE_S)
        say(rig, caller, "german please")
        rig.said(call, TO_GERMAN)
        rig.said(call, GERMAN_WORDS.replace("[customer]", "4711"))
        voices = [
            re.findall('voice="(.*?)"', update.twiml) for update in call.events if isinstance(update, UpdateReceived)
        ]
        assert voices == [["Polly.Amy"], ["Polly.Vicki"]]  # the router's bot had named one for its words
        assert [(one.operation, one.bot, one.locale_id) for one in rig.lex.requests] == [
            ("RecognizeUtterance", "ROUTER0000", EN),
            ("GetSession", "ROUTER0000", EN),
            ("PutSession", "FLOWERS000", DE),
        ]
        call.hang_up()
        assert call.complaints == []


@MODES
def test_a_wordless_switch_to_a_v1_bot_is_greeted(mode: str) -> None:
    with switching("coffee please", "an espresso", REPLY_MODE=mode) as rig:
        caller, call = rig.place_call()
        call.wait_for(StreamOpened, PATIENCE_S)
        say(rig, caller, "coffee please")
        rig.said(call, "Coffee here.")
        begun(rig, call, 1)
        brewed = say(rig, caller, "an espresso")
        assert (brewed.api, brewed.operation, brewed.bot) == ("v1", "PostContent", "Coffee")
        assert (brewed.attributes["customer"], brewed.session_id) == ("4711", call.sid)
        call.hang_up()
        assert call.complaints == []


@pytest.mark.parametrize("words", ["flowers please", "coffee please"])
def test_ten_kilobytes_of_attributes_go_along(words: str) -> None:
    long = {f"part-{number}": f"{number} " * 250 for number in range(20)}
    order = "some roses" if words.startswith("flowers") else "an espresso"
    with switching(words, order, known=long) as rig:
        caller, call = rig.place_call()
        call.wait_for(StreamOpened, PATIENCE_S)
        say(rig, caller, words)
        begun(rig, call, 1)
        answered = say(rig, caller, order)
        assert {name: text for name, text in answered.attributes.items() if name in long} == long
        assert answered.status == 200
        call.hang_up()
        assert call.complaints == []


def test_if_the_old_bot_cannot_be_asked_the_call_goes_on(logged: Logged) -> None:
    with switching("flowers please", "some roses") as rig:
        rig.lex.faults.append(LexFault(status=500, operation="GetSession"))
        caller, call = rig.place_call()
        call.wait_for(StreamOpened, PATIENCE_S)
        say(rig, caller, "flowers please")
        begun(rig, call, 1)
        ordered = say(rig, caller, "some roses")
        assert "customer" not in ordered.attributes
        assert ordered.attributes["lexbridge:call-sid"] == call.sid
        call.hang_up()
    (line,) = [line for line in logged() if line["event"] == "attributes-not-carried"]
    assert line["check"] == "lex:GetSession"


def test_a_bot_that_nobody_knows_is_refused_and_the_call_goes_on(logged: Logged) -> None:
    with switching("tulips please", "nothing please") as rig:
        caller, call = rig.place_call()
        call.wait_for(StreamOpened, PATIENCE_S)
        say(rig, caller, "tulips please")
        rig.said(call, "Tulips.")
        say(rig, caller, "nothing please")
        assert [one.bot for one in turns_heard(rig.lex)] == ["ROUTER0000", "ROUTER0000"]
        call.hang_up()
        assert call.complaints == []
    (line,) = [line for line in logged() if line["event"] == "switch-refused"]
    assert (line["level"], line["why"]) == ("error", "not in the table")
