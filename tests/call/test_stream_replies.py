"""Lex's own voice over the stream: how an answer is played, and several in a row."""

import pytest

from lexbridge.audio.pcm import MULAW_BYTES_PER_MS, MULAW_SILENCE
from lexbridge.call.actions import UpdateCall
from lexbridge.call.attributes import VOICE_ATTRIBUTE
from lexbridge.call.events import LexReplied, NextStreamOpened
from lexbridge.call.output.hand_over import QUIET_BEFORE_HAND_OVER_MS
from lexbridge.call.output.prompt import HEARD_WITHIN_MS
from lexbridge.call.states import CallState
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import DialogState, Message, Reply
from tests.support.phrases import NOT_HEARD, SAY_AGAIN
from tests.support.sounds import tone
from tests.support.stream_stories import (
    CONNECTS,
    a_caller_lex_thinks_about,
    a_caller_who_hears_a_prompt,
    heard_since,
    voice_in,
)
from tests.support.twilio_messages import mark_text
from tests.support.twiml import verbs_of

# -- the voice of Lex


def test_a_reply_goes_out_as_it_arrives():
    """A reply goes out as it arrives, and its last mark when all of it is there."""
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?", speaks=True)
    assert caller.gets() == []
    caller.lex_speaks(tone(60))
    assert caller.gets() == [60]
    caller.lex_speaks(tone(540))
    assert caller.gets() == [440, "turn-1.1:500", 100]
    caller.lex_has_spoken()
    assert caller.gets() == ["turn-1.1:end"]
    caller.is_silent(1000)
    assert heard_since(caller, 1700)[: 8 * 600] == tone(600)
    assert caller.steps() == []


def test_a_note_tells_when_the_caller_begins_to_hear_a_prompt():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?", speaks=True)
    caller.lex_speaks(b"\xff" * 8 * 100)
    assert caller.noted("prompt-audible") == 0
    caller.lex_speaks(b"\xff" * 8 * 100 + tone(600))
    assert caller.note("prompt-audible") == {"turn": 1, "in_ms": 200, "is_filler": False}


def test_only_so_much_is_sent_ahead():
    caller = a_caller_lex_thinks_about()
    caller.lex_says_aloud("A long story.", ms=20_000)
    assert sum(short for short in caller.gets() if isinstance(short, int)) == 5000
    caller.is_silent(20_020)
    assert heard_since(caller, 1700)[: 8 * 20_000] == tone(20_000)  # without a gap


def test_silence_counts_once_the_prompt_has_been_heard():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="5")
    caller.lex_says_aloud("Which day?", ms=7000)
    caller.is_silent(7000 + 4980)
    assert caller.steps() == []
    caller.is_silent(40)
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == [NOT_HEARD, "Which day?", *CONNECTS]


def test_a_mark_that_never_comes_does_not_hold_the_call_for_ever():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="5")
    caller.marks_come_back = False
    caller.lex_says_aloud("Which day?", ms=1000)
    caller.is_silent(1000 + HEARD_WITHIN_MS + 4980)
    assert caller.steps() == []
    assert caller.note("mark-missing") == {}
    caller.is_silent(40)
    assert caller.steps() == ["UpdateCall"]


def test_marks_that_are_late_repeated_or_foreign_change_nothing():
    caller = a_caller_who_hears_a_prompt(ms=2000, so_far_ms=1200, NO_INPUT_S="5")
    for name in ("turn-1.1:500", "turn-1.1:7", "turn-1.1:x", "turn-2.1:end", "prompt", "turn-1.0:end"):
        caller.sends(mark_text(name))
    caller.is_silent(5700)
    assert caller.steps() == []
    caller.is_silent(200)
    assert caller.steps() == ["UpdateCall"]


def test_a_voice_that_breaks_off_after_its_prompt_is_not_missed():
    caller = a_caller_lex_thinks_about()
    caller.lex_says_aloud("Which day?", ms=500)
    caller.is_silent(1000)
    caller.steps()
    caller.lex_loses_its_voice()
    assert caller.gets()[-1] == "turn-1.1:end"
    assert (caller.steps(), caller.noted("reply-audio-failed")) == ([], 0)


def test_a_reply_that_says_nothing_is_heard_at_once():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="5")
    caller.lex_says(transcript="")
    caller.is_silent(4980)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.hears() == [NOT_HEARD, *CONNECTS]


def test_a_voice_without_a_word_is_heard_out():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="5")
    caller.lex_says(speaks=True)
    caller.lex_speaks(tone(500))
    caller.lex_has_spoken()
    caller.is_silent(500)
    assert voice_in(heard_since(caller, 1700)) == 500
    caller.is_silent(4980)
    assert caller.steps() == []
    caller.is_silent(60)
    assert caller.steps() == ["UpdateCall"]


