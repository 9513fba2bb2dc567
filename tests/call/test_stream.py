"""Stories of calls on two-way streams: Lex's own voice, interruptions, keys, and what ends a call."""

import pytest

from lexbridge.audio.pcm import MULAW_BYTES_PER_MS, MULAW_SILENCE, decode_mulaw
from lexbridge.call.actions import BeginDialog, SendKeys, UpdateCall
from lexbridge.call.context import CallState
from lexbridge.call.directives import (
    ACTION_ATTRIBUTE,
    ALLOW_INTERRUPT_ATTRIBUTE,
    CALL_SID_ATTRIBUTE,
    END_TIMEOUT_ATTRIBUTE,
    MAX_LENGTH_ATTRIBUTE,
    NO_INPUT_LIMIT_ATTRIBUTE,
    NO_INPUT_S_ATTRIBUTE,
    TRANSFER_TO_ATTRIBUTE,
    VOICE_ATTRIBUTE,
)
from lexbridge.call.output.playback import HEARD_WITHIN_MS
from lexbridge.call.output.stream import QUIET_BEFORE_HAND_OVER_MS
from lexbridge.call.resumption import RECALL_AGAIN_MS
from lexbridge.call.stream_parameters import (
    FAILED_TURNS_PARAMETER,
    HANDED_OVER,
    LOST,
    NO_INPUTS_PARAMETER,
    RESUMED_PARAMETER,
)
from lexbridge.errors import LexRejected, LexUnavailable
from lexbridge.lex.model import DialogState, Message, MessageFormat, Reply
from tests.support.story import Caller, dtmf_text, mark_text, tone, verbs_of

FULFILLED = DialogState.FULFILLED
BYE = {"dialog_state": FULFILLED, "intent": "GoodbyeIntent"}
NUMBER = "+12065550100"
TRANSFER = {
    "dialog_state": FULFILLED,
    "session_attributes": {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: NUMBER},
}
NOT_HEARD, SAY_AGAIN = "Sorry, I did not hear anything.", "Sorry, I did not get that. Please say it again."
ONE_MOMENT, NOT_AVAILABLE = "One moment please.", "Sorry, this service is not available."
VOICED = {NOT_HEARD: tone(400, 7000), SAY_AGAIN: tone(600, 7100), ONE_MOMENT: tone(300, 7200), NOT_AVAILABLE: tone(500)}
CONNECTS = ["Connect", "Redirect"]


def a_caller(parameters=None, voiced=None, **variables):
    """A caller on a two-way stream whose call has just been answered, and who may interrupt."""
    caller = Caller(voiced, **{"REPLY_MODE": "stream", "BARGE_IN": "on", **variables})
    caller.dials(parameters)
    return caller


def a_caller_lex_thinks_about(**variables):
    caller = a_caller(**variables)
    caller.says_something()
    caller.steps()
    return caller


def a_caller_who_hears_a_prompt(ms=3000, so_far_ms=1000, attributes=None, voiced=None, **variables):
    """A caller who has heard `so_far_ms` of the answer to the first turn, "Which day?"."""
    caller = a_caller_lex_thinks_about(voiced=voiced, **variables)
    caller.lex_says_aloud("Which day?", ms=ms, session_attributes=attributes or {})
    caller.is_silent(so_far_ms)
    caller.steps(), caller.gets()
    return caller


def heard_since(caller, at_ms):
    return caller.heard[8 * at_ms :]


def voice_in(mulaw):
    """The milliseconds of it that are not silent."""
    return 20 * sum(set(mulaw[at : at + 160]) != {0xFF} for at in range(0, len(mulaw), 160))


# -- the voice of Lex


def test_the_reply_goes_out_as_it_arrives_and_the_mark_when_all_of_it_is_there():
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


def test_only_when_the_prompt_has_been_heard_the_caller_is_waited_for():
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
def test_an_answer_without_words_and_voice_is_followed_by_a_word_of_ours(speaks, reply, words):
    for voiced in ({}, {words: tone(600)}):
        caller = a_caller_lex_thinks_about(voiced=voiced)
        caller.lex_says(speaks=speaks, **reply)
        if speaks:
            caller.lex_has_spoken()
        if voiced:
            caller.is_silent(1000)
            assert voice_in(heard_since(caller, 1700)) == 600
        else:
            assert caller.hears() == [words, *CONNECTS]
        assert not caller.noted("reply-audio-failed")


def test_the_voice_of_an_answer_without_words_is_not_taken_for_the_apology_that_would_have_stood_in_for_it():
    caller = a_caller_lex_thinks_about(voiced={SAY_AGAIN: tone(600)})
    caller.lex_says(speaks=True, dialog_state=DialogState.ELICIT_SLOT)
    caller.lex_speaks(tone(900))
    caller.lex_has_spoken()
    caller.is_silent(2000)
    caller.says_something()
    at_ms = len(caller.heard) // MULAW_BYTES_PER_MS
    caller.lex_fails(LexUnavailable("no"))
    caller.is_silent(1500)
    assert voice_in(heard_since(caller, at_ms)) == 600


def test_a_voice_without_a_word_that_is_only_silence_is_followed_by_a_word_of_ours():
    caller = a_caller_lex_thinks_about(voiced={"Okay.": tone(600)})
    caller.lex_says(speaks=True, dialog_state=DialogState.FULFILLED)
    caller.lex_speaks(MULAW_SILENCE * 8 * 10_100)
    assert caller.hears() == ["Okay.", *CONNECTS]


def test_words_of_a_payload_that_lex_does_not_voice_are_said_by_twilio_and_nothing_is_amiss():
    caller = a_caller_lex_thinks_about()
    caller.session.lex_replied(
        1, Reply(DialogState.ELICIT_SLOT, (Message("Billing, Sales.", is_unvoiced=True),)), speaks=True
    )
    caller.lex_has_spoken(1)
    assert caller.hears() == ["Billing, Sales.", *CONNECTS]
    assert not caller.noted("reply-audio-failed")


def test_of_a_voice_without_a_word_that_breaks_off_the_rest_is_not_missed():
    caller = a_caller_lex_thinks_about()
    caller.lex_says(speaks=True)
    caller.lex_speaks(tone(500))
    caller.lex_loses_its_voice()
    caller.is_silent(1000)
    assert voice_in(heard_since(caller, 1700)) == 500
    assert caller.steps() == []


