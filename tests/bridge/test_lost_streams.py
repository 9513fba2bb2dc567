"""Whole calls in stream mode: a stream is lost, or the call goes on in another process."""

from dataclasses import replace

import gevent
import pytest

from lexbridge.bridge import stream_stop
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import (
    EndReason,
    MediaBegan,
    StreamClosed,
    StreamOpened,
    UpdateReceived,
    VerbStarted,
    WebhookRequested,
)
from lexbridge.offline.twilio.rest_api import RestFault
from tests.support import rehearsal
from tests.support.fixtures import Logged
from tests.support.flower_order import DAY, FLOWERS, KINDS, KINDS_ASKED
from tests.support.live_calls import live_stream
from tests.support.phrases import NOT_AVAILABLE
from tests.support.rehearsal import Rehearsal, RehearsedControl, RehearsedLex, wait_until
from tests.support.rig import PATIENCE_S, HummingVoice, Rig, answer_after_get_session, deadlines_for, says
from tests.support.streaming import (
    call_until_asked_for_kinds,
    count_of,
    heard_by,
    prompt_heard,
    said_by_twilio,
    streaming,
    turns_of,
)
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, stop_text

# -- a stream is lost; a process leaves or ends


def asked_once_more(call: PhoneCall, heard_before: int) -> None:
    """Wait until Lex asks its last question once more on the call's next stream."""
    call.wait_for(StreamOpened, PATIENCE_S, count=2)
    wait_until(lambda: heard_by(call, KINDS_ASKED) == heard_before + 1)
    assert [KINDS in text for text in said_by_twilio(call)] == [False]


def goes_on(rig: Rig, caller: SimulatedCaller, call: PhoneCall, streams: int) -> None:
    """Wait until a call that has lost a stream goes on. `streams`: how many it has had by then."""
    wait_until(lambda: not caller.is_speaking)
    call.line.wait_ms(1000)
    caller.say("roses please")
    wait_until(lambda: heard_by(call, DAY) == 1)
    assert count_of(call, StreamOpened) == streams
    call.hang_up()
    call.wait(PATIENCE_S)
    wait_until(lambda: rig.calls.live_calls == 0)


@pytest.mark.parametrize(
    ("generation", "after_ms"),
    [("v1", 0), ("v2", 1000), ("v1", 2500)],
    ids=["as it begins", "in its middle", "after it"],
)
def test_a_prompt_is_said_again_after_a_lost_stream(generation: str, after_ms: int) -> None:
    """A stream that is lost around a prompt is followed by another one, on which Lex says the prompt again."""
    with streaming(FLOWERS, "roses", generation=generation) as rig:
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        call.wait_for(MediaBegan, PATIENCE_S)
        call.line.wait_ms(after_ms)
        heard_before = heard_by(call, KINDS_ASKED)
        call.streams[0].cut()
        asked_once_more(call, heard_before)
        goes_on(rig, caller, call, streams=2)
        (complaint,) = call.complaints
        assert complaint.startswith("31903")
        assert count_of(call, UpdateReceived) == 0  # its own document went on, and Lex's words came over the stream


def test_an_answer_interrupts_the_prompt_after_a_lost_stream() -> None:
    """The caller may interrupt the prompt that is repeated after a lost stream, and is understood."""
    with streaming(FLOWERS, "roses", BARGE_IN="on", BARGE_IN_MS="200") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        began = count_of(call, MediaBegan)
        call.streams[0].cut()
        call.wait_for(MediaBegan, PATIENCE_S, count=began + 1)
        call.line.wait_ms(800)  # of the 2500 that it takes
        caller.say("roses please")
        wait_until(lambda: heard_by(call, DAY) == 1)
        assert heard_by(call, KINDS_ASKED) == 1  # the first time; the second was stopped
        assert [request.transcript for request in turns_of(rig)] == [FLOWERS, "roses"]
        call.hang_up()
        call.wait(PATIENCE_S)


