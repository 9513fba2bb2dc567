"""`<Dial>` as the simulated Twilio carries it out: people, what reaches them, and what comes back."""

import pytest
from twilio.request_validator import RequestValidator

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.offline.caller.answering_machine import AnsweringMachine
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.dialled_leg import DialledLeg
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.far_ends import KEY_AFTER_MS, CalledPerson, FarEnd
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.stand_in_bridge import (
    DEADLINE_S,
    HOLD,
    PUBLIC,
    TOKEN,
    StandIn,
    call_at,
    client_of,
    codes,
    document,
    verbs,
)

PERSON = "+12065550123"
OTHER = "+12065550124"


def leg_of(call: PhoneCall) -> DialledLeg:
    leg = call.legs[0]
    assert isinstance(leg, DialledLeg)
    return leg


def told(bridge: StandIn, path: str = "/dialled") -> dict[str, str]:
    """Return what the action of the `<Dial>` was told."""
    (request,) = [request for request in bridge.requests if request.path == path]
    assert RequestValidator(TOKEN).validate(PUBLIC + path, request.form, request.signature)
    return request.form


def dials(twilio: SimulatedTwilio, bridge: StandIn, inside: str, attributes: str = "", **options: object) -> PhoneCall:
    """Place a call that dials `inside`, and wait for its end."""
    bridge.documents["/dialled"] = document("<Hangup/>")
    call = call_at(twilio, bridge, f'<Dial action="/dialled" {attributes}>{inside}</Dial>', **options)
    call.wait(DEADLINE_S)
    return call