@pytest.mark.parametrize("arrived_ms", [0, 600])
def test_words_without_a_voice_are_said_by_a_document_that_connects_the_next_stream(arrived_ms):
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


def test_a_reply_for_which_lex_has_no_voice_is_said_by_a_document():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?", speaks=True)
    caller.lex_has_spoken()
    assert caller.hears() == ["Which day?", *CONNECTS]


def test_if_that_document_is_not_carried_out_the_caller_is_waited_for():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="5")
    caller.lex_says("Which day?")
    caller.does_not_get_the_update()
    assert caller.session.state is CallState.LIVE
    caller.is_silent(5000)
    assert caller.steps() == ["UpdateCall"] * 2


def test_words_are_left_out_while_the_callers_next_turn_is_under_way():
    caller = a_caller_lex_thinks_about()
    caller.speaks(500)
    caller.lex_says("Which day?")
    assert caller.note("words-left-out") == {"is_idle": False}
    assert caller.steps() == ["OpenUtterance 2"]


def test_words_are_left_out_where_the_call_cannot_go_on():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="5")
    caller.session.next_stream = None
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


def test_who_is_speaking_when_the_reply_arrives_is_not_talked_over():
    caller = a_caller_lex_thinks_about()
    caller.speaks(500)
    caller.lex_says_aloud("One.", ms=1000, turn=1)
    caller.speaks(1000)
    caller.is_silent(680)
    assert caller.gets() == []
    caller.is_silent(20)
    assert caller.gets() == [500, "turn-1.1:500", 500, "turn-1.1:1000", "turn-1.1:end"]


def test_where_nobody_may_interrupt_a_reply_does_not_wait():
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


def test_what_comes_after_words_without_a_voice_is_said_with_them():
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
    caller.session.is_leaving = True
    caller.steps()
    caller.lex_says(turn=2, transcript="")
    caller.is_silent(3900)
    assert caller.steps() == []
    caller.is_silent(100 + QUIET_BEFORE_HAND_OVER_MS + 60)
    assert caller.hears() == CONNECTS


# -- our own phrases


def test_our_own_sentences_are_heard_in_the_voice_of_the_bot():
    caller = a_caller_lex_thinks_about(voiced=VOICED, NO_INPUT_S="5")
    caller.lex_fails(LexUnavailable("no answer"))
    caller.is_silent(1000)
    assert heard_since(caller, 1700)[: 8 * 600] == VOICED[SAY_AGAIN]
    caller.is_silent(5000)
    assert VOICED[NOT_HEARD] in heard_since(caller, 2700)
    assert caller.steps() == []


def test_who_is_asked_again_hears_the_last_answer_as_it_was():
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=1020, voiced=VOICED, NO_INPUT_S="5")
    caller.is_silent(7000)
    assert VOICED[NOT_HEARD] + tone(1000) in heard_since(caller, 2720)
    assert caller.steps() == []


def test_a_last_answer_that_broke_off_is_not_heard_again():
    caller = a_caller_lex_thinks_about(voiced=VOICED, NO_INPUT_S="5")
    caller.lex_says("Which day?", speaks=True)
    caller.lex_speaks(tone(500))
    caller.lex_loses_its_voice()
    caller.does_not_get_the_update()
    caller.is_silent(5000)
    assert caller.asked_aloud() == ["Which day?"]
    caller.lex_loses_its_voice(-1)
    assert caller.hears() == [NOT_HEARD, "Which day?", *CONNECTS]


def test_while_lex_thinks_the_caller_is_told_so():
    caller = a_caller_lex_thinks_about(voiced=VOICED)
    caller.is_silent(1780)
    assert caller.gets() == []
    caller.is_silent(20)
    assert caller.gets() == [300, "turn--1.1:end"]
    caller.is_silent(300 + 2460)
    assert caller.gets() == []
    caller.is_silent(20)
    assert caller.gets() == [300, "turn--2.1:end"]
    assert caller.steps() == []


def test_a_caller_who_cannot_be_told_so_waits():
    caller = a_caller_lex_thinks_about()
    caller.is_silent(10_000)
    assert (caller.gets(), caller.steps()) == ([], [])


def test_an_answer_comes_after_the_filler():
    caller = a_caller_lex_thinks_about(voiced=VOICED)
    caller.is_silent(1900)
    caller.lex_says_aloud("Which day?", ms=400)
    caller.is_silent(1000)
    heard = heard_since(caller, 3400)
    assert VOICED[ONE_MOMENT] in heard
    assert heard.index(VOICED[ONE_MOMENT]) < heard.index(tone(400))
    assert caller.note("filler-said") == {"turn": 1}
    assert [note.fields["is_filler"] for note in caller.notes if note.event == "prompt-audible"] == [True, False]


def test_a_filler_is_not_played_again_after_a_false_alarm():
    caller = a_caller_who_hears_a_prompt(voiced=VOICED)
    caller.speaks(400)
    caller.is_silent(700 + 2000)  # Lex thinks, and the filler begins
    assert caller.gets() == ["clear", 300, "turn--1.1:end"]
    caller.lex_says(turn=2, transcript="")
    caller.is_silent(3000)
    assert caller.gets() == [
        500,
        "turn-1.2:1500",
        500,
        "turn-1.2:2000",
        500,
        "turn-1.2:2500",
        500,
        "turn-1.2:3000",
        "turn-1.2:end",
    ]


def test_a_filler_that_was_interrupted_is_not_played_again_either():
    caller = a_caller_lex_thinks_about(voiced={ONE_MOMENT: tone(2000)})
    caller.is_silent(1800 + 1000)
    caller.speaks(400)
    caller.is_silent(700)
    assert caller.gets()[-1] == "clear"
    caller.lex_says(turn=1)
    caller.lex_says_aloud("Sorry?", ms=400, turn=2, transcript="")
    assert caller.gets() == [400, "turn-2.1:end"]


# -- the end of the call


