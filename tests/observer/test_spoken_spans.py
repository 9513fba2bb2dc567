"""When Twilio spoke, by the documents of a call, and what that means for hearing the call again."""

import pytest

from lexbridge.call.documents import speaking_ms
from lexbridge.observer.admin.what_if import utterances
from lexbridge.observer.calls.call_record import CallRecord
from lexbridge.observer.watched.spoken_spans import spoken_spans
from tests.support.settings import make_settings
from tests.support.told_facts import FRAME, LOUD_FRAME, ToldCall

WORDS = "What type of flowers would you like to order?"
SPOKEN_MS = round(speaking_ms(WORDS) * 0.6)
"""Time in which that is surely still spoken."""


def document(words: str) -> str:
    return f"<Response><Gather><Say>{words}</Say><Pause/></Gather><Gather><Say>Again. {words}</Say></Gather></Response>"


def told_call(*documents: tuple[float, str]) -> ToldCall:
    """Return a call in which documents were made at these seconds."""
    call = ToldCall().begin()
    for at_s, twiml in documents:
        call.at = at_s
        call.tell("update-made", "debug", {"twiml": twiml}, number=1)
    return call


def record_of(call: ToldCall) -> CallRecord:
    record = call.book.find(call.call_sid)
    assert record is not None
    return record


def spans(call: ToldCall) -> list[tuple[int, int]]:
    return spoken_spans(record_of(call).events, "MZ1")


def test_a_prompt_is_spoken_for_its_length_without_its_reprompts() -> None:
    assert spans(told_call((1.0, document(WORDS)))) == [(1000, 1000 + SPOKEN_MS)]


def test_the_next_document_stops_the_one_before() -> None:
    stops = "<Response><Pause/></Response>"
    assert spans(told_call((1.0, document(WORDS)), (1.5, stops))) == [(1000, 1500)]
    goodbye = f"<Response><Say>{WORDS}</Say><Hangup/></Response>"
    assert spans(told_call((1.0, document(WORDS)), (9.0, goodbye))) == [
        (1000, 1000 + SPOKEN_MS),
        (9000, 9000 + SPOKEN_MS),
    ]


def test_a_filler_and_what_cannot_be_read_do_not_count() -> None:
    call = told_call((1.0, "<Response>"), (2.0, ""))
    call.tell("mark-sent", "debug", name="update-made")
    call.tell("filler-said", turn=1)
    call.tell("update-made", "debug", {"twiml": document(WORDS)}, number=2)
    assert spans(call) == []
    call.stream_sid = "MZ2"
    call.tell("update-made", "debug", {"twiml": document(WORDS)}, number=1)
    assert spans(call) == []
    call.stream_sid = "MZ1"
    call.at = 5.0
    call.tell("update-made", "debug", {"twiml": document(WORDS)}, number=3)
    assert spans(call) == [(5000, 5000 + SPOKEN_MS)]


@pytest.mark.parametrize(
    ("settings", "is_spoken", "heard"),
    [({}, True, 0), ({}, False, 1), ({"BARGE_IN_MS": "160"}, True, 1), ({"BARGE_IN": "off"}, True, 1)],
)
def test_a_short_sound_while_twilio_speaks_is_no_utterance(
    settings: dict[str, str], is_spoken: bool, heard: int
) -> None:
    call = told_call((0.0, document(WORDS) if is_spoken else "<Response/>"))
    call.audio(FRAME * 60 + LOUD_FRAME * 7 + FRAME * 100, media_ms=0)
    assert len(utterances(record_of(call), make_settings(**settings).line, lambda: None)) == heard
