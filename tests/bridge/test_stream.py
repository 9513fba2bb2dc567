"""Whole calls in stream mode: Lex's own voice over the socket, and what becomes of the call when it fails."""

from dataclasses import replace

import gevent
import pytest

from lexbridge.bridge import live_call as bridge
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import (
    EndReason,
    MarkReturned,
    MediaBegan,
    MessageSent,
    SpeechStarted,
    StreamClosed,
    StreamOpened,
    Transferred,
    UpdateReceived,
    UpdateRefused,
    VerbStarted,
    WebhookRequested,
)
from lexbridge.offline.twilio.rest_api import RestFault
from tests.support import rehearsal
from tests.support.boto import boto3_client
from tests.support.fixtures import Logged
from tests.support.flower_order import DAY, FLOWERS, KINDS, KINDS_ASKED, NOT_AVAILABLE, ORDER
from tests.support.lexes import GENERATIONS, hum_of
from tests.support.live_calls import live_stream
from tests.support.rehearsal import Rehearsal, RehearsedControl, RehearsedLex, living_greenlets, wait_until
from tests.support.rig import PATIENCE_S, HummingVoice, Rig, says
from tests.support.story import CALL_SID, stop_text
from tests.support.streaming import (
    call_until_asked_for_kinds,
    count_of,
    heard_by,
    is_end,
    prompt_heard,
    said_by_twilio,
    streaming,
    turns_of,
)


@GENERATIONS
def test_an_order_is_fulfilled_over_one_stream_and_every_word_is_heard(generation: str) -> None:
    with streaming(*ORDER, generation=generation) as rig:
        call = rig.place_call(says(*ORDER))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        asked = turns_of(rig)
        assert [request.transcript for request in asked] == list(ORDER)
        assert {request.session_id for request in asked} == {call.sid}
        assert {request.api for request in asked} == {generation}
        assert [heard_by(call, request.said) for request in asked] == [1] * len(ORDER)
        assert said_by_twilio(call) == [rig.settings.greeting]
        assert count_of(call, StreamOpened) == 1
        (update,) = [event for event in call.events if isinstance(event, UpdateReceived)]
        assert prompt_heard(call, len(ORDER)).at_s < update.at_s  # the last words were heard before the hang-up
        wait_until(lambda: rig.calls.live_calls == 0)


def test_lexs_voice_is_heard_before_all_of_it_is_there() -> None:
    with streaming(FLOWERS) as rig:
        rig.lex.audio_pace, rig.lex.audio_piece_ms = 30, 300  # three times as fast as it is played here
        call = rig.place_call(says("some flowers"))
        prompt_heard(call, 1)
        (request,) = turns_of(rig)
        assert heard_by(call, request.said) == 1
        first_s = call.sent_audio[0].first_media_s
        assert first_s is not None
        assert request.speech_ended is not None
        assert first_s < request.speech_ended
        call.hang_up()
        rig.ended(call)


# Keys


@GENERATIONS
def test_keys_go_to_lex_as_text_and_stop_the_prompt(generation: str, logged: Logged) -> None:
    with streaming(FLOWERS, generation=generation) as rig:
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        call.wait_for(MediaBegan, PATIENCE_S)
        for key in "90417#":
            call.press(key)
            gevent.sleep(0.02)
        wait_until(lambda: len(turns_of(rig)) == 2 and turns_of(rig)[1].status)
        assert (turns_of(rig)[1].audio, turns_of(rig)[1].is_text) == (b"90417", True)
        prompt_heard(call, 2)
        call.hang_up()
        rig.ended(call)
    assert not [line for line in logged() if "90417" in str(line) and line["level"] != "debug"]


# Interruptions


def test_whoever_interrupts_stops_the_prompt_and_is_understood() -> None:
    with streaming(FLOWERS, "roses", BARGE_IN="on") as rig:
        rig.lex.audio_pace = 30
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        began = call.wait_for(MediaBegan, PATIENCE_S)
        wait_until(lambda: call.now_s() > began.at_s + 0.1)  # a second of the prompt, of less than two
        rig.lex.audio_pace = None
        caller.say("I want roses and nothing else but roses")
        clear = call.wait_for(MessageSent, PATIENCE_S, where=lambda message: message.kind == "clear")
        spoke = call.wait_for(SpeechStarted, PATIENCE_S, count=2)
        assert 0.02 < clear.at_s - spoke.at_s < 0.1  # BARGE_IN_MS, at this pace
        wait_until(lambda: len(turns_of(rig)) == 2 and turns_of(rig)[1].said)
        first, second = turns_of(rig)
        assert (second.transcript, second.aborted) == ("roses", False)
        assert len(second.audio) // 16 >= 500 + 40 * len("I want roses and nothing else but roses") + 680
        wait_until(lambda: heard_by(call, second.said) == 1)
        assert heard_by(call, first.said) == 0
        call.hang_up()
        rig.ended(call)


