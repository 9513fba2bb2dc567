"""Stories of interruptions in stream mode: the prompt stops, and goes on after a false alarm."""

import pytest

from lexbridge.audio.pcm import MULAW_SILENCE, decode_mulaw
from lexbridge.call.attributes import ALLOW_INTERRUPT_ATTRIBUTE, MAX_LENGTH_ATTRIBUTE
from lexbridge.call.output.prompt import MARK_WITHIN_MS
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import DialogState
from tests.support.sounds import tone
from tests.support.stream_stories import (
    CONNECTS,
    PHRASE_AUDIO,
    a_caller_lex_thinks_about,
    a_caller_who_hears_a_prompt,
    heard_since,
    voice_in,
)
from tests.support.twilio_messages import dtmf_text


def test_an_interruption_is_heard_and_stops_the_prompt():
    caller = a_caller_who_hears_a_prompt()
    caller.speaks(280)
    assert (caller.steps(), caller.gets()) == ([], [])
    caller.speaks(20)
    assert (caller.steps(), caller.gets()) == (["OpenUtterance 2"], ["clear"])
    assert caller.note("barged-in")["heard_ms"] == pytest.approx(1300, abs=40)
    caller.speaks(700)
    caller.is_silent(700)
    assert caller.steps() == ["CloseUtterance 2"]
    assert caller.sent_to_lex(2) == decode_mulaw(caller.said)[16 * 2200 :]  # 500 ms before the first voiced frame
    assert voice_in(heard_since(caller, 3020)) == 0


def test_the_patience_for_an_interruption_can_be_set():
    caller = a_caller_who_hears_a_prompt(BARGE_IN_MS="800")
    caller.speaks(780)
    assert caller.gets() == []
    caller.speaks(20)
    assert caller.gets() == ["clear"]
    assert caller.sent_to_lex(2) == decode_mulaw(caller.said)[16 * 2200 :]


def test_the_rest_of_an_interrupted_prompt_is_not_sent():
    """The audio that still comes of an interrupted prompt is not sent, and is cancelled with the next answer."""
    caller = a_caller_lex_thinks_about()
    caller.lex_says("One.", speaks=True)
    caller.lex_speaks(tone(2000))
    caller.is_silent(1000)
    caller.gets()
    caller.speaks(300)
    assert caller.gets() == ["clear"]
    caller.lex_speaks(tone(2000), turn=1)
    caller.speaks(700)
    caller.is_silent(700)
    assert caller.gets() == []
    caller.steps()
    caller.lex_says_aloud("Two.", ms=400, turn=2)
    assert caller.steps() == ["CancelUtterance 1"]
    assert caller.gets() == [400, "turn-2.1:end"]
    caller.lex_speaks(tone(2000), turn=1)
    caller.lex_has_spoken(turn=1)
    assert caller.gets() == []


def test_nothing_interrupts_the_first_half_second():
    caller = a_caller_who_hears_a_prompt(so_far_ms=0)
    caller.speaks(360)
    caller.is_silent(700)
    assert (caller.steps(), "clear" in caller.gets()) == ([], False)


def test_speech_past_the_first_half_second_interrupts():
    caller = a_caller_who_hears_a_prompt(so_far_ms=100)
    caller.speaks(400)
    assert "clear" not in caller.gets()
    caller.speaks(40)
    assert caller.gets() == ["clear"]
    assert caller.has_lex_heard(2, decode_mulaw(caller.said)[16 * 1700 :])  # all since the utterance before


@pytest.mark.parametrize("ms", [300, 1200])
def test_a_short_word_counts_after_a_prompt_without_marks(ms):
    """A prompt that should have ended needs no patience for an interruption, also if no mark of it comes back."""
    caller = a_caller_lex_thinks_about()
    caller.marks_come_back = False
    caller.lex_says_aloud("Sure.", ms=ms)
    caller.is_silent(ms + MARK_WITHIN_MS - 80)
    caller.steps(), caller.gets()
    caller.speaks(80)
    assert caller.steps() == []
    caller.is_silent(100)
    caller.speaks(60)
    assert caller.steps() == ["OpenUtterance 2"]
    assert caller.gets() == ["clear"]


def test_coughs_interrupt_nothing():
    caller = a_caller_who_hears_a_prompt(ms=12_000)
    for pause_ms in (140, 200, 500) * 5:
        caller.speaks(140)
        caller.is_silent(pause_ms)
    assert (caller.steps(), "clear" in caller.gets()) == ([], False)