@pytest.mark.parametrize("generation", ["v1", "v2"])
@pytest.mark.parametrize(
    "fault",
    [
        LexFault(status=403, operation="PutSession", times=None),
        LexFault(status=500, operation="PutSession", times=None),
        LexFault(kind="hang", operation="PutSession", times=None),
        LexFault(kind="empty", operation="PutSession", times=None),
        LexFault(kind="mistyped", operation="PutSession", times=None),
        LexFault(kind="broken", after_bytes=6000, operation="PutSession", times=None),
    ],
    ids=["forbidden", "down", "never", "empty", "mistyped", "broken off"],
)
def test_twilio_repeats_the_prompt_if_lex_does_not(fault: LexFault, generation: str, logged: Logged) -> None:
    with streaming(FLOWERS, "roses", generation=generation, deadlines=deadlines_for(fault)) as rig:
        caller, call = call_until_asked_for_kinds(rig)
        rig.lex.faults.append(replace(fault))
        call.streams[0].cut()
        call.wait_for(VerbStarted, PATIENCE_S, where=lambda verb: verb.verb == "Say" and KINDS in verb.text)
        call.wait_for(StreamOpened, PATIENCE_S, count=3)
        goes_on(rig, caller, call, streams=3)
    (told,) = [line for line in logged() if line["event"] == "words-not-voiced"]
    assert (told["level"], told["check"]) == ("warning", "lex:PutSession")
    assert KINDS not in str(told)


def test_a_lex_that_has_forbidden_it_is_not_asked_again_at_once(logged: Logged) -> None:
    with streaming(FLOWERS) as rig:
        rig.lex.faults.append(LexFault(status=403, operation="PutSession", times=None))
        _, call = call_until_asked_for_kinds(rig)
        asked = []
        for lost in (1, 2):
            call.streams[0].cut()
            call.wait_for(StreamOpened, PATIENCE_S, count=1 + 2 * lost)
            asked.append(sum(request.said == "" and request.operation == "PutSession" for request in rig.lex.requests))
        assert asked[0] == asked[1]
        assert said_by_twilio(call).count(KINDS_ASKED) == 2
        call.hang_up()
        call.wait(PATIENCE_S)


def test_an_answer_is_heard_on_the_stream_after_a_lost_one() -> None:
    """A stream that is lost while Lex thinks is followed by another one, on which the answer is heard."""
    with streaming(FLOWERS, "roses") as rig:
        answer_after_get_session(rig)  # of the other stream, which asks again a second later
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        wait_until(lambda: turns_of(rig) and turns_of(rig)[0].ended)
        call.streams[0].cut()
        asked_once_more(call, 0)
        assert len(turns_of(rig)) == 1
        call.hang_up()
        call.wait(PATIENCE_S)
        wait_until(lambda: rig.calls.live_calls == 0)


def test_calls_go_on_when_a_process_closes_its_last_streams() -> None:
    """The streams that are left at the end of a process are closed with 1001, and the calls go on."""
    with streaming(FLOWERS, "roses") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        rig.calls.close()
        closed = call.wait_for(StreamClosed, PATIENCE_S)
        assert "1001" in closed.reason
        asked_once_more(call, 1)
        goes_on(rig, caller, call, streams=2)
        assert call.complaints == []  # a bidirectional stream is ended by closing its socket


def test_a_call_that_loses_stream_after_stream_is_ended_in_words() -> None:
    with streaming(FLOWERS) as rig:
        call = rig.place_call(says())
        call.wait_for(StreamOpened, PATIENCE_S)
        with gevent.Timeout(PATIENCE_S):
            lost = 0
            while call.over is None:
                if call.streams and count_of(call, StreamOpened) > lost:
                    lost += 1
                    call.streams[-1].cut()
                gevent.sleep(0.01)
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        assert said_by_twilio(call)[-1] == NOT_AVAILABLE


def test_a_quiet_call_is_handed_over_and_not_asked_twice() -> None:
    """A call is handed over when the line is quiet after a prompt. The caller hears no prompt twice."""
    with streaming(FLOWERS, "roses", "tomorrow") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        caller.say("roses please")
        wait_until(lambda: len(turns_of(rig)) == 2)
        rig.calls.ask_to_leave(10)
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        assert heard_by(call, DAY) == 1
        assert call.wait_for(StreamClosed, PATIENCE_S).code == 0  # Twilio stopped it
        call.line.wait_ms(1000)
        caller.say("tomorrow please")
        prompt_heard(call, 1, count=2)  # of the new stream
        assert [request.transcript for request in turns_of(rig)] == [FLOWERS, "roses", "tomorrow"]
        assert heard_by(call, turns_of(rig)[-1].said) == 1
        assert heard_by(call, DAY) == 1
        assert said_by_twilio(call) == [rig.settings.line.greeting]
        assert call.streams[0].stream.name.startswith("lexbridge-0-")
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: rig.calls.live_calls == 0)