def test_a_noise_that_is_no_word_is_no_interruption_in_the_end(logged: Logged) -> None:
    with streaming(FLOWERS, "", BARGE_IN="on") as rig:
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        began = call.wait_for(MediaBegan, PATIENCE_S)
        wait_until(lambda: call.now_s() > began.at_s + 0.1)
        caller.say("hm hm hm hm")
        clear = call.wait_for(MessageSent, PATIENCE_S, where=lambda message: message.kind == "clear")
        wait_until(lambda: "false-alarm" in [line["event"] for line in logged()])
        call.wait_for(MarkReturned, PATIENCE_S, where=lambda mark: mark.at_s > clear.at_s and is_end(mark, 1))
        assert len(turns_of(rig)) == 2
        heard_ms = sum(audio.heard_ms for audio in call.sent_audio)
        whole_ms = len(hum_of(turns_of(rig)[0].said)) / 8
        assert whole_ms <= heard_ms <= whole_ms + 1000  # it goes on a little before where it stopped
        call.hang_up()
        rig.ended(call)


# Who speaks first

WELCOMES = {"WELCOME": "bot", "WELCOME_INTENT": "OrderFlowers"}


@GENERATIONS
def test_the_bot_welcomes_the_caller(generation: str) -> None:
    with streaming("roses", generation=generation, **WELCOMES) as rig:
        caller = says()
        call = rig.place_call(caller)
        prompt_heard(call, 1)
        (put,) = [request for request in rig.lex.requests if request.session_id == call.sid]
        assert (put.operation, put.intent) == ("PutSession", "OrderFlowers")
        assert KINDS in put.said
        assert heard_by(call, put.said) == 1
        caller.say("roses please")
        prompt_heard(call, 2)
        assert turns_of(rig)[0].said == DAY
        assert said_by_twilio(call) == []
        call.hang_up()
        rig.ended(call)


@GENERATIONS
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(LexFault(status=500, times=2), "GREETING", id="500"),
        pytest.param(LexFault(kind="reset", times=2), "GREETING", id="reset"),
        pytest.param(LexFault(kind="hang", times=1), "GREETING", id="hangs"),
        pytest.param(LexFault(kind="empty", times=2), "GREETING", id="empty"),
        pytest.param(LexFault(status=403, times=None), NOT_AVAILABLE, id="forbidden"),
    ],
)
def test_a_caller_whom_the_bot_does_not_welcome_is_greeted_unless_it_never_will(
    generation: str, fault: LexFault, words: str
) -> None:
    with streaming(FLOWERS, generation=generation, **WELCOMES) as rig:
        caller = says()
        call = rig.place_call(caller)
        rig.lex.faults.append(replace(fault, operation="PutSession", session=call.sid))
        if words == NOT_AVAILABLE:
            assert rig.ended(call).reason is EndReason.HANGUP_VERB
            assert said_by_twilio(call) == [NOT_AVAILABLE] or heard_by(call, NOT_AVAILABLE) == 1
            return
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        assert said_by_twilio(call) == [rig.settings.greeting]
        caller.say("some flowers")
        prompt_heard(call, 1)
        assert KINDS in turns_of(rig)[0].said
        client = boto3_client(rig)
        if generation == "v1":
            session = client.get_session(botName="OrderFlowers", botAlias="prod", userId=call.sid)
            assert session["sessionAttributes"]["lexbridge:call-sid"] == call.sid  # the facts of the call came along
        call.hang_up()
        rig.ended(call)


# Lex's voice fails


def connections(rig: Rig) -> int:
    """Connections that the local Lex has open."""
    return len(rig.lex._connections)


def idle_connections(rig: Rig) -> int:
    """Connections that the bridge keeps for its next requests."""
    manager = rig.lex_runtime._api.client._endpoint.http_session._manager
    pools = [manager.pools[key] for key in manager.pools.keys()]  # noqa: SIM118 - no mapping
    return sum(
        connection is not None and connection.sock is not None for pool in pools for connection in pool.pool.queue
    )


