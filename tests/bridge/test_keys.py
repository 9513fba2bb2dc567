"""Whole calls in call-update mode: a caller presses keys, or interrupts, while Twilio speaks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import (
    BotBegan,
    BotFinished,
    EndReason,
    SpeechEnded,
    SpeechStarted,
    StreamClosed,
    StreamOpened,
    UpdateReceived,
    VerbEnded,
    WebhookAnswered,
)
from lexbridge.offline.twilio.rest_api import RestFault
from tests.support.boto import boto3_client
from tests.support.fixtures import Logged
from tests.support.flower_order import KINDS
from tests.support.log_lines import lines_with
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, Rig, flowers, running, says, spoken, v2_bot

FLOWERS = "I would like to order flowers"
GENERATIONS = pytest.mark.parametrize("generation", ["v1", "v2"])


@contextmanager
def updating(*heard: str, generation: str = "v1", **changes: Any) -> Iterator[Rig]:
    """Yield a bridge in call-update mode, whose caller may interrupt."""
    bot = v2_bot(flowers()) if generation == "v2" else {}
    with running(heard, **{"pace": 0.1, "BARGE_IN": "on", "NO_INPUT_S": "120", **bot, **changes}) as rig:
        yield rig


def begins_to_say(call: PhoneCall, text: str) -> None:
    """Wait until Twilio's voice begins to say something with `text`."""
    call.wait_for(BotBegan, PATIENCE_S, where=lambda event: text in event.text)


def passes(call: PhoneCall, ms: int) -> None:
    """Wait until `ms` have passed on the line."""
    call.line.wait_ms(ms)


def is_asked_for_kinds(call: PhoneCall, caller: SimulatedCaller) -> None:
    """Place a call up to the moment when the bot begins to ask for the kind of flowers."""
    call.wait_for(BotFinished, PATIENCE_S)
    passes(call, 1500)  # the bridge only estimates how long that takes
    caller.say("some flowers")
    begins_to_say(call, KINDS)


def updates(call: PhoneCall) -> list[str]:
    """Return the words of every call update, in order."""
    return [spoken(event.twiml) for event in call.events if isinstance(event, UpdateReceived)]


def turns_of(rig: Rig) -> list[Any]:
    return [request for request in rig.lex.requests if request.operation in ("PostContent", "RecognizeUtterance")]


@GENERATIONS
def test_keys_go_to_lex_as_text_by_a_new_stream(generation: str, logged: Logged) -> None:
    """Keys go to Lex as text by a new stream, and the old stream ends quietly."""
    with updating(FLOWERS, generation=generation) as rig:
        caller = says()
        call = rig.place_call(caller)
        is_asked_for_kinds(call, caller)
        for key in "90417#":
            call.press(key)
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        wait_until(lambda: len(turns_of(rig)) == 2 and turns_of(rig)[1].said)
        keyed = turns_of(rig)[1]
        assert (keyed.audio, keyed.is_text, keyed.session_id) == (b"90417", True, call.sid)
        rig.hears(call, keyed.said)
        assert call.wait_for(StreamClosed, PATIENCE_S).code == 0
        (cut,) = [
            event for event in call.events if isinstance(event, VerbEnded) and event.verb == "Say" and event.interrupted
        ]
        assert call.wait_for(StreamOpened, PATIENCE_S, count=2).at_s > cut.at_s  # the first key stopped it
        assert len(call.streams) == 1
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: rig.calls.live_calls == 0)
    assert not lines_with("90417", logged(), but_for_debug=True)
    assert not [line for line in logged() if line["level"] in ("warning", "error")]


@GENERATIONS
def test_keys_pressed_during_the_greeting_are_the_first_turn(generation: str) -> None:
    """Keys pressed during the greeting are the first turn, which brings the call's session attributes to Lex."""
    with updating(generation=generation) as rig:
        call = rig.place_call(says())
        call.wait_for(StreamOpened, PATIENCE_S)
        for key in "12#":
            call.press(key)
        wait_until(lambda: len(turns_of(rig)) == 1 and turns_of(rig)[0].said)
        assert turns_of(rig)[0].audio == b"12"
        if generation == "v1":
            session = boto3_client(rig).get_session(botName="OrderFlowers", botAlias="prod", userId=call.sid)
            assert session["sessionAttributes"]["lexbridge:call-sid"] == call.sid
            assert "12" not in session["sessionAttributes"].values()
        call.hang_up()
        rig.ended(call)


def test_a_lone_end_character_is_no_turn_and_the_call_goes_on() -> None:
    with updating(FLOWERS, "roses") as rig:
        caller = says()
        call = rig.place_call(caller)
        is_asked_for_kinds(call, caller)
        call.press("#")
        # [?] Unknown: does Twilio report that, or go on? Here it goes on, to the end of the document.
        call.wait_for(BotFinished, PATIENCE_S, 2, lambda event: KINDS in event.text and not caller.is_speaking)
        passes(call, 1500)
        caller.say("roses please")
        rig.hears(call, "What day")
        assert [request.transcript for request in turns_of(rig)] == [FLOWERS, "roses"]
        call.hang_up()
        rig.ended(call)


