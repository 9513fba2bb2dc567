"""The hotline of docs/examples-of-lines.md, called: three languages, chosen by voice, by key and by number."""

import pytest

from lexbridge.offline.twilio.events import EndReason, StreamOpened
from tests.support.example_rig import serving
from tests.support.fixtures import Logged
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S

HOTLINE, HELP_LINE, ROUTER = "+12065550141", "HE1PL1NEB0", "R0UTERB0T1"
MENU = "Für Deutsch sagen Sie Deutsch, oder drücken Sie zwei."
LANGUAGES = [
    ("English", "1", "en_US", "In English, then.", "when are you open", "The offices are open", "Polly.Joanna"),
    ("Deutsch", "2", "de_DE", "Guten Tag. Was möchten", "wann haben Sie offen", "Die Ämter haben", "Polly.Vicki"),
    ("español", "3", "es_ES", "Buenos días.", "cuándo abren", "Las oficinas abren", "Polly.Lucia"),
]
CHOICES = pytest.mark.parametrize(
    ("said", "key", "locale", "greeting", "question", "answer", "voice"), LANGUAGES, ids=("en", "de", "es")
)


@pytest.mark.parametrize("by", ["voice", "key"])
@CHOICES
def test_callers_choose_their_language(
    said: str, key: str, locale: str, greeting: str, question: str, answer: str, voice: str, by: str, logged: Logged
) -> None:
    with serving("hotline", *([said] if by == "voice" else []), question) as rig:
        caller, call = rig.dial(HOTLINE)
        rig.heard(call, MENU)
        if by == "voice":
            assert rig.say(caller, call, said).bot == ROUTER
        else:
            call.press(key)
            wait_until(rig.turns)
        rig.heard(call, greeting)
        assert answer in (rig.say(caller, call, question, streams=2 if by == "voice" else 3).said or "")
        rig.heard(call, answer)
        assert rig.bots() == [(ROUTER, "en_US"), (HELP_LINE, locale)]
        documents = [getattr(event, "body", "") + getattr(event, "twiml", "") for event in call.events]
        (last,) = [one for one in documents if answer in one]
        assert f'voice="{voice}"' in last
        call.hang_up()
        call.wait(PATIENCE_S)
        assert call.complaints == []
    assert {line["line"].partition("/")[0] for line in logged() if line.get("line")} == {"hotline"}


@pytest.mark.parametrize(
    ("number", "locale", "greeting", "question", "answer", "bye", "goodbye"),
    [
        ("+493023125043", *LANGUAGES[1][2:6], "das ist alles", "Auf Wiederhören."),
        ("+34900123456", *LANGUAGES[2][2:6], "eso es todo", "Adiós."),
    ],
    ids=["de", "es"],
)
def test_a_number_has_its_language(
    number: str, locale: str, greeting: str, question: str, answer: str, bye: str, goodbye: str
) -> None:
    with serving("hotline", question, bye) as rig:
        caller, call = rig.dial(number)
        rig.heard(call, greeting)
        rig.say(caller, call, question)
        rig.heard(call, answer)
        rig.say(caller, call, bye)
        rig.heard(call, goodbye)
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        assert rig.bots() == [(HELP_LINE, locale)] * 2
        assert call.complaints == []


def test_who_says_no_language_is_asked_again() -> None:
    with serving("hotline", "tulips", "Deutsch") as rig:
        caller, call = rig.dial(HOTLINE)
        rig.heard(call, MENU)
        rig.say(caller, call, "I do not know")
        rig.heard(call, "Please say English, Deutsch, or español.")
        rig.say(caller, call, "Deutsch")
        rig.heard(call, "Guten Tag. Was möchten Sie wissen?")
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        call.hang_up()
        call.wait(PATIENCE_S)
        assert rig.bots() == [(ROUTER, "en_US")] * 2