def test_a_person_answers_talks_and_hangs_up(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set(PERSON, FarEnd(rings_s=2, talks_s=7))
    call = dials(twilio, bridge, PERSON)
    form = told(bridge)
    leg = leg_of(call)
    assert (form["DialCallStatus"], form["DialCallSid"], form["DialBridged"]) == ("completed", leg.sid, "true")
    assert int(form["DialCallDuration"]) >= 7
    assert (form["CallStatus"], form["Direction"]) == ("in-progress", "inbound")
    assert (leg.caller_id, leg.over.reason) == ("+12065550100", EndReason.CALLEE_HUNG_UP)
    assert call.line.now_ms >= 5000  # the two lines have a clock each
    assert call.complaints == []


@pytest.mark.parametrize("does", ["busy", "no-answer", "failed", "canceled"])
def test_nobody_answers_and_the_action_is_told_why(twilio: SimulatedTwilio, bridge: StandIn, does: str) -> None:
    twilio.exchange.set(PERSON, FarEnd(does=does))
    call = dials(twilio, bridge, PERSON, 'timeout="8"')
    form = told(bridge)
    assert (form["DialCallStatus"], form["DialBridged"]) == (does, "false")
    assert "DialCallDuration" not in form
    assert call.line.now_ms >= (8000 if does == "no-answer" else 1000)
    assert leg_of(call).over.reason is EndReason.NOT_ANSWERED


def test_a_far_end_that_rings_too_long_is_no_answer(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set(PERSON, FarEnd(rings_s=9))
    dials(twilio, bridge, PERSON, 'timeout="8"')
    assert told(bridge)["DialCallStatus"] == "no-answer"


def test_far_ends_come_in_turn_and_the_last_stays(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set(PERSON, FarEnd(does="busy"), FarEnd(talks_s=1))
    statuses = []
    for _ in range(3):
        bridge.requests.clear()
        dials(twilio, bridge, PERSON)
        statuses.append(told(bridge)["DialCallStatus"])
    assert statuses == ["busy", "completed", "completed"]


@pytest.mark.parametrize("does", ["answers", "busy"])
def test_without_an_action_the_document_goes_on(twilio: SimulatedTwilio, bridge: StandIn, does: str) -> None:
    twilio.exchange.set(PERSON, FarEnd(does=does, talks_s=1))
    call = call_at(twilio, bridge, f"<Dial>{PERSON}</Dial><Say>Goodbye.</Say>")
    assert call.wait(DEADLINE_S).reason is EndReason.DOCUMENT_ENDED
    assert verbs(call) == ["Dial", "Say"]


def test_what_follows_a_dial_with_an_action_is_not_reached(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/dialled"] = document("<Say>Back at the bot.</Say>")
    call = call_at(twilio, bridge, f'<Dial action="/dialled">{PERSON}</Dial><Say>Never.</Say>')
    call.wait(DEADLINE_S)
    said = [event.text for event in call.events if isinstance(event, happened.VerbStarted) and event.verb == "Say"]
    assert said == ["Back at the bot."]


def test_a_whisper_is_heard_by_the_called_party_alone(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/whisper"] = document("<Say>Ann wants roses.</Say><Say>Press any key.</Say>")
    call = dials(twilio, bridge, f'<Number url="/whisper">{PERSON}</Number>')
    leg = leg_of(call)
    form = told(bridge, "/whisper")
    assert (form["Direction"], form["ParentCallSid"], form["CallSid"]) == ("outbound-dial", call.sid, leg.sid)
    assert (form["To"], form["From"], form["CallStatus"]) == (PERSON, "+12065550100", "in-progress")
    assert leg.whispered == leg.party.heard == ["Ann wants roses.", "Press any key."]
    whispers = [event for event in call.events if isinstance(event, happened.Whispered)]
    assert [(event.number, event.text) for event in whispers] == [(PERSON, text) for text in leg.whispered]
    assert not [event for event in call.events if isinstance(event, happened.BotBegan)]  # the caller heard nothing
    order = [type(event) for event in call.events if isinstance(event, happened.Whispered | happened.Transferred)]
    assert order == [happened.Whispered, happened.Whispered, happened.Transferred]
    assert told(bridge)["DialCallStatus"] == "completed"


@pytest.mark.parametrize(("keys", "bridged"), [("1", "true"), ("", "false")])
def test_a_called_party_may_decline(twilio: SimulatedTwilio, bridge: StandIn, keys: str, bridged: str) -> None:
    gather = '<Gather numDigits="1" timeout="3" action="/accept"><Say>Press 1.</Say></Gather><Hangup/>'
    bridge.documents |= {"/whisper": document(gather), "/accept": document("")}
    twilio.exchange.set(PERSON, FarEnd(presses=keys))
    call = dials(twilio, bridge, f'<Number url="/whisper">{PERSON}</Number>')
    form = told(bridge)
    assert (form["DialCallStatus"], form["DialBridged"]) == ("completed", bridged)
    assert leg_of(call).is_bridged is (bridged == "true")
    assert [request.form["Digits"] for request in bridge.requests if request.path == "/accept"] == list(keys)


class PressedKeys:
    """A telephone that keeps the keys that are pressed."""

    def __init__(self) -> None:
        self.keys = ""

    def press(self, digit: str) -> None:
        self.keys += digit


def test_a_called_person_presses_no_key_before_they_heard_words() -> None:
    person, phone = CalledPerson("12"), PressedKeys()
    person.dials(phone)
    silence = range(KEY_AFTER_MS // FRAME_MS)

    def listen() -> str:
        for _ in silence:
            person.next_frame()
        return phone.keys

    assert listen() == ""  # Twilio still asks for the whisper
    person.bot_began("Press 1.")
    assert listen() == ""
    person.bot_finished("Press 1.")
    assert [listen(), listen(), listen()] == ["1", "12", "12"]


@pytest.mark.parametrize(
    ("whisper", "code"),
    [(document(f"<Dial>{OTHER}</Dial>"), 13201), ("503 busy", 11200), ("<Response><Say>", 12100)],
)
def test_a_whisper_that_cannot_be_heard(twilio: SimulatedTwilio, bridge: StandIn, whisper: str, code: int) -> None:
    bridge.documents["/whisper"] = whisper
    call = dials(twilio, bridge, f'<Number url="/whisper">{PERSON}</Number>')
    assert codes(call) == [code]
    assert told(bridge)["DialBridged"] == "false"


def test_a_verb_that_a_whisper_may_not_have_is_left_out(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/whisper"] = document("<Enqueue>support</Enqueue><Say>Ann wants roses.</Say>")
    call = dials(twilio, bridge, f'<Number url="/whisper">{PERSON}</Number>')
    assert codes(call) == [12200]
    assert leg_of(call).whispered == ["Ann wants roses."]


def test_a_called_party_hangs_up_during_the_whisper(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/whisper"] = document('<Pause length="600"/>')
    impatient = AnsweringMachine(SilentVoice(), "Hi.", silence_s=1)
    twilio.exchange.set(PERSON, FarEnd(party=lambda: impatient))
    call = dials(twilio, bridge, f'<Number url="/whisper">{PERSON}</Number>')
    assert leg_of(call).over.reason is EndReason.CALLEE_HUNG_UP
    assert told(bridge)["DialBridged"] == "false"


def test_a_party_of_the_tests_own_ends_the_talk(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set(PERSON, FarEnd(party=lambda: AnsweringMachine(SilentVoice(), longest_s=5), talks_s=None))
    call = dials(twilio, bridge, PERSON)
    assert leg_of(call).over.reason is EndReason.CALLEE_HUNG_UP
    assert told(bridge)["DialBridged"] == "true"


def test_an_extension_is_keyed_in_at_the_far_end(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = dials(twilio, bridge, f'<Number sendDigits="ww12#">{PERSON}</Number>')
    leg = leg_of(call)
    assert leg.keys_sent == "ww12#"
    assert leg.talked_s >= 1  # the two pauses of half a second


def test_custom_headers_reach_a_sip_address(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    address = "sip:desk@pbx.example.com:5061;transport=tls"
    twilio.exchange.set(address, FarEnd(does="busy"))
    headers = "?X-Intent=Order%20flowers&amp;User-to-User=7b;encoding=hex&amp;Subject=no"
    call = dials(twilio, bridge, f"<Sip>{address}{headers}</Sip>", 'callerId="the-bot"')
    leg = leg_of(call)
    assert (leg.target.address, leg.caller_id) == (address, "the-bot")
    assert leg.headers == {"X-Intent": "Order flowers", "User-to-User": "7b;encoding=hex"}
    assert codes(call) == [13252]  # the Subject
    form = told(bridge)
    assert (form["DialCallStatus"], form["DialSipResponseCode"]) == ("busy", "486")


def test_parameters_reach_a_client(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    noun = '<Client><Identity>ann</Identity><Parameter name="intent" value="Order &amp; pay"/></Client>'
    call = dials(twilio, bridge, noun)
    leg = leg_of(call)
    assert (leg.target.address, leg.custom_parameters) == ("client:ann", {"intent": "Order & pay"})
    assert told(bridge)["DialCallStatus"] == "completed"


def test_of_several_the_first_who_answers_is_connected(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set(PERSON, FarEnd(rings_s=6))
    twilio.exchange.set(OTHER, FarEnd(rings_s=3))
    twilio.exchange.set("client:ann", FarEnd(does="busy", rings_s=1))
    call = dials(twilio, bridge, f"<Number>{PERSON}</Number><Number>{OTHER}</Number><Client>ann</Client>")
    assert [leg.status for leg in call.legs] == ["canceled", "completed", "busy"]
    assert told(bridge)["DialCallSid"] == call.legs[1].sid


def test_one_after_the_other_if_asked(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set(PERSON, FarEnd(does="no-answer"))
    nouns = f"<Number>{PERSON}</Number><Number>{OTHER}</Number>"
    call = dials(twilio, bridge, nouns, 'sequential="true" timeout="5"')
    assert [leg.status for leg in call.legs] == ["no-answer", "completed"]
    assert told(bridge)["DialCallSid"] == call.legs[1].sid


def test_with_answer_on_bridge_the_caller_hears_ringing(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    dial = f'<Dial answerOnBridge="true">{PERSON}</Dial>'
    twilio.exchange.set(PERSON, FarEnd(rings_s=3, talks_s=4))
    call = call_at(twilio, bridge, dial)
    call.wait(DEADLINE_S)
    of = (happened.VerbStarted, happened.Answered, happened.Transferred)
    assert [type(event) for event in call.events if isinstance(event, of)] == list(of)
    assert leg_of(call).answered_at_s < call.answered_at_s  # its line opens with the connection


@pytest.mark.parametrize(
    ("caller", "attributes", "shown"),
    [
        ("+12065550100", "", "+12065550100"),
        ("+12065550100", 'callerId="+12065550199"', "+12065550199"),  # the number that was called
        ("+12065550100", 'callerId="+12065550177"', "+12065550177"),  # validated
        ("client:ann", 'callerId="+12065550177"', "+12065550177"),
        ("+12065550100", 'callerId="+12065550178"', None),
        ("+12065550100", 'callerId="me"', None),
        ("client:ann", "", None),
        ("anonymous", "", None),
        ("sip:ann@example.com", "", None),
    ],
)
def test_which_caller_ids_twilio_shows(
    twilio: SimulatedTwilio, bridge: StandIn, caller: str, attributes: str, shown: str | None
) -> None:
    twilio.exchange.caller_ids.add("+12065550177")
    number = Number(f"{PUBLIC}/twiml", caller=caller)
    call = dials(twilio, bridge, PERSON, attributes, number=number)
    assert codes(call) == ([] if shown else [13214])
    assert told(bridge)["DialCallStatus"] == ("completed" if shown else "failed")
    if shown:
        assert leg_of(call).caller_id == shown


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        ("nobody", 13223),
        ("01234567890", 13224),
        ("<Number>+0123456789</Number>", 13224),
        ("<Sip>ann@example.com</Sip>", 13243),
        (f"<Sip>sip:{'a' * 250}@example.com</Sip>", 13243),
        (f"<Sip>sip:a@example.com?X-A={'a' * 1024}</Sip>", 13253),
        ("<Client>a b</Client>", 12200),
        ("<Robot/>", 13215),
    ],
)
def test_addresses_that_cannot_be_called_fail(twilio: SimulatedTwilio, bridge: StandIn, inside: str, code: int) -> None:
    call = dials(twilio, bridge, inside)
    assert codes(call) == [code]
    assert told(bridge)["DialCallStatus"] == "failed"


def test_the_time_limit_and_the_star_end_the_talk(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set(PERSON, FarEnd(talks_s=None))
    call = dials(twilio, bridge, PERSON, 'timeLimit="6"')
    assert leg_of(call).over.reason is EndReason.TIME_LIMIT
    bridge.requests.clear()
    call = call_at(twilio, bridge, f'<Dial action="/dialled" hangupOnStar="true">{PERSON}</Dial>')
    call.wait_for(happened.Transferred, DEADLINE_S)
    call.press("1")
    call.press("*")
    call.wait(DEADLINE_S)
    assert told(bridge)["DialCallStatus"] == "completed"


def test_progress_of_a_leg_is_told(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/progress"] = document("")
    events = 'statusCallback="/progress" statusCallbackEvent="initiated ringing answered completed"'
    call = dials(twilio, bridge, f"<Number {events}>{PERSON}</Number>")
    forms = [request.form for request in bridge.requests if request.path == "/progress"]
    order = sorted(forms, key=lambda form: form["SequenceNumber"])
    assert [form["CallStatus"] for form in order] == ["initiated", "ringing", "in-progress", "completed"]
    assert {(form["CallSid"], form["ParentCallSid"]) for form in forms} == {(call.legs[0].sid, call.sid)}


@pytest.mark.parametrize(("rings_s", "status"), [(500, "canceled"), (1, "completed")])
def test_the_caller_hangs_up_in_a_dial(twilio: SimulatedTwilio, bridge: StandIn, rings_s: float, status: str) -> None:
    bridge.documents["/dialled"] = document("<Say>Too late.</Say>")
    twilio.exchange.set(PERSON, FarEnd(rings_s=rings_s, talks_s=None))
    call = call_at(twilio, bridge, f'<Dial action="/dialled" timeout="600">{PERSON}</Dial>')
    call.wait_for(happened.VerbStarted if status == "canceled" else happened.Transferred, DEADLINE_S)
    call.hang_up()
    assert call.wait(DEADLINE_S).reason is EndReason.CALLER_HUNG_UP
    assert (told(bridge)["DialCallStatus"], told(bridge)["CallStatus"]) == (status, "completed")
    assert leg_of(call).is_over
    assert verbs(call) == ["Dial"]


def test_an_update_takes_the_caller_out_of_a_dial(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set(PERSON, FarEnd(talks_s=None))
    call = call_at(twilio, bridge, f'<Dial action="/dialled">{PERSON}</Dial>')
    call.wait_for(happened.Transferred, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(twiml=document(f"<Say>Back.</Say>{HOLD}"))
    call.wait_for(happened.BotBegan, DEADLINE_S)
    assert leg_of(call).over.reason is EndReason.DIAL_OVER
    call.hang_up()
    call.wait(DEADLINE_S)
    assert [request.path for request in bridge.requests] == ["/twiml"]