@pytest.mark.parametrize("delay_ms", [100, 160, 240, 400])
def test_a_prompts_echo_is_no_interruption_and_no_answer(delay_ms):
    caller = a_caller_lex_thinks_about(VOICE_THRESHOLD="100", NO_INPUT_S="60")
    caller.echo = (delay_ms, -20)
    words = b"".join(tone(ms, level) for level in (9000, 200, 14_000, 0) for ms in (340, 160))
    for turn in range(1, 4):
        caller.lex_says("Which day?", speaks=True, turn=turn)
        caller.lex_speaks(words * 3, turn)
        caller.lex_has_spoken(turn)
        caller.is_silent(8000)
        assert (caller.steps(), "clear" in caller.gets()) == ([], False)
        caller.says_something()
        assert caller.steps() == [f"OpenUtterance {turn + 1}", f"CloseUtterance {turn + 1}"]


def test_speech_over_the_echo_interrupts():
    caller = a_caller_lex_thinks_about(VOICE_THRESHOLD="100")
    caller.echo = (200, -20)
    caller.lex_says_aloud("Which day?", ms=6000)
    caller.is_silent(3000)
    caller.gets()
    caller.speaks(320)
    assert caller.gets()[-1] == "clear"


def test_the_echo_of_a_stopped_prompt_is_no_answer():
    caller = a_caller_lex_thinks_about(VOICE_THRESHOLD="100")
    caller.echo = (400, -20)
    caller.lex_says("Press 1.", speaks=True, session_attributes={MAX_LENGTH_ATTRIBUTE: "1"})
    caller.lex_speaks(b"".join(tone(200) + tone(60, 0) for _ in range(20)))
    caller.is_silent(1500)
    caller.sends(dtmf_text("1"))
    caller.is_silent(2000)
    assert caller.noted("utterance-ended") == 1


def test_the_echo_of_a_stopped_prompt_prolongs_no_utterance():
    caller = a_caller_lex_thinks_about(VOICE_THRESHOLD="100", HANGOVER_MS="500")
    caller.echo = (500, -20)
    caller.lex_says_aloud("Which day?", ms=6000)
    caller.is_silent(3000)
    caller.speaks(320)
    assert caller.gets()[-1] == "clear"
    caller.is_silent(480)
    caller.steps()
    caller.is_silent(20)
    assert caller.steps() == ["CloseUtterance 2"]


def test_the_end_of_one_prompts_echo_does_not_interrupt_the_next():
    caller = a_caller_lex_thinks_about(VOICE_THRESHOLD="100")
    caller.says_something()
    caller.echo = (560, -20)
    caller.lex_says_aloud("One.", ms=1000, turn=1)
    caller.lex_says("Two.", turn=2, speaks=True)
    caller.lex_speaks(tone(4000, 0), turn=2)
    caller.lex_has_spoken(turn=2)
    caller.steps()
    caller.is_silent(4000)
    assert caller.steps() == []


@pytest.mark.parametrize(
    ("attributes", "variables"), [({ALLOW_INTERRUPT_ATTRIBUTE: "false"}, {}), ({}, {"BARGE_IN": "off"})]
)
def test_without_barge_in_the_caller_does_not_interrupt(attributes, variables):
    caller = a_caller_who_hears_a_prompt(attributes=attributes, **variables)
    caller.speaks(1000)
    caller.presses("#")
    assert (caller.steps(), "clear" in caller.gets()) == ([], False)
    assert voice_in(heard_since(caller, 1700)) == len(caller.heard) // 8 - 1700


def test_what_must_be_heard_out_must_be_when_it_is_said_again():
    caller = a_caller_who_hears_a_prompt(
        ms=1000,
        so_far_ms=1040,
        phrase_audio=PHRASE_AUDIO,
        attributes={ALLOW_INTERRUPT_ATTRIBUTE: "false"},
        NO_INPUT_S="5",
    )
    caller.is_silent(5800)
    assert caller.noted("no-input") == 1
    caller.speaks(500)
    assert "clear" not in caller.gets()


def test_speech_into_the_end_of_a_protected_prompt_is_heard():
    caller = a_caller_who_hears_a_prompt(attributes={ALLOW_INTERRUPT_ATTRIBUTE: "false"})
    caller.is_silent(1800)
    caller.speaks(180)
    assert caller.steps() == []
    caller.speaks(500)
    assert caller.steps() == ["OpenUtterance 2"]
    assert caller.has_lex_heard(2, decode_mulaw(caller.said)[16 * (4500 - 500) :])