@pytest.mark.parametrize(
    ("reply", "document"), [(BYE, ["Hangup"]), (TRANSFER, ["Dial", "Goodbye.", "Hangup"])], ids=["hang-up", "transfer"]
)
def test_a_call_ends_only_when_its_last_words_were_heard(reply, document):
    caller = a_caller_lex_thinks_about(TRANSFER_NUMBERS=NUMBER)
    caller.lex_says_aloud("Thank you.", ms=2000, **reply)
    assert caller.session.state is CallState.CLOSING
    caller.is_silent(1980)
    assert caller.steps() == []
    caller.is_silent(40)
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == document
    caller.is_silent(20_000)
    assert caller.steps() == []


def test_a_call_ends_even_if_the_mark_never_comes():
    caller = a_caller_lex_thinks_about()
    caller.marks_come_back = False
    caller.lex_says_aloud("Thank you.", ms=2000, **BYE)
    caller.is_silent(2000 + HEARD_WITHIN_MS)
    assert caller.hears() == ["Hangup"]


@pytest.mark.parametrize("arrived_ms", [0, 300])
def test_last_words_without_a_voice_are_said_by_the_document_that_ends_the_call(arrived_ms):
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Thank you.", speaks=True, **BYE)
    caller.lex_speaks(tone(arrived_ms))
    caller.lex_loses_its_voice()
    caller.is_silent(5000)
    assert caller.hears() == ["Thank you.", "Hangup"]
    assert caller.steps() == ["UpdateCall"]


def test_a_goodbye_without_words_is_ours_and_lex_need_not_go_on_speaking():
    caller = a_caller_lex_thinks_about(voiced={"Goodbye.": tone(400)})
    caller.lex_says(speaks=True, **BYE)
    assert caller.steps() == ["CancelUtterance 1"]
    caller.is_silent(440)
    assert caller.hears() == ["Hangup"]
    assert voice_in(heard_since(caller, 1700)) == 400


def test_a_transfer_without_words_is_made_at_once():
    caller = a_caller_lex_thinks_about(TRANSFER_NUMBERS=NUMBER)
    caller.lex_says(**TRANSFER)
    assert caller.hears() == ["Dial", "Goodbye.", "Hangup"]


def test_last_words_wait_for_the_prompt_that_plays_and_the_call_ends_once():
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    caller.lex_says_aloud("One.", ms=1000, turn=1)
    caller.is_silent(200)
    caller.steps()
    caller.lex_says("Thank you.", turn=2, **BYE)
    caller.is_silent(780)
    assert caller.steps() == []
    caller.is_silent(5000)
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == ["Thank you.", "Hangup"]


def test_a_prompt_that_breaks_off_before_the_last_words_is_said_with_them():
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    caller.lex_says("One.", turn=1, speaks=True)
    caller.lex_says_aloud("Thank you.", turn=2, **BYE)
    caller.steps()
    caller.lex_loses_its_voice(turn=1)
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == ["One.", "Thank you.", "Hangup"]


def test_what_is_said_or_pressed_over_the_last_words_is_for_nobody():
    caller = a_caller_lex_thinks_about()
    caller.lex_says_aloud("Thank you.", ms=6000, **BYE)
    caller.steps()
    caller.speaks(1000)
    caller.presses("1#")
    caller.is_silent(2000)
    assert (caller.steps(), "clear" in caller.gets()) == ([], False)


def test_if_last_words_are_not_carried_out_the_call_goes_on():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="5")
    caller.lex_says_aloud("Thank you.", ms=500, **BYE)
    caller.is_silent(540)
    caller.does_not_get_the_update()
    assert caller.session.state is CallState.LIVE
    caller.says_something()
    caller.lex_says_aloud("Hello?", ms=500)
    caller.is_silent(6000)
    assert caller.steps()[:3] == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


def test_a_document_that_failed_before_does_not_take_back_last_words_that_are_being_heard():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?")
    caller.does_not_get_the_update()
    caller.says_something()
    caller.lex_says_aloud("Thank you.", ms=1000, **BYE)
    caller.does_not_get_the_update()  # told twice
    assert caller.session.state is CallState.CLOSING
    caller.is_silent(1040)
    assert caller.hears() == ["Hangup"]


@pytest.mark.parametrize("voiced", [{}, VOICED], ids=["by Twilio", "by the bot"])
def test_a_call_whose_bot_is_refused_ends_with_an_apology(voiced):
    caller = a_caller_lex_thinks_about(voiced=voiced)
    caller.lex_fails(LexRejected("no such bot"))
    caller.is_silent(540)
    assert caller.hears() == ["Hangup"] if voiced else [NOT_AVAILABLE, "Hangup"]
    assert caller.steps() == ["UpdateCall"]


def test_an_apology_without_a_sound_is_said_by_twilio():
    caller = a_caller_lex_thinks_about(voiced={NOT_AVAILABLE: b""})
    caller.session.is_leaving = True
    caller.lex_fails(LexRejected("no such bot"))
    assert caller.hears() == [NOT_AVAILABLE, "Hangup"]
    assert caller.session.state is CallState.CLOSING


def test_failed_turns_are_counted_over_the_streams_of_a_call():
    told = {}
    for _ in range(2):
        caller = a_caller(told)
        caller.says_something()
        caller.lex_fails(LexUnavailable("no answer"))
        assert caller.hears() == [SAY_AGAIN, *CONNECTS]
        told = parameters_of(caller)
    assert told[FAILED_TURNS_PARAMETER] == "2"
    caller = a_caller(told)
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears() == [NOT_AVAILABLE, "Hangup"]


@pytest.mark.parametrize("end", [Caller.hangs_up, Caller.is_cut_off, Caller.is_gone])
def test_the_end_of_the_stream_ends_what_lex_still_says(end):
    caller = a_caller_lex_thinks_about()
    caller.lex_says("One.", speaks=True)
    caller.lex_speaks(tone(400))
    end(caller)
    assert caller.steps() == ["CancelUtterance 1"]
    caller.gets()
    seen = len(caller.actions)
    caller.lex_speaks(tone(400))
    caller.lex_has_spoken()
    caller.lex_loses_its_voice()
    caller.sends(mark_text("turn-1.1:end"))
    caller.presses("1#")
    assert caller.actions[seen:] == []


# -- interruptions


def test_who_interrupts_is_listened_to_and_the_prompt_stops():
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


def test_what_lex_still_says_of_an_interrupted_prompt_is_not_sent_and_ends_with_the_answer():
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