AUDIO_FAULTS = {
    "breaks off at once": LexFault(kind="broken", after_bytes=0),
    "breaks off after half a second": LexFault(kind="broken", after_bytes=16_001),
    "stalls at once": LexFault(kind="stalled", after_bytes=0),
    "stalls after half a second": LexFault(kind="stalled", after_bytes=16_000),
    "drips": LexFault(kind="dripping"),
    "is MP3": LexFault(kind="mistyped"),
    "is of no type": LexFault(kind="mistyped", content_type=""),
    "is stereo": LexFault(kind="mistyped", content_type="audio/pcm;sample-rate=16000;channels=2"),
}


@pytest.mark.parametrize(
    ("generation", "fault"),
    [
        pytest.param(generation, fault, id=f"{generation} {name}")
        for number, (name, fault) in enumerate(AUDIO_FAULTS.items())
        for generation in [("v1", "v2")[number % 2]]
    ],
)
def test_words_that_lexs_voice_does_not_bring_are_said_by_twilio(
    generation: str, fault: LexFault, logged: Logged
) -> None:
    with streaming(FLOWERS, "roses", generation=generation) as rig:
        caller = says()
        before = living_greenlets()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        rig.lex.faults.append(replace(fault))
        caller.say("some flowers")
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        assert len(turns_of(rig)) == 1  # the dialog is not taken on twice
        assert [KINDS in text for text in said_by_twilio(call)] == [False, True]
        rig.lex.faults.clear()
        caller.say("roses please")
        prompt_heard(call, 1)  # the first of the new stream
        assert turns_of(rig)[1].said == DAY
        assert heard_by(call, DAY) == 1
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: rig.calls.live_calls == 0)
        wait_until(lambda: connections(rig) == idle_connections(rig))
        wait_until(lambda: not [each for each in living_greenlets() - before if "bridge" in str(each)])
    failed = [line for line in logged() if line["event"] == "lex-audio-failed"]
    assert [line["level"] for line in failed] == ["error" if fault.kind == "mistyped" else "warning"]
    assert {line["event"] for line in logged() if line["level"] == "error"} <= {"lex-audio-failed"}


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 24000])
def test_lexs_voice_is_played_at_the_rate_that_it_says(rate_hz: int) -> None:
    with streaming(FLOWERS) as rig:
        fault = LexFault(kind="mistyped", content_type=f"audio/pcm; sample-rate={rate_hz}", times=None)
        rig.lex.faults.append(fault)
        _, call = call_until_asked_for_kinds(rig)
        hum_ms = 40 * len(turns_of(rig)[0].said)
        assert sum(audio.heard_ms for audio in call.sent_audio) == pytest.approx(hum_ms, abs=40)
        assert said_by_twilio(call) == [rig.settings.greeting]
        call.hang_up()
        rig.ended(call)


# Hang-up and transfer


def last_words_heard(call: PhoneCall, of: str) -> None:
    """Finds that the update came only after all of `of` was heard."""
    (update,) = [event for event in call.events if isinstance(event, UpdateReceived)]
    ends = [mark for mark in call.events if isinstance(mark, MarkReturned) and mark.name.endswith(":end")]
    assert ends[-1].at_s < update.at_s
    assert heard_by(call, of) == 1


def test_a_caller_is_put_through_after_the_last_words_were_heard() -> None:
    flags = {"HANGUP_INTENTS": "NoSuchIntent", "TRANSFER_NUMBERS": "+12065550155"}
    with streaming(FLOWERS, "goodbye", **flags) as rig:
        caller, call = call_until_asked_for_kinds(rig)
        asked = {"lexbridge:action": "transfer", "lexbridge:transfer-to": "+12065550155"}
        boto3_client(rig).post_text(
            botName="OrderFlowers", botAlias="prod", userId=call.sid, inputText="roses", sessionAttributes=asked
        )
        caller.say("goodbye")
        assert call.wait_for(Transferred, PATIENCE_S).number == "+12065550155"
        last_words_heard(call, turns_of(rig)[-1].said)
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert said_by_twilio(call) == [rig.settings.greeting, "Goodbye."]  # when that call was over
        wait_until(lambda: rig.calls.live_calls == 0)


