"""Switches to other bots: what an answer asks for, and how the next bot begins. Each row is one case."""

import pytest

from lexbridge.call import next_bot, switching
from lexbridge.call.dialog import DialogContext
from lexbridge.call.directives import Directives
from lexbridge.call.resumption import AskToRepeat, SendGathered, Step
from lexbridge.call.stream_parameters import HANDED_OVER, KEYED, LOST, SWITCHED, CallProgress, StreamParameters
from lexbridge.call.switching import MAX_IN_A_ROW, NO_SWITCHES, Refused, Switchboard, Switches
from lexbridge.config.route import CallRoute
from lexbridge.lex.model import DialogState, Message, Reply
from tests.support.settings import make_settings
from tests.support.switches import FLOWERS, GERMAN, ROUTER, switchboard

RULES = make_settings().line.call_rules
BOT_WELCOMES = make_settings(WELCOME="bot", WELCOME_INTENT="WelcomeIntent").line.call_rules
FACTS = {"lexbridge:called-number": "+15550100123"}
FROM_ROUTER = CallProgress(switches=Switches(1, 1, ROUTER))


def reply(**attributes):
    return Reply(DialogState.ELICIT_SLOT, (Message("Which flowers?"),), session_attributes=attributes)


def test_without_a_table_there_is_no_other_bot():
    assert switching.decide(Directives(bot="flowers"), Switchboard(), NO_SWITCHES) == Refused("not in the table")


TOO_MANY = Switches(30, MAX_IN_A_ROW)


@pytest.mark.parametrize(
    ("bot", "locale_id", "route", "switches", "decision"),
    [
        (None, None, ROUTER, NO_SWITCHES, None),
        ("flowers", None, ROUTER, NO_SWITCHES, FLOWERS),
        ("flowers", "de_DE", ROUTER, NO_SWITCHES, GERMAN),
        # Lex keeps session attributes
        ("flowers", None, FLOWERS, NO_SWITCHES, None),
        ("flowers", "de_DE", GERMAN, NO_SWITCHES, None),
        ("flowers", None, GERMAN, NO_SWITCHES, None),
        # the locale alone
        (None, "de_DE", FLOWERS, NO_SWITCHES, GERMAN),
        (None, "de_DE", GERMAN, NO_SWITCHES, None),
        (None, "fr_FR", FLOWERS, NO_SWITCHES, Refused("not in the table")),
        # no such bot
        ("tulips", None, ROUTER, NO_SWITCHES, Refused("not in the table")),
        ("../flowers", None, ROUTER, NO_SWITCHES, Refused("not in the table")),
        ("flowers", "German", ROUTER, NO_SWITCHES, Refused("malformed locale")),
        (None, "de-DE", FLOWERS, NO_SWITCHES, Refused("malformed locale")),
        # two bots that name each other
        ("flowers", None, ROUTER, Switches(30, MAX_IN_A_ROW - 1), FLOWERS),
        ("flowers", None, ROUTER, TOO_MANY, Refused("too many in a row")),
        ("flowers", None, FLOWERS, TOO_MANY, None),
    ],
)
def test_to_which_bot_an_answer_hands_the_call(bot, locale_id, route, switches, decision):
    directives = Directives(bot=bot, locale_id=locale_id)
    assert switching.decide(directives, switchboard(route), switches) == decision


@pytest.mark.parametrize(
    ("answer", "is_known"),
    [
        (None, False),
        (reply(), True),
        (reply(**{"lexbridge:switches": "2"}), True),
        (reply(**{"lexbridge:switches": "1"}), True),
        # an earlier visit, which ended when the bot handed the call on
        (reply(**{"lexbridge:bot": "router"}), False),
        (reply(**{"lexbridge:bot": "router", "lexbridge:switches": "1"}), False),
        # this visit, which ends likewise
        (reply(**{"lexbridge:bot": "router", "lexbridge:switches": "2"}), True),
        (reply(**{"lexbridge:bot": "flowers"}), True),
        (reply(**{"lexbridge:bot": "tulips"}), True),
    ],
)
def test_whether_a_bot_knows_that_it_has_the_call(answer, is_known):
    assert switching.is_known(answer, switchboard(FLOWERS), Switches(2, 1, ROUTER)) == is_known


OF_ROUTER = {"lexbridge:call-sid": "CA1", "customer": "4711", "lexbridge:switches": "7"}
STEERING = {"lexbridge:bot": "flowers", "lexbridge:action": "hangup", "lexbridge:voice": "Polly.Amy"}
LEX_OWN = {"x-amz-lex:allow-interrupt": "false", "x-amz-lex:dtmf:max-length:Order:Size": "1"}


@pytest.mark.parametrize(
    ("resumed", "keys", "rules", "resumes"),
    [
        (SWITCHED, None, RULES, Step.LISTEN),
        (SWITCHED, None, BOT_WELCOMES, Step.WELCOME),
        (HANDED_OVER, None, BOT_WELCOMES, Step.LISTEN),
        (LOST, None, BOT_WELCOMES, Step.WELCOME),
        (LOST, None, RULES, AskToRepeat(asks_lex=True)),
        (KEYED, "12#", BOT_WELCOMES, SendGathered("12")),
        (KEYED, "12*", RULES, Step.REPEAT_PROMPT),
    ],
)
def test_how_a_bot_begins_that_has_the_call_from_another(resumed, keys, rules, resumes):
    parameters = StreamParameters(resumed, FACTS, keys=keys, progress=CallProgress(turns=3, switches=Switches(2, 1)))
    attributes = {**OF_ROUTER, **STEERING, **LEX_OWN}
    dialog, resumed = next_bot.begin(attributes, parameters, "CA1", rules)
    told = {**FACTS, "lexbridge:call-sid": "CA1", "customer": "4711", "lexbridge:switches": "2"}
    assert (dialog, resumed) == (DialogContext(first_attributes=told, turns_answered=3), resumes)


def test_without_attributes_a_bot_begins_with_the_facts():
    parameters = StreamParameters(SWITCHED, FACTS, progress=FROM_ROUTER)
    dialog, _ = next_bot.begin(None, parameters, "CA1", RULES)
    assert dialog.first_attributes == {**FACTS, "lexbridge:call-sid": "CA1", "lexbridge:switches": "1"}


@pytest.mark.parametrize(
    ("switches", "text"),
    [
        (NO_SWITCHES, ""),
        (Switches(3, 2), "3.2"),
        (Switches(1, 1, CallRoute()), "1.1:"),
        (Switches(12, 0, CallRoute("sales", "flowers", "de_DE")), "12.0:sales/flowers/de_DE"),
    ],
)
def test_switches_travel_as_a_text(switches, text):
    assert switches.text == text
    assert Switches.parse(text) == switches


@pytest.mark.parametrize("text", [None, "x", "1", "-1.1", "1.1234567", "1.1/"])
def test_what_nobody_has_written_is_no_switch(text):
    assert Switches.parse(text) == NO_SWITCHES


def test_an_origin_that_nobody_has_written_is_none():
    assert Switches.parse("2.1:a b") == Switches(2, 1)


def test_the_switches_of_a_call_are_counted():
    first = NO_SWITCHES.after_switch(ROUTER)
    assert first == Switches(1, 1, ROUTER)
    assert first.after_switch(FLOWERS) == Switches(2, 2, FLOWERS)
    assert first.after_answer() == Switches(1, 1)
    assert first.after_answer().after_turn() == Switches(1, 0)
