"""`server.py` with everything that watches calls: the admin port, and a receiver of posted events."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.commands.bridge_process import ROOT, BridgeProcess
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.ports import free_port
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.event_receiver import EventReceiver
from tests.support.rehearsal import wait_until
from tests.support.rig import ENVIRONMENT, PATIENCE_S, TOKEN, flowers, says
from tests.support.server_process import COMPLETE

PASSWORD = "a password for tests"
SECRET = "a-secret-for-events-of-tests"

_SAMPLE = re.compile(r"^(lexbridge_\w+)(\{.*\})? (\S+)$", re.MULTILINE)


@dataclass
class WatchedService:
    """The service, what is around it, and what is seen of it from outside."""

    bridge: BridgeProcess
    lex: LocalLex
    twilio: SimulatedTwilio
    receiver: EventReceiver
    admin_url: str
    caller: SimulatedCaller = field(default_factory=says)
    """The caller of the newest call."""

    def place_call(self, *sentences: str) -> PhoneCall:
        """Let a caller dial who says `sentences`, one after each prompt."""
        self.caller = says(*sentences)
        return self.twilio.place_call(f"{ENVIRONMENT['URL']}/twiml", self.caller, connect_to=self.bridge.url)

    def get(self, path: str) -> requests.Response:
        """Get a page of the admin port."""
        return requests.get(f"{self.admin_url}{path}", auth=("any", PASSWORD), timeout=PATIENCE_S)

    def json(self, path: str) -> Any:
        """Get JSON of the admin port. Fail if the answer is no success."""
        response = self.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    def calls(self) -> list[dict[str, Any]]:
        """Return the summaries of all calls, live ones first."""
        overview = self.json("/calls")
        return [*overview["live"], *overview["recent"]]

    def metrics(self) -> dict[str, float]:
        """Return every sample of /metrics by its name with its labels."""
        response = self.get("/metrics")
        assert response.status_code == 200, response.text
        return {f"{name}{labels or ''}": float(value) for name, labels, value in _SAMPLE.findall(response.text)}

    def posted(self, kind: str) -> list[dict[str, Any]]:
        """Return the data of the posted events of one kind, in the order in which they came."""
        return [body["data"] for body in self.receiver.bodies if body["type"] == kind]


@contextmanager
def watched_service(
    folder: Path, *heard: str, workers: int = 2, pace: float = 0.2, program: Path = ROOT / "server.py", **changes: str
) -> Iterator[WatchedService]:
    """Run `server.py` with `workers`, whose Lex hears the lines of `heard`, whatever is said.

    `program`: another file that starts the server. `pace`: seconds of a clock for a second of a call.
    """
    admin_port = free_port()
    with (
        LocalLex(bots=[flowers()], recogniser=ScriptedRecogniser(list(heard)), voice=SilentVoice()) as lex,
        SimulatedTwilio(auth_token=TOKEN, pace=pace) as twilio,
        EventReceiver().running() as receiver,
    ):
        watching = {
            "ADMIN_PORT": str(admin_port),
            "CONSOLE_PASSWORD": PASSWORD,
            "EVENTS_URL": receiver.url,
            "EVENTS_SECRET": SECRET,
            "WEB_CONCURRENCY": str(workers),
            "NO_INPUT_S": "120",
            "TWILIO_API_URL": twilio.url,
            "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": lex.url,
        }
        with BridgeProcess({**COMPLETE, **watching, **changes}, folder / "bridge.log", program) as bridge:
            service = WatchedService(bridge, lex, twilio, receiver, f"http://127.0.0.1:{admin_port}")
            wait_until(lambda: len(service.json("/calls")["workers"]) == workers)
            yield service