def test_who_goes_on_speaking_after_the_first_half_second_interrupts():
    caller = a_caller_who_hears_a_prompt(so_far_ms=100)
    caller.speaks(400)
    assert "clear" not in caller.gets()
    caller.speaks(40)
    assert caller.gets() == ["clear"]
    assert caller.sent_to_lex(2) == decode_mulaw(caller.said)[16 * 1700 :]  # all since the utterance before


def test_coughs_interrupt_nothing():
    caller = a_caller_who_hears_a_prompt(ms=12_000)
    for pause_ms in (140, 200, 500) * 5:
        caller.speaks(140)
        caller.is_silent(pause_ms)
    assert (caller.steps(), "clear" in caller.gets()) == ([], False)


@pytest.mark.parametrize("delay_ms", [100, 160, 240, 400])
def test_its_own_echo_interrupts_nothing_and_is_not_taken_for_an_answer(delay_ms):
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


def test_who_speaks_over_the_echo_interrupts():
    caller = a_caller_lex_thinks_about(VOICE_THRESHOLD="100")
    caller.echo = (200, -20)
    caller.lex_says_aloud("Which day?", ms=6000)
    caller.is_silent(3000)
    caller.gets()
    caller.speaks(320)
    assert caller.gets()[-1] == "clear"


def test_the_echo_of_a_prompt_that_was_stopped_is_not_taken_for_an_answer():
    caller = a_caller_lex_thinks_about(VOICE_THRESHOLD="100")
    caller.echo = (400, -20)
    caller.lex_says("Press 1.", speaks=True, session_attributes={MAX_LENGTH_ATTRIBUTE: "1"})
    caller.lex_speaks(b"".join(tone(200) + tone(60, 0) for _ in range(20)))
    caller.is_silent(1500)
    caller.sends(dtmf_text("1"))
    caller.is_silent(2000)
    assert caller.noted("utterance-ended") == 1


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
def test_where_it_is_forbidden_nobody_interrupts(attributes, variables):
    caller = a_caller_who_hears_a_prompt(attributes=attributes, **variables)
    caller.speaks(1000)
    caller.presses("#")
    assert (caller.steps(), "clear" in caller.gets()) == ([], False)
    assert voice_in(heard_since(caller, 1700)) == len(caller.heard) // 8 - 1700


def test_what_must_be_heard_out_must_be_when_it_is_said_again():
    caller = a_caller_who_hears_a_prompt(
        ms=1000, so_far_ms=1040, voiced=VOICED, attributes={ALLOW_INTERRUPT_ATTRIBUTE: "false"}, NO_INPUT_S="5"
    )
    caller.is_silent(5800)
    assert caller.noted("no-input") == 1
    caller.speaks(500)
    assert "clear" not in caller.gets()


def test_who_speaks_into_the_end_of_a_prompt_that_must_be_heard_out_is_heard_after_it():
    caller = a_caller_who_hears_a_prompt(attributes={ALLOW_INTERRUPT_ATTRIBUTE: "false"})
    caller.is_silent(1800)
    caller.speaks(180)
    assert caller.steps() == []
    caller.speaks(500)
    assert caller.steps() == ["OpenUtterance 2"]
    assert caller.sent_to_lex(2) == decode_mulaw(caller.said)[16 * (4500 - 500) :]


def test_a_prompt_goes_on_after_a_false_alarm_at_the_half_second_where_the_caller_stopped_hearing():
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


def test_a_dialog_that_closed_without_a_transcript_is_no_false_alarm():
    caller = a_caller_who_hears_a_prompt()
    caller.speaks(400)
    caller.is_silent(700)
    caller.lex_says_aloud("We are closed.", ms=400, transcript="", dialog_state=DialogState.FAILED)
    assert caller.noted("false-alarm") == 0
    assert caller.gets() == ["clear", 400, "turn-2.1:end"]


def test_a_turn_that_fails_is_no_false_alarm():
    caller = a_caller_who_hears_a_prompt(voiced=VOICED)
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


def test_an_earlier_turn_without_words_does_not_bring_a_prompt_back():
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


def test_several_prompts_that_were_interrupted_go_on_after_a_false_alarm():
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


def test_an_interrupted_prompt_that_breaks_off_is_said_after_a_false_alarm():
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


# -- keys


def test_keys_are_sent_when_the_end_character_is_pressed():
    caller = a_caller()
    caller.presses("12*34")
    assert [step for step in caller.steps() if step.startswith("Send")] == []
    caller.presses("#")
    assert [asked.keys for asked in caller.asked if isinstance(asked, SendKeys)] == ["34"]
    assert caller.note("keys-complete") == {"turn": 1, "keys": 2, "silent_ms": 0}


def test_keys_are_sent_two_seconds_after_the_last():
    caller = a_caller()
    caller.presses("12")
    caller.steps()
    caller.is_silent(2000 - 40 - 80 - 20)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.steps() == ["SendKeys 1"]


def test_keys_are_sent_when_they_are_as_many_as_the_bot_wants():
    caller = a_caller_who_hears_a_prompt(attributes={MAX_LENGTH_ATTRIBUTE: "3"})
    caller.presses("123")
    assert caller.asked[-1].keys == "123"


def test_the_bot_says_how_long_keys_are_waited_for():
    caller = a_caller_who_hears_a_prompt(attributes={END_TIMEOUT_ATTRIBUTE: "500"})
    caller.presses("1")
    caller.is_silent(380)
    assert caller.asked[-1].keys == "1"


def test_the_tone_of_a_key_is_no_speech():
    caller = a_caller()
    caller.speaks(100)
    assert caller.steps() == ["OpenUtterance 1"]
    caller.sends(dtmf_text("5"))
    assert caller.steps() == ["CancelUtterance 1"]
    assert caller.note("utterance-dropped")["why"] == "a key was pressed"
    caller.speaks(200)  # it is held
    caller.is_silent(2000)
    assert caller.steps() == ["SendKeys 2"]


def test_the_tone_of_the_last_key_is_no_speech_either():
    caller = a_caller_who_hears_a_prompt(attributes={MAX_LENGTH_ATTRIBUTE: "1"})
    caller.sends(dtmf_text("5"))
    caller.speaks(500)
    caller.is_silent(1000)
    assert caller.steps() == ["SendKeys 2"]


