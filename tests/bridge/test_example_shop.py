"""The shop of docs/examples-of-lines.md, called: by number, by header, out of hours, with transfers that come back."""

import pytest

from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason, Queued, StreamOpened, Transferred, Whispered
from lexbridge.offline.twilio.far_ends import FarEnd
from tests.support.example_rig import serving
from tests.support.fixtures import Logged
from tests.support.flower_order import KINDS
from tests.support.rig import PATIENCE_S

SALES, SUPPORT, MANAGER = "+12065550101", "+12065550102", "+12065550188"
SATURDAY, NIGHT = "2026-12-05T12:00-08:00", "2026-12-01T17:00-08:00"


def lines(logged: Logged) -> set[str]:
    """Return the lines that the log names."""
    return {line["line"] for line in logged() if line.get("line")}


def voices(call: PhoneCall) -> set[str]:
    """Return the voices of all documents that the call got."""
    bodies = [getattr(event, "body", "") + getattr(event, "twiml", "") for event in call.events]
    return {part.partition('"')[0] for body in bodies for part in body.split(' voice="')[1:]}


@pytest.mark.parametrize(
    ("number", "facts", "at", "greeting", "line"),
    [
        (SALES, {}, SATURDAY, "What would you like to order?", "orders"),
        ("sip:Shop@pbx.example.com", {"SipHeader_X-Dept": "orders"}, NIGHT, "Orders. What would", "switchboard"),
        (SUPPORT, {}, SATURDAY, "Our people are back on workdays", "closed"),
        (SUPPORT, {}, NIGHT, "Our people are back on workdays", "closed"),
    ],
)
def test_orders_are_taken_at_any_time(
    number: str, facts: dict[str, str], at: str, greeting: str, line: str, logged: Logged
) -> None:
    with serving("shop", "I would like to order flowers", at=at) as rig:
        caller, call = rig.dial(number, **facts)
        rig.heard(call, greeting)
        assert KINDS in (rig.say(caller, call, "some flowers please").said or "")
        rig.heard(call, KINDS)
        assert rig.bots() == [("T02RDDTWEF", "en_US")]
        assert voices(call) == {"Polly.Joanna"}
        call.hang_up()
        call.wait(PATIENCE_S)
        assert call.complaints == []
    assert lines(logged) == {line}


def test_support_finds_orders_and_says_goodbye(logged: Logged) -> None:
    with serving("shop", "where is my order", "that is all") as rig:
        caller, call = rig.dial(SUPPORT)
        rig.heard(call, "Rose and Thorn, support.")
        rig.say(caller, call, "where are my flowers")
        rig.heard(call, "Your flowers are on their way")
        rig.say(caller, call, "thanks, that is all")
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        assert rig.bots() == [("SUPP0RTB0T", "en_US")] * 2
        assert call.complaints == []
    assert lines(logged) == {"support"}


def test_a_full_queue_brings_the_caller_back() -> None:
    with serving("shop", "talk to a human", "where is my order") as rig:
        rig.twilio.exchange.set("queue:Support", FarEnd(does="busy"))
        caller, call = rig.dial(SUPPORT)
        rig.say(caller, call, "a human please")
        rig.heard(call, "I connect you with my colleagues.")
        rig.heard(call, "All my colleagues are talking.")
        answer = rig.say(caller, call, "where are my flowers", streams=2)
        assert answer.attributes["lexbridge:transfer-status"] == "queue-full"
        assert rig.bots() == [("SUPP0RTB0T", "en_US")] * 2
        call.hang_up()
        call.wait(PATIENCE_S)
        assert [complaint[:5] for complaint in call.complaints] == ["14207"]  # Twilio warns of the full queue


def test_somebody_takes_the_caller_out_of_the_queue() -> None:
    with serving("shop", "talk to a human") as rig:
        rig.twilio.exchange.set("queue:Support", FarEnd(rings_s=5, talks_s=3))
        caller, call = rig.dial(SUPPORT)
        rig.say(caller, call, "a human please")
        assert call.wait_for(Queued, PATIENCE_S).queue == "Support"
        rig.heard(call, "Goodbye.")
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        assert call.complaints == []


def test_the_manager_hears_what_it_is_about() -> None:
    with serving("shop", "I have a complaint") as rig:
        rig.twilio.exchange.set(MANAGER, FarEnd(talks_s=3))
        caller, call = rig.dial(SUPPORT)
        rig.say(caller, call, "I have a complaint")
        assert call.wait_for(Whispered, PATIENCE_S).text == "A caller with a complaint about flowers."
        transferred = call.wait_for(Transferred, PATIENCE_S)
        assert (transferred.number, transferred.status) == (MANAGER, "completed")
        call.wait(PATIENCE_S)
        assert call.complaints == []


@pytest.mark.parametrize(
    ("number", "facts"),
    [("+12065550103", {}), ("sip:shop@pbx.example.com", {"SipHeader_X-Dept": "support"}), ("sip:shop@a.example", {})],
)
def test_what_no_line_serves_is_refused(number: str, facts: dict[str, str], logged: Logged) -> None:
    with serving("shop") as rig:
        _, call = rig.dial(number, **facts)
        rig.heard(call, "Sorry, this service is not available.")
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        assert not [event for event in call.events if isinstance(event, StreamOpened)]
        assert rig.lex.requests == []
    assert [line["why"] for line in logged() if line["event"] == "call-refused"] == ["no line"]
