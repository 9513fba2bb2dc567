"""Limits of joining: the longest utterance of several pieces, and what is never a piece of one."""

from tests.support.joining_stories import (
    FIRST,
    NOT_RESTORED,
    a_caller,
    a_caller_in_a_pause,
    opened,
    said,
    says_the_first_half,
)
from tests.support.sounds import tone

# -- how long the whole may be


def test_a_whole_that_is_too_long_is_two_turns():
    caller = a_caller_in_a_pause(MAX_UTTERANCE_MS="4000")
    caller.speaks(1400)
    assert caller.note("join-refused") == {"turn": 2, "why": "the two together are too long"}
    caller.lex_says("What would you like?")
    assert opened(caller, 2).checkpoint is None


def test_a_third_piece_may_be_too_long_from_its_first_frame():
    caller = a_caller_in_a_pause(MAX_UTTERANCE_MS="4000", FILLER_S="60")
    caller.is_silent(700 + 600)
    caller.speaks(60)
    assert caller.noted("goes-on") == 1
    caller.lex_says("What would you like?", turn=1)
    assert caller.note("join-refused") == {"turn": 2, "why": "the two together are too long"}
    assert opened(caller, 2).checkpoint is None


def test_a_first_piece_that_leaves_no_room_is_not_waited_for():
    caller = a_caller(MAX_UTTERANCE_MS="4000")
    says_the_first_half(caller, 2600)  # 3800 ms, with the pre-roll
    caller.is_silent(200)
    caller.speaks(100)
    caller.lex_says("What would you like?")
    assert opened(caller, 2).checkpoint is None
    assert caller.noted("join-refused") == 0


def test_a_first_piece_that_was_cut_by_its_length_is_over():
    caller = a_caller(MAX_UTTERANCE_MS="4000")
    caller.speaks(4000)
    caller.lex_says("What would you like?")
    assert opened(caller, 2).checkpoint is None


def test_a_whole_that_gets_too_long_ends_at_lex():
    """A whole that gets too long at Lex ends, and what follows is the next turn."""
    caller = a_caller_in_a_pause(MAX_UTTERANCE_MS="4000")
    caller.lex_says("What would you like?")
    caller.speaks(1500)
    caller.is_silent(700)
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]
    assert [note.fields["reason"] for note in caller.notes if note.event == "utterance-ended"] == [
        "hangover",
        "max-length",
        "hangover",
    ]
    caller.lex_says("Which day?", turn=2)
    assert caller.steps() == ["UpdateCall", "OpenUtterance 3", "CloseUtterance 3"]
    assert caller.sent_to_lex(2) + caller.sent_to_lex(3) == said(caller, 500)
    assert len(caller.sent_to_lex(2)) == 16 * 4000


def test_a_whole_too_long_by_its_silence_has_no_next_turn():
    caller = a_caller_in_a_pause(MAX_UTTERANCE_MS="4000")
    caller.lex_says("What would you like?")
    caller.speaks(900)
    caller.is_silent(700)
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]
    assert caller.note("utterance-dropped")["why"] == "it holds only silence"
    caller.lex_says("Which day?", turn=2)
    assert caller.steps() == ["UpdateCall"]


def test_a_caller_answered_in_that_silence_is_asked_again():
    """A caller who is answered within the last silence, and says nothing more, is asked again."""
    caller = a_caller_in_a_pause(MAX_UTTERANCE_MS="4000", NO_INPUT_S="10")
    caller.lex_says("What would you like?")
    caller.speaks(900)
    caller.is_silent(500)
    caller.lex_says("Which day?", turn=2)
    caller.is_silent(200)
    assert caller.note("utterance-dropped")["why"] == "it holds only silence"
    caller.is_silent(10_000)
    assert caller.noted("no-input") == 0  # the prompt was spoken for some of that time
    caller.is_silent(700)
    assert caller.noted("no-input") == 1


# -- what is never joined


def test_keys_are_no_piece_of_anything():
    caller = a_caller("stream")
    caller.presses("1#")
    caller.is_silent(100)
    caller.speaks(500)
    caller.lex_says("Which day?", turn=1, checkpoint=FIRST)
    assert opened(caller, 2).checkpoint is None
    assert caller.noted("join-refused") == 0


def test_a_welcome_is_no_piece_of_anything():
    caller = a_caller(WELCOME="bot", WELCOME_INTENT="Welcome")
    caller.speaks(500)
    caller.lex_says("Welcome.", turn=1, checkpoint=FIRST)
    assert opened(caller, 2).checkpoint is None


def test_a_key_drops_both_pieces_of_an_utterance():
    caller = a_caller_in_a_pause("stream")
    caller.lex_says("What would you like?", speaks=True, checkpoint=FIRST)
    caller.lex_speaks(tone(100), 1)
    caller.presses("1#")
    assert caller.steps() == ["OpenUtterance 2", "CancelUtterance 2", "CancelUtterance 1", "SendKeys 3"]
    assert caller.note("utterance-dropped")["turn"] == 2
    caller.speaks(500)
    caller.lex_says("Which day?", turn=3)
    caller.is_silent(700)
    caller.speaks(500)
    assert caller.gets() == []


def test_a_key_drops_a_waiting_piece_and_the_first_is_answered():
    caller = a_caller_in_a_pause("stream")
    caller.presses("1#")
    assert caller.steps() == []
    caller.lex_says_aloud("What would you like?", turn=1, ms=400)
    assert caller.steps() == ["SendKeys 3"]


def test_a_key_after_a_joined_utterance_drops_nothing():
    caller = a_caller_in_a_pause("stream")
    caller.is_silent(700)
    caller.lex_says("What would you like?", checkpoint=FIRST)
    caller.presses("1#")
    assert caller.noted("utterance-dropped") == 0
    caller.lex_fails(NOT_RESTORED, 2)
    assert caller.noted("join-refused") == 1
