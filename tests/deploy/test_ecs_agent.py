"""Task protection over a run of real calls: `server.py` with two workers and an ECS agent that fails in every way."""

import json
from pathlib import Path
from typing import Any

import gevent
import pytest

from lexbridge.offline.commands.bridge_process import BridgeProcess
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import StreamOpened, UpdateReceived
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.server import ecs
from tests.support.ecs_agent import OFF, OK, ON, Agent
from tests.support.log_lines import whole_lines
from tests.support.rig import ENVIRONMENT, PATIENCE_S, TOKEN, V1_BOT, flowers, says

pytestmark = pytest.mark.timeout(300)

A_WHILE_S = 4.0
"""The time for which the agent must be asked nothing, in seconds. The service checks each second."""

LONGEST_WAIT_S = 2 * ecs.RENEW_EVERY_S
"""Longest wait for a request, in seconds: twice the time to a renewal, because a busy machine may be late."""

DENIED = "400 Bad Request", '{"error": {"Code": "AccessDeniedException", "Message": "no", "Arn": "a"}}'


class Watch:
    """The requests that reach the agent, read one after the other."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def sees(self, *states: dict[str, Any]) -> float:
        """Wait for exactly these PUTs. Return when the first came, by time.monotonic()."""
        with gevent.Timeout(LONGEST_WAIT_S, AssertionError(f"told {self._agent.told}, and no more")):
            while len(self._agent.told) < len(states):
                gevent.sleep(0.05)
        first_s, told = self._agent.told_at_s[0], [*self._agent.told]
        self._agent.told.clear()
        self._agent.told_at_s.clear()
        assert told == [*states]
        return first_s

    def sees_nothing(self, for_s: float) -> None:
        """Check that no PUT comes for a while."""
        gevent.sleep(for_s)
        assert self._agent.told == []


def has_a_turn(twilio: SimulatedTwilio, bridge: BridgeProcess) -> PhoneCall:
    """Place a call, get one sentence answered, and leave the call live."""
    caller = says()
    call = twilio.place_call(f"{ENVIRONMENT['URL']}/twiml", caller, connect_to=bridge.url)
    call.wait_for(StreamOpened, PATIENCE_S)
    caller.say("some flowers please")
    call.wait_for(UpdateReceived, PATIENCE_S, where=lambda told: "What type of flowers" in told.twiml)
    return call


def test_the_task_is_protected_while_calls_are_live(tmp_path: Path) -> None:
    """The task is protected while calls are live, and faults of its agent disturb no call."""
    agent = Agent()
    watch = Watch(agent)
    recogniser = ScriptedRecogniser(["I would like to order flowers"] * 4)
    with (
        agent.running() as uri,
        LocalLex(bots=[flowers()], recogniser=recogniser, voice=SilentVoice()) as lex,
        SimulatedTwilio(auth_token=TOKEN) as twilio,
    ):
        neighbours = {"TWILIO_API_URL": twilio.url, "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": lex.url}
        ours = {"WEB_CONCURRENCY": "2", "NO_INPUT_S": "120", "ECS_AGENT_URI": uri, "SERVICE_NAME": "lexbridge-voice"}
        with BridgeProcess({**ENVIRONMENT, **V1_BOT, **neighbours, **ours}, tmp_path / "bridge.log") as bridge:
            watch.sees(OFF)  # whatever state an earlier worker left
            first = has_a_turn(twilio, bridge)
            set_at_s = watch.sees(ON)
            second = has_a_turn(twilio, bridge)
            first.hang_up()
            watch.sees_nothing(A_WHILE_S)  # the task is protected, with two calls as with one

            # The renewal comes while the agent refuses, then does not answer, then answers nonsense.
            agent.answer = DENIED
            refused_at_s = watch.sees(ON, ON)
            assert refused_at_s - set_at_s >= ecs.RENEW_EVERY_S - A_WHILE_S
            agent.hangs_s = 2 * ecs.TIMEOUT_S
            watch.sees(ON)
            third = has_a_turn(twilio, bridge)
            agent.told.clear()
            agent.told_at_s.clear()
            agent.hangs_s, agent.answer = 0.0, ("200 OK", "no json")
            watch.sees(ON)
            agent.answer = OK
            watch.sees(ON)

            second.hang_up()
            third.hang_up()
            watch.sees(OFF)
            fourth = has_a_turn(twilio, bridge)
            watch.sees(ON)
            fourth.hang_up()
            watch.sees(OFF)
        log = [json.loads(line) for line in whole_lines(bridge.log.read_text(encoding="utf-8"))]
    said = [line["event"] for line in log if line["event"].startswith("task-protection")]
    assert said == ["task-protection-failed", "task-protection-works-again"]
    assert [line["event"] for line in log if line["level"] in ("warning", "error")] == ["task-protection-failed"]
    metrics = [line for line in log if line["event"] == "active-calls"]
    assert 1 <= len(metrics) <= 3  # one value in each minute of the clock
    assert {line[ecs.METRIC] for line in metrics} <= {0, 1, 2, 3}
    assert {line[ecs.DIMENSION] for line in metrics} == {"lexbridge-voice"}
