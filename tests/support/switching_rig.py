"""A bridge with a router's bot and three that it hands calls to, between a local Lex and a simulated Twilio."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.config.lines import LineTable
from lexbridge.net.http_handler import MediaSocketHandler
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.lex.bots import Bot, Intent, Message, Prompt, Slot
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import VerbStarted
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.server.build import build_service
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, PATIENT, TOKEN, HummingVoice, HurriedHandler, says, settings
from tests.support.switched_lines import table_of

AT_ONCE = "At once."
TO_GERMAN = "Moment, bitte."


def _hands_over(name: str, utterance: str, words: str, **attributes: str) -> Intent:
    named = {f"lexbridge:{key}": text for key, text in attributes.items() if key in ("bot", "locale")}
    rest = {key: text for key, text in attributes.items() if key not in ("bot", "locale")}
    closing = (Message(words),) if words else ()
    return Intent(name, (utterance,), closing=closing, when_closed={**named, **rest, "lexbridge:voice": "Polly.Amy"})


def _asks(name: str, utterance: str, question: str) -> Intent:
    prompt = Prompt((Message(question),), 5)
    return Intent(name, (utterance,), (Slot("Text", "AMAZON.AlphaNumeric", required=True, prompt=prompt),))


GERMAN_WORDS = "Welche Blumen, Kunde [customer]?"
COFFEE_WORDS = "How strong, customer [customer]?"
FLOWER_WORDS = "Which flowers, customer [customer]?"

BOTS: Sequence[Bot] = (
    Bot(
        "Router",
        (
            _hands_over("ToFlowers", "flowers please", AT_ONCE, bot="flowers", customer="4711"),
            _hands_over("ToGerman", "german please", TO_GERMAN, bot="flowers", locale="de_DE", customer="4711"),
            _hands_over("ToCoffee", "coffee please", "", bot="coffee", customer="4711"),
            _hands_over("ToNobody", "tulips please", "Tulips.", bot="tulips"),
            _asks("Stay", "nothing please", "What else?"),
        ),
        identifier="ROUTER0000",
    ),
    Bot(
        "Flowers",
        (_asks("Order", "some roses", FLOWER_WORDS), _hands_over("Back", "back please", "Back.", bot="router")),
        identifier="FLOWERS000",
    ),
    Bot(
        "Blumen",
        (
            _asks("Order", "some roses", GERMAN_WORDS),
            _asks("Welcome", "hello there", GERMAN_WORDS),
            _hands_over("Back", "back please", "Gut.", bot="router"),
            _hands_over("English", "english please", "Gut.", locale="en_US"),
        ),
        identifier="FLOWERS000",
        locale_id="de_DE",
    ),
    Bot("Coffee", (_asks("Brew", "an espresso", COFFEE_WORDS),)),
)

ROUTER = {"LEX_BOT_ID": "ROUTER0000", "LEX_BOT_ALIAS_ID": "TSTALIASID"}
FLOWERS = {"LEX_BOT_ID": "FLOWERS000", "LEX_BOT_ALIAS_ID": "TSTALIASID"}
GERMAN = {**FLOWERS, "LEX_LOCALE_ID": "de_DE", "SAY_VOICE": "Polly.Vicki"}
COFFEE = {"LEX_BOT_NAME": "Coffee", "LEX_BOT_ALIAS": "prod", "GREETING": "Coffee here."}
OTHERS: Mapping[str, Mapping[str, str]] = {
    "router": ROUTER,
    "flowers": FLOWERS,
    "flowers/en_US": FLOWERS,
    "flowers/de_DE": GERMAN,
    "coffee": COFFEE,
}
GERMAN_WELCOMES = {"flowers/de_DE": {**GERMAN, "WELCOME": "bot", "WELCOME_INTENT": "Welcome"}}


@dataclass
class SwitchingRig:
    """A bridge whose calls begin with the router's bot."""

    lex: LocalLex
    twilio: SimulatedTwilio
    base: str
    calls: CallRegistry
    table: LineTable

    def place_call(self) -> tuple[SimulatedCaller, PhoneCall]:
        """Place a call of a caller who says nothing by themselves."""
        caller = says()
        return caller, self.twilio.place_call("https://voice.example.com/twiml", caller, connect_to=self.base)

    def said(self, call: PhoneCall, words: str) -> VerbStarted:
        """Wait until Twilio says `words` to the caller."""
        return call.wait_for(VerbStarted, PATIENCE_S, where=lambda event: event.verb == "Say" and words in event.text)

    def answers(self) -> list[tuple[str, str | None]]:
        """Return the bot, and the locale of V2, that answered each turn of the caller, in order."""
        return [(one.bot, one.locale_id) for one in turns_heard(self.lex)]


def say(rig: SwitchingRig, caller: SimulatedCaller, words: str) -> LexRequest:
    """Say something once the caller hears nothing, and wait for the answer to it."""
    before = len(turns_heard(rig.lex))
    wait_until(lambda: not caller.is_speaking)
    caller.say(words)
    wait_until(lambda: len(turns_heard(rig.lex)) > before)
    return turns_heard(rig.lex)[-1]


def turns_heard(lex: LocalLex) -> list[LexRequest]:
    """Return the requests of the caller's turns that were answered, in order."""
    return [one for one in lex.requests if one.transcript is not None and one.answered]


def knowing(known: Mapping[str, str]) -> Sequence[Bot]:
    """Return the bots. The router's sets the session attributes `known` whenever it is done."""
    router, *others = BOTS
    intents = tuple(replace(one, when_closed={**one.when_closed, **known}) for one in router.intents)
    return [replace(router, intents=intents), *others]


@contextmanager
def switching(
    *heard: str,
    pace: float = 0.05,
    bots: Mapping[str, Mapping[str, str]] = OTHERS,
    known: Mapping[str, str] | None = None,
    **line: str,
) -> Iterator[SwitchingRig]:
    """Run a bridge whose Lex hears the lines of `heard`.

    `bots`: those of the table. `known`: session attributes that the router's bot sets. `line`: settings of the line.
    """
    with (
        LocalLex(bots=knowing(known or {}), recogniser=ScriptedRecogniser(list(heard)), voice=HummingVoice()) as lex,
        SimulatedTwilio(auth_token=TOKEN, pace=pace) as twilio,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", lex.url)
        environment.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", lex.url)
        own = {"BARGE_IN": "off", "FILLER_S": "60", "NO_INPUT_S": "120", "TWILIO_API_URL": twilio.url, **line}
        table = table_of({**ROUTER, **own}, {**bots})
        service = build_service(settings(**ROUTER, **own), table=table, deadlines=PATIENT)
        service.server.handler_class = HurriedHandler if pace < 0.15 else MediaSocketHandler
        service.server.start()
        try:
            base = f"http://127.0.0.1:{service.server.server_port}"
            yield SwitchingRig(lex, twilio, base, service.calls, table)
        finally:
            service.server.stop(timeout=1)
