"""The clinic of docs/examples-of-lines.md, called and calling: two accounts of AWS and of Twilio, people, machines."""

import pytest

from lexbridge.config.route import CallRoute
from lexbridge.offline.caller.answering_machine import AnsweringMachine
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.script import Script
from lexbridge.offline.twilio.events import BotFinished, EndReason, StreamOpened, WebhookAnswered
from lexbridge.offline.twilio.far_ends import FarEnd
from lexbridge.offline.twilio.line import Party
from lexbridge.offline.twilio.outbound_call import OutboundCall
from lexbridge.phrases.catalogue import phrases_for
from tests.support.example_lines import BERLIN_TOKEN
from tests.support.example_rig import ExampleRig, serving
from tests.support.fixtures import Logged
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, HummingVoice
from tests.support.shown_code import shown
from tests.support.stand_in_bridge import client_of

DESK, BERLIN, PATIENT = "+12065550121", "+493023125042", "+12065550155"
SUBACCOUNT = "AC0123456789abcdef0123456789abcdef"
ROLE = "arn:aws:iam::123456789012:role/lexbridge-asks-the-praxis"
MESSAGE = "This is the clinic at the harbour. You have an appointment tomorrow. Please call us back."


def remind(rig: ExampleRig, callee: Party, campaign: str = "reminder") -> OutboundCall:
    """Place the call as the page does, with the code that stands there."""
    program = shown("docs/examples-of-lines.md", "python", "calls.create")
    rig.twilio.exchange.set(PATIENT, FarEnd(party=lambda: callee, talks_s=None))
    rig.twilio.connect_to = rig.base
    exec(program.replace("=reminder", f"={campaign}"), {"client": client_of(rig.twilio)})  # noqa: S102 - it is ours
    (call,) = rig.twilio.calls.values()
    assert isinstance(call, OutboundCall)
    return call


def test_the_desk_asks_its_bot_by_the_endpoint(logged: Logged) -> None:
    with serving("clinic", "I need an appointment", "doctor Moss") as rig:
        caller, call = rig.dial(DESK)
        rig.heard(call, "The clinic at the harbour. How can I help?")
        rig.say(caller, call, "an appointment please")
        rig.heard(call, "Whom would you like to see")
        assert rig.say(caller, call, "doctor Moss").slots == {"Doctor": "Moss"}
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        assert {one.bot for one in rig.endpoint.requests} == {"CL1N1CDESK"}
        assert rig.lex.requests == []
        assert rig.sts.roles == []
        assert call.complaints == []
    assert {line["line"] for line in logged() if line.get("line")} == {"desk"}


def test_berlin_is_another_account_of_aws_and_of_twilio(logged: Logged) -> None:
    """In stream mode Lex says the line's own words in its own voice, and asks as the role that STS has given."""
    account = {"account_sid": SUBACCOUNT, "auth_token": BERLIN_TOKEN}
    with serving("clinic", "ich brauche einen Termin", pace=0.2, lex_voice=HummingVoice(), **account) as rig:
        caller, call = rig.dial(BERLIN)
        opened = call.wait_for(StreamOpened, PATIENCE_S)
        assert opened.url.endswith(f"/twiml/media/{SUBACCOUNT}")
        rig.heard(call, "Praxis am Hafen, guten Tag. Was kann ich für Sie tun?")
        answer = rig.say(caller, call, "einen Termin")
        assert answer.said == "Zu wem möchten Sie: zu Doktor Kern oder zu Doktor Wolf?"
        call.wait_for(BotFinished, PATIENCE_S, count=2)
        assert rig.bots() == [("PRAX1SBERL", "de_DE")]
        assert set(rig.sts.roles) == {ROLE}
        assert rig.endpoint.requests == []
        call.hang_up()
        call.wait(PATIENCE_S)
        assert call.complaints == []
    assert {line["line"] for line in logged() if line.get("line")} == {"berlin"}


def test_berlin_has_its_own_sentences_beside_those_of_german() -> None:
    with serving("clinic") as rig:
        settings = rig.table.settings_of(CallRoute("berlin"))
        assert settings is not None
        phrases = settings.phrases
        assert phrases.goodbye == "Auf Wiederhören, und gute Besserung."
        assert phrases.busy == phrases_for("de_DE").busy
        assert (settings.line_max_calls, settings.max_call_s, settings.say_voice) == (10, 600, "Polly.Vicki")


@pytest.mark.parametrize(
    ("account_sid", "auth_token", "status"), [(SUBACCOUNT, "f" * 32, 403), (None, "0123456789abcdef" * 2, 200)]
)
def test_berlin_is_nobody_elses(account_sid: str | None, auth_token: str, status: int) -> None:
    """A call with a wrong signature is refused. One of the service's own account is served by no line of another."""
    with serving("clinic", account_sid=account_sid, auth_token=auth_token) as rig:
        _, call = rig.dial(BERLIN)
        call.wait(PATIENCE_S)
        (answer,) = (
            event for event in call.events if isinstance(event, WebhookAnswered) and event.purpose == "document"
        )
        assert answer.status == status
        assert not [event for event in call.events if isinstance(event, StreamOpened)]
        assert rig.lex.requests == []


def test_a_patient_says_hello_and_confirms(logged: Logged) -> None:
    with serving("clinic", "yes I will come") as rig:
        patient = SimulatedCaller(HummingVoice(), Script(hello="Hello?"))
        call = remind(rig, patient)
        rig.heard(call, "You have an appointment tomorrow at ten. Will you come?")
        answer = rig.say(patient, call, "yes, I will come", after_ms=9000)
        assert answer.intent == "ConfirmAppointment"
        facts = {name: answer.attributes[f"lexbridge:{name}"] for name in ("answered-by", "query-appointment")}
        assert facts == {"answered-by": "human", "query-appointment": "4711"}
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        assert {one.bot for one in rig.endpoint.requests} == {"CL1N1CDESK"}
    assert {line["line"] for line in logged() if line.get("line")} == {"reminders"}


def test_a_machine_hears_the_message_after_its_beep() -> None:
    with serving("clinic") as rig:
        machine = AnsweringMachine(HummingVoice(), "You have reached Ada. Please leave a message.")
        call = remind(rig, machine)
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        assert MESSAGE in machine.message
        assert rig.endpoint.requests == []


def test_a_call_of_another_campaign_is_nobodys(logged: Logged) -> None:
    with serving("clinic") as rig:
        call = remind(rig, SimulatedCaller(HummingVoice(), Script(hello="Hello?")), campaign="sale")
        rig.heard(call, "Sorry, this service is not available.")
        call.wait(PATIENCE_S)
        wait_until(lambda: any(line["event"] == "call-refused" for line in logged()))
