"""A session and its socket: messages of every kind, the log lines, and the end."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.call.actions import CancelUtterance, CloseUtterance, FlushUtterance, Note, OpenUtterance
from lexbridge.call.attributes import ACTION_ATTRIBUTE, TRANSFER_TO_ATTRIBUTE
from lexbridge.call.events import Media
from lexbridge.call.states import CallState
from lexbridge.errors import LexRejected, LexUnavailable, MediaStreamError
from tests.support.call_update_stories import BYE, FULFILLED, NUMBER, a_caller, a_caller_lex_thinks_about
from tests.support.caller import Caller
from tests.support.property_tests import examples
from tests.support.twilio_messages import CALL_SID, STREAM_SID, media_text, start_text

# -- the end (contract 11)


@pytest.mark.parametrize(("end", "how"), [(Caller.hangs_up, "stopped"), (Caller.is_cut_off, "lost")])
def test_the_end_of_the_stream_cancels_what_is_in_flight(end, how):
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    end(caller)
    assert caller.steps() == ["CancelUtterance 1"]
    assert [note.fields["turn"] for note in caller.notes if note.event == "utterance-dropped"] == [1, 2]
    assert caller.note("stream-ended") == {
        "how": how,
        "turns": 2,
        "media_ms": 3400,
        "late_messages": 0,
        "filled_ms": 0,
        "silent_ms": 0,
        "odd_messages": 0,
    }
    assert caller.session.state is CallState.ENDED


def test_an_utterance_cut_off_by_a_hang_up_is_not_completed():
    """Lex would take half a sentence for an answer, and a call that resumes would go on from there."""
    caller = a_caller()
    caller.speaks(500)
    caller.hangs_up()
    assert caller.steps() == ["OpenUtterance 1", "CancelUtterance 1"]


def test_whatever_comes_after_the_end_is_dropped():
    caller = a_caller_lex_thinks_about()
    caller.hangs_up()
    seen = len(caller.actions)
    caller.says_something()
    caller.sends(start_text())
    caller.hangs_up()
    caller.is_cut_off()
    caller.lex_says("Which day?")
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.actions[seen:] == []


@pytest.mark.parametrize("end", [Caller.hangs_up, Caller.is_cut_off])
def test_a_socket_may_end_before_its_stream_starts(end):
    caller = Caller()
    end(caller)
    assert caller.session.state is CallState.ENDED
    assert caller.note("stream-ended")["turns"] == 0


# -- what else may come on the socket


def test_media_before_start_is_refused():
    with pytest.raises(MediaStreamError, match=r"^media came before start$"):
        Caller().speaks(20)


def test_a_second_start_is_refused():
    caller = a_caller()
    with pytest.raises(MediaStreamError, match=r"^start came twice$"):
        caller.dials()


def test_what_is_no_message_is_refused():
    with pytest.raises(MediaStreamError, match=r"^the message is not JSON$"):
        a_caller().sends("hello")


def test_messages_of_other_streams_than_ours_change_nothing():
    caller = a_caller()
    seen = len(caller.actions)
    caller.sends(json.dumps({"event": "mark", "streamSid": STREAM_SID, "mark": {"name": "a"}}))
    caller.sends(json.dumps({"event": "dtmf", "streamSid": STREAM_SID, "dtmf": {"digit": "1"}}))
    caller.sends(media_text(0, b"\x00" * 8000, track="outbound"))
    assert caller.actions[seen:] == []


def test_an_event_that_is_new_is_noted_without_what_it_says():
    caller = a_caller()
    caller.sends('{"event": "secret-event"}')
    assert caller.note("unknown-event") == {}


# -- notes


def test_a_note_tells_how_loud_voice_and_line_are():
    caller = a_caller()
    caller.is_silent(1000)
    caller.speaks(2000)
    caller.is_silent(700)
    assert caller.note("utterance-ended") == {
        "turn": 1,
        "started_ms": 1000,
        "ended_ms": 3700,
        "silent_ms": 700,
        "reason": "hangover",
        "voice_dbfs": -12.3,
        "line_dbfs": -96.0,
    }


def test_a_note_tells_how_a_turn_was_answered():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?", intent="OrderFlowers", slot_to_elicit="PickupDate")
    assert caller.note("turn-answered") == {
        "turn": 1,
        "dialog_state": "ElicitSlot",
        "intent": "OrderFlowers",
        "slot_to_elicit": "PickupDate",
        "messages": 1,
    }


def test_no_note_holds_words_numbers_or_parameters():
    caller = a_caller(
        {"lexbridge:caller-number": "+15005550006", "pin": "hush"}, TRANSFER_NUMBERS=NUMBER, NO_INPUT_LIMIT="1"
    )
    words = {"transcript": "hush hush", "intent": "Help"}
    for asked in ({}, {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: "+15005550006"}):
        caller.says_something()
        caller.lex_says("hush " * 2000, dialog_state=FULFILLED, session_attributes={"pin": "hush", **asked}, **words)
    caller.sends('{"event": "hush"}')
    caller.says_something()
    caller.lex_fails(LexUnavailable("hush"))
    caller.is_silent(15_000)
    for _ in range(6):
        caller.says_something()
    asked = {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: NUMBER}
    caller.lex_says("hush", turn=4, dialog_state=FULFILLED, session_attributes=asked, **words)
    caller.hangs_up()
    assert {note.event for note in caller.notes} == {
        "stream-started",
        "utterance-ended",
        "turn-answered",
        "reply-cut",
        "transfer-refused",
        "unknown-event",
        "turn-failed",
        "no-input",
        "utterance-dropped",
        "transferred",
        "stream-ended",
    }
    told = json.dumps([(note.level, note.event, dict(note.fields)) for note in caller.notes])
    assert not [secret for secret in ("hush", "5550006", "5550100", CALL_SID) if secret in told]


def test_a_printed_action_shows_no_words_audio_or_documents():
    caller = a_caller({"pin": "hush"})
    caller.says_something()
    caller.lex_says("hush")
    shown = repr([action for action in caller.actions if not isinstance(action, Note)])
    assert "hush" not in shown
    assert "\\x" not in shown


# -- whatever happens

STEPS = st.sampled_from(
    [
        *[lambda caller: caller.says_something()] * 3,
        lambda caller: caller.speaks(40),
        lambda caller: caller.speaks(500),
        lambda caller: caller.speaks(4000),
        lambda caller: caller.is_silent(100),
        lambda caller: caller.is_silent(700),
        lambda caller: caller.is_silent(3000),
        *[lambda caller: caller.asked and caller.lex_says("Which day?")] * 3,
        lambda caller: caller.lex_says("Which day?", turn=1),
        lambda caller: caller.asked and caller.lex_says("Goodbye.", **BYE),
        lambda caller: caller.asked and caller.lex_fails(LexUnavailable("no answer")),
        lambda caller: caller.asked and caller.lex_fails(LexRejected("no such bot")),
        lambda caller: caller.does_not_get_the_update(),
        lambda caller: caller.sends('{"event": "new"}'),
    ]
)


ENDS = st.sampled_from([Caller.hangs_up, Caller.is_cut_off, Caller.is_gone])


@examples(30)
@given(st.lists(STEPS, max_size=25), ENDS)
def test_whatever_happens_requests_to_lex_are_in_order(steps, end):
    """Requests to Lex are whole, one at a time and in order, whatever happens."""
    caller = a_caller(NO_INPUT_S="2", MAX_UTTERANCE_MS="4000")
    for step in steps:
        step(caller)
    end(caller)
    at_lex, is_closed, last = None, False, 0
    for action in caller.actions:
        match action:
            case OpenUtterance(turn=turn):
                assert turn > last
                at_lex, is_closed, last = turn, False, turn
            case FlushUtterance(turn=turn) | CloseUtterance(turn=turn):
                assert (turn, is_closed) == (at_lex, False)
                is_closed = isinstance(action, CloseUtterance)
            case CancelUtterance(turn=turn):
                assert turn == at_lex
                at_lex = None
            case Note(event="turn-answered" | "turn-failed"):
                at_lex = None
    assert at_lex is None
    assert caller.session.state is CallState.ENDED
    assert caller.actions[-1].event == "stream-ended"


def test_odd_messages_are_dropped_counted_and_noted_once_each():
    caller = a_caller()
    for text in ('{"event": "dtmf"}', '{"event": "dtmf", "dtmf": {"digit": "w"}}', '{"event": 7}', '{"event": "mark"}'):
        caller.sends(text)
    assert [note.fields["why"] for note in caller.notes if note.event == "odd-message"] == [
        "dtmf.digit is not a key",
        "event is not a text",
        "mark.name is not a text",
    ]
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    caller.hangs_up()
    assert caller.note("stream-ended")["odd_messages"] == 4


def test_no_audio_of_the_caller_is_in_the_text_of_an_event():
    """A bug's traceback may show it."""
    assert repr(Media(20.0, True, b"\xff" * 160)) == "Media(timestamp_ms=20.0, is_inbound=True)"
