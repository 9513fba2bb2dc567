"""Transfers and the way on after the bot, at `server.py` with two workers, one of which is killed in the middle."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import boto3
import pytest
from gevent.pywsgi import WSGIServer

from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.commands.bridge_process import BridgeProcess
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import BotFinished, EndReason, StreamOpened, Transferred, VerbStarted
from lexbridge.offline.twilio.far_ends import FarEnd
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.log_lines import events_in
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, TOKEN, HummingVoice, flowers, says
from tests.support.server_process import COMPLETE

PERSON = "+12065550155"
HEARD = ["I would like to order flowers", "goodbye", "I would like to order flowers"]
NOBODY = "Sorry, nobody can take your call right now. How else can I help you?"
MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])


@dataclass
class Flow:
    """A stand-in for Studio: it takes calls back, and keeps what it is told of them."""

    queries: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.queries.append(dict(parse_qsl(environ["QUERY_STRING"])))
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [b"<Response><Say>Back in the flow.</Say><Hangup/></Response>"]


@dataclass
class Story:
    """A call at a server with two workers."""

    lex: LocalLex
    twilio: SimulatedTwilio
    bridge: BridgeProcess
    flow: Flow
    caller: SimulatedCaller
    call: PhoneCall
    mode: str

    def log(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of the server's log for `event`."""
        return events_in(self.bridge.log, event)

    @property
    def session(self) -> dict[str, str]:
        """Session attributes that Lex has of the call."""
        found = self._client.get_session(botName="OrderFlowers", botAlias="prod", userId=self.call.sid)
        return dict(found["sessionAttributes"])

    def asks(self, **attributes: str) -> None:
        """Say two sentences. The bot's answer to the second has `attributes`, and closes the dialog."""
        self.call.wait_for(StreamOpened, PATIENCE_S)
        self.caller.say("some flowers")
        wait_until(lambda: any(one.transcript and one.answered for one in self.lex.requests))
        if self.mode == "stream":
            self.call.wait_for(BotFinished, PATIENCE_S, count=2)  # nobody interrupts it here
        wait_until(lambda: not self.caller.is_speaking)
        self._client.post_text(
            botName="OrderFlowers",
            botAlias="prod",
            userId=self.call.sid,
            inputText="roses",
            sessionAttributes={f"lexbridge:{name.replace('_', '-')}": value for name, value in attributes.items()},
        )
        self.caller.say("goodbye")

    def kills_the_worker_of_the_call(self) -> int:
        """Kill the worker that serves the newest stream. Return its process id."""
        pid: int = self.log("stream-started")[-1]["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: [line["pid"] for line in self.log("worker-died")] == [pid])
        return pid

    @property
    def _client(self) -> Any:
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
        return boto3.client("lex-runtime", endpoint_url=self.lex.url, **keys)  # type: ignore[call-overload]


@contextmanager
def calling(folder: Path, mode: str, far_end: FarEnd, **changes: str) -> Iterator[Story]:
    """Run a server with two workers, and a call to it."""
    flow = Flow()
    studio = WSGIServer(("127.0.0.1", 0), flow, log=None)
    studio.start()
    voice = HummingVoice()
    settings = {name: value for name, value in COMPLETE.items() if name != "URL"}  # its own address
    settings |= {"WEB_CONCURRENCY": "2", "REPLY_MODE": mode, "NO_INPUT_S": "120", "HANGUP_INTENTS": "NoSuchIntent"}
    settings |= {"BARGE_IN": "off", "TRANSFER_NUMBERS": PERSON, "LEX_TIMEOUT_S": "30", "FILLER_S": "60"}
    if changes.pop("has_flow", ""):
        settings["AFTER_URL"] = f"http://127.0.0.1:{studio.server_port}/flow?FlowEvent=return"
    with (
        LocalLex(bots=[flowers()], recogniser=ScriptedRecogniser(list(HEARD)), voice=voice) as lex,
        # As fast as Media Streams may come to a process that is not told otherwise.
        SimulatedTwilio(auth_token=TOKEN, pace=0.2) as twilio,
    ):
        settings |= {"TWILIO_API_URL": twilio.url, "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": lex.url, **changes}
        twilio.exchange.set(PERSON, far_end)
        with BridgeProcess(settings, folder / "bridge.log") as bridge:
            caller = says()
            call = twilio.place_call(f"{bridge.url}/twiml", caller)
            yield Story(lex, twilio, bridge, flow, caller, call, mode)
    studio.stop()


@MODES
def test_a_transfer_comes_back_though_its_worker_was_killed(tmp_path: Path, mode: str) -> None:
    with calling(tmp_path, mode, FarEnd(does="busy", rings_s=25)) as story:
        story.asks(action="transfer", transfer_to=PERSON)
        story.call.wait_for(VerbStarted, PATIENCE_S, where=lambda verb: verb.verb == "Dial")
        killed = story.kills_the_worker_of_the_call()
        assert story.call.wait_for(Transferred, PATIENCE_S).status == "busy"
        wait_until(lambda: [line["resumed"] for line in story.log("stream-started")] == [None, "returned"])
        assert story.log("stream-started")[-1]["pid"] != killed
        sounds = 3 if mode == "stream" else 0
        story.call.wait_for(BotFinished, PATIENCE_S, count=sounds + 1)
        wait_until(lambda: bool(story.log("stream-started")[1:]) and not story.caller.is_speaking)
        if mode == "call-update":
            story.call.wait_for(VerbStarted, PATIENCE_S, where=lambda verb: verb.text == NOBODY)
        story.caller.say("then flowers")
        wait_until(lambda: story.session.get("lexbridge:transfer-status") == "busy")
        assert "lexbridge:action" not in story.session  # the same session, without the request for the transfer
        story.call.hang_up()
        story.call.wait(PATIENCE_S)
        assert not story.log("call-given-up")


@MODES
def test_a_call_killed_while_its_bot_is_done_still_goes_on(tmp_path: Path, mode: str) -> None:
    """The bot has closed the dialog, and its worker dies before Twilio has the last document: another sends it."""
    with calling(tmp_path, mode, FarEnd(), has_flow="yes", AFTER_ATTRIBUTES="lexbridge:topic") as story:
        killed: list[int] = []

        def dies_with_the_answer(_: LexRequest) -> None:
            spoken = [one for one in story.lex.requests if one.operation == "PostContent" and not one.is_text]
            if len(spoken) == 2 and not killed:
                killed.append(story.log("stream-started")[-1]["pid"])
                os.kill(killed[0], signal.SIGKILL)

        story.lex.before_answer = dies_with_the_answer
        story.asks(action="return", topic="roses")
        assert story.call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        (query,) = story.flow.queries
        assert (query["FlowEvent"], query["outcome"], query["intent"]) == ("return", "done", "GoodbyeIntent")
        assert query["lexbridge:topic"] == "roses"
        assert [line["pid"] for line in story.log("worker-died")] == killed


@MODES
def test_a_person_had_the_caller_and_the_flow_has_them_next(tmp_path: Path, mode: str) -> None:
    """The worker that knew what the bot said is dead when the person hangs up: the address has it."""
    with calling(tmp_path, mode, FarEnd(talks_s=30), has_flow="yes") as story:
        story.asks(action="transfer", transfer_to=PERSON)
        story.call.wait_for(VerbStarted, PATIENCE_S, where=lambda verb: verb.verb == "Dial")
        story.kills_the_worker_of_the_call()
        assert story.call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        (query,) = story.flow.queries
        assert (query["outcome"], query["intent"]) == ("transferred", "GoodbyeIntent")
        assert [line["status"] for line in story.log("transfer-ended")] == ["completed"]
