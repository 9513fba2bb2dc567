"""The whole bridge in the test's process, between a local Lex and a simulated Twilio, over real sockets."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from xml.etree import ElementTree

import gevent
import numpy as np
import pytest
from twilio.request_validator import RequestValidator

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.config.lines import LineTable
from lexbridge.config.reading import read_settings
from lexbridge.config.settings import Settings
from lexbridge.lex.boto import make_lex_runtime
from lexbridge.lex.client import LexClient
from lexbridge.lex.runtime import Deadlines
from lexbridge.net.http_handler import MediaSocketHandler
from lexbridge.net.rfc6455 import Limits
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.script import Script, Turn
from lexbridge.offline.lex.bot_files import shipped_bots
from lexbridge.offline.lex.bots import Bot
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.recognition import Recogniser, ScriptedRecogniser
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice, Voice
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import CallEnded, UpdateReceived
from lexbridge.offline.twilio.rest_api import RestFault
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.server.build import build_service
from lexbridge.telemetry.teller import Teller
from lexbridge.twilio.rest import TwilioCallControl

PATIENCE_S = 120
"""Seconds that a test waits for anything, because only what hangs takes so long, however busy the machine is."""

PATIENT = Deadlines(connect_s=30, answer_s=30, session_s=30)
"""Deadlines of requests to Lex that no request misses, however busy the machine is."""

QUICK = Deadlines(connect_s=2, answer_s=2.5, session_s=2)
"""Deadlines of requests to Lex for tests in which one is missed, and the others are met on a busy machine too."""

PATIENT_UPDATES = (30.0, 30.0, 30.0)
"""Deadlines of the attempts to update a call that no attempt misses."""

QUICK_UPDATES = (1.0, 1.0, 1.0)
"""Deadlines of the attempts to update a call for tests in which one is missed, and others are met."""

TOKEN = "0123456789abcdef0123456789abcdef"

ENVIRONMENT = {
    "AWS_REGION": "us-west-2",
    "ACCESS_KEY_ID": "AKIAEXAMPLE",
    "SECRET_ACCESS_KEY": "secret",
    "TWILIO_AUTH_TOKEN": TOKEN,
    "URL": "https://voice.example.com",
}
SIGNED = {
    "X-Twilio-Signature": RequestValidator(TOKEN).compute_signature("wss://voice.example.com/", {}),
}
"""Header with which a handshake for the bridge of ENVIRONMENT is admitted."""
V1_BOT = {"LEX_BOT_NAME": "OrderFlowers", "LEX_BOT_ALIAS": "prod"}


def deadlines_for(fault: LexFault) -> Deadlines:
    """Return deadlines that `fault` misses soon, or that nothing misses if the fault is not one of time."""
    return QUICK if fault.kind in ("hang", "drip", "stalled", "dripping") else PATIENT


def update_deadlines_for(fault: RestFault) -> Sequence[float]:
    """Return deadlines of attempts that `fault` misses soon, or that nothing misses if it is not one of time."""
    return QUICK_UPDATES if fault.kind in ("hang", "drip") else PATIENT_UPDATES


def spoken(twiml: str) -> str:
    """Return the words of a document."""
    return " ".join(say.text or "" for say in ElementTree.fromstring(twiml).iter("Say")) if twiml else ""


def flowers() -> Bot:
    """Return the flower shop's bot."""
    return next(bot for bot in shipped_bots() if bot.name == "OrderFlowers")


def v2_bot(bot: Bot) -> dict[str, str]:
    """Return the settings that name `bot` as a Lex V2 bot."""
    return {"LEX_BOT_ID": bot.v2_id, "LEX_BOT_ALIAS_ID": "TSTALIASID"}


def settings(**changes: str) -> Settings:
    """Return the settings of a V1 bot with `changes`. A bot in the changes replaces the V1 bot."""
    bot = {} if "LEX_BOT_ID" in changes else V1_BOT
    return read_settings({**ENVIRONMENT, **bot, **changes})


class HurriedHandler(MediaSocketHandler):
    """A socket handler that takes media, and so messages, up to 20 times as fast as on the telephone."""

    limits = Limits(rate_hz=20 * Limits().rate_hz, burst=20 * Limits().burst)


@cache
def _hum(samples: int) -> bytes:
    angles = 0.05 * np.pi * np.arange(samples)
    hum = sum(np.sin(partial * angles) for partial in (1, 2, 3))
    return np.rint(5000 * hum).astype("<i2").tobytes()


HUM_MS = 40
"""Length of a hum for one character, in milliseconds."""


class HummingVoice:
    """A voice without words: a hum of HUM_MS a character, loud enough to count as speech.

    The hum has three partials, because one alone could be a call progress tone, which is no speech.
    """

    rate_hz = 8000

    def speak(self, text: str) -> bytes:
        """Return a hum as 16-bit PCM at 8 kHz."""
        return _hum(len(text) * HUM_MS * 8)


