"""What each speaker does and reports, method by method. It moves nothing: state and waits stay as they are."""

import ast
import math
from pathlib import Path

import pytest

from lexbridge import call as call_package
from lexbridge.audio.endpointing import Endpointer, EndpointingRules
from lexbridge.audio.hangover import Expected
from lexbridge.call.context import CallContext
from lexbridge.call.dialog import DialogContext
from lexbridge.call.documents import speaking_ms
from lexbridge.call.events import Started
from lexbridge.call.last_words import Goodbye
from lexbridge.call.output.call_update import LONGEST_KEYS_MS, CallUpdateSpeaker
from lexbridge.call.output.prompt import HEARD_WITHIN_MS
from lexbridge.call.output.reports import CallersTurn, HandedOver, SpeaksUntil
from lexbridge.call.output.stream import StreamSpeaker
from lexbridge.call.states import CallMove, CallState
from lexbridge.call.stream_parameters import StreamParameters
from lexbridge.lex.model import Message
from lexbridge.twilio.twiml import TwimlDocuments
from tests.support.caller import NEXT_STREAM
from tests.support.settings import make_settings
from tests.support.sounds import tone
from tests.support.twiml import outline

WORDS = [Message("Which flowers would you like?")]
SPOKEN_MS = speaking_ms(WORDS[0].text)
KNOWN, UNKNOWN = [Message("known")], [Message("unknown")]
NOW_MS = 400


def context(mode, **variables):
    """Return the context of a live call, 400 ms after its start."""
    settings = make_settings(REPLY_MODE=mode, **variables)
    documents = TwimlDocuments(
        settings.service.url, settings.service.stream_url, hold_s=60, is_two_way=mode == "stream"
    )
    call = CallContext(settings.line.call_rules, documents, Endpointer(EndpointingRules()))
    call.begin(Started("MZ1", "CA1", "AC1", {}), StreamParameters(), CallMove.STARTED)
    passes(call, NOW_MS)
    return call


