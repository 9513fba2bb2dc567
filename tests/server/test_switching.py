"""A switch to another bot at `server.py` with two workers, of which the one that serves the call is killed."""

import os
import signal
from pathlib import Path

import pytest

from lexbridge.offline.commands.bridge_process import BridgeProcess
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.twilio.events import StreamOpened
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.log_lines import events_in
from tests.support.rehearsal import wait_until
from tests.support.rig import ENVIRONMENT, PATIENCE_S, TOKEN, HummingVoice, says
from tests.support.switching_rig import BOTS, turns_heard

TABLE = """
[bots.router]
id = "ROUTER0000"
alias = "TSTALIASID"
[bots.flowers]
id = "FLOWERS000"
alias = "TSTALIASID"
[[lines]]
name = "shop"
bot = "router"
"""


@pytest.mark.parametrize("dies_at", ["bot-switched", "switched stream"])
def test_a_worker_dies_in_the_middle_of_a_switch(dies_at: str, tmp_path: Path) -> None:
    (tmp_path / "lines.toml").write_text(TABLE, encoding="utf-8")
    heard = ScriptedRecogniser(["flowers please", "some roses", "some roses"])
    with (
        LocalLex(bots=BOTS, recogniser=heard, voice=HummingVoice()) as lex,
        SimulatedTwilio(auth_token=TOKEN) as twilio,
    ):
        places = dict.fromkeys(("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE"), lex.url)
        own = {"LINES_FILE": str(tmp_path / "lines.toml"), "WEB_CONCURRENCY": "2", "TWILIO_API_URL": twilio.url}
        settings = {**ENVIRONMENT, **places, **own, "BARGE_IN": "off", "NO_INPUT_S": "120", "GREETING": "Hello."}
        with BridgeProcess(settings, tmp_path / "bridge.log") as bridge:

            def logged(event: str, **fields: str) -> list[int]:
                return [one["pid"] for one in events_in(bridge.log, event) if fields.items() <= one.items()]

            caller = says()
            call = twilio.place_call(f"{ENVIRONMENT['URL']}/twiml", caller, connect_to=bridge.url)
            call.wait_for(StreamOpened, PATIENCE_S)
            caller.say("flowers please")
            fields = {} if dies_at == "bot-switched" else {"resumed": "switched"}
            event = "bot-switched" if dies_at == "bot-switched" else "stream-started"
            wait_until(lambda: logged(event, **fields))
            os.kill(logged(event, **fields)[0], signal.SIGKILL)
            wait_until(lambda: logged("stream-started", resumed="switched"))
            call.line.wait_ms(6000)
            wait_until(lambda: not caller.is_speaking)
            caller.say("some roses")
            wait_until(lambda: any(one.bot == "FLOWERS000" for one in turns_heard(lex)))
            assert next(one for one in turns_heard(lex) if one.bot == "FLOWERS000").attributes["customer"] == "4711"
            call.hang_up()
