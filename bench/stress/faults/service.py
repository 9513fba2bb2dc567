"""Service under test in this process, between a local Lex and a simulated Twilio: one for each case."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

from bench.harness.settings import PUBLIC_URL, lex_endpoints, service_settings
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.config.reading import read_settings
from lexbridge.config.settings import Settings
from lexbridge.lex.runtime import Deadlines
from lexbridge.net.http_handler import MediaSocketHandler
from lexbridge.net.rfc6455 import Limits
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.lex.bot_files import ORDER_FLOWERS, load_bot
from lexbridge.offline.lex.recognition import Recogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import Voice
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.server.build import build_service
from lexbridge.twilio.rest import ATTEMPT_DEADLINES_S, TwilioCallControl

HURRIED_BELOW = 0.15
"""Pace below which media comes faster than the service admits of a real call."""
FILLER_S = "2.5"
NEVER_S = "60"


@dataclass(frozen=True, slots=True)
class Timing:
    """Pace of the calls (1: real time; less: faster) and the service's deadlines for requests to Lex and to Twilio."""

    pace: float = 1.0
    deadlines: Deadlines = field(default_factory=Deadlines)
    attempt_deadlines_s: Sequence[float] = ATTEMPT_DEADLINES_S


REAL_TIME = Timing()


class HurriedHandler(MediaSocketHandler):
    """Handler of media sockets that takes messages 20 times as fast as Twilio sends them."""

    limits = Limits(rate_hz=20 * Limits().rate_hz, burst=20 * Limits().burst)


@dataclass(frozen=True, slots=True)
class ServiceUnderTest:
    """Running service, and the Lex and the Twilio that it talks to."""

    settings: Settings
    lex: LocalLex
    twilio: SimulatedTwilio
    calls: CallRegistry
    port: int

    def place_call(self, caller: SimulatedCaller) -> PhoneCall:
        """Place a call of `caller` to the service's number."""
        return self.twilio.place_call(
            f"{self.settings.service.url}/twiml", caller, connect_to=f"http://127.0.0.1:{self.port}"
        )


@contextmanager
def running(
    lex_voice: Voice, recogniser: Recogniser, timing: Timing = REAL_TIME, **settings: str
) -> Iterator[ServiceUnderTest]:
    """Run a service whose Lex speaks with `lex_voice` and understands with `recogniser`, as long as the block lasts."""
    bot = load_bot(ORDER_FLOWERS)
    with (
        LocalLex(bots=[bot], recogniser=recogniser, voice=lex_voice) as lex,
        SimulatedTwilio(pace=timing.pace) as twilio,
    ):
        # At a fast pace Lex takes long by the time of the call: "One moment" would be said in every turn.
        filler_s = NEVER_S if timing.pace < 1 else FILLER_S
        environment = service_settings(
            lex_url=lex.url,
            twilio_url=twilio.url,
            auth_token=twilio.auth_token,
            URL=PUBLIC_URL,
            GREETING="Hello.",
            BARGE_IN="off",  # the voices take longer or shorter than the service expects of Twilio's
            FILLER_S=filler_s,
        )
        read = read_settings({**environment, **settings})
        with mock.patch.dict(os.environ, lex_endpoints(lex.url)):
            service = build_service(
                read,
                call_control=TwilioCallControl(read.service, None, timing.attempt_deadlines_s),
                deadlines=timing.deadlines,
            )
        if timing.pace < HURRIED_BELOW:
            service.server.handler_class = HurriedHandler
        service.server.start()
        assert service.server.server_port
        try:
            yield ServiceUnderTest(read, lex, twilio, service.calls, service.server.server_port)
        finally:
            service.server.stop(timeout=1)
