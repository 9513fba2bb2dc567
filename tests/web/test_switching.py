"""Answers to the webhook that begins with the bot to which another one has handed the call."""

import time
from collections.abc import Mapping
from xml.etree import ElementTree

import pytest
from werkzeug.test import TestResponse

from lexbridge.call.documents import speaking_ms
from lexbridge.phrases.catalogue import greeting_for
from lexbridge.twilio.route_seal import sealed_route
from lexbridge.twilio.stream_token import find_token_fault
from tests.support.fixtures import Logged
from tests.support.rig import TOKEN
from tests.support.switched_lines import table_of
from tests.support.webhook_client import FACTS, FORM, WebhookClient, parameters, stream

V2 = {"LEX_BOT_ID": "ABCDEFGHIJ", "LEX_BOT_ALIAS_ID": "TSTALIASID"}
GERMAN = {**V2, "LEX_LOCALE_ID": "de_DE"}
V1 = {"LEX_BOT_NAME": "Coffee", "LEX_BOT_ALIAS": "prod"}
WELCOME = {"WELCOME": "bot", "WELCOME_INTENT": "Welcome"}
FLOWERS, TULIPS = (sealed_route(TOKEN, text) for text in ("/flowers", "/tulips"))
BEGINS = f"/twiml/resume?begins=1&switched=1.1:&line={FLOWERS}"
MODES = pytest.mark.parametrize(("mode", "verb"), [("call-update", "Start"), ("stream", "Connect")])


def client_of(bot: Mapping[str, str] = GERMAN, **line: str) -> WebhookClient:
    return WebhookClient(table=lambda _: table_of(line, {"flowers": bot}), **line)


def said(response: TestResponse) -> list[str]:
    return [say.text or "" for say in ElementTree.fromstring(response.text).iter("Say")]


@MODES
def test_a_stream_to_the_next_bot_is_opened(mode: str, verb: str) -> None:
    response = client_of(REPLY_MODE=mode).post(BEGINS)
    sent = parameters(response, verb)
    token = sent.pop("lexbridge:token")
    assert find_token_fault([TOKEN], token, FORM["CallSid"], FORM["AccountSid"], time.time(), "/flowers") is None
    assert find_token_fault([TOKEN], token, FORM["CallSid"], FORM["AccountSid"], time.time()) is not None
    spoken = {"lexbridge:spoken-ms": "0"} if mode == "call-update" else {}
    switched = {"lexbridge:resumed": "switched", "lexbridge:switched": "1.1:", "lexbridge:line": "/flowers"}
    assert sent == {**switched, **spoken, **FACTS}
    assert stream(response, verb).attrib["name"] == "lexbridge-0-s1"
    assert response.text.count("line=%2Fflowers") == response.text.count("https://voice.example.com/")
    assert response.text.count("switched=1.1%3A") == response.text.count("https://voice.example.com/")


@MODES
def test_after_a_wordless_switch_the_language_is_greeted_in(mode: str, verb: str) -> None:
    greeting = greeting_for("de_DE")
    response = client_of(REPLY_MODE=mode, GREETING="Hello.").post(f"{BEGINS}&wordless=1")
    assert said(response) == [greeting]
    assert 'language="de-DE"' in response.text
    assert parameters(response, verb).get("lexbridge:spoken-ms") == (
        str(speaking_ms(greeting)) if mode == "call-update" else None
    )


@pytest.mark.parametrize(
    ("bot", "words"),
    [
        ({**GERMAN, "GREETING": "Blumen Bauer, guten Tag."}, ["Blumen Bauer, guten Tag."]),
        ({**GERMAN, "GREETING": "Hello."}, []),  # as the caller was greeted at first
        (GERMAN, []),
        ({**GERMAN, **WELCOME}, []),
        (V1, []),
    ],
)
def test_a_greeting_is_said_if_it_is_the_bots_own(bot: Mapping[str, str], words: list[str]) -> None:
    assert said(client_of(bot, GREETING="Hello.").post(BEGINS)) == words


def test_a_bot_that_welcomes_begins_after_a_wordless_switch() -> None:
    assert said(client_of({**GERMAN, **WELCOME}).post(f"{BEGINS}&wordless=1")) == []


def test_an_unknown_origin_has_no_greeting_in_common() -> None:
    bot = {**GERMAN, "GREETING": "Hello."}
    client = client_of(bot, GREETING="Hello.")
    assert said(client.post(f"/twiml/resume?begins=1&switched=1.1:/tulips&line={FLOWERS}")) == ["Hello."]
    assert said(client.post(f"/twiml/resume?begins=1&line={FLOWERS}")) == ["Hello."]


def test_the_progress_of_the_call_goes_on() -> None:
    response = client_of(MAX_TURNS="9").post(f"{BEGINS}&began=1795846066&turns=4")
    assert parameters(response)["lexbridge:turns"] == "4"
    assert parameters(response)["lexbridge:began"] == "1795846066"


def test_limits_of_the_next_bot_alone_count_from_now_on() -> None:
    sent = parameters(client_of({**GERMAN, "MAX_TURNS": "9"}).post(BEGINS))
    assert abs(int(sent["lexbridge:began"]) - time.time()) < 100
    assert (sent["lexbridge:turns"], sent["lexbridge:age-s"]) == ("0", "0")


def test_in_place_of_a_bot_that_is_gone_the_lines_own_begins(logged: Logged) -> None:
    response = client_of(GREETING="Hello.").post(f"/twiml/resume?begins=1&switched=1.1:&line={TULIPS}")
    assert parameters(response)["lexbridge:resumed"] == "switched"
    assert "lexbridge:line" not in parameters(response)
    assert [line["event"] for line in logged()] == ["line-unknown"]


def test_the_next_streams_know_of_the_switch() -> None:
    client = client_of()
    lost = parameters(client.post(f"/twiml/resume?lost=1&of=MZ1&switched=1.1:&line={FLOWERS}"))
    keyed = parameters(client.post(f"/twiml/keys?of=MZ1&switched=1.1:&line={FLOWERS}", {**FORM, "Digits": "12"}))
    for sent, resumed in ((lost, "lost"), (keyed, "keyed")):
        assert (sent["lexbridge:resumed"], sent["lexbridge:switched"]) == (resumed, "1.1:")
