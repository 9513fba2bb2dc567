"""When a speaker has something to do by itself. Every story checks that it does nothing before."""

from lexbridge.call.output.prompt import HEARD_WITHIN_MS, LEAD_MS
from tests.support import call_update_stories, stream_stories
from tests.support.caller import NEXT_STREAM
from tests.support.sounds import tone


def due_in_ms(caller):
    """Return in how many milliseconds the speaker may have something to do, or None if nothing has to happen."""
    due_ms = caller.session._speaker.next_due_ms()
    return None if due_ms is None else due_ms - caller.session.heard_ms


def test_a_document_is_replaced_for_a_caller_who_is_heard():
    """The document asks a silent caller again, and has to be replaced for one who is heard."""
    caller = call_update_stories.a_caller_asked_for_keys()
    assert due_in_ms(caller) is None
    caller.speaks(100)
    due_ms = due_in_ms(caller)
    assert due_ms > 0
    caller.steps()
    caller.speaks(due_ms - 20)
    assert (caller.steps(), due_in_ms(caller)) == ([], 20)
    caller.speaks(20)
    assert caller.steps() == ["UpdateCall"]
    assert due_in_ms(caller) is None


def test_a_document_without_reprompts_is_not_replaced():
    caller = call_update_stories.a_caller_lex_thinks_about()
    assert due_in_ms(caller) is None
    caller.lex_says("Which flowers?")
    caller.speaks(200)
    assert due_in_ms(caller) is None


def test_a_prompt_that_is_sent_waits_only_for_its_marks():
    caller = stream_stories.a_caller()
    assert due_in_ms(caller) is None
    caller.says_something()
    assert due_in_ms(caller) is None
    caller.lex_says("Which flowers?", speaks=True)
    caller.lex_speaks(tone(400))
    assert due_in_ms(caller) is None  # the rest is still to come
    caller.lex_has_spoken()
    assert due_in_ms(caller) == 400 + HEARD_WITHIN_MS
    caller.is_silent(200)
    assert due_in_ms(caller) == 200 + HEARD_WITHIN_MS
    caller.is_silent(400)
    assert due_in_ms(caller) is None


def test_more_of_a_long_prompt_is_due_as_it_is_played():
    caller = stream_stories.a_caller()
    caller.says_something()
    caller.lex_says_aloud("Once upon a time.", ms=LEAD_MS + 400)
    assert due_in_ms(caller) == 200
    caller.is_silent(180)
    assert due_in_ms(caller) == 20
    caller.is_silent(220)
    assert due_in_ms(caller) == LEAD_MS + HEARD_WITHIN_MS


def test_a_prompt_waits_for_a_caller_who_may_interrupt_it():
    caller = stream_stories.a_caller(BARGE_IN="on")
    caller.says_something()
    caller.speaks(200)  # on with a second turn
    caller.lex_says_aloud("Which flowers?", ms=400)
    caller.gets()
    assert due_in_ms(caller) is None
    caller.is_silent(700)
    assert caller.gets() == [400, "turn-1.1:end"]


def test_a_call_that_leaves_is_handed_over_after_a_second():
    caller = stream_stories.a_caller()
    caller.speaks(20)  # voiced, but no utterance
    caller.has_to_leave(NEXT_STREAM)
    assert due_in_ms(caller) == 1000
    caller.is_silent(980)
    assert (caller.steps(), due_in_ms(caller)) == ([], 20)
    caller.is_silent(20)
    assert caller.steps() == ["UpdateCall"]
    assert due_in_ms(caller) is None
