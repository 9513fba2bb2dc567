"""Whether a reply was heard: as a whole, in part, or not at all because another took its place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.call.documents import speaking_ms
from lexbridge.observer.calls.turn_record import Turn
from tests.support.told_facts import ToldCall

WORDS = "What kind of flowers would you like to order today?"
LONG_S = speaking_ms(WORDS) / 1000


def twiml(words: str = WORDS) -> dict[str, Any]:
    return {"twiml": f"<Response><Gather><Say>{words}</Say></Gather></Response>" if words else "<Response/>"}


def answered(call: ToldCall, turn: int, number: int | None = None, taken: bool = True) -> None:
    """Let Lex answer a turn, and Twilio take the document."""
    call.tell("utterance-opened", turn=turn, started_ms=0)
    call.tell("lex-answered", "debug", {"messages": [WORDS]}, turn=turn)
    call.tell("update-made", "debug", twiml(), number=number or turn)
    if taken:
        call.tell("call-updated", "debug", number=number or turn)


def heard(call: ToldCall) -> list[str | None]:
    return [turn.heard for turn in call.view["turns"]]


# -- documents


@pytest.mark.parametrize(
    ("share", "told"),
    [(0.0, "replaced"), (0.1, "replaced"), (0.3, "partly"), (0.55, "partly"), (0.7, "yes"), (2, "yes")],
)
def test_a_document_that_is_replaced_was_heard_so_far(share: float, told: str) -> None:
    call = ToldCall().begin()
    answered(call, 1)
    assert heard(call) == [None]
    call.at += share * LONG_S
    call.tell("update-made", "debug", twiml(""), number=2)
    assert heard(call) == [told]


def test_a_document_that_twilio_took_is_heard_once_it_was_spoken() -> None:
    call = ToldCall().begin()
    answered(call, 1)
    call.at += LONG_S + 0.1
    call.tell("utterance-opened", turn=2, started_ms=9000)
    assert heard(call) == ["yes", None]


def test_an_answer_that_waits_for_twilio_is_replaced_unheard() -> None:
    call = ToldCall().begin()
    answered(call, 1, taken=False)
    call.at += 10
    call.tell("call-updated", "debug", number=77)  # another one
    answered(call, 2)
    assert heard(call) == ["replaced", None]


def test_of_a_document_that_twilio_refused_nobody_knows() -> None:
    call = ToldCall().begin()
    call.tell("call-update-failed", "error")
    answered(call, 1, taken=False)
    call.tell("call-update-failed", "warning", attempt=1)
    call.tell("call-update-failed", "error")
    answered(call, 2)
    assert heard(call) == [None, None]


def test_a_document_that_twilio_took_after_all_counts() -> None:
    call = ToldCall().begin()
    answered(call, 1, taken=False)
    call.tell("call-update-broken", "error")
    call.tell("call-updated", "debug", number=1)
    call.at += 0.1
    answered(call, 2)
    assert heard(call) == ["replaced", None]


@pytest.mark.parametrize(("taken", "told"), [(True, "partly"), (False, "replaced")])
def test_a_caller_who_interrupts_hears_a_part(taken: bool, told: str) -> None:
    call = ToldCall().begin()
    answered(call, 1, taken=taken)
    call.at += 1
    call.tell("barged-in", heard_ms=1000)
    call.at += LONG_S
    call.tell("update-made", "debug", twiml(""), number=2)
    assert heard(call) == [told]


@pytest.mark.parametrize(
    ("ended_by", "taken", "after_s", "told"),
    [
        ("caller", True, 0.1, "partly"),
        ("caller", True, LONG_S * 0.9, "yes"),
        ("caller", False, 1, None),
        ("bot", True, 0.1, "yes"),
    ],
)
def test_the_end_of_a_call_stops_its_document(ended_by: str, taken: bool, after_s: float, told: str | None) -> None:
    call = ToldCall().begin()
    answered(call, 1, taken=taken)
    call.at += after_s
    call.end(ended_by)
    assert heard(call) == [told]


def test_a_filler_replaces_no_turn_but_the_one_before() -> None:
    call = ToldCall().begin()
    answered(call, 1)
    call.at += 1
    call.tell("utterance-opened", turn=2, started_ms=0)
    call.tell("update-made", "debug", twiml("One moment please."), number=2)
    call.tell("call-updated", "debug", number=2)
    call.at += 0.1
    call.tell("lex-answered", "debug", {"messages": [WORDS]}, turn=2)
    call.tell("update-made", "debug", twiml(), number=3)
    assert heard(call) == ["partly", None]


def test_a_document_goes_on_over_the_next_stream() -> None:
    call = ToldCall().begin()
    answered(call, 1)
    call.tell("stream-ended", how="stopped")
    call.tell("call-left", why="handed over")
    call.stream_sid = "MZ2"
    call.begin(pid=5)
    call.at += LONG_S * 0.3
    call.tell("update-made", "debug", twiml(""), number=2)
    assert heard(call) == ["partly"]


def test_a_call_faster_than_the_clock_is_judged_by_media_time() -> None:
    call = ToldCall().begin()
    answered(call, 1)
    event = call.event("update-made", "debug", twiml(""), number=2)
    call.book.take(type(event)(event.at_s + 0.1, *_rest(event, round(LONG_S * 1000))))
    assert heard(call) == ["yes"]


def _rest(event: Any, later_ms: int) -> list[Any]:
    return [event.call_sid, event.stream_sid, event.media_ms + later_ms, event.level, event.name, event.fields]


# -- the audio of a stream


def prompt(call: ToldCall, turn: int = 1, in_ms: int = 200) -> ToldCall:
    """Let Lex answer a turn, and its audio begin."""
    call.tell("utterance-opened", turn=turn, started_ms=0)
    call.tell("lex-answered", "debug", {"messages": [WORDS]}, turn=turn)
    call.tell("mark-sent", "debug", name=f"turn-{turn}.1:500")
    call.tell("prompt-audible", "debug", turn=turn, in_ms=in_ms, is_filler=False)
    call.tell("mark-sent", "debug", name=f"turn-{turn}.1:end")
    return call


def stream_call() -> ToldCall:
    return ToldCall().begin("stream")


@pytest.mark.parametrize(
    ("after_s", "event", "fields", "told"),
    [
        (0.1, "audio-cleared", {}, "replaced"),
        (0.3, "audio-cleared", {}, "partly"),
        (0.3, "mark-returned", {"name": "turn-1.1:500"}, None),
        (0.3, "mark-returned", {"name": "turn-1.1:end"}, "yes"),
        (0.3, "mark-returned", {"name": "turn-1.0:end"}, None),
        (0.3, "mark-returned", {"name": "odd"}, None),
        (0.3, "mark-returned", {}, None),
        (9, "mark-missing", {}, "yes"),
        (0.1, "stream-ended", {"how": "stopped"}, None),
        (0.3, "stream-ended", {"how": "stopped"}, "partly"),
    ],
)
def test_marks_tell_what_was_heard(after_s: float, event: str, fields: dict[str, Any], told: str | None) -> None:
    call = prompt(stream_call())
    call.at += after_s
    call.tell(event, "debug", **fields)
    assert heard(call) == [told]


def test_marks_of_cleared_audio_do_not_count() -> None:
    call = prompt(stream_call())
    call.at += 1
    call.tell("audio-cleared", "debug")
    call.tell("mark-returned", "debug", name="turn-1.1:end")
    assert heard(call) == ["partly"]
    call.tell("mark-sent", "debug", name="turn-1.2:end")  # it was a false alarm: the prompt goes on
    call.tell("mark-returned", "debug", name="turn-1.2:end")
    assert heard(call) == ["yes"]
    call.tell("mark-sent", "debug", name="turn-1.3:end")
    call.tell("audio-cleared", "debug")
    assert heard(call) == ["yes"]


def test_audio_without_a_sound_was_not_heard() -> None:
    call = stream_call()
    call.tell("utterance-opened", turn=1, started_ms=0)
    call.tell("mark-sent", "debug", name="turn-1.1:500")
    call.at += 5
    call.tell("audio-cleared", "debug")
    assert heard(call) == ["replaced"]


def test_own_phrases_and_what_nobody_plays_are_no_turns() -> None:
    call = stream_call()
    call.tell("utterance-opened", turn=1, started_ms=0)
    for name in ("audio-cleared", "mark-missing", "stream-ended"):
        call.tell(name)
    call.tell("mark-sent", "debug", name="odd")
    call.tell("prompt-audible", "debug", turn=1, in_ms=0, is_filler=True)
    call.tell("prompt-audible", "debug", in_ms=0)
    call.tell("mark-sent", "debug", name="turn--2.1:end")
    call.tell("mark-returned", "debug", name="turn--2.1:end")
    assert heard(call) == [None]


@pytest.mark.parametrize(
    ("mode", "fields", "ended", "told"),
    [
        ("stream", {"outcome": "answered"}, False, "replaced"),
        ("stream", {"outcome": "answered"}, True, None),
        ("stream", {"outcome": "answered", "reply_ms": 900}, False, None),
        ("stream", {"outcome": "joined"}, False, None),
        ("call-update", {"outcome": "answered"}, False, None),
    ],
)
def test_an_answer_never_played_was_replaced(mode: str, fields: dict[str, Any], ended: bool, told: str | None) -> None:
    call = ToldCall().begin(mode)
    call.tell("lex-answered", "debug", {"messages": [WORDS]}, turn=1)
    if ended:
        call.tell("stream-ended", how="stopped")
    call.tell("turn-latency", turn=1, **fields)
    assert heard(call) == [told]


# -- whatever comes

FACTS = {
    "update-made": {"number": 1},
    "call-updated": {"number": 1},
    "call-update-failed": {},
    "barged-in": {"heard_ms": 1},
    "lex-answered": {"turn": 1},
    "prompt-audible": {"turn": 1, "in_ms": 100},
    "mark-sent": {"name": "turn-1.1:end"},
    "mark-returned": {"name": "turn-1.1:end"},
    "audio-cleared": {},
    "turn-latency": {"turn": 1, "outcome": "answered"},
    "stream-ended": {},
}


@given(st.lists(st.tuples(st.sampled_from(sorted(FACTS)), st.floats(0, 3), st.booleans()), max_size=30))
def test_what_was_heard_as_a_whole_stays_so(facts: list[tuple[str, float, bool]]) -> None:
    call, was = stream_call(), None
    for name, pause_s, is_error in facts:
        call.at += pause_s
        words = {**twiml(), "messages": [WORDS]}
        call.tell(name, "error" if is_error else "debug", words, **FACTS[name])
        turns: list[Turn] = call.view["turns"]
        now = turns[0].heard if turns else None
        assert now in (None, "yes", "partly", "replaced")
        assert not (was is not None and now is None)
        assert was != "yes" or now == "yes"
        was = now
