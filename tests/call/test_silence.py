"""A caller who is silent, and a Lex that takes long: who is asked again, and when."""

import pytest

from lexbridge.audio.pcm import decode_mulaw
from lexbridge.call.attributes import NO_INPUT_LIMIT_ATTRIBUTE, NO_INPUT_S_ATTRIBUTE, VOICE_ATTRIBUTE
from lexbridge.call.documents import SPEAKING_MS_PER_CHARACTER
from lexbridge.call.stream_parameters import HANDED_OVER, RESUMED_PARAMETER, SPOKEN_PARAMETER
from lexbridge.lex.model import DialogState
from tests.support.call_update_stories import HOLDS, ONE_MOMENT, a_caller, a_caller_lex_thinks_about
from tests.support.caller import Caller
from tests.support.sounds import tone
from tests.support.twilio_messages import media_text

# -- silence (contract 9)


def test_a_silent_caller_is_asked_again_and_then_let_go():
    """A silent caller is asked again, and at last the call ends politely."""
    caller = a_caller(NO_INPUT_S="5", NO_INPUT_LIMIT="2", GREETING="Hello.")
    greeting_ms = len("Hello.") * SPEAKING_MS_PER_CHARACTER
    caller.is_silent(greeting_ms + 4980)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == ["Sorry, I did not hear anything.", *HOLDS]
    caller.is_silent(20_000)
    assert caller.steps() == ["UpdateCall"] * 2
    assert caller.hears() == ["Sorry, I did not hear anything. Goodbye.", "Hangup"]
    assert [note.fields for note in caller.notes if note.event == "no-input"] == [
        {"times": 1, "ends_call": False, "by_document": False},
        {"times": 2, "ends_call": False, "by_document": False},
        {"times": 3, "ends_call": True, "by_document": False},
    ]


def test_a_caller_silent_after_a_prompt_hears_it_again():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?")
    prompt_ms = len("Which day?") * SPEAKING_MS_PER_CHARACTER
    caller.is_silent(prompt_ms + 9980)
    assert caller.hears() == ["Which day?", *HOLDS]
    caller.is_silent(20)
    assert caller.hears() == ["Sorry, I did not hear anything.", "Which day?", *HOLDS]


def test_speech_is_input_whatever_lex_makes_of_it():
    caller = a_caller(NO_INPUT_S="5", NO_INPUT_LIMIT="1")
    caller.is_silent(12_000)
    caller.says_something()
    caller.lex_says("Which day?")
    caller.is_silent(6000)
    assert caller.hears() == ["Sorry, I did not hear anything.", "Which day?", *HOLDS]


def test_the_caller_is_not_asked_again_while_lex_thinks():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="1")
    caller.is_silent(30_000)
    assert "no-input" not in [note.event for note in caller.notes]


def test_the_caller_is_not_asked_again_during_or_after_speech():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="1")
    caller.speaks(1000)
    caller.lex_says("Which day?")
    caller.speaks(5000)
    caller.is_silent(30_000)
    assert caller.steps()[:3] == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]
    assert "no-input" not in [note.event for note in caller.notes]


def test_with_a_limit_of_none_the_first_silence_ends_the_call():
    caller = a_caller(NO_INPUT_LIMIT="0", GREETING="Hello.")
    caller.is_silent(11_000)
    assert caller.hears() == ["Sorry, I did not hear anything. Goodbye.", "Hangup"]


def test_after_a_hand_over_silence_counts_from_the_prompts_end():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER, SPOKEN_PARAMETER: "2000"})
    caller.is_silent(11_980)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.steps() == ["FetchSession"]


# -- what the bot says about silence (contract 9)


def test_the_bot_says_how_long_and_how_often_silence_is_borne():
    caller = a_caller_lex_thinks_about()
    attributes = {NO_INPUT_S_ATTRIBUTE: "2", NO_INPUT_LIMIT_ATTRIBUTE: "0", VOICE_ATTRIBUTE: "Polly.Vicki"}
    caller.lex_says("Which day?", session_attributes=attributes)
    caller.is_silent(len("Which day?") * SPEAKING_MS_PER_CHARACTER + 2000)
    assert caller.hears() == ["Sorry, I did not hear anything. Goodbye.", "Hangup"]
    assert 'voice="Polly.Vicki"' in caller.document()


def test_a_filler_comes_before_the_silence_is_long():
    caller = a_caller(GREETING="Hello.")
    caller.speaks(1000)
    caller.is_silent(2480)
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    caller.is_silent(20)
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == ONE_MOMENT
    caller.lex_says("Which day?")
    assert caller.hears() == ["Which day?", *HOLDS]


def test_and_again_after_as_much_silence_once_more():
    caller = a_caller(GREETING="Hello.")
    caller.speaks(1000)
    caller.is_silent(2500)
    caller.steps()
    caller.is_silent(len(ONE_MOMENT[0]) * SPEAKING_MS_PER_CHARACTER + 2480)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.steps() == ["UpdateCall"]


def test_a_prompt_that_is_still_spoken_is_no_silence():
    caller = a_caller()
    caller.says_something()
    caller.lex_says("word " * 20)  # 7 s
    caller.says_something()
    caller.steps()
    caller.is_silent(5_200 + 2_480)
    assert caller.steps() == []
    caller.is_silent(100)
    assert caller.steps() == ["UpdateCall"]


