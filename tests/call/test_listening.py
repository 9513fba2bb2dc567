"""Utterances on their way to Lex: their samples, the facts of the call, and what waits while Lex is busy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.pcm import decode_mulaw
from lexbridge.call.attributes import CALL_SID_ATTRIBUTE
from lexbridge.call.stream_parameters import HANDED_OVER, RESUMED_PARAMETER
from lexbridge.call.turns import MAX_QUEUED_TURNS
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import DialogState
from tests.support.call_update_stories import HOLDS, a_caller, a_caller_lex_thinks_about
from tests.support.caller import Caller
from tests.support.property_tests import examples
from tests.support.twilio_messages import CALL_SID, media_text


def test_a_session_tells_its_call():
    caller = Caller()
    assert caller.session.started is None
    caller.dials()
    assert caller.session.started.call_sid == CALL_SID


def test_lexs_own_voice_is_not_wanted_where_twilio_speaks():
    caller = a_caller_lex_thinks_about()
    caller.lex_says_aloud("Which day?")
    caller.lex_loses_its_voice()
    assert caller.steps() == ["UpdateCall", "CancelUtterance 1"]
    assert caller.hears() == ["Which day?", *HOLDS]


# -- listening and speech (contract 2 to 4)


def test_a_silent_caller_costs_no_request():
    caller = a_caller()
    caller.is_silent(5000)
    assert caller.steps() == []


def test_a_noise_shorter_than_the_onset_costs_no_request():
    caller = a_caller()
    for _ in range(20):
        caller.speaks(40)
        caller.is_silent(100)
    assert caller.steps() == []


def test_a_request_lasts_from_onset_to_hangover():
    caller = a_caller()
    caller.is_silent(2000)
    caller.speaks(60)
    assert caller.steps() == ["OpenUtterance 1"]
    caller.speaks(1000)
    caller.is_silent(680)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.steps() == ["CloseUtterance 1"]


def test_lex_gets_exact_samples_pre_roll_and_hangover():
    caller = a_caller()
    caller.is_silent(2000)
    caller.says_something()
    caller.is_silent(1000)
    assert caller.sent_to_lex(1) == decode_mulaw(caller.said)[16 * 1500 : 16 * 3700]


def test_what_is_spoken_is_on_its_way_to_lex_after_100_ms():
    """The beginning goes at once, and what is left when the utterance ends goes at once too."""
    caller = a_caller()
    caller.speaks(60)
    for frames in range(3, 20):
        assert len(caller.sent_to_lex(1)) == 320 * (3 + (frames - 3) // 5 * 5)
        caller.speaks(20)
    caller.is_silent(700)
    assert caller.sent_to_lex(1) == decode_mulaw(caller.said)


def test_the_session_of_lex_is_named_by_the_call_alone():
    caller = a_caller_lex_thinks_about()
    assert [opened.session_id for opened in caller.asked] == [CALL_SID]


def test_a_too_long_utterance_ends_and_the_rest_is_another():
    caller = a_caller(MAX_UTTERANCE_MS="4000")
    caller.speaks(4060)
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    caller.lex_says("Go on.")
    caller.is_silent(700)
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]
    assert caller.sent_to_lex(1) + caller.sent_to_lex(2) == decode_mulaw(caller.said)


def test_audio_that_twilio_skipped_ends_an_utterance():
    caller = a_caller()
    caller.speaks(500)
    caller.sends(media_text(1500, b"\xff" * 160))
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    assert len(caller.sent_to_lex(1)) == 16 * 1200
    caller.hangs_up()
    assert caller.note("stream-ended")["filled_ms"] == 1000


@examples(8)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=30))
def test_utterances_do_not_depend_on_how_audio_was_bunched(lengths_ms):
    told = a_caller()
    for ms in (400, 1000, 900, 200, 1200):
        told.is_silent(ms) if ms in (400, 900, 1200) else told.speaks(ms)
    bunched, at_ms = a_caller(), 0
    while at_ms < 3700:
        ms = min(lengths_ms[at_ms % len(lengths_ms)], 3700 - at_ms)
        bunched.sends(media_text(at_ms, told.said[8 * at_ms : 8 * (at_ms + ms)]))
        at_ms += ms
    assert bunched.steps() == told.steps()
    assert [bunched.sent_to_lex(turn) for turn in (1, 2)] == [told.sent_to_lex(turn) for turn in (1, 2)]


# -- what Lex is told besides the words (contract 8)


def test_parameters_reach_lex_until_its_first_reply():
    """Parameters reach Lex as attributes until it has replied, and never again."""
    caller = a_caller({"lexbridge:direction": "inbound", "shop": "7"})
    facts = {"lexbridge:direction": "inbound", "shop": "7", CALL_SID_ATTRIBUTE: CALL_SID}
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    caller.says_something()
    caller.lex_says("Which day?")
    caller.says_something()
    assert [opened.session_attributes for opened in caller.asked] == [facts, facts, None]


def test_a_handed_over_stream_sends_no_attributes():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.says_something()
    assert [opened.session_attributes for opened in caller.asked] == [None]
    assert caller.note("stream-started") == {"resumed": "handed-over"}


# -- while Lex thinks (contract 5)


def test_speech_while_lex_thinks_is_sent_when_lex_is_free():
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    assert caller.steps() == []
    caller.lex_says("Which day?")
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]
    assert caller.sent_to_lex(1) + caller.sent_to_lex(2) == decode_mulaw(caller.said)


def test_speech_under_way_when_lex_gets_free_goes_on_live():
    caller = a_caller_lex_thinks_about()
    caller.speaks(500)
    caller.lex_says("Which day?")
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2"]
    caller.speaks(500)
    caller.is_silent(700)
    assert caller.steps() == ["CloseUtterance 2"]
    assert caller.sent_to_lex(1) + caller.sent_to_lex(2) == decode_mulaw(caller.said)


def test_several_utterances_are_sent_one_at_a_time_and_in_order():
    caller = a_caller_lex_thinks_about()
    for _ in range(MAX_QUEUED_TURNS):
        caller.says_something()
    for turn in range(1, MAX_QUEUED_TURNS + 1):
        caller.lex_says("Yes.")
        assert caller.steps() == ["UpdateCall", f"OpenUtterance {turn + 1}", f"CloseUtterance {turn + 1}"]
    assert b"".join(caller.sent_to_lex(turn) for turn in range(1, 5)) == decode_mulaw(caller.said)


def test_when_too_many_wait_the_oldest_gives_way():
    caller = a_caller_lex_thinks_about()
    for _ in range(MAX_QUEUED_TURNS + 1):
        caller.says_something()
    dropped = caller.note("utterance-dropped")
    assert (dropped["turn"], dropped["why"]) == (2, "too many turns wait for Lex")
    caller.lex_says("Yes.")
    assert caller.steps() == ["UpdateCall", "OpenUtterance 3", "CloseUtterance 3"]


def test_the_utterance_after_a_failed_one_is_sent_too():
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


# -- what was asked for


CONFIRM, DIGITS = DialogState.CONFIRM_INTENT, {"slot_to_elicit": "AccountNumber"}


HANGOVERS = {"HANGOVER_MS": "700", "HANGOVER_MIN_MS": "400", "HANGOVER_MAX_MS": "1500"}
WORD_MS, SENTENCE_MS = 400, 1600


def pause_that_ends(caller, spoken_ms):
    """Return how long the caller is silent before what they say now ends. It tells what they were asked for.

    After a word: 1,500 ms if a sentence or a number was asked for, 700 a phrase, 400 a word. After a sentence: 1,500 ms
    only if it was a number.
    """
    caller.is_silent(5000)
    caller.speaks(spoken_ms)
    caller.steps()
    silent_ms = 0
    while not any(step.startswith("CloseUtterance") for step in caller.steps()):
        caller.is_silent(20)
        silent_ms += 20
    return silent_ms


def test_the_pause_that_ends_an_answer_depends_on_the_question():
    caller = a_caller(SLOT_KINDS="AccountNumber=digits", **HANGOVERS)
    assert pause_that_ends(caller, WORD_MS) == 1500  # after a greeting a sentence is expected
    caller.lex_says("Well?")
    assert pause_that_ends(caller, WORD_MS) == 700
    caller.lex_says("Well?", dialog_state=CONFIRM)
    assert pause_that_ends(caller, WORD_MS) == 400
    caller.lex_says("Well?", **DIGITS)
    assert pause_that_ends(caller, SENTENCE_MS) == 1500


def test_after_an_apology_a_sentence_is_expected():
    caller = a_caller(**HANGOVERS)
    caller.says_something()
    caller.is_silent(1000)
    caller.lex_says("Right?", dialog_state=CONFIRM)
    assert pause_that_ends(caller, WORD_MS) == 400
    caller.lex_fails(LexUnavailable("no answer"))
    assert pause_that_ends(caller, WORD_MS) == 1500


@pytest.mark.parametrize("parameters", [{RESUMED_PARAMETER: HANDED_OVER}, {RESUMED_PARAMETER: "lost"}])
def test_what_an_earlier_stream_asked_for_is_looked_up(parameters):
    caller = a_caller(parameters, NO_INPUT_S="5", **HANGOVERS)
    if parameters[RESUMED_PARAMETER] == HANDED_OVER:
        caller.is_silent(5000)
    caller.lex_tells_session("Right?", dialog_state=CONFIRM)
    assert pause_that_ends(caller, WORD_MS) == 400


def test_an_answer_that_is_taken_back_has_asked_for_nothing():
    caller = a_caller(REPLY_MODE="stream", JOIN="on", HANGOVER_MIN_MS="400")
    caller.says_something()
    caller.lex_says("Right?", speaks=True, dialog_state=CONFIRM)
    caller.speaks(500)
    assert caller.noted("joined") == 1
    caller.steps()
    caller.is_silent(680)
    assert caller.steps() == []  # after a question with a closed answer it had ended
    caller.is_silent(20)
    assert caller.steps() == ["CloseUtterance 2"]