def test_a_key_stops_the_prompt_for_good():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Press a key.", speaks=True)
    caller.lex_speaks(tone(3000))
    caller.is_silent(1000)
    caller.steps(), caller.gets()
    caller.sends(dtmf_text("1"))
    assert (caller.steps(), caller.gets()) == (["CancelUtterance 1"], ["clear"])
    caller.is_silent(2000)
    assert caller.steps() == ["SendKeys 2"]
    caller.lex_says_aloud("Thank you.", ms=400, transcript="")
    assert caller.noted("false-alarm") == 0
    assert caller.gets() == [400, "turn-2.1:end"]


@pytest.mark.parametrize("keys", ["#", "*"])
def test_who_keys_nothing_in_is_waited_for(keys):
    caller = a_caller_who_hears_a_prompt(NO_INPUT_S="5")
    caller.presses(keys)
    assert caller.gets() == ["clear"]
    assert caller.steps() == []
    caller.is_silent(4800)
    assert caller.noted("no-input") == 0
    caller.is_silent(200)
    assert caller.noted("no-input") == 1


def test_who_takes_back_their_keys_hears_the_prompt_again_and_may_key_at_once():
    caller = a_caller_who_hears_a_prompt(ms=3000)
    caller.presses("12")
    assert caller.gets() == ["clear"]
    caller.presses("*")
    assert caller.gets()[0] == 500  # from its beginning
    caller.presses("34#")
    assert "clear" in caller.gets()
    assert [asked.keys for asked in caller.asked if isinstance(asked, SendKeys)] == ["34"]


def test_who_takes_back_their_keys_while_lex_thinks_hears_nothing_twice():
    caller = a_caller_lex_thinks_about()
    caller.presses("12*")
    assert caller.gets() == []


def test_after_a_skipped_prompt_a_noise_does_not_bring_it_back():
    caller = a_caller_who_hears_a_prompt()
    caller.presses("#")
    caller.gets()
    caller.speaks(400)
    caller.is_silent(700)
    caller.lex_says_aloud("Sorry?", ms=400, transcript="")
    assert caller.gets() == [400, "turn-2.1:end"]


def test_keys_pressed_while_lex_thinks_go_to_lex_after_it():
    caller = a_caller_lex_thinks_about()
    caller.presses("12#")
    assert [step for step in caller.steps() if "Send" in step] == []
    caller.lex_says()
    assert caller.asked[-1].keys == "12"
    assert caller.steps()[-1] == f"SendKeys {caller.asked[-1].turn}"


def test_keys_that_are_being_pressed_over_last_words_are_for_nobody():
    caller = a_caller_lex_thinks_about()
    caller.presses("12")
    caller.lex_says_aloud("Thank you.", ms=4000, **BYE)
    caller.steps()
    caller.is_silent(3000)
    assert caller.steps() == []


def test_a_reply_waits_for_keys_that_are_being_pressed():
    caller = a_caller_lex_thinks_about()
    caller.presses("1")
    caller.lex_says_aloud("Which day?", ms=400, turn=1)
    caller.is_silent(200)
    assert caller.gets() == []
    caller.presses("2#")
    caller.is_silent(20)
    assert caller.gets() == [400, "turn-1.1:end"]
    assert caller.asked[-1].keys == "12"


def test_words_without_a_voice_do_not_take_the_stream_from_keys_that_are_being_pressed():
    caller = a_caller_lex_thinks_about()
    caller.presses("1")
    caller.lex_says("Which day?", turn=1)
    assert caller.session.state is CallState.LIVE
    caller.presses("#")
    assert caller.asked[-1].keys == "1"


def test_nobody_is_asked_again_while_they_press_keys():
    attributes = {END_TIMEOUT_ATTRIBUTE: "20000", ALLOW_INTERRUPT_ATTRIBUTE: "false"}
    caller = a_caller_who_hears_a_prompt(attributes=attributes, NO_INPUT_S="5")
    caller.presses("1")
    caller.is_silent(19_000)  # the prompt ends in this time
    assert caller.noted("no-input") == 0
    caller.is_silent(2000)
    assert caller.asked[-1].keys == "1"


def test_nobody_is_asked_again_while_a_prompt_plays():
    caller = a_caller_who_hears_a_prompt(ms=9000, attributes={ALLOW_INTERRUPT_ATTRIBUTE: "false"}, NO_INPUT_S="5")
    caller.presses("#")
    caller.is_silent(7700 + 4980)
    assert caller.noted("no-input") == 0
    caller.is_silent(200)
    assert caller.noted("no-input") == 1


def test_a_key_is_input():
    caller = a_caller(NO_INPUT_S="5", NO_INPUT_LIMIT="1", voiced=VOICED)
    caller.is_silent(6000)
    caller.presses("1*")
    caller.is_silent(6000)
    assert [note.fields["times"] for note in caller.notes if note.event == "no-input"] == [1, 1]


# -- how a call begins


def test_the_bot_may_welcome_the_caller():
    caller = a_caller({"shop": "7"}, WELCOME="bot", WELCOME_INTENT="Welcome")
    (begin,) = caller.asked
    assert isinstance(begin, BeginDialog)
    assert begin.intent == "Welcome"
    assert begin.session_attributes == {"shop": "7", CALL_SID_ATTRIBUTE: begin.session_id}
    caller.lex_says_aloud("Welcome!", ms=500, transcript=None)
    caller.is_silent(540)
    assert voice_in(caller.heard) == 500
    caller.says_something()
    assert caller.asked[-1].session_attributes is None


def test_a_bot_that_does_not_welcome_the_caller_is_stood_in_for():
    caller = a_caller({"shop": "7"}, WELCOME="bot", WELCOME_INTENT="Welcome", GREETING="Hello.")
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears() == ["Hello.", *CONNECTS]
    assert FAILED_TURNS_PARAMETER not in parameters_of(caller)
    following = a_caller(parameters_of(caller), WELCOME="bot", WELCOME_INTENT="Welcome")
    assert following.asked == []
    following.says_something()
    assert following.asked[0].session_attributes["shop"] == "7"