def test_a_hang_up_that_twilio_does_not_carry_out_leaves_the_call_listening() -> None:
    with streaming("goodbye", FLOWERS) as rig:
        rig.twilio.rest_faults.extend([RestFault()] * 3)
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("goodbye then")
        call.wait_for(UpdateRefused, PATIENCE_S, count=3)
        gevent.sleep(0.1)
        caller.say("some flowers after all")
        prompt_heard(call, 2)
        assert KINDS in turns_of(rig)[1].said
        assert count_of(call, StreamOpened) == 1
        call.hang_up()
        rig.ended(call)


@pytest.mark.parametrize(("status", "code"), [(400, 21220), (404, 20404)])
def test_a_call_that_is_over_for_twilio_ends_quietly(status: int, code: int, logged: Logged) -> None:
    with streaming("goodbye") as rig:
        rig.twilio.rest_faults.append(RestFault(status=status, code=code, always=True))
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("goodbye then")
        call.wait_for(StreamClosed, PATIENCE_S)
        wait_until(lambda: [line for line in logged() if line["event"] == "call-gone"])
    assert not [line for line in logged() if line["level"] == "error" and line["event"] != "stream-status"]


def test_words_that_twilio_does_not_say_leave_the_call_listening() -> None:
    with streaming(FLOWERS, "roses") as rig:
        rig.lex.faults.append(LexFault(kind="mistyped"))
        rig.twilio.rest_faults.extend([RestFault()] * 3)
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        call.wait_for(UpdateRefused, PATIENCE_S, count=3)
        gevent.sleep(0.1)
        caller.say("roses please")
        prompt_heard(call, 2)
        assert heard_by(call, DAY) == 1
        assert count_of(call, StreamOpened) == 1
        call.hang_up()
        rig.ended(call)


# A stream is lost, a process leaves or ends


def asked_once_more(call: PhoneCall, heard_before: int) -> None:
    """The call's next stream has Lex say once more what it asked last."""
    call.wait_for(StreamOpened, PATIENCE_S, count=2)
    wait_until(lambda: heard_by(call, KINDS_ASKED) == heard_before + 1)
    assert [KINDS in text for text in said_by_twilio(call)] == [False]


def goes_on(rig: Rig, caller: SimulatedCaller, call: PhoneCall, streams: int) -> None:
    """The call has lost a stream, and goes on: by now it has had so many."""
    wait_until(lambda: not caller.is_speaking)
    gevent.sleep(0.1)
    caller.say("roses please")
    wait_until(lambda: heard_by(call, DAY) == 1)
    assert count_of(call, StreamOpened) == streams
    call.hang_up()
    call.wait(PATIENCE_S)
    wait_until(lambda: rig.calls.live_calls == 0)


@pytest.mark.parametrize(
    ("generation", "after_s"),
    [("v1", 0.0), ("v2", 0.1), ("v1", 0.25)],
    ids=["as it begins", "in its middle", "after it"],
)
def test_a_stream_lost_around_a_prompt_is_followed_by_another_that_says_it_again(
    generation: str, after_s: float
) -> None:
    with streaming(FLOWERS, "roses", generation=generation) as rig:
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        call.wait_for(MediaBegan, PATIENCE_S)
        gevent.sleep(after_s)
        heard_before = heard_by(call, KINDS_ASKED)
        call.streams[0].cut()
        asked_once_more(call, heard_before)
        goes_on(rig, caller, call, streams=2)
        (complaint,) = call.complaints
        assert complaint.startswith("31903")
        assert count_of(call, UpdateReceived) == 0  # its own document went on, and the words came over the stream


def test_whoever_answers_the_prompt_after_a_lost_stream_while_it_is_heard_is_heard() -> None:
    with streaming(FLOWERS, "roses", BARGE_IN="on", BARGE_IN_MS="200") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        call.streams[0].cut()
        call.wait_for(MediaBegan, PATIENCE_S, count=2)
        gevent.sleep(0.08)  # 0.8 s of the 2.5 s that it takes
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
def test_where_lex_does_not_say_it_once_more_twilio_does(fault: LexFault, generation: str, logged: Logged) -> None:
    with streaming(FLOWERS, "roses", generation=generation) as rig:
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


def test_a_stream_lost_while_lex_thinks_is_followed_by_another_that_has_its_answer() -> None:
    with streaming(FLOWERS, "roses") as rig:
        rig.lex.think_s = 0.1  # of the clock: longer than the other stream takes to open, but for the second look
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


