"""A prompt on its way to the caller's ear: what is sent when, what was heard, and how loud its echo may be."""

import math

import pytest

from lexbridge.audio.pcm import FRAME_SAMPLES, MULAW_SILENCE
from lexbridge.call.actions import SendAudio
from lexbridge.call.output.playback import Playback
from lexbridge.call.output.prompt import ECHO_DELAY_MS, ECHO_LOSS_DB, HEARD_WITHIN_MS, LEAD_MS, MARK_EVERY_MS, Prompt
from lexbridge.lex.model import LONGEST_SPEECH_MS, Message
from tests.support.caller import in_short
from tests.support.sounds import tone

WORDS = (Message("Which day?"),)


def counted(ms):
    """mu-law of which no two frames are the same."""
    return b"".join(bytes([number % 120]) * FRAME_SAMPLES for number in range(ms // 20))


def prompt_of(ms, turn=1, is_complete=True, **about):
    prompt = Prompt(turn, WORDS, **about)
    prompt.push(tone(ms))
    if is_complete:
        prompt.complete()
    return prompt


def playback_of(*prompts):
    playback = Playback()
    for prompt in prompts:
        playback.add(prompt)
    return playback


def sent(output):
    """The audio that goes out."""
    return b"".join(action.mulaw for action in output if isinstance(action, SendAudio))


# -- one prompt


def test_a_prompt_has_a_mark_every_half_second_and_at_its_end():
    prompt = prompt_of(1200)
    assert in_short(prompt.send(0)) == [500, "turn-1.1:500", 500, "turn-1.1:1000", 200, "turn-1.1:end"]
    assert list(prompt.send(20)) == []


def test_the_first_sound_is_told_once_it_is_sent_and_only_once():
    prompt = Prompt(1, WORDS)
    assert prompt.take_first_sound(0) is None
    prompt.push(MULAW_SILENCE * FRAME_SAMPLES * 3)
    list(prompt.send(0))
    assert prompt.take_first_sound(20) is None
    prompt.push(MULAW_SILENCE * FRAME_SAMPLES * 2 + tone(200))
    assert prompt.take_first_sound(20) is None
    list(prompt.send(20))
    assert prompt.take_first_sound(20) == 80
    assert prompt.take_first_sound(20) is None


def test_a_sound_that_was_waited_for_is_heard_at_once():
    prompt = Prompt(1, WORDS)
    prompt.push(MULAW_SILENCE * FRAME_SAMPLES * 3)
    list(prompt.send(0))
    prompt.push(tone(200))
    list(prompt.send(500))  # nothing was left to play
    assert prompt.take_first_sound(500) == 0


def test_what_is_sent_is_what_came():
    prompt = Prompt(1)
    prompt.push(counted(700))
    prompt.push(counted(640))
    assert prompt.audio == counted(700) + counted(640)
    assert sent(prompt.send(0)) == prompt.audio


def test_audio_goes_out_as_it_arrives():
    """Audio goes out as it arrives, and the last mark when all of it is there."""
    prompt = prompt_of(100, is_complete=False)
    assert not prompt.is_begun
    assert in_short(prompt.send(0)) == [100]
    assert prompt.is_begun
    prompt.push(tone(60))
    assert in_short(prompt.send(20)) == [60]
    assert list(prompt.send(40)) == []
    prompt.complete()
    assert in_short(prompt.send(60)) == ["turn-1.1:end"]


def test_no_more_is_sent_ahead_than_the_lead():
    prompt = prompt_of(8000)
    marks = [f"turn-1.1:{at}" for at in range(MARK_EVERY_MS, LEAD_MS + 1, MARK_EVERY_MS)]
    assert [short for short in in_short(prompt.send(0)) if not isinstance(short, int)] == marks
    assert in_short(prompt.send(20)) == []
    prompt.mark_reached("turn-1.1:500", 40)
    assert in_short(prompt.send(40)) == [500, "turn-1.1:5500"]


def test_what_is_ahead_is_sent_in_whole_messages():
    prompt = prompt_of(LEAD_MS + 660)
    list(prompt.send(0))
    sent = {at_ms: short for at_ms in range(20, 700, 20) if (short := in_short(prompt.send(at_ms)))}
    assert sent == {200: [200], 400: [200], 500: [100, "turn-1.1:5500"], 660: [160, "turn-1.1:end"]}


def test_the_caller_has_heard_the_last_mark_and_the_time_since():
    prompt = prompt_of(3000)
    assert (prompt.position_ms(100), prompt.playing_ms(100)) == (0, 0)
    list(prompt.send(100))
    assert (prompt.position_ms(400), prompt.playing_ms(400)) == (300, 300)
    prompt.mark_reached("turn-1.1:500", 800)  # Twilio began 200 ms later
    assert prompt.position_ms(900) == 600
    assert prompt.position_ms(9000) == 3000


def test_a_prompt_that_ran_out_of_audio_goes_on_where_it_stood():
    prompt = prompt_of(100, is_complete=False)
    list(prompt.send(0))
    assert prompt.position_ms(5000) == 100
    prompt.push(tone(400))
    assert in_short(prompt.send(5000)) == [400, "turn-1.1:500"]
    assert prompt.position_ms(5100) == 200


def test_only_the_last_mark_tells_that_all_of_it_was_heard():
    prompt = prompt_of(1000)
    list(prompt.send(0))
    prompt.mark_reached("turn-1.1:500", 500)
    prompt.mark_reached("turn-1.1:1000", 1000)
    assert not prompt.is_heard
    prompt.mark_reached("turn-1.1:end", 1000)
    assert prompt.is_heard


@pytest.mark.parametrize(
    "mark", ["turn-2.1:end", "turn-1.2:end", "turn-11.1:end", "end", "", "turn-1.1:", "turn-1.1:x"]
)
def test_a_mark_of_another_prompt_changes_nothing(mark):
    prompt = prompt_of(1000)
    list(prompt.send(0))
    prompt.mark_reached(mark, 400)
    assert (prompt.is_heard, prompt.position_ms(400)) == (False, 400)


def test_a_mark_before_its_prompt_changes_nothing():
    prompt = prompt_of(1000)
    prompt.mark_reached("turn-1.0:end", 0)
    assert not prompt.is_heard


def test_a_prompt_without_audio_is_heard_when_it_ends():
    prompt = prompt_of(0, is_complete=False)
    assert list(prompt.send(0)) == []
    assert not prompt.is_heard
    prompt.complete()
    assert list(prompt.send(20)) == []
    assert prompt.is_heard


def test_a_prompt_without_its_last_mark_counts_as_heard():
    """A prompt whose last mark never comes counts as heard a little after its own length."""
    prompt = prompt_of(1000)
    assert not prompt.expire(10_000)  # it has not begun
    list(prompt.send(0))
    assert not prompt.expire(980 + HEARD_WITHIN_MS)
    assert prompt.expire(1000 + HEARD_WITHIN_MS)
    assert prompt.is_heard
    assert not prompt.expire(1020 + HEARD_WITHIN_MS)  # it is told once


def test_a_prompt_that_is_still_arriving_does_not_count_as_heard():
    prompt = prompt_of(1000, is_complete=False)
    list(prompt.send(0))
    assert not prompt.expire(60_000)


def test_of_an_endless_prompt_the_first_minutes_are_kept():
    prompt = Prompt(1)
    for _ in range(LONGEST_SPEECH_MS // 50_000):
        prompt.push(tone(50_000))
    assert prompt.arrived_ms == LONGEST_SPEECH_MS
    prompt.push(tone(1000))
    assert prompt.arrived_ms == LONGEST_SPEECH_MS


# -- stopped, and played again


@pytest.mark.parametrize(("heard_ms", "from_ms"), [(0, 0), (480, 0), (500, 500), (1340, 1000)])
def test_a_stopped_prompt_goes_on_at_its_half_second(heard_ms, from_ms):
    """A stopped prompt goes on at the half second where the caller stopped hearing it."""
    prompt = Prompt(1)
    prompt.push(counted(1600))
    prompt.complete()
    list(prompt.send(0))
    prompt.stop(heard_ms)
    assert (prompt.is_begun, prompt.position_ms(5000), prompt.playing_ms(5000)) == (False, from_ms, 0)
    again = list(prompt.send(5000))
    assert sent(again) == counted(1600)[8 * from_ms :]
    assert in_short(again)[-1] == "turn-1.2:end"
    assert (prompt.position_ms(5100), prompt.playing_ms(5100)) == (from_ms + 100, 100)


def test_marks_of_the_first_play_do_not_count_for_the_second():
    prompt = prompt_of(1600)
    first = [name for name in in_short(prompt.send(0)) if not isinstance(name, int)]
    prompt.stop(600)
    second = [name for name in in_short(prompt.send(2000)) if not isinstance(name, int)]
    assert not set(first) & set(second)
    for mark in first:
        prompt.mark_reached(mark, 2000)
    assert (prompt.is_heard, prompt.position_ms(2000)) == (False, 500)


def test_a_prompt_that_is_stopped_twice_never_goes_back():
    prompt = prompt_of(3000)
    list(prompt.send(0))
    prompt.stop(1200)
    list(prompt.send(2000))
    prompt.stop(2100)
    assert prompt.position_ms(2100) == 1000
    prompt.stop(2200)
    assert prompt.position_ms(2200) == 1000


def test_a_prompt_heard_to_its_end_before_the_stop_is_heard():
    prompt = prompt_of(1000)
    list(prompt.send(0))
    prompt.stop(1000)
    assert (prompt.has_more, list(prompt.send(1500))) == (False, [])
    assert prompt.is_heard


@pytest.mark.parametrize(("stopped_ms", "from_ms"), [(1280, 1000), (1300, 1600), (1600, 1600)])
def test_the_silent_end_of_a_prompt_is_not_played_again(stopped_ms, from_ms):
    prompt = Prompt(1)
    prompt.push(tone(1300))
    prompt.push(MULAW_SILENCE * FRAME_SAMPLES * 15)
    assert prompt.has_more
    prompt.complete()
    list(prompt.send(0))
    prompt.stop(stopped_ms)
    assert (prompt.position_ms(5000), prompt.has_more) == (from_ms, from_ms < 1600)


# -- the echo


def test_an_echo_is_weaker_and_later_than_what_plays():
    prompt = Prompt(1)
    prompt.push(tone(1000, level=8000))
    prompt.push(MULAW_SILENCE * 8 * 3000)
    prompt.complete()
    assert prompt.echo_rms(0) == 0
    list(prompt.send(0))
    loudest = 8000 * 10 ** (-ECHO_LOSS_DB / 20)
    for at_ms in (0, 500, 1000, 1000 + ECHO_DELAY_MS - 20):
        assert prompt.echo_rms(at_ms) == pytest.approx(loudest, rel=0.03)
    for at_ms in (1020 + ECHO_DELAY_MS, 3000, 90_000):
        assert prompt.echo_rms(at_ms) == 0


def test_the_echo_of_a_prompt_that_ended_is_still_coming():
    prompt = prompt_of(400)
    list(prompt.send(0))
    prompt.mark_reached("turn-1.1:end", 400)
    assert prompt.echo_rms(400 + ECHO_DELAY_MS - 20) > 0
    assert prompt.echo_rms(420 + ECHO_DELAY_MS) == 0


# -- one after the other


def test_where_nothing_is_to_be_heard_nothing_happens():
    playback = playback_of()
    playback.mark_reached("turn-1.1:end", 0)
    assert playback.is_empty
    assert playback.playing is None
    assert playback.find(1) is None
    assert (playback.send(0, False), playback.interrupt(0), playback.expire(0), playback.echo_rms(0)) == (
        [],
        [],
        False,
        0,
    )


def test_the_second_prompt_begins_when_the_first_has_been_heard():
    playback = playback_of(prompt_of(300, 1), prompt_of(200, 2))
    assert in_short(playback.send(0, False)) == [300, "turn-1.1:end"]
    assert playback.playing is playback.find(1)
    assert playback.send(20, False) == []
    playback.mark_reached("turn-1.1:end", 320)
    assert in_short(playback.send(320, False)) == [200, "turn-2.1:end"]
    assert playback.find(1) is None
    playback.mark_reached("turn-2.1:end", 540)
    assert not playback.is_empty
    assert playback.send(540, False) == []
    assert playback.is_empty


def test_prompts_without_audio_are_heard_at_once():
    playback = playback_of(prompt_of(0, 1), prompt_of(0, 2), prompt_of(200, 3))
    assert in_short(playback.send(0, False)) == [200, "turn-3.1:end"]


def test_a_prompt_waits_for_the_caller_unless_protected():
    waiting, urgent = playback_of(prompt_of(200)), playback_of(prompt_of(200, may_interrupt=False))
    assert waiting.send(0, True) == []
    assert waiting.playing is None
    assert in_short(urgent.send(0, True)) == [200, "turn-1.1:end"]
    assert in_short(waiting.send(500, False)) == [200, "turn-1.1:end"]


def test_a_prompt_that_has_begun_goes_on_while_the_caller_speaks():
    playback = playback_of(prompt_of(100, is_complete=False))
    playback.send(0, False)
    playback.find(1).push(tone(200))
    assert in_short(playback.send(20, True)) == [200]


def test_the_prompt_that_plays_can_expire():
    playback = playback_of(prompt_of(1000))
    playback.send(0, False)
    assert not playback.expire(2000)
    assert playback.expire(1000 + HEARD_WITHIN_MS)
    playback.send(1000 + HEARD_WITHIN_MS, False)
    assert playback.is_empty


def test_an_interruption_stops_all_prompts():
    playback = playback_of(prompt_of(3000, 1), prompt_of(200, 2))
    playback.send(0, False)
    assert in_short(playback.interrupt(1200)) == ["clear"]
    assert (playback.is_empty, playback.has_interrupted, playback.playing) == (True, True, None)
    assert playback.send(1220, False) == []
    playback.mark_reached("turn-1.1:end", 1300)
    assert playback.discard_interrupted() == []
    assert (playback.has_interrupted, playback.find(1), playback.find(2)) == (False, None, None)


def test_after_a_false_alarm_all_of_them_go_on():
    playback = playback_of(prompt_of(3000, 1), prompt_of(200, 2))
    playback.send(0, False)
    playback.interrupt(1200)
    playback.resume_interrupted()
    assert not playback.has_interrupted
    assert in_short(playback.send(3000, False))[-1] == "turn-1.2:end"
    playback.mark_reached("turn-1.2:end", 5000)
    assert in_short(playback.send(5000, False)) == [200, "turn-2.1:end"]


def test_the_rest_of_an_interrupted_prompt_is_kept_unsent():
    playback = playback_of(prompt_of(600, is_complete=False))
    playback.send(0, False)
    playback.interrupt(600)
    playback.find(1).push(tone(400))
    assert playback.send(700, False) == []
    playback.resume_interrupted()
    assert in_short(playback.send(800, False)) == [500, "turn-1.2:1000"]


def test_of_interrupted_prompts_those_that_still_arrive_are_told():
    playback = playback_of(prompt_of(600, 1), prompt_of(200, 2, is_complete=False))
    playback.send(0, False)
    playback.interrupt(600)
    assert playback.discard_interrupted() == [2]


def test_nothing_is_cleared_that_was_not_begun():
    playback = playback_of(prompt_of(0, is_complete=False))
    assert playback.interrupt(0) == []
    assert playback.has_interrupted


def test_the_echo_is_of_what_plays_or_was_heard_last():
    playback = playback_of(prompt_of(300, 1), prompt_of(0, 2, is_complete=False))
    assert playback.echo_rms(0) == 0
    playback.send(0, False)
    assert playback.echo_rms(100) > 0
    playback.mark_reached("turn-1.1:end", 300)
    playback.send(300, False)
    assert playback.playing is None
    assert playback.echo_rms(400) > 0
    assert playback.echo_rms(2000) == 0


def test_the_echo_of_a_prompt_that_was_stopped_is_still_coming():
    playback = playback_of(prompt_of(3000))
    playback.send(0, False)
    playback.interrupt(1000)
    assert playback.echo_rms(980 + ECHO_DELAY_MS) > 0
    assert playback.echo_rms(1000 + ECHO_DELAY_MS) == 0


def test_an_echo_may_come_while_a_prompt_plays_and_a_bit_longer():
    playback = playback_of(prompt_of(300, 1), prompt_of(3000, 2))
    assert playback.echo_until_ms == 0
    playback.send(0, False)
    assert playback.echo_until_ms == math.inf
    playback.mark_reached("turn-1.1:end", 320)
    playback.send(320, True)  # the caller speaks
    assert playback.echo_until_ms == 300 + ECHO_DELAY_MS
    playback.send(1000, False)
    playback.interrupt(2000)
    assert playback.echo_until_ms == 2000 + ECHO_DELAY_MS


def test_an_echo_of_nothing_never_comes():
    playback = playback_of(prompt_of(0, 1))
    playback.send(20, False)
    assert (playback.is_empty, playback.echo_until_ms) == (True, 0)


def test_the_echo_of_the_prompt_before_may_be_the_louder_one():
    playback = playback_of(prompt_of(300, 1))
    quiet = Prompt(2)
    quiet.push(tone(300, level=100))
    playback.add(quiet)
    playback.send(0, False)
    loud = playback.echo_rms(0)
    playback.mark_reached("turn-1.1:end", 300)
    playback.send(300, False)
    assert playback.playing is quiet
    assert playback.echo_rms(400) == loud
    assert playback.echo_rms(1000) < loud / 10


# -- words without a voice


def test_a_prompt_without_a_voice_holds_up_what_comes_after_it():
    mute, after = Prompt(1, WORDS), prompt_of(300, 2)
    mute.leave_to_say()
    playback = playback_of(prompt_of(300, 3), mute, after)
    assert in_short(playback.send(0, False)) == [300, "turn-3.1:end"]
    assert not playback.needs_say
    playback.mark_reached("turn-3.1:end", 300)
    assert playback.send(300, False) == []
    assert playback.needs_say
    assert playback.take_next() is mute
    assert in_short(playback.send(300, False)) == [300, "turn-2.1:end"]


def test_a_prompt_that_loses_its_voice_is_stopped_if_it_plays():
    playing, waiting = prompt_of(300, 1), prompt_of(0, 2, is_complete=False)
    playback = playback_of(playing, waiting)
    playback.send(0, False)
    assert playback.leave_to_say(waiting, 20) == []
    assert in_short(playback.leave_to_say(playing, 20)) == ["clear"]
    assert playback.needs_say
    assert playback.take_all() == [playing, waiting]
    assert (playback.is_empty, playback.needs_say) == (True, False)


def test_an_interrupted_prompt_may_lose_its_voice():
    prompt = prompt_of(300, is_complete=False)
    playback = playback_of(prompt)
    playback.send(0, False)
    playback.interrupt(100)
    assert playback.leave_to_say(prompt, 120) == []
    assert playback.discard_interrupted() == []


def test_a_filler_is_not_kept_when_it_is_interrupted():
    playback = playback_of(prompt_of(600, 1, is_filler=True))
    playback.send(0, False)
    assert in_short(playback.interrupt(100)) == ["clear"]
    assert not playback.has_interrupted


def test_a_false_alarm_brings_back_all_interrupted_prompts():
    first, filler = prompt_of(600, 1), prompt_of(600, -1, is_filler=True)
    playback = playback_of(first)
    playback.send(0, False)
    playback.interrupt(100)
    playback.add(filler)
    playback.send(1000, False)
    playback.interrupt(1100)
    playback.resume_interrupted()
    assert playback.take_all() == [first]


def test_what_is_resumed_comes_after_what_plays():
    first, filler = prompt_of(600, 1), prompt_of(600, -1, is_filler=True)
    playback = playback_of(first)
    playback.send(0, False)
    playback.interrupt(100)
    playback.add(filler)
    playback.send(1000, False)
    playback.resume_interrupted()
    assert playback.playing is filler
    assert playback.take_all() == [filler, first]
