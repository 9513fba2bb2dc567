"""A simulated Twilio, and a bridge with fixed answers for it to call.

The fixtures import what they need themselves: pure tests beside them must not import gevent.
"""

import logging
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def bridge() -> Iterator[Any]:
    """A StandIn that serves on the loopback."""
    from lexbridge.net.http_server import MediaServer
    from tests.support.rig import HurriedHandler
    from tests.support.stand_in_bridge import StandIn

    stand_in = StandIn()
    server = MediaServer(("127.0.0.1", 0), stand_in, error_log=logging.getLogger("gevent"))
    server.handler_class = HurriedHandler
    server.start()
    stand_in.port = server.server_port
    yield stand_in
    server.stop(timeout=0)


@pytest.fixture
def twilio() -> Iterator[Any]:
    """A simulated Twilio whose calls run 20 times as fast as on the telephone."""
    from lexbridge.offline.lex.voice import SilentVoice
    from lexbridge.offline.twilio.simulator import SimulatedTwilio
    from tests.support.stand_in_bridge import TOKEN

    with SimulatedTwilio(auth_token=TOKEN, voice=SilentVoice(), pace=0.05) as simulated:
        yield simulated
