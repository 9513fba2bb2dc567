"""Whole calls over the phone's WebSocket, at a bridge in this process."""

import gevent
import pytest

from lexbridge.audio.pcm import AUDIBLE_RMS, decode_mulaw, rms
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.phone import browser_call
from lexbridge.offline.phone.bridges import Bridge
from lexbridge.offline.phone.browser_call import OWN_WORDS
from lexbridge.offline.phone.rehearsal import Rehearsal
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.offline.twilio.telephone_audio import TelephoneVoice
from tests.support.phone_page import RigBridge, page_of, phone_at
from tests.support.rig import TOKEN, HummingVoice, Rig, running


def is_state(state: str) -> object:
    return lambda message: message["state"] == state


def phone_of(rig: Rig) -> object:
    return phone_at(RigBridge(rig), Rehearsal(rig.twilio), rig.twilio)


@pytest.mark.parametrize("mode", ["call-update", "stream"])
def test_a_typed_order_is_heard_understood_and_answered(mode: str) -> None:
    with (
        running(["order flowers", "roses"], REPLY_MODE=mode, lex_voice=HummingVoice()) as rig,
        phone_of(rig) as server,
        page_of(server) as page,
    ):
        page.waits_for("stage", lambda message: message["ready"])
        page.tells("call")
        page.waits_for(
            "moment", lambda moment: "media stream open" in moment["text"]
        )  # after the greeting, in one mode
        page.tells("say", text="I would like  to order flowers")
        asked = page.waits_for("said", lambda each: each["who"] == "bot" and "type of flowers" in each["text"])
        page.waits_for_silence()
        page.tells("say", text="roses")
        page.waits_for("said", lambda each: each["who"] == "bot" and "What day" in each["text"])
        page.tells("hang_up")
        over = page.waits_for("call", is_state("over"))
    heard = [message for message in page.of("said") if message["who"] == "caller"]
    assert [message["text"] for message in heard] == ["order flowers", "roses"]
    assert heard[-1]["slots"] == {"FlowerType": "roses"}
    assert page.messages.index(heard[0]) < page.messages.index(asked)
    assert over["reason"] == "you hung up"
    assert {moment["who"] for moment in page.of("moment")} >= {"Twilio", "caller", "bot", "Lex"}
    assert page.of("problem") == []


def test_the_bots_voice_comes_as_audio() -> None:
    with running(REPLY_MODE="call-update") as rig:
        rig.twilio._voice = TelephoneVoice(HummingVoice())
        with phone_of(rig) as server, page_of(server) as page:
            page.tells("call")
            page.waits_for("bot", lambda message: message["speaks"])
            page.waits_for("bot", lambda message: not message["speaks"])
            page.tells("hang_up")
            page.waits_for("call", is_state("over"))
    assert sum(rms(decode_mulaw(frame)) > AUDIBLE_RMS for frame in page.frames) > 20


def test_what_the_microphone_hears_goes_to_lex() -> None:
    hum = TelephoneVoice(HummingVoice()).speak("I would like to order flowers")
    with running(["order flowers"], pace=1.0) as rig, phone_of(rig) as server, page_of(server) as page:
        page.tells("call")
        page.waits_for("call", is_state("answered"))
        for start in range(0, len(hum), 160):
            page.speaks(hum[start : start + 160])
            gevent.sleep(0.02)
        heard = page.waits_for("said", lambda message: message["who"] == "caller")
        page.tells("hang_up")
        page.waits_for("call", is_state("over"))
    assert heard["intent"] == "OrderFlowers"


def test_keys_reach_the_call_and_others_do_not() -> None:
    with running() as rig, phone_of(rig) as server, page_of(server) as page:
        page.tells("call")
        page.waits_for("call", is_state("answered"))
        for key in ("4", "#", "x", "12", ""):
            page.tells("key", key=key)
        page.waits_for("moment", lambda moment: moment["text"] == "presses #")
        page.tells("hang_up")
        page.waits_for("call", is_state("over"))
        [call] = rig.twilio.calls.values()
    pressed = [moment["text"] for moment in page.of("moment") if moment["text"].startswith("presses")]
    assert pressed == ["presses 4", "presses #"]
    assert call.complaints == []


def test_words_that_lex_refused_once_are_one_bubble() -> None:
    """The page is told that the second request asks the same words again, and what was typed."""
    with running(["order flowers"]) as rig, phone_of(rig) as server, page_of(server) as page:
        rig.lex.faults.append(LexFault(status=500))
        page.tells("call")
        page.waits_for("moment", lambda moment: "media stream open" in moment["text"])
        page.tells("say", text="I would like to order flowers")
        page.waits_for("said", lambda message: message.get("status") == 200)
    failed, answered = [message for message in page.of("said") if message["who"] == "caller"][:2]
    assert (failed["status"], failed["after"], failed["spoken"]) == (500, None, "I would like to order flowers")
    assert (answered["status"], answered["after"]) == (200, 500)