def passes(call, ms):
    for _ in range(ms // 20):
        call.endpointer.push(b"\xff" * 160, False)


def waits_of(call):
    """Return all that a speaker must not move."""
    return call.state, call.quiet_from_ms, call.endpointer._no_input_at_ms


@pytest.fixture(params=["call-update", "stream"])
def call(request):
    return context(request.param)


@pytest.fixture
def speaker(call):
    stream = call.rules.reply_mode == "stream"
    return StreamSpeaker(call, {"known": tone(200)}) if stream else CallUpdateSpeaker(call)


def acts(call):
    return [type(action).__name__ for action in call.take_actions() if type(action).__name__ != "Note"]


def test_a_speaker_moves_nothing(call, speaker):
    before = waits_of(call)
    assert before == (CallState.LIVE, 0, math.inf)
    speaker.greet()
    speaker.await_input(1000)
    speaker.speak(KNOWN)
    speaker.interrupt()
    speaker.fill()
    speaker.tick()
    speaker.close(KNOWN, Goodbye())
    speaker.end()
    assert waits_of(call) == before


# -- documents


def documents_of(**variables):
    call = context("call-update", **variables)
    return call, CallUpdateSpeaker(call)


def test_a_document_speaks_for_a_while_and_then_listens():
    call, speaker = documents_of()
    assert speaker.speak(WORDS) == (SpeaksUntil(NOW_MS + SPOKEN_MS), CallersTurn(SPOKEN_MS))
    assert acts(call) == ["UpdateCall"]


def test_a_document_does_not_wait_for_a_caller_who_speaks():
    call, speaker = documents_of()
    call.turns.speech_started(0, b"")
    assert speaker.speak(WORDS) == (SpeaksUntil(NOW_MS + SPOKEN_MS),)


@pytest.mark.parametrize(("opening", "reports"), [(NEXT_STREAM, [HandedOver]), (None, [SpeaksUntil, CallersTurn])])
def test_a_document_hands_over_if_there_is_another_stream(opening, reports):
    call, speaker = documents_of()
    call.is_leaving, call.next_stream = True, opening
    assert [type(report) for report in speaker.speak(WORDS)] == reports
    (update,) = call.take_actions()
    assert update.hands_over == (opening is not None)


def test_the_greeting_is_waited_for():
    _, speaker = documents_of(GREETING="Hello.")
    assert speaker.greet() == (CallersTurn(speaking_ms("Hello.")),)


@pytest.mark.parametrize(("after_ms", "reports"), [(480, ()), (500, (SpeaksUntil(NOW_MS + 500),)), (2000, ())])
def test_a_document_is_interrupted_while_it_surely_speaks(after_ms, reports):
    call, speaker = documents_of(BARGE_IN="on")
    speaker.speak(WORDS)
    call.take_actions()
    passes(call, after_ms)
    assert speaker.interrupt() == reports
    assert acts(call) == ["UpdateCall"] * len(reports)


def test_each_reprompt_of_a_document_is_taken_once():
    """After the last one the document waits for keys, and then hangs up."""
    _, speaker = documents_of()
    assert speaker.take_reprompt() == ()
    speaker.await_input(0, [1000, 500])
    assert speaker.take_reprompt() == (CallersTurn(1000),)
    assert speaker.take_reprompt() == (CallersTurn(500, LONGEST_KEYS_MS),)
    assert (speaker.take_reprompt(), speaker.has_reprompts) == ((), False)


def test_a_document_with_reprompts_is_replaced_for_who_is_heard():
    call, speaker = documents_of(NO_INPUT_S="2")
    call.go_to(DialogContext(expected=Expected.DIGITS))
    speaker.speak(WORDS)
    assert (acts(call), speaker.has_reprompts) == (["UpdateCall"], True)
    passes(call, 20_000)
    assert (speaker.tick(), acts(call)) == ((), [])
    call.turns.speech_started(0, b"")
    call.take_actions()
    assert (speaker.tick(), acts(call), speaker.has_reprompts) == ((), ["UpdateCall"], False)


# -- the stream


def stream_of(**variables):
    call = context("stream", **variables)
    return call, StreamSpeaker(call, {"known": tone(200)})


def test_a_prompt_that_was_heard_gives_the_turn_to_the_caller():
    call, speaker = stream_of()
    assert speaker.speak(KNOWN) == ()
    assert (acts(call), speaker.is_speaking) == (["SendAudio", "SendMark"], True)
    assert speaker.mark_reached("turn--1.1:end") == (SpeaksUntil(NOW_MS), CallersTurn())
    assert not speaker.is_speaking
    assert list(speaker.tick()) == []


def test_after_a_prompt_a_caller_who_speaks_is_not_waited_for():
    call, speaker = stream_of()
    speaker.speak(KNOWN)
    call.turns.speech_started(0, b"")
    assert speaker.mark_reached("turn--1.1:end") == (SpeaksUntil(NOW_MS),)


def test_words_without_audio_hand_the_call_over():
    call, speaker = stream_of()
    call.next_stream = NEXT_STREAM
    assert speaker.speak(UNKNOWN) == (HandedOver(),)
    (update,) = call.take_actions()
    assert (update.hands_over, outline(update.twiml)[0]) == (True, "unknown")


def test_words_without_audio_or_another_stream_are_left_out():
    call, speaker = stream_of()
    assert speaker.speak(UNKNOWN) == (SpeaksUntil(NOW_MS), CallersTurn())
    assert [action.event for action in call.take_actions()] == ["words-left-out"]


@pytest.mark.parametrize(("words", "document"), [(KNOWN, ["Hangup"]), (UNKNOWN, ["unknown", "Hangup"])])
def test_the_last_words_end_the_call_once_they_were_heard(words, document):
    call, speaker = stream_of()
    reports = speaker.close(words, Goodbye())
    if words is KNOWN:
        assert (reports, speaker.is_finishing) == ((), True)
        call.take_actions()
        reports = speaker.mark_reached("turn--1.1:end")
    assert list(reports) == [SpeaksUntil(NOW_MS)] * (words is KNOWN)
    (update,) = call.take_actions()
    assert (outline(update.twiml), speaker.is_finishing) == (document, False)


def test_what_was_interrupted_goes_on_after_a_false_alarm():
    call, speaker = stream_of(BARGE_IN="on")
    assert speaker.resume_interrupted() is None
    speaker.speak(KNOWN)
    assert speaker.interrupt() == (SpeaksUntil(NOW_MS),)
    assert speaker.interrupt() == ()
    call.turns.speech_started(0, b"")
    assert speaker.resume_interrupted() == ()  # kept: the caller speaks
    call.turns.drop_all("a test")
    call.take_actions()
    assert (speaker.resume_interrupted(), acts(call)) == ((), ["SendAudio", "SendMark"])


@pytest.mark.parametrize("is_sent", [True, False])
def test_no_prompt_plays_while_the_call_is_handed_over(is_sent):
    call, speaker = stream_of()
    if is_sent:
        speaker.speak(KNOWN)
        call.take_actions()
    call.move(CallMove.HANDED_OVER)
    speaker.speak(KNOWN)
    assert (list(speaker.tick()), acts(call)) == ([], [])
    assert speaker.next_due_ms() == (NOW_MS + 200 + HEARD_WITHIN_MS if is_sent else None)
    call.move(CallMove.NOT_CARRIED_OUT)
    if is_sent:
        speaker.mark_reached("turn--1.1:end")
    else:
        assert speaker.next_due_ms() <= NOW_MS
        speaker.tick()
    assert acts(call) == ["SendAudio", "SendMark"]


def test_a_prompt_that_ends_during_a_hand_over_is_marked_later():
    call, speaker = stream_of()
    speaker.speak(WORDS, 1)
    speaker.speech_arrived(1, tone(200))
    assert acts(call) == ["SendAudio"]
    call.move(CallMove.HANDED_OVER)
    speaker.speech_ended(1)
    assert speaker.next_due_ms() is None
    call.move(CallMove.NOT_CARRIED_OUT)
    assert speaker.next_due_ms() <= NOW_MS
    speaker.tick()
    assert acts(call) == ["SendMark"]


def test_a_prompt_whose_mark_is_missing_makes_room_for_the_next():
    call, speaker = stream_of()
    speaker.speak(KNOWN)
    call.move(CallMove.HANDED_OVER)
    passes(call, 200 + HEARD_WITHIN_MS)
    speaker.tick()
    assert speaker.next_due_ms() is None
    call.move(CallMove.NOT_CARRIED_OUT)
    assert speaker.next_due_ms() <= call.now_ms
    speaker.tick()
    assert not speaker.is_speaking


# -- whoever has a speaker


def test_no_report_of_a_speaker_is_dropped():
    """Whatever returns reports is called for `take_reports`, or its result is kept in a name."""
    reporting = {"greet", "await_input", "take_reprompt", "interrupt", "speak", "fill", "close", "tick"}
    reporting |= {"resume_interrupted", "speech_arrived", "speech_ended", "speech_failed", "mark_reached"}
    seen = set()
    for path in Path(call_package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("self._speaker.", "self._voice.")):
                seen.add(node.func.attr)
            dropped = (
                ast.unparse(node.value.func) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else ""
            )
            owner, _, name = dropped.rpartition(".")
            assert not (owner in ("self._speaker", "self._voice") and name in reporting), f"{path}: {dropped}"
    assert seen >= reporting
