"""The tables of docs/lines.md and the README, called: shares by weight, a header, a role, languages."""

from types import SimpleNamespace
from typing import Any

import pytest

from lexbridge.offline.lex.bots import Bot, Intent, Message, Prompt, Slot
from lexbridge.offline.twilio import call as phone_call
from lexbridge.offline.twilio.events import BotFinished, EndReason, StreamOpened, Transferred, WebhookAnswered
from lexbridge.offline.twilio.far_ends import FarEnd
from lexbridge.phrases.catalogue import greeting_for, phrases_for
from tests.support.example_lines import CLINIC_TOKEN, SHORT_PAGE
from tests.support.example_rig import ExampleRig, serving
from tests.support.fixtures import Logged
from tests.support.line_tables import call_of, chosen
from tests.support.packages import ROOT
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, HummingVoice

SHOP, MANAGER = "+12065550111", "+12065550188"
EVENING, SUNDAY = "2026-12-01T18:30-08:00", "2026-12-06T12:00-08:00"
CLINIC = "AC0123456789abcdef0123456789abcdef"
ROLE = "arn:aws:iam::123456789012:role/asks-the-reception-bot"
KINDS, LAB, MOMENT = "Roses or tulips?", "Which sample?", "Moment."


def asks(name: str, utterance: str, question: str) -> Intent:
    """Return an intent that asks a question."""
    prompt = Prompt((Message(question),), 5)
    return Intent(name, (utterance,), (Slot("Text", "AMAZON.AlphaNumeric", required=True, prompt=prompt),))


def closes(name: str, utterance: str, words: str, **attributes: str) -> Intent:
    """Return an intent that says `words`, and closes with the session attributes `lexbridge:...`."""
    named = {f"lexbridge:{key.replace('_', '-')}": text for key, text in attributes.items()}
    return Intent(name, (utterance,), closing=(Message(words),) if words else (), when_closed=named)


ORDER = asks("Order", "some flowers", KINDS)
HUMAN = closes("Human", "a human please", "To a colleague.", action="transfer", transfer_to=MANAGER)
WHEN = {"en_GB": "At nine.", "de_DE": "Um neun.", "fr_FR": "À neuf heures."}
BOTS = [
    Bot("Flowers", (ORDER, HUMAN), identifier="FLOWERBOT1", aliases=frozenset({"LIVEALIASX", "NEXTALIASX"})),
    Bot("Orders", (ORDER, HUMAN), identifier="ORDERBOT01", aliases=frozenset({"LIVEALIASX"})),
    Bot("Reception", (asks("Doctor", "einen Termin", "Bei wem?"),), identifier="RECEPTION1", locale_id="de_DE"),
    Bot("Laboratory", (asks("Sample", "my sample", LAB),), aliases=frozenset({"Prod"})),
    *(
        Bot(
            "Hotline",
            (
                asks("Hours", "hours", words),
                closes("GoodbyeIntent", "bye", ""),
                closes("German", "Deutsch", MOMENT, locale="de_DE"),
                closes("French", "français", "Un instant.", locale="fr_FR"),
            ),
            identifier="HOTLINEBOT",
            locale_id=locale,
            aliases=frozenset({"LIVEALIASX"}),
        )
        for locale, words in WHEN.items()
    ),
]


def page(example: str, *heard: str, **options: Any) -> Any:
    """Run the service with an example of the page."""
    return serving(example, *heard, page=SHORT_PAGE, own_bots=BOTS, **options)


def voices(call: phone_call.PhoneCall) -> list[str]:
    """Return the voices of the documents of the call, in order, each once in a row."""
    bodies = [getattr(event, "body", "") + getattr(event, "twiml", "") for event in call.events]
    found = [part.partition('"')[0] for body in bodies for part in body.split(' voice="')[1:]]
    return [one for at, one in enumerate(found) if at == 0 or one != found[at - 1]]


def lines(logged: Logged) -> set[str]:
    """Return the lines that the log names."""
    return {line["line"] for line in logged() if line.get("line")}


# -- the shop


def number_of(rig: ExampleRig, line: str, at_s: float) -> str:
    """Return the random part of a CallSid whose call goes to `line`."""
    numbers = (f"{number:032x}" for number in range(1000))
    return next(one for one in numbers if chosen(rig.table, call_of(SHOP, at_s=at_s, CallSid=f"CA{one}")) == line)