def test_a_prompt_goes_on_where_it_stopped_after_a_false_alarm():
    """A prompt goes on after a false alarm, at the half second where the caller stopped hearing it."""
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?", speaks=True)
    halves = [tone(500, level) for level in (1000, 2000, 3000, 4000, 5000, 6000)]
    caller.lex_speaks(b"".join(halves))
    caller.lex_has_spoken()
    caller.is_silent(1200)
    caller.speaks(400)  # heard until 1500 ms, and a little
    caller.is_silent(700)
    resumed_ms = len(caller.said) // 8
    caller.lex_says("Sorry?", transcript="", speaks=True)
    assert caller.note("false-alarm") == {"turn": 2}
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2", "CancelUtterance 2"]
    caller.is_silent(3000)
    assert heard_since(caller, resumed_ms).startswith(b"".join(halves[3:]))
    assert voice_in(heard_since(caller, resumed_ms)) == 1500
    caller.is_silent(11_000)
    assert caller.noted("no-input") == 1


@pytest.mark.parametrize("silent_end_ms", [0, 300])
def test_a_prompt_heard_to_its_end_does_not_go_on(silent_end_ms):
    """The prompt's mark is late, so a sound after the last word stops it; there is nothing that could go on."""
    caller = a_caller_lex_thinks_about()
    caller.marks_come_back = False
    caller.lex_says("Which day?", speaks=True)
    caller.lex_speaks(tone(1200) + MULAW_SILENCE * 8 * silent_end_ms)
    caller.lex_has_spoken()
    caller.is_silent(1000)
    caller.speaks(400)
    caller.is_silent(700)
    caller.steps(), caller.gets()
    caller.lex_says_aloud("Sorry?", ms=400, transcript="")
    assert (caller.noted("barged-in"), caller.noted("false-alarm")) == (1, 0)
    assert caller.gets() == [400, "turn-2.1:end"]


def test_a_closed_dialog_without_transcript_is_no_false_alarm():
    caller = a_caller_who_hears_a_prompt()
    caller.speaks(400)
    caller.is_silent(700)
    caller.lex_says_aloud("We are closed.", ms=400, transcript="", dialog_state=DialogState.FAILED)
    assert caller.noted("false-alarm") == 0
    assert caller.gets() == ["clear", 400, "turn-2.1:end"]


def test_a_turn_that_fails_is_no_false_alarm():
    caller = a_caller_who_hears_a_prompt(phrase_audio=PHRASE_AUDIO)
    caller.speaks(400)
    caller.is_silent(700)
    caller.lex_fails(LexUnavailable("no answer"))
    caller.is_silent(2000)
    assert voice_in(heard_since(caller, 3800)) == 600


def test_whether_it_was_a_false_alarm_the_last_turn_tells():
    """The noise that stopped the prompt had no words, but what the caller said after it has."""
    caller = a_caller_who_hears_a_prompt()
    caller.speaks(400)
    caller.is_silent(700)
    caller.says_something()
    caller.gets()
    caller.lex_says("Sorry?", turn=2, transcript="")
    caller.is_silent(200)
    assert caller.gets() == []
    caller.lex_says_aloud("Thank you.", ms=400, turn=3)
    assert caller.gets() == [400, "turn-3.1:end"]


def test_an_earlier_wordless_turn_brings_no_prompt_back():
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    caller.lex_says_aloud("One.", ms=6000, turn=1)
    caller.is_silent(1000)
    caller.speaks(400)
    assert caller.gets()[-1] == "clear"
    caller.lex_says("Sorry?", turn=2, transcript="")
    caller.speaks(400)
    caller.is_silent(700)
    assert caller.gets() == []


def test_several_interrupted_prompts_go_on_after_a_false_alarm():
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    caller.lex_says_aloud("One.", ms=2000, turn=1)
    caller.lex_says_aloud("Two.", ms=300, turn=2)
    caller.is_silent(1000)
    caller.speaks(400)
    caller.is_silent(700)
    at_ms = len(caller.heard) // 8
    caller.lex_says("Sorry?", turn=3, transcript="")
    caller.is_silent(2000)
    assert voice_in(heard_since(caller, at_ms)) == 1000 + 300


def test_a_broken_off_prompt_is_said_after_a_false_alarm():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?", speaks=True)
    caller.lex_speaks(tone(3000))
    caller.is_silent(1000)
    caller.speaks(400)
    caller.lex_loses_its_voice(turn=1)
    caller.is_silent(700)
    assert "UpdateCall" not in caller.steps()
    caller.lex_says("Sorry?", turn=2, transcript="")
    assert caller.hears() == ["Which day?", *CONNECTS]