def test_streams_that_are_left_at_the_end_are_closed_and_the_call_goes_on() -> None:
    with streaming(FLOWERS, "roses") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        rig.calls.close()
        closed = call.wait_for(StreamClosed, PATIENCE_S)
        assert "1001" in closed.reason
        asked_once_more(call, 1)
        goes_on(rig, caller, call, streams=2)
        assert call.complaints == []  # closing its socket is how a bidirectional stream is ended


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


def test_a_call_is_handed_over_when_it_is_quiet_after_a_prompt_and_nothing_is_asked_twice() -> None:
    with streaming(FLOWERS, "roses", "tomorrow") as rig:
        caller, call = call_until_asked_for_kinds(rig)
        caller.say("roses please")
        wait_until(lambda: len(turns_of(rig)) == 2)
        rig.calls.leave(10)
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        assert heard_by(call, DAY) == 1
        assert call.wait_for(StreamClosed, PATIENCE_S).code == 0  # Twilio stopped it
        gevent.sleep(0.1)
        caller.say("tomorrow please")
        prompt_heard(call, 1, count=2)  # of the new stream
        assert [request.transcript for request in turns_of(rig)] == [FLOWERS, "roses", "tomorrow"]
        assert heard_by(call, turns_of(rig)[-1].said) == 1
        assert heard_by(call, DAY) == 1
        assert said_by_twilio(call) == [rig.settings.greeting]
        assert call.streams[0].stream.name.startswith("lexbridge-0-")
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: rig.calls.live_calls == 0)


def test_a_silent_caller_is_asked_again_in_the_bots_voice_and_then_let_go() -> None:
    with streaming(NO_INPUT_S="2", NO_INPUT_LIMIT="1", GREETING="Hello.") as rig:
        call = rig.place_call(SimulatedCaller(HummingVoice(), None))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        again = "Sorry, I did not hear anything."
        assert heard_by(call, again) + said_by_twilio(call).count(again) == 1
        assert heard_by(call, f"{again} Goodbye.") == 1
        assert turns_of(rig) == []


def test_a_silent_caller_is_handed_over_and_asked_again() -> None:
    with streaming(NO_INPUT_S="2", NO_INPUT_LIMIT="1", GREETING="Hello.") as rig:
        call = rig.place_call(SimulatedCaller(HummingVoice(), None))
        wait_until(lambda: rig.calls.live_calls == 1)
        rig.calls.leave(10)
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        assert rig.ended(call).reason is EndReason.HANGUP_VERB  # the count goes on
        goodbye = "Sorry, I did not hear anything. Goodbye."
        assert heard_by(call, goodbye) + said_by_twilio(call).count(goodbye) == 1


def test_the_status_of_a_lost_stream_is_answered_without_an_update() -> None:
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


# What only bad luck in timing brings about


def test_the_news_of_a_lost_stream_does_not_end_the_one_that_followed_it() -> None:
    """It comes while that one is about to hand the call over, to have the last words said."""
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


def test_a_stream_that_was_taken_over_waits_for_its_stop_and_asks_nobody() -> None:
    """It has been stopped, or was lost: Twilio has one bidirectional stream a call."""
    control = RehearsedControl()
    call = Rehearsal(RehearsedLex(rehearsal.says("Which flowers?")), control, REPLY_MODE="stream")
    wait_until(lambda: call.calls.live_calls == 1)
    call.calls.began(live_stream(CALL_SID))
    gevent.sleep(0.05)
    assert call.socket.code is None
    call.socket.sends([stop_text()])
    assert call.ended() == 1000
    assert (control.documents, control.stopped) == ([], [])
    assert call.calls.live_calls == 1
    wait_until(lambda: not call.left())


def test_a_stream_that_was_taken_over_and_is_never_stopped_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "STOP_DEADLINE_S", 0.1)
    control = RehearsedControl()
    call = Rehearsal(RehearsedLex(), control, REPLY_MODE="stream")
    wait_until(lambda: call.calls.live_calls == 1)
    call.calls.began(live_stream(CALL_SID))
    assert call.ended() == 1000
    assert control.stopped == []
    wait_until(lambda: not call.left())


def test_a_one_way_stream_that_was_taken_over_is_stopped() -> None:
    control = RehearsedControl()
    call = Rehearsal(RehearsedLex(), control)
    wait_until(lambda: call.calls.live_calls == 1)
    call.calls.began(live_stream(CALL_SID))
    wait_until(lambda: control.stopped)
    call.socket.sends([stop_text()])
    assert call.ended() == 1000