def test_a_fault_that_is_switched_is_an_event_of_the_call() -> None:
    with running() as rig:
        rehearsal = Rehearsal(rig.twilio, rig.lex)
        with phone_at(RigBridge(rig), rehearsal, rig.twilio) as server, page_of(server) as page:
            page.tells("call")
            page.waits_for("call", is_state("answered"))
            rehearsal.switch("lex-500", True)
            rehearsal.switch("lex-500", False)
            page.waits_for("moment", lambda moment: moment["text"].startswith("switched off: Lex fails"))
    assert [each["who"] for each in page.of("moment") if each["text"].startswith("switched on")] == ["fault"]


def test_lexbridges_own_words_in_the_bots_voice_are_named() -> None:
    """In stream mode a phrase of lexbridge's comes as audio alone: the page says whose words they are."""
    with (
        running([""], REPLY_MODE="stream", lex_voice=HummingVoice()) as rig,
        phone_of(rig) as server,
        page_of(server) as page,
    ):
        rig.lex.faults.append(LexFault(status=500, times=None))
        page.tells("call")
        page.waits_for("moment", lambda moment: "media stream open" in moment["text"])
        page.tells("say", text="flowers")
        page.waits_for("said", lambda message: message["who"] == "bot" and message["text"] == OWN_WORDS)
        page.waits_for("moment", lambda moment: moment["who"] == "bot" and moment["text"] == OWN_WORDS)


def test_a_page_that_is_closed_hangs_up() -> None:
    with running() as rig, phone_of(rig) as server:
        with page_of(server) as page:
            page.tells("call")
            page.waits_for("call", is_state("answered"))
        [call] = rig.twilio.calls.values()
        assert call.wait(60).reason.value == "the caller hung up"


def test_two_pages_call_at_once() -> None:
    with running(["order flowers", "order flowers"]) as rig, phone_of(rig) as server:
        with page_of(server) as one, page_of(server) as other:
            for page in (one, other):
                page.tells("call")
            sids = {page.waits_for("call", is_state("answered"))["sid"] for page in (one, other)}
            assert len(sids) == 2
            one.tells("hang_up")
            one.waits_for("call", is_state("over"))
            other.tells("say", text="flowers please")
            other.waits_for("said", lambda message: message["who"] == "caller")
        assert [message for message in one.of("said") if message["who"] == "caller"] == []


def test_the_line_is_set_before_and_in_a_call() -> None:
    with running() as rig, phone_of(rig) as server, page_of(server) as page:
        page.tells("line", quality="noise-10", echo=True, cough=True)
        page.tells("call")
        page.waits_for("call", is_state("answered"))
        page.waits_for("moment", lambda moment: moment["text"] == "(coughs)")
        [call] = rig.twilio.calls.values()
        assert call.line._echo_gain > 0
        page.tells("line", quality="no such quality")
        page.tells("nonsense")
        page.waits_for("problem")
        assert call.line._echo_gain == 0


def test_a_bridge_that_does_not_answer_is_explained() -> None:
    with SimulatedTwilio(auth_token=TOKEN, pace=0.05) as twilio:
        bridge = Bridge("http://127.0.0.1:9/twiml", {})
        with phone_at(bridge, Rehearsal(twilio), twilio) as server, page_of(server) as page:
            assert "runs elsewhere" in page.waits_for("stage")["why_fixed"]
            page.tells("switch", mode="stream", bot="OrderCoffee")
            assert "runs elsewhere" in page.waits_for("problem")["texts"][0]
            page.tells("call")
            page.waits_for("call", is_state("over"))
    assert "Nothing listens at http://127.0.0.1:9" in page.of("problem")[-1]["texts"][0]


def test_an_update_that_never_comes_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bridge sends its call updates elsewhere: the page says which setting that is."""
    monkeypatch.setattr(browser_call, "PATIENCE_S", 0.5)
    with (
        SimulatedTwilio(auth_token=TOKEN, pace=0.05, voice=SilentVoice()) as elsewhere,
        running(["order flowers"], TWILIO_API_URL=elsewhere.url) as rig,
        phone_of(rig) as server,
        page_of(server) as page,
    ):
        page.tells("call")
        page.waits_for("call", is_state("answered"))
        page.tells("say", text="I would like to order flowers")
        [text] = page.waits_for("problem")["texts"]
    assert text.startswith("No update of the call came")
    assert f"start it with TWILIO_API_URL={rig.twilio.url}" in text


def test_a_bot_that_was_stopped_may_go_on() -> None:
    stopped = [happened.BotBegan(1.0, "Hello."), happened.MessageSent(2.0, "clear", dropped_ms=500)]
    assert browser_call.unnamed_words(stopped, 3.0) == browser_call.GOES_ON
    assert browser_call.unnamed_words([*stopped, happened.BotBegan(3.0, "")], 4.0) == OWN_WORDS
    assert browser_call.unnamed_words([], 3.0) == OWN_WORDS
