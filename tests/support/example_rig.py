"""The service with a table of examples of lines, between local Lexes with its bots and a simulated Twilio."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from lexbridge.config.lines import IncomingCall, LineTable
from lexbridge.config.lines_file import read_lines
from lexbridge.config.reading import read_settings
from lexbridge.net.http_handler import MediaSocketHandler
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.lex.bot_files import example_bots, shipped_bots
from lexbridge.offline.lex.bots import Bot
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice, Voice
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import StreamOpened, VerbStarted
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.server.build import build_service
from lexbridge.web import webhook_views
from tests.support.example_lines import ENVIRONMENT, PAGE, example_text
from tests.support.fake_sts import FakeSts, fake_sts
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, PATIENT, TOKEN, HurriedHandler, says

WEBHOOK = f"{ENVIRONMENT['URL']}/twiml"
ENDPOINT = "https://vpce-0a1b2c3d.runtime-v2-lex.us-west-2.vpce.amazonaws.com"
"""The VPC endpoint of the page, in whose place there is a local Lex here."""

# A caller takes their time here, and the fast line would not.
_PATIENT_LINES = {"BARGE_IN": "off", "FILLER_S": "60", "NO_INPUT_S": "120"}


@dataclass
class ExampleRig:
    """The service of one example. `lex`: what boto3 finds. `endpoint`: the Lex behind the VPC endpoint.

    `now_s`: when calls come.
    """

    lex: LocalLex
    endpoint: LocalLex
    sts: FakeSts
    twilio: SimulatedTwilio
    base: str
    table: LineTable
    now_s: float

    def dial(self, number: str, **facts: str) -> tuple[SimulatedCaller, PhoneCall]:
        """Place a call of a caller who says nothing by themselves. `facts`: what else Twilio tells of it."""
        caller = says()
        called = Number(WEBHOOK, called=number, facts=facts)
        return caller, self.twilio.place_call(called, caller, connect_to=self.base)

    def heard(self, call: PhoneCall, words: str, verb: str = "Say") -> VerbStarted:
        """Wait until Twilio says `words` to the caller."""
        return call.wait_for(VerbStarted, PATIENCE_S, where=lambda event: event.verb == verb and words in event.text)

    def say(
        self, caller: SimulatedCaller, call: PhoneCall, words: str, streams: int = 1, after_ms: int = 3000
    ) -> LexRequest:
        """Say something over the latest of `streams` streams, and return Lex's answer.

        `after_ms`: time that the caller takes, because the service estimates how long Twilio speaks.
        """
        call.wait_for(StreamOpened, PATIENCE_S, count=streams)
        before = len(self.turns())
        call.line.wait_ms(after_ms)
        wait_until(lambda: not caller.is_speaking)
        caller.say(words)
        wait_until(lambda: len(self.turns()) > before)
        return self.turns()[-1]

    def turns(self) -> list[LexRequest]:
        """Return the callers' turns that were answered, in order."""
        requests = sorted([*self.lex.requests, *self.endpoint.requests], key=lambda one: one.began)
        return [one for one in requests if one.transcript is not None and one.answered]

    def bots(self) -> list[tuple[str, str | None]]:
        """Return the bot and the locale of each turn."""
        return [(one.bot, one.locale_id) for one in self.turns()]


@contextmanager
def serving(
    example: str,
    *heard: str,
    at: str = "2026-12-01T12:00-08:00",
    pace: float = 0.05,
    lex_voice: Voice | None = None,
    account_sid: str | None = None,
    auth_token: str = TOKEN,
    page: Path = PAGE,
    own_bots: Sequence[Bot] = (),
    **changes: str,
) -> Iterator[ExampleRig]:
    """Run the service with the table of an example. `heard`: what Lex hears, in order, whatever is said.

    `at`: when calls come. `account_sid`, `auth_token`: of the Twilio account whose calls come. `changes`: settings.
    `page`: that of the example. `own_bots`: bots that do not come with lexbridge.
    """
    recogniser, voice = ScriptedRecogniser(list(heard)), lex_voice or SilentVoice()
    bots = [*shipped_bots(), *example_bots(), *own_bots]
    now_s = datetime.fromisoformat(at).timestamp()
    with (
        LocalLex(bots=bots, recogniser=recogniser, voice=voice) as lex,
        LocalLex(bots=bots, recogniser=recogniser, voice=voice) as endpoint,
        SimulatedTwilio(auth_token=auth_token, account_sid=account_sid, pace=pace) as twilio,
        pytest.MonkeyPatch.context() as patch,
        fake_sts(patch) as sts,
    ):
        for service_of_aws in ("SERVICE", "V2"):
            patch.setenv(f"AWS_ENDPOINT_URL_LEX_RUNTIME_{service_of_aws}", lex.url)
        environment = {**ENVIRONMENT, **_PATIENT_LINES, "TWILIO_API_URL": twilio.url, **changes}
        settings = read_settings(environment)
        table = read_lines(example_text(example, page).replace(ENDPOINT, endpoint.url), environment, settings)
        service = build_service(settings, table=table, deadlines=PATIENT)
        patch.setattr(webhook_views, "IncomingCall", lambda form, query, _: IncomingCall(form, query, now_s))
        service.server.handler_class = HurriedHandler if pace < 0.15 else MediaSocketHandler
        service.server.start()
        try:
            base = f"http://127.0.0.1:{service.server.server_port}"
            yield ExampleRig(lex, endpoint, sts, twilio, base, table, now_s)
        finally:
            service.server.stop(timeout=1)
