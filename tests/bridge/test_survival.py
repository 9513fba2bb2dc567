"""Whole calls over real sockets that survive the loss of a stream, or the end of their process."""

import gevent
import pytest

from lexbridge.bridge import served_stream, stream_stop
from lexbridge.bridge.call_admission import CallAdmission
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.call_streams import CallStreams
from lexbridge.offline.twilio.events import (
    CallEnded,
    EndReason,
    StreamClosed,
    StreamOpened,
    UpdateReceived,
    WebhookAnswered,
)
from tests.support.fixtures import Logged
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, Rig, answer_after_get_session, flowers, running, says, v2_bot

KINDS = "What type of flowers"
DAY = "What day do you want the roses to be picked up?"
ORDER = ["I would like to order flowers", "roses", "tomorrow"]
SLOWLY = 0.1
"""The pace of the calls: slow enough that work between two processes takes little of a call's time."""


def call_until_asked_for_kinds(rig: Rig) -> tuple[SimulatedCaller, PhoneCall]:
    """Place a call up to the bot's question what type of flowers the caller wants."""
    caller = says()
    call = rig.place_call(caller)
    call.wait_for(StreamOpened, PATIENCE_S)
    caller.say("some flowers")
    rig.hears(call, KINDS)
    return caller, call


def times_told(call: PhoneCall, text: str) -> int:
    """Return in how many call updates the caller was told `text`."""
    return len([event for event in call.events if isinstance(event, UpdateReceived) and text in event.twiml])


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_a_call_goes_on_with_the_last_prompt_after_a_loss(generation: str) -> None:
    """A call whose stream is lost goes on with what the bot asked last."""
    bot = v2_bot(flowers()) if generation == "v2" else {}
    with running(ORDER, pace=SLOWLY, NO_INPUT_S="120", **bot) as rig:
        caller, call = call_until_asked_for_kinds(rig)
        call.streams[0].cut()
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        call.wait_for(UpdateReceived, PATIENCE_S, count=2, where=lambda update: KINDS in update.twiml)
        wait_until(lambda: not caller.is_speaking)
        caller.say("roses please")
        rig.hears(call, DAY)  # the same Lex session goes on
        assert caller.heard.count(rig.settings.line.greeting) == 1
        assert times_told(call, KINDS) == 2
        call.hang_up()
        call.wait(PATIENCE_S)
        (complaint,) = call.complaints
        assert complaint.startswith("31903")


def test_an_answer_lost_with_its_process_is_not_asked_again() -> None:
    """Lex has the caller's words, and answers a bridge that has ended meanwhile."""
    with running(ORDER, pace=SLOWLY, NO_INPUT_S="120") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        answer_after_get_session(rig)  # of the other stream, which asks again a second later
        caller.say("roses please")
        wait_until(lambda: len(rig.lex.requests) > 1 and rig.lex.requests[1].ended is not None)
        rig.twilio.rest_faults.clear()
        call.streams[0].cut()
        rig.hears(call, DAY)
        assert len([request for request in rig.lex.requests if request.transcript is not None]) == 2


def test_what_was_cut_off_is_asked_for_once_more() -> None:
    with running(ORDER, pace=SLOWLY, NO_INPUT_S="120") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        caller.say("a very long answer indeed " * 3)
        wait_until(lambda: len(rig.lex.requests) == 2)
        call.streams[0].cut()
        call.wait_for(UpdateReceived, PATIENCE_S, count=2, where=lambda update: KINDS in update.twiml)
        wait_until(lambda: not caller.is_speaking)
        call.line.wait_ms(rig.settings.line.hangover_ms)
        caller.say("roses please")
        rig.hears(call, DAY)


def test_before_anything_was_said_the_caller_is_asked_to_say_it() -> None:
    with running(ORDER, pace=SLOWLY) as rig:
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        call.streams[0].cut()
        rig.hears(call, "Please say it again.")
        caller.say("some flowers")
        rig.hears(call, KINDS)
        attributes = rig.lex.requests[-1]
        assert attributes.operation == "PostContent"


def test_a_call_goes_on_though_get_session_fails(logged: Logged) -> None:
    with running(ORDER, pace=SLOWLY, NO_INPUT_S="120") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        recall = rig.lex_runtime.fetch_session
        rig.lex_runtime.fetch_session = lambda _: recall("not a session")  # type: ignore[method-assign]
        call.streams[0].cut()
        rig.hears(call, "Please say it again.")
        wait_until(lambda: not caller.is_speaking)
        caller.say("roses please")
        rig.hears(call, DAY)
    assert "session-not-recalled" in [line["event"] for line in logged()]


def hands_over(call: PhoneCall) -> UpdateReceived:
    """Wait for the call update that opens another stream."""
    return call.wait_for(UpdateReceived, PATIENCE_S, where=lambda update: "<Start>" in update.twiml)


def leave(rig: Rig) -> None:
    """Tell the process to move its calls to others. Here it takes them itself."""
    rig.calls.ask_to_leave(10)