@pytest.mark.parametrize("speaks", [True, False])
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"dialog_state": DialogState.FULFILLED}, "Okay."),
        ({"dialog_state": DialogState.FAILED}, SAY_AGAIN),
        ({"dialog_state": DialogState.ELICIT_SLOT}, SAY_AGAIN),
    ],
)
def test_an_answer_without_words_and_voice_gets_a_phrase(speaks, reply, words):
    for phrase_audio in ({}, {words: tone(600)}):
        caller = a_caller_lex_thinks_about(phrase_audio=phrase_audio)
        caller.lex_says(speaks=speaks, **reply)
        if speaks:
            caller.lex_has_spoken()
        if phrase_audio:
            caller.is_silent(1000)
            assert voice_in(heard_since(caller, 1700)) == 600
        else:
            assert caller.hears() == [words, *CONNECTS]
        assert not caller.noted("reply-audio-failed")


def test_a_wordless_answers_voice_is_not_its_apology():
    """The voice of an answer without words is not taken for the apology that would have stood in for it."""
    caller = a_caller_lex_thinks_about(phrase_audio={SAY_AGAIN: tone(600)})
    caller.lex_says(speaks=True, dialog_state=DialogState.ELICIT_SLOT)
    caller.lex_speaks(tone(900))
    caller.lex_has_spoken()
    caller.is_silent(2000)
    caller.says_something()
    at_ms = len(caller.heard) // MULAW_BYTES_PER_MS
    caller.lex_fails(LexUnavailable("no"))
    caller.is_silent(1500)
    assert voice_in(heard_since(caller, at_ms)) == 600


def test_a_wordless_voice_of_silence_gets_a_phrase():
    """A voice without a word that is only silence is followed by a phrase of lexbridge's."""
    caller = a_caller_lex_thinks_about(phrase_audio={"Okay.": tone(600)})
    caller.lex_says(speaks=True, dialog_state=DialogState.FULFILLED)
    caller.lex_speaks(MULAW_SILENCE * 8 * 10_100)
    assert caller.hears() == ["Okay.", *CONNECTS]


def test_twilio_says_a_payload_that_lex_does_not_voice():
    """Words of a payload that Lex does not voice are said by Twilio, and that is no fault."""
    caller = a_caller_lex_thinks_about()
    reply = Reply(DialogState.ELICIT_SLOT, (Message("Billing, Sales.", is_unvoiced=True),))
    caller.sends(LexReplied(1, reply, speaks=True))
    caller.lex_has_spoken(1)
    assert caller.hears() == ["Billing, Sales.", *CONNECTS]
    assert not caller.noted("reply-audio-failed")


def test_a_wordless_voice_that_breaks_off_is_not_missed():
    caller = a_caller_lex_thinks_about()
    caller.lex_says(speaks=True)
    caller.lex_speaks(tone(500))
    caller.lex_loses_its_voice()
    caller.is_silent(1000)
    assert voice_in(heard_since(caller, 1700)) == 500
    assert caller.steps() == []


@pytest.mark.parametrize("arrived_ms", [0, 600])
def test_voiceless_words_are_said_by_a_document(arrived_ms):
    """Words without a voice are said by a document that connects the next stream."""
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Okay.", "Which day?", speaks=True, session_attributes={VOICE_ATTRIBUTE: "Polly.Vicki"})
    if arrived_ms:
        caller.lex_speaks(tone(arrived_ms))
        caller.is_silent(200)
    caller.lex_loses_its_voice()
    assert caller.gets()[-1:] == (["clear"] if arrived_ms else [])
    assert caller.hears() == ["Okay.", "Which day?", *CONNECTS]
    (update,) = [action for action in caller.actions if isinstance(action, UpdateCall)]
    assert update.hands_over
    say, *_ = verbs_of(update.twiml)
    assert say.getAttribute("voice") == "Polly.Vicki"
    assert caller.session.state is CallState.LEAVING
    assert caller.note("reply-audio-failed") == {"turn": 1, "arrived_ms": arrived_ms}


def test_a_reply_that_lex_has_no_voice_for_is_said_by_a_document():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?", speaks=True)
    caller.lex_has_spoken()
    assert caller.hears() == ["Which day?", *CONNECTS]


def test_after_a_failed_document_the_caller_is_waited_for():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="5")
    caller.lex_says("Which day?")
    caller.does_not_get_the_update()
    assert caller.session.state is CallState.LIVE
    caller.is_silent(5000)
    assert caller.steps() == ["UpdateCall"] * 2


def test_words_are_left_out_while_the_next_turn_is_under_way():
    caller = a_caller_lex_thinks_about()
    caller.speaks(500)
    caller.lex_says("Which day?")
    assert caller.note("words-left-out") == {"is_idle": False}
    assert caller.steps() == ["OpenUtterance 2"]


