"""Whole calls in stream mode: Lex's voice over the socket, keys, interruptions, and who speaks first."""

from dataclasses import replace

import pytest

from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.twilio.events import (
    EndReason,
    MarkReturned,
    MediaBegan,
    MessageSent,
    SpeechEnded,
    SpeechStarted,
    StreamOpened,
    UpdateReceived,
)
from tests.support.boto import boto3_client
from tests.support.fixtures import Logged
from tests.support.flower_order import DAY, FLOWERS, KINDS, ORDER
from tests.support.lexes import GENERATIONS, hum_of
from tests.support.log_lines import lines_with
from tests.support.phrases import NOT_AVAILABLE
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, deadlines_for, says
from tests.support.streaming import count_of, heard_by, is_end, prompt_heard, said_by_twilio, streaming, turns_of


@GENERATIONS
def test_an_order_is_fulfilled_and_heard_over_one_stream(generation: str) -> None:
    with streaming(*ORDER, generation=generation) as rig:
        call = rig.place_call(says(*ORDER))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        asked = turns_of(rig)
        assert [request.transcript for request in asked] == list(ORDER)
        assert {request.session_id for request in asked} == {call.sid}
        assert {request.api for request in asked} == {generation}
        assert [heard_by(call, request.said) for request in asked] == [1] * len(ORDER)
        assert said_by_twilio(call) == [rig.settings.line.greeting]
        assert count_of(call, StreamOpened) == 1
        (update,) = [event for event in call.events if isinstance(event, UpdateReceived)]
        assert prompt_heard(call, len(ORDER)).at_s < update.at_s  # the last words were heard before the hang-up
        wait_until(lambda: rig.calls.live_calls == 0)


def test_lexs_voice_is_heard_before_all_of_it_is_there() -> None:
    with streaming(FLOWERS) as rig:
        call = rig.place_call(says("some flowers"))
        had_sent: list[int] = []

        def wait_for_media(request: LexRequest) -> None:
            if request.session_id == call.sid and request.speech_bytes > 0:
                call.wait_for(MediaBegan, PATIENCE_S)
                had_sent.append(request.speech_bytes)

        rig.lex.audio_pace, rig.lex.audio_piece_ms = 30, 300
        rig.lex.before_piece = wait_for_media  # the first piece goes out, the others wait for it to be heard
        prompt_heard(call, 1)
        (request,) = turns_of(rig)
        assert heard_by(call, request.said) == 1
        assert 0 < had_sent[0] < request.speech_bytes
        call.hang_up()
        rig.ended(call)


# -- keys


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
            call.line.wait_ms(200)
        wait_until(lambda: len(turns_of(rig)) == 2 and turns_of(rig)[1].status)
        assert (turns_of(rig)[1].audio, turns_of(rig)[1].is_text) == (b"90417", True)
        prompt_heard(call, 2)
        call.hang_up()
        rig.ended(call)
    assert not lines_with("90417", logged(), but_for_debug=True)


# -- interruptions


def test_an_interruption_stops_the_prompt_and_is_understood() -> None:
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
        assert spoke.at_s < clear.at_s < call.wait_for(SpeechEnded, PATIENCE_S, count=2).at_s
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
        assert whole_ms <= heard_ms <= whole_ms + 1000  # the prompt goes on from a little before the interruption
        call.hang_up()
        rig.ended(call)


# -- who speaks first

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
def test_a_caller_whom_the_bot_does_not_welcome_is_greeted(generation: str, fault: LexFault, words: str) -> None:
    """A caller whom the bot does not welcome hears GREETING. If Lex forbids the welcome, an apology ends the call."""
    with streaming(FLOWERS, generation=generation, deadlines=deadlines_for(fault), **WELCOMES) as rig:
        caller = says()
        call = rig.place_call(caller)
        rig.lex.faults.append(replace(fault, operation="PutSession", session=call.sid))
        if words == NOT_AVAILABLE:
            assert rig.ended(call).reason is EndReason.HANGUP_VERB
            assert said_by_twilio(call) == [NOT_AVAILABLE] or heard_by(call, NOT_AVAILABLE) == 1
            return
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        assert said_by_twilio(call) == [rig.settings.line.greeting]
        caller.say("some flowers")
        prompt_heard(call, 1)
        assert KINDS in turns_of(rig)[0].said
        client = boto3_client(rig)
        if generation == "v1":
            session = client.get_session(botName="OrderFlowers", botAlias="prod", userId=call.sid)
            assert (
                session["sessionAttributes"]["lexbridge:call-sid"] == call.sid
            )  # the call's attributes were sent, too
        call.hang_up()
        rig.ended(call)