def test_who_speaks_before_the_welcome_is_answered_after_it():
    caller = a_caller(WELCOME="bot", WELCOME_INTENT="Welcome")
    caller.says_something()
    assert caller.steps() == ["BeginDialog 1"]
    caller.lex_says_aloud("Welcome!", ms=500, turn=1, transcript=None)
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]


def test_a_call_whose_welcome_was_lost_is_welcomed():
    caller = a_caller({RESUMED_PARAMETER: LOST}, WELCOME="bot", WELCOME_INTENT="Welcome")
    caller.lex_recalls()
    assert caller.steps() == ["Recall", "BeginDialog 1"]


# -- a call that goes on over another stream


def parameters_of(caller):
    """The `<Parameter>`s of the stream that the newest document connects."""
    (connect,) = [verb for verb in verbs_of(caller.document()) if verb.tagName == "Connect"]
    nodes = connect.getElementsByTagName("Parameter")
    return {node.getAttribute("name"): node.getAttribute("value") for node in nodes}


def test_a_call_is_handed_over_when_it_is_quiet_after_a_prompt():
    caller = a_caller_lex_thinks_about()
    caller.session.is_leaving = True
    caller.lex_says_aloud("Which day?", ms=1000)
    caller.is_silent(1000 + QUIET_BEFORE_HAND_OVER_MS - 20)
    assert caller.steps() == []
    caller.is_silent(40)
    assert caller.hears() == CONNECTS
    assert parameters_of(caller)[RESUMED_PARAMETER] == HANDED_OVER
    assert caller.session.state is CallState.LEAVING
    caller.sends(mark_text("turn-1.1:end"))
    caller.speaks(500)
    caller.presses("1")
    caller.is_silent(3000)
    assert caller.steps() == ["UpdateCall"]


def test_a_caller_who_is_silent_already_when_the_process_leaves_is_not_waited_for():
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=4000)
    caller.session.is_leaving = True
    caller.is_silent(20)
    assert caller.hears() == CONNECTS


def test_who_answers_within_that_second_is_served_here_and_let_go_after_the_answer():
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=1020)
    caller.session.is_leaving = True
    caller.is_silent(QUIET_BEFORE_HAND_OVER_MS - 40)
    said_from_ms = len(caller.said) // 8
    caller.speaks(1000)
    caller.is_silent(700 + 3000)  # Lex thinks for longer than a second
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]
    said = decode_mulaw(caller.said[8 * said_from_ms : 8 * (said_from_ms + 1000)])
    assert said in caller.sent_to_lex(2)
    caller.lex_says_aloud("What time?", ms=1000)
    caller.is_silent(1000 + QUIET_BEFORE_HAND_OVER_MS - 20)
    assert caller.steps() == []
    caller.is_silent(40)
    assert caller.hears() == CONNECTS


def test_a_noise_that_is_no_utterance_puts_the_hand_over_off():
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=1020)
    caller.session.is_leaving = True
    caller.is_silent(600)
    caller.speaks(40)
    caller.is_silent(QUIET_BEFORE_HAND_OVER_MS - 20)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.hears() == CONNECTS


def test_a_call_that_cannot_go_on_elsewhere_stays():
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=1020)
    caller.session.is_leaving, caller.session.next_stream = True, None
    caller.is_silent(3000)
    assert caller.steps() == []
    assert caller.session.state is CallState.LIVE


def test_a_hand_over_that_is_not_carried_out_is_tried_again_after_the_next_prompt():
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=4000, voiced=VOICED, NO_INPUT_S="5")
    caller.session.is_leaving = True
    caller.is_silent(20)
    caller.does_not_get_the_update()
    caller.is_silent(4980)
    assert caller.steps() == ["UpdateCall"]
    caller.is_silent(20 + 1400 + QUIET_BEFORE_HAND_OVER_MS + 40)  # they are asked again, and then it is quiet
    assert caller.noted("no-input") == 1
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == CONNECTS


@pytest.mark.parametrize("does", [Caller.says_something, lambda caller: caller.presses("1")])
def test_a_call_is_not_handed_over_while_the_caller_is_at_something(does):
    caller = a_caller_who_hears_a_prompt(attributes={ALLOW_INTERRUPT_ATTRIBUTE: "false"}, so_far_ms=2900)
    caller.session.is_leaving = True
    does(caller)
    caller.is_silent(1800)
    assert caller.session.state is CallState.LIVE


def test_the_next_stream_looks_up_what_the_bot_wants():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER, NO_INPUTS_PARAMETER: "1"}, NO_INPUT_LIMIT="1")
    assert caller.steps() == ["Recall"]
    caller.lex_recalls("Which day?", session_attributes={NO_INPUT_S_ATTRIBUTE: "3", MAX_LENGTH_ATTRIBUTE: "1"})
    caller.presses("5")
    assert caller.asked[-1].keys == "5"
    silent = a_caller({RESUMED_PARAMETER: HANDED_OVER, NO_INPUTS_PARAMETER: "1"}, NO_INPUT_LIMIT="1")
    silent.lex_recalls("Which day?", session_attributes={NO_INPUT_S_ATTRIBUTE: "3"})
    silent.is_silent(3000)
    assert silent.hears() == [f"{NOT_HEARD} Goodbye.", "Hangup"]


def test_the_next_stream_asks_again_when_it_knows_what():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER}, NO_INPUT_S="5")
    caller.is_silent(5000)
    assert caller.steps() == ["Recall"] * 2
    caller.lex_recalls("Which day?")
    assert caller.hears() == [NOT_HEARD, "Which day?", *CONNECTS]
    caller.lex_recalls("Which day?")
    assert caller.steps() == ["UpdateCall"]


def test_what_is_looked_up_twice_is_said_once():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER}, voiced=VOICED, NO_INPUT_S="5")
    caller.lex_recalls("Which day?")
    caller.steps()
    caller.lex_recalls("Which day?")
    assert caller.steps() == []


def test_a_look_up_that_comes_after_an_answer_is_too_late():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.says_something()
    caller.lex_says_aloud("Which day?", ms=400)
    caller.is_silent(1000)
    caller.steps()
    caller.lex_recalls("Which flowers?")
    caller.is_silent(1000)
    assert caller.steps() == []