def test_a_call_is_handed_over_with_an_answer_unnoticed() -> None:
    with running(ORDER, pace=SLOWLY, NO_INPUT_S="120") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        leave(rig)
        wait_until(lambda: not caller.is_speaking)
        caller.say("roses please")
        update = hands_over(call)
        assert DAY in update.twiml
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        assert call.wait_for(StreamClosed, PATIENCE_S).code == 0  # Twilio stopped it, as requested
        caller.say("tomorrow please")
        rig.hears(call, "what time")
        assert len(rig.lex.requests) == 3  # no GetSession, and nothing twice
        assert times_told(call, DAY) == 1
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: rig.calls.live_calls == 0)


def test_a_silent_caller_is_handed_over_when_asked_again() -> None:
    with running(ORDER, NO_INPUT_S="2", NO_INPUT_LIMIT="1", GREETING="Hello.") as rig:
        call = rig.place_call(SimulatedCaller(says()._voice, None))
        wait_until(lambda: rig.calls.live_calls == 1)
        leave(rig)
        assert "did not hear anything" in hands_over(call).twiml
        assert rig.ended(call).reason is EndReason.HANGUP_VERB  # the count goes on
        assert "Goodbye" in [event.twiml for event in call.events if isinstance(event, UpdateReceived)][-1]


def test_an_answer_starts_the_count_of_lost_streams_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next answer after many losses in a row opens a stream with which the count begins again."""
    monkeypatch.setattr(served_stream, "MANY_STREAMS_LOST", 1)
    with running(ORDER, pace=SLOWLY, NO_INPUT_S="120") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        call.streams[0].cut()
        call.wait_for(UpdateReceived, PATIENCE_S, count=2, where=lambda update: KINDS in update.twiml)
        assert call.streams[0].stream.name.startswith("lexbridge-1-")
        wait_until(lambda: not caller.is_speaking)
        caller.say("roses please")
        hands_over(call)
        call.wait_for(StreamOpened, PATIENCE_S, count=3)
        wait_until(lambda: len(call.streams) == 1)
        assert call.streams[0].stream.name.startswith("lexbridge-0-")


def test_a_stream_that_twilio_does_not_stop_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_stop, "STOP_DEADLINE_S", 0.1)
    with running(ORDER, pace=SLOWLY, NO_INPUT_S="120") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        monkeypatch.setattr(CallStreams, "stop_stream", lambda *_: None)
        monkeypatch.setattr(
            CallAdmission, "stream_refusal", lambda *_: "full"
        )  # or the other stream would take the call over
        leave(rig)
        wait_until(lambda: not caller.is_speaking)
        caller.say("roses please")
        closed = call.wait_for(StreamClosed, PATIENCE_S)
        assert closed.code in (31921, 31903)
        assert "1001" in closed.reason or closed.code == 31903


def test_streams_left_at_the_end_get_a_close_frame() -> None:
    with running(ORDER, pace=SLOWLY, NO_INPUT_S="120") as rig:
        _, call = call_until_asked_for_kinds(rig)
        rig.calls.close()
        closed = call.wait_for(StreamClosed, PATIENCE_S)
        assert closed.code in (31921, 31903)
        call.wait_for(StreamOpened, PATIENCE_S, count=2)  # and the call goes on


def test_a_call_that_loses_stream_after_stream_is_ended_in_words() -> None:
    with running(ORDER, pace=SLOWLY, NO_INPUT_S="120") as rig:
        call = rig.place_call(says())
        call.wait_for(StreamOpened, PATIENCE_S)
        with gevent.Timeout(PATIENCE_S):
            lost = 0
            while call.over is None:
                if len([event for event in call.events if isinstance(event, StreamOpened)]) > lost:
                    lost += 1
                    call.streams[-1].cut()
                gevent.sleep(0.01)
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        said = [event.body for event in call.events if isinstance(event, WebhookAnswered) and event.body]
        assert "this service is not available" in said[-1]


def test_a_greeted_call_is_served_by_a_full_process() -> None:
    """A call that was greeted is served even if other calls have filled the process before its stream started."""
    with running(ORDER, pace=SLOWLY, MAX_CALLS="1", NO_INPUT_S="120") as rig:
        first = rig.place_call(says())
        second_caller = says()
        second = rig.place_call(second_caller)
        for call in (first, second):
            call.wait_for(WebhookAnswered, PATIENCE_S)
        wait_until(lambda: rig.calls.live_calls == 2)
        for call in (first, second):
            wait_until(lambda call=call: len(call.streams) == 1)
            call.hang_up()
        for call in (first, second):
            assert isinstance(call.wait(PATIENCE_S), CallEnded)


def test_a_lost_stream_costs_no_turn_while_lex_fails_too() -> None:
    with running(ORDER, pace=SLOWLY, NO_INPUT_S="120") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        rig.lex.faults.append(LexFault(status=500, times=1))
        call.streams[0].cut()
        call.wait_for(UpdateReceived, PATIENCE_S, count=2, where=lambda update: KINDS in update.twiml)
        wait_until(lambda: not caller.is_speaking)
        caller.say("roses please")
        rig.hears(call, DAY)
