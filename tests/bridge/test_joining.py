"""Whole calls with JOIN=on, over the real boto3 and real sockets: the caller pauses in the middle of a sentence."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from lexbridge.audio.pcm import MULAW_BYTES_PER_MS, MULAW_SILENCE, encode_mulaw
from lexbridge.call.attributes import CALL_SID_ATTRIBUTE
from lexbridge.lex.runtime import LexRequest
from lexbridge.logs import Log
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.requests import LexRequest as LexRequestSeen
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import StreamOpened, UpdateReceived
from tests.support.fixtures import Logged
from tests.support.lexes import spoken as utterance_of
from tests.support.lexes import state_of
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, HummingVoice, Rig, flowers, running, says, spoken, v2_bot
from tests.support.streaming import heard_by

FIRST, WHOLE = "I would like to order", "I would like to order some roses"
SORRY, DAY = "I did not understand that", "What day do you want the roses to be picked up?"
PAUSE_MS = 900
THINK_MS = 1500
"""The time that Lex takes by the caller's line, so that the second piece begins before the first is answered."""
GENERATIONS = pytest.mark.parametrize("generation", ["v1", "v2"])
MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])


@contextmanager
def pausing(generation: str, mode: str, *heard: str) -> Iterator[Rig]:
    """Yield a bridge with JOIN=on, ten times as fast as real time."""
    bot = v2_bot(flowers()) if generation == "v2" else {}
    variables = {"REPLY_MODE": mode, "JOIN": "on", "NO_INPUT_S": "120", "GREETING": "Hello.", **bot}
    with running(heard, pace=0.1, lex_voice=HummingVoice(), **variables) as rig:
        yield rig


def of_call(rig: Rig, call: PhoneCall) -> list[LexRequestSeen]:
    """Return the requests of the call's session, in order."""
    return [request for request in rig.lex.requests if request.session_id == call.sid]


def in_two_pieces(first: str, second: str) -> bytes:
    """Return the two pieces with a pause between them, mu-law."""
    voice, pause = HummingVoice(), MULAW_SILENCE * MULAW_BYTES_PER_MS * PAUSE_MS
    return encode_mulaw(voice.speak(first)) + pause + encode_mulaw(voice.speak(second))


def says_it_with_a_pause(rig: Rig) -> PhoneCall:
    """Place a call whose caller says WHOLE in two pieces and hears an answer to it. Lex thinks for THINK_MS."""
    caller = says()
    call = rig.place_call(caller)
    rig.lex.before_answer = lambda request: request.session_id == call.sid and call.line.wait_ms(THINK_MS)
    call.wait_for(StreamOpened, PATIENCE_S)
    caller.play(in_two_pieces(FIRST, "some roses"))
    wait_until(lambda: answers_heard(rig, call, DAY) == 1)
    return call


def answers_heard(rig: Rig, call: PhoneCall, text: str) -> int:
    """Return how often the caller heard an answer with `text`."""
    if rig.settings.line.reply_mode == "stream":
        answers = {request.said for request in of_call(rig, call) if text in request.said}
        return sum(heard_by(call, answer) for answer in answers)
    return sum(isinstance(event, UpdateReceived) and text in spoken(event.twiml) for event in call.events)


def says_it_in_one_piece(rig: Rig, attributes: Mapping[str, str]) -> str:
    """Return the session of another caller, who has said everything at once."""
    rig.lex_runtime.ask(LexRequest("in-one-piece", attributes, utterance_of(20)), Log())
    return "in-one-piece"


@GENERATIONS
@MODES
def test_an_order_with_a_pause_in_it_is_one_order(generation: str, mode: str, logged: Logged) -> None:
    with pausing(generation, mode, FIRST, WHOLE, WHOLE) as rig:
        call = says_it_with_a_pause(rig)
        first, put, whole = of_call(rig, call)
        assert (first.transcript, put.operation, whole.transcript) == (FIRST, "PutSession", WHOLE)
        assert whole.audio.startswith(first.audio)
        assert len(whole.audio) // 16 >= 500 + 40 * len(WHOLE) + 700
        assert first.answered < put.began < put.answered < whole.began  # type: ignore[operator]
        assert not whole.aborted
        assert answers_heard(rig, call, SORRY) == 0
        assert answers_heard(rig, call, DAY) == 1
        reply = rig.lex_runtime.fetch_session(call.sid)
        assert reply is not None
        assert reply.session_attributes[CALL_SID_ATTRIBUTE] == call.sid  # the call's attributes were sent, too
        other = says_it_in_one_piece(rig, reply.session_attributes)
        assert state_of(rig.lex_runtime, call.sid) == state_of(rig.lex_runtime, other)
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: rig.calls.live_calls == 0)
    events = [line["event"] for line in logged()]
    assert events.count("joined") == 1
    assert "join-refused" not in events
    assert not [line for line in logged() if "roses" in str(line) and line["level"] != "debug"]


@GENERATIONS
@MODES
def test_without_put_session_both_pieces_are_answered(generation: str, mode: str, logged: Logged) -> None:
    """A forbidden PutSession means that each piece of what the caller said is answered."""
    with pausing(generation, mode, FIRST, WHOLE) as rig:
        rig.lex.faults.append(LexFault(operation="PutSession", status=403, times=None))
        call = says_it_with_a_pause(rig)
        assert [request.operation for request in of_call(rig, call)].count("PutSession") == 1
        first, _, second = of_call(rig, call)
        assert (first.transcript, second.transcript) == (FIRST, WHOLE)
        assert not second.audio.startswith(first.audio)
        assert answers_heard(rig, call, SORRY) == 1
        call.hang_up()
        rig.ended(call)
    assert [line["why"] for line in logged() if line["event"] == "join-refused"] == ["Lex's session cannot be restored"]


def test_speech_without_a_pause_costs_one_request() -> None:
    with pausing("v1", "call-update", WHOLE) as rig:
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say(WHOLE)
        rig.hears(call, DAY)
        assert [request.operation for request in of_call(rig, call)] == ["PostContent"]
        call.hang_up()
        rig.ended(call)