def test_who_speaks_up_before_they_are_asked_again_is_not():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER}, voiced=VOICED, NO_INPUT_S="5")
    caller.is_silent(5000)
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    caller.is_silent(200)
    caller.gets()
    caller.lex_recalls("Which day?")
    caller.is_silent(2000)
    assert caller.gets() == []
    assert caller.session.state is CallState.LIVE


def test_while_the_caller_presses_keys_what_the_bot_wants_of_them_can_still_be_looked_up():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.presses("1")
    caller.lex_recalls("Four digits, please.", session_attributes={MAX_LENGTH_ATTRIBUTE: "4"})
    caller.presses("234")
    assert caller.asked[-1].keys == "1234"


def test_facts_that_were_handed_over_are_kept_where_lex_does_not_tell():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER, "shop": "7"})
    caller.lex_recalls_nothing()
    caller.says_something()
    assert caller.asked[0].session_attributes["shop"] == "7"


def a_caller_whose_stream_was_lost(*texts, attributes=None, **variables):
    """Lex has told what the bot said last, and is being asked to say it aloud."""
    caller = a_caller({RESUMED_PARAMETER: LOST}, **variables)
    caller.lex_recalls(*(texts or ["Which day?"]), session_attributes=attributes or {})
    return caller


def test_where_a_stream_was_lost_lex_says_the_bots_last_words_once_more_over_the_next_one():
    caller = a_caller_whose_stream_was_lost("Okay.", "Which day?")
    assert caller.steps() == ["Recall", "VoiceWords -1"]
    assert caller.asked_aloud() == ["Okay.", "Which day?"]
    caller.lex_speaks(tone(400), -1)
    caller.lex_speaks(tone(200), -1)
    caller.lex_has_spoken(-1)
    assert caller.gets() == [500, "turn--1.1:500", 100, "turn--1.1:end"]
    caller.is_silent(620)
    assert caller.heard.startswith(tone(600))
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    assert caller.asked[0].session_attributes is None


@pytest.mark.parametrize(
    ("ends", "arrived_ms"),
    [(Caller.lex_loses_its_voice, 0), (Caller.lex_loses_its_voice, 600), (Caller.lex_has_spoken, 0)],
)
def test_where_lex_does_not_say_them_twilio_does_and_the_next_stream_goes_on(ends, arrived_ms):
    caller = a_caller_whose_stream_was_lost(attributes={VOICE_ATTRIBUTE: "Polly.Vicki"})
    if arrived_ms:
        caller.lex_speaks(tone(arrived_ms), -1)
        caller.is_silent(200)
    ends(caller, -1)
    assert caller.gets()[-1:] == (["clear"] if arrived_ms else [])
    assert caller.hears() == ["Which day?", *CONNECTS]
    assert caller.session.state is CallState.LEAVING
    assert not caller.noted("reply-audio-failed")  # it is no reply's: the shell tells why
    caller.steps()
    caller.is_silent(5000)
    assert caller.steps() == []


def test_lex_is_asked_to_say_what_its_answer_has_no_voice_for():
    payload = Message("Tuesday", is_unvoiced=True)
    caller = a_caller_whose_stream_was_lost("Which day?", payload, Message("<speak>Now</speak>", MessageFormat.SSML))
    assert caller.asked_aloud() == ["Which day?", "Tuesday", "<speak>Now</speak>"]


def test_a_bot_that_has_said_nothing_is_stood_in_for_by_a_sentence_in_its_voice():
    caller = a_caller({RESUMED_PARAMETER: LOST})
    caller.lex_recalls()
    assert caller.asked_aloud() == [SAY_AGAIN]
    known = a_caller({RESUMED_PARAMETER: LOST}, voiced=VOICED)
    known.lex_recalls()
    assert known.steps() == ["Recall"]
    assert known.gets() == [500, "turn--1.1:500", 100, "turn--1.1:end"]


def test_a_lex_that_did_not_tell_is_not_asked_to_speak():
    caller = a_caller({RESUMED_PARAMETER: LOST})
    caller.lex_recalls_nothing()
    assert caller.hears() == [SAY_AGAIN, *CONNECTS]


def test_the_last_words_of_a_call_need_no_stream_and_are_said_by_twilio():
    caller = a_caller({RESUMED_PARAMETER: LOST})
    caller.lex_recalls("Thank you.", **BYE)
    assert caller.hears() == ["Thank you.", "Hangup"]
    assert caller.asked_aloud() == []


def test_who_answers_before_the_words_are_there_need_not_hear_them():
    caller = a_caller_whose_stream_was_lost()
    caller.speaks(500)
    caller.lex_speaks(tone(400), -1)
    caller.is_silent(700)
    assert caller.steps()[2:] == ["OpenUtterance 1", "CloseUtterance 1"]
    assert caller.gets() == []
    caller.lex_says_aloud("What time?", ms=200)
    assert caller.steps() == ["CancelUtterance -1"]
    assert caller.gets() == [200, "turn-1.1:end"]
    caller.lex_speaks(tone(400), -1)
    caller.lex_has_spoken(-1)
    assert caller.gets() == []


def test_where_that_was_no_answer_the_words_are_said_after_all():
    caller = a_caller_whose_stream_was_lost()
    caller.says_something()
    caller.lex_speaks(tone(400), -1)
    caller.lex_has_spoken(-1)
    caller.lex_says(transcript="")
    assert caller.noted("false-alarm") == 1
    assert caller.gets() == [400, "turn--1.1:end"]
    assert not caller.noted("barged-in")


@pytest.mark.parametrize("may_not", [{"BARGE_IN": "off"}, {"attributes": {ALLOW_INTERRUPT_ATTRIBUTE: "false"}}])
def test_words_that_may_not_be_interrupted_are_said_when_they_are_there(may_not):
    caller = a_caller_whose_stream_was_lost(**may_not)
    caller.speaks(500)
    caller.lex_speaks(tone(100), -1)
    assert caller.gets() == [100]


def test_the_answer_to_somebody_else_is_still_to_be_heard_by_who_speaks_before_it():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?", speaks=True)
    caller.speaks(500)
    caller.is_silent(700)
    caller.lex_speaks(tone(100), 1)
    assert caller.gets() == [100]