@pytest.mark.parametrize(("line", "alias"), [("day", "LIVEALIASX"), ("day-next", "NEXTALIASX")])
def test_the_day_is_shared_by_two_bots(line: str, alias: str, logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both greet alike, and both may transfer to the one number."""
    with page("shop", "some flowers", "a human please") as rig:
        rig.twilio.exchange.set(MANAGER, FarEnd(talks_s=3))
        sid = number_of(rig, line, rig.now_s)
        monkeypatch.setattr(phone_call, "secrets", SimpleNamespace(token_hex=lambda _: sid))
        caller, call = rig.dial(SHOP)
        rig.heard(call, "Flowers here.")
        rig.say(caller, call, "flowers")
        rig.heard(call, KINDS)
        rig.say(caller, call, "a human")
        assert call.wait_for(Transferred, PATIENCE_S).number == MANAGER
        call.wait(PATIENCE_S)
        assert {(one.bot, one.alias) for one in rig.turns()} == {("FLOWERBOT1", alias)}
        assert voices(call) == ["Polly.Joanna"]
        assert call.complaints == []
    assert lines(logged) == {line}


@pytest.mark.parametrize(("number", "at"), [(SHOP, EVENING), ("+12065550112", SUNDAY)])
def test_in_the_evening_orders_are_taken_and_nobody_else_called(number: str, at: str, logged: Logged) -> None:
    """The list of transfers is empty: the bot that asks for one goes on with the caller."""
    with page("shop", "a human please", "some flowers", at=at) as rig:
        caller, call = rig.dial(number)
        rig.heard(call, "Our shop is closed, but you can order.")
        rig.say(caller, call, "a human")
        rig.heard(call, "To a colleague.")
        rig.say(caller, call, "flowers then")
        rig.heard(call, KINDS)
        assert {(one.bot, one.alias) for one in rig.turns()} == {("ORDERBOT01", "LIVEALIASX")}
        assert voices(call) == []  # that of Twilio's console
        call.hang_up()
        call.wait(PATIENCE_S)
        assert call.legs == []
        assert call.complaints == []
    assert lines(logged) == {"evening"}
    assert [line["check"] for line in logged() if line["event"] == "transfer-refused"] == ["TRANSFER_NUMBERS"]


# -- the clinic

OF_CLINIC = {"account_sid": CLINIC, "auth_token": CLINIC_TOKEN}


def test_the_laboratory_is_chosen_by_a_header(logged: Logged) -> None:
    """A Lex V1 bot of another region, for calls of the clinic's own Twilio account."""
    with page("clinic", "my sample", **OF_CLINIC) as rig:
        caller, call = rig.dial("sip:clinic@pbx.example.com", **{"SipHeader_X-Department": "42"})
        rig.say(caller, call, "my sample")
        rig.heard(call, LAB)
        (turn,) = rig.turns()
        assert (turn.api, turn.bot, turn.alias, turn.region) == ("v1", "Laboratory", "Prod", "us-east-1")
        assert rig.sts.roles == []
        call.hang_up()
        call.wait(PATIENCE_S)
        assert call.complaints == []
    assert lines(logged) == {"laboratory"}


def test_the_reception_has_time_for_its_patients(logged: Logged) -> None:
    """Another account of AWS is asked as the role. A caller is asked again after 15 s, and Lex says all words."""
    with page("clinic", "einen Termin", pace=0.2, lex_voice=HummingVoice(), **OF_CLINIC) as rig:
        caller, call = rig.dial("sip:clinic@pbx.example.com", **{"SipHeader_X-Department": "5"})
        rig.heard(call, greeting_for("de_DE"))
        rig.say(caller, call, "einen Termin")
        call.wait_for(BotFinished, PATIENCE_S, count=2)
        quiet_from_ms = call.line.now_ms
        wait_until(lambda: [line for line in logged() if line["event"] == "no-input"])
        assert call.line.now_ms - quiet_from_ms >= 14_500
        (turn,) = rig.turns()
        assert (turn.bot, turn.locale_id, turn.region) == ("RECEPTION1", "de_DE", "eu-central-1")
        assert set(rig.sts.roles) == {ROLE}
        assert voices(call) == ["Polly.Vicki"]
        call.hang_up()
        call.wait(PATIENCE_S)
        assert call.complaints == []
    assert lines(logged) == {"reception"}


@pytest.mark.parametrize(("account_sid", "status"), [(CLINIC, 403), (None, 200)])
def test_the_clinic_is_nobody_elses(account_sid: str | None, status: int) -> None:
    """A call that is signed with another token is refused. One of another account is served by no line."""
    with page("clinic", account_sid=account_sid) as rig:
        _, call = rig.dial("sip:clinic@pbx.example.com")
        call.wait(PATIENCE_S)
        answered = [event for event in call.events if isinstance(event, WebhookAnswered)]
        assert [event.status for event in answered if event.purpose == "document"] == [status]
        assert not [event for event in call.events if isinstance(event, StreamOpened)]
        assert rig.lex.requests == []


# -- the hotline


@pytest.mark.parametrize(
    ("number", "locale", "greeting", "voice", "goodbye"),
    [
        ("+49305555010", "de_DE", "", "Polly.Vicki", "Auf Wiederhören, und danke für Ihren Anruf."),
        ("+33155555012", "fr_FR", "", "Polly.Lea", ""),
        ("+442055501", "en_GB", "This is the hotline. How can I help?", "Polly.Amy", ""),
    ],
)
def test_a_number_has_its_language(
    number: str, locale: str, greeting: str, voice: str, goodbye: str, logged: Logged
) -> None:
    with page("hotline", "hours", "bye") as rig:
        caller, call = rig.dial(number)
        rig.heard(call, greeting or greeting_for(locale))
        rig.say(caller, call, "hours")
        rig.heard(call, WHEN[locale])
        rig.say(caller, call, "bye")
        rig.heard(call, goodbye or phrases_for(locale).goodbye)
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        assert {(one.bot, one.locale_id, one.region) for one in rig.turns()} == {("HOTLINEBOT", locale, "eu-west-2")}
        assert voices(call) == [voice]
        assert call.complaints == []
    assert lines(logged) == {{"de_DE": "german", "fr_FR": "french", "en_GB": "english"}[locale]}


@pytest.mark.parametrize(
    ("asked", "locale", "words", "voice", "goodbye"),
    [
        ("Deutsch", "de_DE", MOMENT, "Polly.Vicki", "Auf Wiederhören, und danke für Ihren Anruf."),
        ("français", "fr_FR", "Un instant.", "Polly.Lea", ""),
    ],
)
def test_callers_of_the_fourth_number_choose_later(
    asked: str, locale: str, words: str, voice: str, goodbye: str
) -> None:
    """The words and the voice of each language are those of `[locales]`, also after a switch."""
    with page("hotline", asked, "hours", "bye") as rig:
        caller, call = rig.dial("+12065550119")
        rig.heard(call, "This is the hotline. How can I help?")
        rig.say(caller, call, asked)
        rig.heard(call, words)
        rig.say(caller, call, "hours", streams=2)
        rig.heard(call, WHEN[locale])
        rig.say(caller, call, "bye", streams=2)
        rig.heard(call, goodbye or phrases_for(locale).goodbye)
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        assert rig.bots() == [("HOTLINEBOT", "en_GB"), ("HOTLINEBOT", locale), ("HOTLINEBOT", locale)]
        assert voices(call) == ["Polly.Amy", voice]
        assert call.complaints == []


# -- the table of the README


def test_the_number_of_the_readme_has_its_greeting() -> None:
    bot = Bot("Shop", (ORDER,), identifier="ABCDEFGHIJ", aliases=frozenset({"TSTALIASID"}))
    with serving("readme", "some flowers", page=ROOT / "README.md", own_bots=[bot]) as rig:
        caller, call = rig.dial(SHOP)
        rig.heard(call, "Flowers here.")
        turn = rig.say(caller, call, "flowers")
        assert (turn.bot, turn.alias, turn.locale_id, turn.region) == ("ABCDEFGHIJ", "TSTALIASID", "en_US", "us-west-2")
        rig.heard(call, KINDS)
        call.hang_up()
        call.wait(PATIENCE_S)
        assert call.complaints == []