def test_words_are_left_out_where_the_call_cannot_go_on():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="5")
    caller.sends(NextStreamOpened(None))
    caller.lex_says("Which day?")
    assert caller.note("words-left-out") == {"is_idle": True}
    caller.is_silent(5000)
    assert caller.noted("no-input") == 1


# -- several prompts


def test_a_second_reply_is_played_after_the_first():
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    caller.lex_says_aloud("One.", ms=1000, turn=1)
    caller.is_silent(500)
    caller.lex_says("Two.", turn=2, speaks=True)
    caller.lex_speaks(tone(600, level=3000), turn=2)
    caller.lex_has_spoken(turn=2)
    caller.is_silent(2000)
    first, second = tone(1000), tone(600, level=3000)
    heard = heard_since(caller, 3400)
    assert heard.startswith(first)
    assert second in heard[len(first) :]
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]


def test_a_reply_does_not_talk_over_the_caller():
    caller = a_caller_lex_thinks_about()
    caller.speaks(500)
    caller.lex_says_aloud("One.", ms=1000, turn=1)
    caller.speaks(1000)
    caller.is_silent(680)
    assert caller.gets() == []
    caller.is_silent(20)
    assert caller.gets() == [500, "turn-1.1:500", 500, "turn-1.1:1000", "turn-1.1:end"]


def test_without_barge_in_a_reply_does_not_wait():
    caller = a_caller_lex_thinks_about(BARGE_IN="off")
    caller.speaks(500)
    caller.lex_says_aloud("One.", ms=400)
    assert caller.gets() == [400, "turn-1.1:end"]


def test_words_without_a_voice_wait_for_the_prompt_that_plays():
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    caller.lex_says_aloud("One.", ms=1000, turn=1)
    caller.is_silent(200)
    caller.lex_says("Two.", turn=2)
    caller.is_silent(780)
    assert "UpdateCall" not in caller.steps()
    caller.is_silent(40)
    assert caller.hears() == ["Two.", *CONNECTS]
    assert voice_in(heard_since(caller, 3400)) == 1000


def test_what_follows_voiceless_words_is_said_with_them():
    caller = a_caller_lex_thinks_about()
    for _ in range(2):
        caller.says_something()
    caller.lex_says_aloud("One.", ms=1000, turn=1)
    caller.lex_says("Two.", turn=2)
    caller.lex_says("Three.", turn=3, speaks=True)
    caller.lex_speaks(tone(200), turn=3)
    caller.steps()
    caller.is_silent(1040)
    assert caller.hears() == ["Two.", "Three.", *CONNECTS]
    assert caller.steps() == ["CancelUtterance 3", "UpdateCall"]


def test_a_prompt_after_words_that_are_left_out_is_heard():
    caller = a_caller_lex_thinks_about()
    for _ in range(3):
        caller.says_something()
    caller.lex_says_aloud("One.", ms=1000, turn=1)
    caller.lex_says("Two.", turn=2)
    caller.lex_says_aloud("Three.", ms=400, turn=3)
    caller.is_silent(1600)
    assert caller.noted("words-left-out") == 1
    assert voice_in(heard_since(caller, 6800)) == 1400
    assert caller.session.state is CallState.LIVE


def test_an_empty_reply_does_not_cut_the_prompt_off_that_plays():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="2")
    caller.says_something()
    caller.lex_says_aloud("One.", ms=4000, turn=1)
    caller.has_to_leave()
    caller.steps()
    caller.lex_says(turn=2, transcript="")
    caller.is_silent(3900)
    assert caller.steps() == []
    caller.is_silent(100 + QUIET_BEFORE_HAND_OVER_MS + 60)
    assert caller.hears() == CONNECTS


def test_silence_without_end_in_the_place_of_words_is_no_voice() -> None:
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which flowers?", speaks=True)
    for _ in range(10):
        caller.lex_speaks(MULAW_SILENCE * MULAW_BYTES_PER_MS * 1000)
    assert caller.noted("reply-audio-failed") == 0  # it may be a pause, and the words come after it
    caller.steps()
    caller.lex_speaks(MULAW_SILENCE * MULAW_BYTES_PER_MS * 1000)
    assert caller.steps() == ["CancelUtterance 1", "UpdateCall"]
    assert caller.hears()[0] == "Which flowers?"
    assert caller.note("reply-audio-failed")["arrived_ms"] == 11_000


def test_a_long_pause_before_the_words_is_heard_out() -> None:
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which flowers?", speaks=True)
    caller.lex_speaks(MULAW_SILENCE * MULAW_BYTES_PER_MS * 9000)
    caller.lex_speaks(tone(1000))
    caller.lex_speaks(MULAW_SILENCE * MULAW_BYTES_PER_MS * 11_000)
    assert caller.noted("reply-audio-failed") == 0