def test_a_silent_caller_is_asked_again_in_the_bots_voice() -> None:
    """A silent caller is asked again in the bot's voice, and then hears a goodbye."""
    again = "Sorry, I did not hear anything."
    with streaming(NO_INPUT_S="2", NO_INPUT_LIMIT="1", GREETING="Hello.") as rig:
        first = rig.place_call(says())  # with which Lex is asked to say the phrases
        first.wait_for(StreamOpened, PATIENCE_S)
        wait_until(
            lambda: (
                rig.lex.requests
                and rig.lex.requests[-1].said == f"{again} Goodbye."
                and rig.lex.requests[-1].speech_ended
            )
        )
        first.hang_up()
        call = rig.place_call(SimulatedCaller(HummingVoice(), None))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert heard_by(call, again) == 1
        assert heard_by(call, f"{again} Goodbye.") == 1
        assert turns_of(rig) == []


def test_a_silent_caller_is_handed_over_and_asked_again() -> None:
    with streaming(NO_INPUT_S="2", NO_INPUT_LIMIT="1", GREETING="Hello.") as rig:
        call = rig.place_call(SimulatedCaller(HummingVoice(), None))
        wait_until(lambda: rig.calls.live_calls == 1)
        rig.calls.ask_to_leave(10)
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        assert rig.ended(call).reason is EndReason.HANGUP_VERB  # the count goes on
        goodbye = "Sorry, I did not hear anything. Goodbye."
        assert heard_by(call, goodbye) + said_by_twilio(call).count(goodbye) == 1


def test_the_status_of_a_lost_stream_causes_no_update() -> None:
    with streaming(FLOWERS, "roses") as rig:
        _, call = call_until_asked_for_kinds(rig)
        call.streams[0].cut()
        told = call.wait_for(
            WebhookRequested, PATIENCE_S, where=lambda told: told.parameters.get("StreamEvent") == "stream-error"
        )
        asked_once_more(call, 1)
        assert count_of(call, UpdateReceived) == 0
        assert told.parameters["CallSid"] == call.sid
        call.hang_up()
        call.wait(PATIENCE_S)


# -- bad luck in timing


def test_late_news_of_a_lost_stream_does_not_end_the_next() -> None:
    """The news arrives while the next stream is about to hand the call over for the last words."""
    with streaming(FLOWERS, "roses") as rig:
        _, call = call_until_asked_for_kinds(rig)
        rig.lex.faults.append(LexFault(status=403, operation="PutSession", times=None))
        rig.twilio.rest_faults.append(RestFault(kind="slow", slow_s=0.3))  # far later than the news
        call.streams[0].cut()
        call.wait_for(VerbStarted, PATIENCE_S, where=lambda verb: verb.verb == "Say" and KINDS in verb.text)
        call.wait_for(StreamOpened, PATIENCE_S, count=3)
        codes = [event.code for event in call.events if isinstance(event, StreamClosed)]
        assert codes == [31903, 0]
        call.hang_up()
        call.wait(PATIENCE_S)


def test_a_stream_that_was_taken_over_waits_for_its_stop() -> None:
    """The older stream was stopped or lost, because Twilio has one bidirectional stream for each call."""
    control = RehearsedControl()
    call = Rehearsal(RehearsedLex(rehearsal.says("Which flowers?")), control, REPLY_MODE="stream")
    wait_until(lambda: call.calls.live_calls == 1)
    call.calls.add(live_stream(CALL_SID, account_sid=ACCOUNT_SID))
    gevent.sleep(0.05)
    assert call.socket.code is None
    call.socket.sends([stop_text()])
    assert call.ended() == 1000
    assert (control.documents, control.stopped) == ([], [])
    assert call.calls.live_calls == 1
    wait_until(lambda: not call.left())


def test_a_stream_taken_over_and_never_stopped_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_stop, "STOP_DEADLINE_S", 0.1)
    control = RehearsedControl()
    call = Rehearsal(RehearsedLex(), control, REPLY_MODE="stream")
    wait_until(lambda: call.calls.live_calls == 1)
    call.calls.add(live_stream(CALL_SID, account_sid=ACCOUNT_SID))
    assert call.ended() == 1000
    assert control.stopped == []
    wait_until(lambda: not call.left())


def test_a_one_way_stream_that_was_taken_over_is_stopped() -> None:
    control = RehearsedControl()
    call = Rehearsal(RehearsedLex(), control)
    wait_until(lambda: call.calls.live_calls == 1)
    call.calls.add(live_stream(CALL_SID, account_sid=ACCOUNT_SID))
    wait_until(lambda: control.stopped)
    call.socket.sends([stop_text()])
    assert call.ended() == 1000