def test_who_interrupts_those_words_is_answered():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_speaks(tone(3000), -1)
    caller.is_silent(1000)
    caller.gets()
    caller.speaks(1000)
    assert caller.gets() == ["clear"]
    caller.is_silent(700)
    assert caller.steps()[-2:] == ["OpenUtterance 1", "CloseUtterance 1"]
    caller.lex_says_aloud("What time?", ms=200)
    assert caller.steps() == ["CancelUtterance -1"]


def test_an_answer_that_lex_was_still_busy_with_takes_the_place_of_the_words_before_it():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_speaks(tone(3000), -1)
    caller.is_silent(RECALL_AGAIN_MS + 20)
    assert caller.steps() == ["Recall", "VoiceWords -1", "Recall"]
    caller.gets()
    caller.lex_recalls("What time?")
    assert caller.gets() == ["clear"]
    assert caller.steps() == ["CancelUtterance -1", "VoiceWords -2"]
    assert caller.note("answered-late") == {}
    caller.lex_speaks(tone(100), -2)
    assert caller.gets() == [100]


def test_those_words_are_heard_again_by_who_is_silent():
    caller = a_caller_whose_stream_was_lost(voiced=VOICED, NO_INPUT_S="5")
    caller.lex_speaks(tone(600), -1)
    caller.lex_has_spoken(-1)
    caller.is_silent(600 + 4960)
    assert caller.noted("no-input") == 0
    caller.lex_recalls("Which day?")  # the second look
    heard_ms = len(caller.heard) // 8
    caller.is_silent(400 + 600 + 60)
    assert caller.noted("no-input") == 1
    assert voice_in(heard_since(caller, heard_ms)) == 1000
    assert caller.asked_aloud() == ["Which day?"]  # once


@pytest.mark.parametrize("is_voiced", [True, False])
def test_who_is_asked_again_over_the_next_stream_is_asked_in_the_bots_voice(is_voiced):
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER}, voiced=VOICED, NO_INPUT_S="5")
    caller.lex_recalls("Which day?")
    caller.is_silent(5020)
    assert caller.asked_aloud() == ["Which day?"]
    assert caller.gets() == []  # not half of it: Twilio may have to say it all
    if not is_voiced:
        caller.lex_loses_its_voice(-1)
        assert caller.hears() == [NOT_HEARD, "Which day?", *CONNECTS]
        return
    caller.lex_speaks(tone(600), -1)
    caller.lex_has_spoken(-1)
    caller.is_silent(1100)
    assert voice_in(caller.heard) == 400 + 600
    assert caller.session.state is CallState.LIVE


# -- what else the bot says about the call


def test_directives_that_are_ignored_are_noted_when_they_change():
    caller = a_caller()
    broken, more = {NO_INPUT_S_ATTRIBUTE: "x"}, {NO_INPUT_S_ATTRIBUTE: "x", NO_INPUT_LIMIT_ATTRIBUTE: "y"}
    for attributes in (broken, broken, more, more, {}, broken):
        caller.says_something()
        caller.lex_says_aloud("Which day?", ms=200, session_attributes=attributes)
        caller.is_silent(400)
    assert [note.fields["attributes"] for note in caller.notes if note.event == "directives-ignored"] == [
        [NO_INPUT_S_ATTRIBUTE],
        [NO_INPUT_S_ATTRIBUTE, NO_INPUT_LIMIT_ATTRIBUTE],
        [NO_INPUT_S_ATTRIBUTE],
    ]


def test_the_bot_says_how_long_and_how_often_silence_is_borne():
    attributes = {NO_INPUT_S_ATTRIBUTE: "2", NO_INPUT_LIMIT_ATTRIBUTE: "0", VOICE_ATTRIBUTE: "Polly.Vicki"}
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=1040, attributes=attributes)
    caller.is_silent(2000)
    assert caller.hears() == [f"{NOT_HEARD} Goodbye.", "Hangup"]
    say, *_ = verbs_of(caller.document())
    assert say.getAttribute("voice") == "Polly.Vicki"


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


# -- a call that has lasted long enough

LIMIT = "We have to end this call now. Goodbye."


def test_the_last_answer_that_a_call_may_have_is_heard_out_before_the_goodbye():
    caller = a_caller_lex_thinks_about(MAX_TURNS="1")
    caller.lex_says_aloud("Which day?", ms=1000)
    assert caller.steps() == []
    caller.speaks(900)  # for nobody
    assert caller.steps() == []
    caller.is_silent(200)
    assert caller.hears() == [LIMIT, "Hangup"]


def test_a_false_alarm_is_no_turn():
    caller = a_caller_lex_thinks_about(MAX_TURNS="2", BARGE_IN="on")
    caller.lex_says_aloud("Which day?", ms=4000)
    caller.is_silent(1000)
    caller.says_something()
    caller.lex_says("Sorry?", turn=2, transcript="")
    assert caller.note("false-alarm") == {"turn": 2}
    assert caller.noted("call-limit") == 0


def test_a_call_that_has_lasted_long_enough_ends_in_the_bots_voice():
    caller = a_caller(MAX_CALL_S="10", NO_INPUT_S="60", voiced={LIMIT: tone(400)})
    caller.is_silent(10_000)
    assert caller.gets() == [400, "turn--1.1:end"]
    caller.is_silent(400)
    assert caller.hears() == ["Hangup"]


def test_nobody_is_cut_off_who_keys_or_hears_a_prompt():
    caller = a_caller_lex_thinks_about(MAX_CALL_S="10", NO_INPUT_S="60")
    caller.lex_says_aloud("Which day?", ms=9000)
    caller.is_silent(8900)
    assert caller.noted("call-limit") == 0
    caller.presses("1")
    caller.is_silent(1000)
    assert caller.noted("call-limit") == 0
    caller.presses("#")
    caller.lex_says_aloud("Thank you.", ms=500)
    caller.is_silent(600)
    assert caller.hears() == [LIMIT, "Hangup"]


def test_the_stream_that_a_two_way_call_goes_on_over_counts_on():
    caller = a_caller({"lexbridge:began": "1795846066", "lexbridge:age-s": "7"}, MAX_TURNS="9")
    caller.session.is_leaving = True
    caller.is_silent(2000)
    assert '"lexbridge:age-s" value="8"' in caller.document()
    assert "stream-status?began=1795846066&amp;turns=0#" in caller.document()