def says(*phrases: str) -> SimulatedCaller:
    """Return a caller who says one phrase after each prompt. The ScriptedRecogniser decides what Lex hears of it."""
    turns = tuple(Turn(say=phrase) for phrase in phrases)
    return SimulatedCaller(HummingVoice(), Script(turns=turns, patience_s=10 * PATIENCE_S))


@dataclass
class Rig:
    """A bridge between a local Lex and a simulated Twilio."""

    settings: Settings
    lex: LocalLex
    twilio: SimulatedTwilio
    base: str
    calls: CallRegistry
    lex_runtime: LexClient

    def place_call(self, caller: SimulatedCaller, **options: Any) -> PhoneCall:
        """Let `caller` dial the bridge's number."""
        where = {"connect_to": self.base, **options}
        return self.twilio.place_call(f"{self.settings.service.url}/twiml", caller, **where)

    def hears(self, call: PhoneCall, text: str) -> UpdateReceived:
        """Wait until the call is updated with a document that says `text`."""
        return call.wait_for(UpdateReceived, PATIENCE_S, where=lambda update: text in spoken(update.twiml))

    def ended(self, call: PhoneCall) -> CallEnded:
        """Wait for the end of the call. Fail if Twilio had a complaint."""
        over = call.wait(PATIENCE_S)
        assert call.complaints == []
        return over


def answer_after_get_session(rig: Rig) -> None:
    """Let Lex answer an utterance only after somebody has asked for its session."""

    def hold(request: LexRequest) -> None:
        if request.operation in ("PostContent", "RecognizeUtterance"):
            with gevent.Timeout(PATIENCE_S):
                while not any(one.operation == "GetSession" and one.answered for one in rig.lex.requests):
                    gevent.sleep(0.01)

    rig.lex.before_answer = hold


@contextmanager
def running(
    heard: Sequence[str] = (),
    pace: float = 0.05,
    deadlines: Deadlines = PATIENT,
    attempt_deadlines_s: Sequence[float] = PATIENT_UPDATES,
    start_deadline_s: float = PATIENCE_S,
    bot: Callable[[], Bot] = flowers,
    dial_ms: int = 1000,
    recogniser: Recogniser | None = None,
    host: str = "127.0.0.1",
    lex_voice: Voice | None = None,
    teller: Teller | None = None,
    table: Callable[[Settings], LineTable] | None = None,
    **changes: str,
) -> Iterator[Rig]:
    """Run a bridge whose Lex hears the lines of `heard`, whatever is said, or what `recogniser` hears.

    `changes`: settings. `host`: the host name by which the bridge finds Lex and Twilio. `lex_voice`: the voice of Lex.
    `teller`: tells of the calls. `table`: makes the table of lines of the settings, if there is more than the default.
    Calls run 20 times as fast as on the telephone unless `pace` says otherwise. BARGE_IN is off unless `changes` set
    it: the voice here says nothing and takes its own time, so that callers answer before a prompt can have been heard.
    """
    with (
        LocalLex(
            bots=[bot()],
            recogniser=recogniser or ScriptedRecogniser(list(heard)),
            voice=lex_voice or SilentVoice(),
        ) as lex,
        SimulatedTwilio(auth_token=TOKEN, pace=pace, dial_outcome=("completed", dial_ms)) as twilio,
    ):
        lex_url, twilio_url = (url.replace("127.0.0.1", host) for url in (lex.url, twilio.url))
        endpoints = {"TWILIO_API_URL": twilio_url}
        # At a pace far beyond a telephone's, Lex would take long by media time.
        set_up = settings(**{"BARGE_IN": "off", "FILLER_S": "60" if pace < 1 else "2.5", **endpoints, **changes})
        with pytest.MonkeyPatch.context() as environment:
            # boto3's own variables, as a process of its own would be given them
            environment.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", lex_url)
            environment.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", lex_url)
            lex_runtime = make_lex_runtime(set_up, deadlines)
        service = build_service(
            set_up,
            lex=lex_runtime,
            call_control=TwilioCallControl(set_up.service, None, attempt_deadlines_s),
            deadlines=deadlines,
            start_deadline_s=start_deadline_s,
            strangers=TokenBucket(1e9, 1e9),  # tests of what strangers send want to see each answer
            teller=teller,
            table=None if table is None else table(set_up),
        )
        server = service.server
        server.handler_class = HurriedHandler if pace < 0.15 else MediaSocketHandler
        server.start()
        try:
            yield Rig(set_up, lex, twilio, f"http://127.0.0.1:{server.server_port}", service.calls, lex_runtime)
        finally:
            server.stop(timeout=1)
            with gevent.Timeout(PATIENCE_S, False):  # else Lex ends meanwhile, and the next test's log says so
                while any(line.phrases._is_learning for line in service.bridge.lines.all()):
                    gevent.sleep(0.01)