@GENERATIONS
def test_a_caller_who_interrupts_stops_the_prompt_by_an_update(generation: str) -> None:
    """A caller who interrupts a prompt stops it by a call update, and is understood."""
    with updating(FLOWERS, "roses", generation=generation) as rig:
        caller = says()
        call = rig.place_call(caller)
        is_asked_for_kinds(call, caller)
        passes(call, 300)  # soon: on a busy machine the prompt begins later than the bridge thinks
        caller.say("I want roses and nothing else but roses")
        rig.hears(call, "What day")
        assert [KINDS in updates(call)[0], updates(call)[1], "What day" in updates(call)[2]] == [True, "", True]
        silenced = [event for event in call.events if isinstance(event, UpdateReceived)][1]
        spoke = call.wait_for(SpeechStarted, PATIENCE_S, count=2)
        cut = call.wait_for(
            BotFinished, PATIENCE_S, where=lambda event: event.at_s > silenced.at_s and KINDS in event.text
        )
        over = call.wait_for(SpeechEnded, PATIENCE_S, count=2)
        assert spoke.at_s < silenced.at_s < cut.at_s < over.at_s
        second = turns_of(rig)[1]
        # The pre-roll, the words, and the hangover less three frames: the words seldom begin and end with a frame. The
        # pre-roll is 500 ms, but no longer than the time since the utterance before, which is 300 ms at least.
        assert len(second.audio) // 16 >= 300 + 40 * len("I want roses and nothing else but roses") + 640
        assert len([event for event in call.events if isinstance(event, StreamOpened)]) == 1
        call.hang_up()
        rig.ended(call)


def test_a_prompt_without_interruption_is_heard_to_its_end() -> None:
    with updating(FLOWERS, "roses", BARGE_IN="off") as rig:
        caller = says()
        call = rig.place_call(caller)
        is_asked_for_kinds(call, caller)
        caller.say("roses")
        rig.hears(call, "What day")
        assert "" not in updates(call)
        call.hang_up()
        rig.ended(call)


def test_a_prompt_that_twilio_does_not_stop_costs_no_turn() -> None:
    with updating(FLOWERS, "roses") as rig:
        caller = says()
        call = rig.place_call(caller)
        is_asked_for_kinds(call, caller)
        passes(call, 1000)
        rig.twilio.rest_faults.extend([RestFault()] * 2)
        caller.say("I want roses and nothing else but roses")
        rig.hears(call, "What day")
        call.hang_up()
        assert rig.ended(call).reason is EndReason.CALLER_HUNG_UP


def test_what_answers_a_gather_holds_no_key_but_for_the_stream(logged: Logged) -> None:
    keys = "4711808471"  # in no timestamp or SID by chance
    with updating() as rig:
        call = rig.place_call(says())
        call.wait_for(StreamOpened, PATIENCE_S)
        for key in f"{keys}#":
            call.press(key)
        answered = call.wait_for(WebhookAnswered, PATIENCE_S, where=lambda answer: "/twiml/keys" in answer.url)
        assert answered.body.count(keys) == 1
        assert f'<Parameter name="lexbridge:keys" value="{keys}"/>' in answered.body
        assert keys not in answered.url
        call.hang_up()
        call.wait(PATIENCE_S)
    assert not lines_with(keys, logged())


SLOW = {"SLOT_KINDS": "FlowerType=digits", "NO_INPUT_S": "4", "NO_INPUT_LIMIT": "1"}


def test_slow_keys_are_not_interrupted_where_they_were_asked_for() -> None:
    with updating(FLOWERS, **SLOW) as rig:
        caller = says()
        call = rig.place_call(caller)
        is_asked_for_kinds(call, caller)
        call.wait_for(BotFinished, PATIENCE_S, where=lambda event: KINDS in event.text)
        for key in "428153":
            passes(call, 1000)  # 6 s in all
            call.press(key)
        wait_until(lambda: len(turns_of(rig)) == 2)
        assert turns_of(rig)[1].audio == b"428153"
        brought = call.wait_for(StreamOpened, PATIENCE_S, count=2)
        again = [event for event in call.events if isinstance(event, BotBegan) and "did not hear" in event.text]
        assert not [event for event in again if event.at_s < brought.at_s]
        call.hang_up()
        rig.ended(call)


def test_a_caller_who_presses_nothing_is_asked_again(logged: Logged) -> None:
    """A caller who was asked for keys and presses none is asked again, and then hears a goodbye."""
    with updating(FLOWERS, **SLOW) as rig:
        caller = says()
        call = rig.place_call(caller)
        is_asked_for_kinds(call, caller)
        asked = call.wait_for(BotFinished, PATIENCE_S, where=lambda event: KINDS in event.text)
        again = call.wait_for(BotBegan, PATIENCE_S, where=lambda event: "did not hear" in event.text)
        assert again.at_s - asked.at_s > 0.3  # 4 s, at this pace
        begins_to_say(call, "Goodbye")
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert len(updates(call)) == 1
    assert [line["call_sid"] for line in logged() if line["event"] == "silent-caller-left"] == [call.sid]


def test_a_lone_end_character_counts_as_silence() -> None:
    """The end character alone counts as silence when keys were asked for."""
    with updating(FLOWERS, "roses", **{**SLOW, "NO_INPUT_S": "60"}) as rig:
        caller = says()
        call = rig.place_call(caller)
        is_asked_for_kinds(call, caller)
        call.press("#")
        begins_to_say(call, "did not hear")
        call.wait_for(BotFinished, PATIENCE_S, 2, lambda event: KINDS in event.text)
        passes(call, 1500)
        caller.say("roses please")
        rig.hears(call, "What day")
        call.hang_up()
        rig.ended(call)