def test_the_caller_is_not_told_to_wait_while_speaking():
    caller = a_caller_lex_thinks_about()
    caller.speaks(5000)
    assert caller.steps() == []


def test_a_too_long_utterance_has_no_hangover():
    caller = a_caller(MAX_UTTERANCE_MS="4000")
    caller.speaks(4000)
    caller.steps()
    caller.is_silent(2480)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.steps() == ["UpdateCall"]


# -- how long the bot lets the caller pause and speak (contract 9)


def test_the_bot_sets_the_lengths_of_silence_pause_and_speech():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="9", HANGOVER_MAX_MS="2000")
    attributes = {
        "x-amz-lex:audio:start-timeout-ms:*:*": "2000",
        "x-amz-lex:audio:end-timeout-ms:*:*": "300",
        "x-amz-lex:audio:max-length-ms:*:*": "4000",
    }
    caller.lex_says("Yes?", dialog_state=DialogState.ELICIT_INTENT, session_attributes=attributes)
    caller.steps()
    caller.is_silent(4 * SPEAKING_MS_PER_CHARACTER + 2000)
    assert caller.steps() == ["UpdateCall"]
    assert caller.note("no-input")["times"] == 1
    caller.speaks(1000)
    caller.is_silent(280)
    assert caller.steps() == ["OpenUtterance 2"]
    caller.is_silent(20)
    assert caller.steps() == ["CloseUtterance 2"]
    caller.lex_says("Yes?", dialog_state=DialogState.ELICIT_INTENT, session_attributes=attributes)
    caller.is_silent(1000)
    caller.speaks(5000)
    assert len(caller.sent_to_lex(3)) == 4000 * 16


def test_a_time_that_the_bot_may_not_have_is_noted_once():
    caller = a_caller_lex_thinks_about()
    attributes = {"x-amz-lex:audio:max-length-ms:*:*": "15000"}
    for _ in range(2):
        caller.lex_says("Yes?", session_attributes=attributes)
        caller.says_something()
    assert caller.note("directives-limited") == {"attributes": ["x-amz-lex:audio:max-length-ms:*:*"]}


# -- no media, and odd messages


def test_no_silence_before_the_stream_and_after_its_end():
    caller = Caller()
    caller.passes_without_media(1000)
    assert caller.session.media_ms == 0
    caller.dials()
    caller.hangs_up()
    caller.passes_without_media(1000)
    assert caller.session.media_ms == 0


def test_an_utterance_ends_although_no_media_follows_it():
    caller = a_caller()
    caller.speaks(1000)
    caller.passes_without_media(680)
    assert caller.steps() == ["OpenUtterance 1"]
    caller.passes_without_media(20)
    assert caller.steps() == ["CloseUtterance 1"]
    assert caller.sent_to_lex(1) == decode_mulaw(caller.said) + bytes(16 * 700)


def test_silence_is_heard_once_whatever_timestamps_say_later():
    caller = a_caller()
    caller.speaks(1000)
    caller.passes_without_media(400)
    caller.sends(media_text(1440, tone(20)))
    caller.passes_without_media(700)
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    assert len(caller.sent_to_lex(1)) == 16 * (1000 + 440 + 20 + 700)


def test_a_caller_without_media_is_asked_again_and_let_go():
    caller = a_caller(GREETING="Hi.", NO_INPUT_S="10", NO_INPUT_LIMIT="1")
    caller.passes_without_media(10_500)
    assert caller.steps() == ["UpdateCall"]
    caller.passes_without_media(13_000)
    assert caller.steps() == ["UpdateCall"]
    assert [note.fields["ends_call"] for note in caller.notes if note.event == "no-input"] == [False, True]
    caller.hangs_up()
    assert caller.note("stream-ended")["silent_ms"] == 23_500


@pytest.mark.parametrize("mode", ["call-update", "stream"])
@pytest.mark.parametrize("jump_ms", [5000, 59_000, 61_000, 600_000, -3000, -10_000])
def test_a_jumping_timestamp_is_no_silence_and_no_end(jump_ms, mode):
    caller = a_caller(REPLY_MODE=mode, GREETING="Hi.", NO_INPUT_S="3", NO_INPUT_LIMIT="0")
    caller.is_silent(2500)
    for at_ms in range(0, 400, 20):
        caller.sends(media_text(2500 + jump_ms + at_ms, tone(20)))
    for at_ms in range(400, 1200, 20):
        caller.sends(media_text(2500 + jump_ms + at_ms, b"\xff" * 160))
    assert caller.steps()[:2] == ["OpenUtterance 1", "CloseUtterance 1"]
    assert not [note for note in caller.notes if note.event == "no-input"]


def test_frames_are_counted_by_how_they_came():
    """Frames that the quiet lane takes count as well as those of the long way, and no frame counts twice."""
    caller = a_caller()
    assert caller.session.frame_counts == (0, 0, 0, 0)
    caller.is_silent(3000)
    assert caller.session.frame_counts == (150, 0, 0, 0)
    caller.speaks(1000)
    caller.passes_without_media(400)
    assert caller.session.frame_counts == (200, 0, 20, 0)
    caller.sends(media_text(5000, tone(20)))  # 1 s is missing, of which 400 ms were counted as silence
    assert caller.session.frame_counts == (201, 30, 20, 0)
    caller.sends(media_text(4500, tone(20)))
    assert caller.session.frame_counts == (201, 30, 20, 1)
