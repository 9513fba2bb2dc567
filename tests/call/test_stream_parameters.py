"""What one stream of a call tells the next, and back."""

import pytest

from lexbridge.call.attributes import CALLED_NUMBER_ATTRIBUTE
from lexbridge.call.stream_parameters import (
    CALLED_PARAMETER,
    HANDED_OVER,
    KEYED,
    KEYS_PARAMETER,
    LOST,
    NO_INPUTS_PARAMETER,
    REPROMPTS_PARAMETER,
    RESUMED_PARAMETER,
    SPOKEN_PARAMETER,
    STREAMS_LOST_PARAMETER,
    TOKEN_PARAMETER,
    SoFar,
    Takeover,
    fingerprint,
    handed_over,
    so_far_of,
    takeover_of,
    whole,
)
from lexbridge.lex.model import Message

PROMPT = [Message("Which flowers?")]


def test_the_first_stream_of_a_call_takes_nothing_over_but_the_facts():
    assert takeover_of({"shop": "7", TOKEN_PARAMETER: "t"}) == Takeover(facts={"shop": "7"})


def test_what_is_handed_over_is_taken_over():
    parameters = dict(handed_over({"shop": "7"}, 2, 1, PROMPT)) | {
        SPOKEN_PARAMETER: "900",
        REPROMPTS_PARAMETER: "700 x 0",
    }
    assert takeover_of(parameters) == Takeover(
        HANDED_OVER,
        {"shop": "7"},
        no_inputs=2,
        failed_turns=1,
        prompt=fingerprint(PROMPT),
        spoken_ms=900,
        reprompts_ms=(700, 0, 0),
    )


def test_what_is_not_known_or_nothing_is_not_handed_over():
    assert handed_over({}, 0, 0, None) == [(RESUMED_PARAMETER, HANDED_OVER)]


def test_the_called_number_is_handed_over_where_the_facts_do_not_have_it():
    known = dict(handed_over({}, 0, 0, None, "+12065550199"))
    assert known == {RESUMED_PARAMETER: HANDED_OVER, CALLED_PARAMETER: "+12065550199"}
    assert takeover_of(known) == Takeover(HANDED_OVER, called_number="+12065550199")  # and the bot is not told again
    facts = {CALLED_NUMBER_ATTRIBUTE: "+12065550199"}
    known = dict(handed_over(facts, 0, 0, None, "+12065550199"))
    assert known == {RESUMED_PARAMETER: HANDED_OVER, **facts}
    assert takeover_of(known) == Takeover(HANDED_OVER, facts, called_number="+12065550199")


def test_keys_are_taken_over_by_the_stream_that_was_opened_for_them_only():
    parameters = {KEYS_PARAMETER: "12", STREAMS_LOST_PARAMETER: "1"}
    assert takeover_of({**parameters, RESUMED_PARAMETER: KEYED}).keys == "12"
    assert takeover_of({**parameters, RESUMED_PARAMETER: LOST}) == Takeover(LOST)


def test_a_count_that_is_not_ours_is_none():
    assert takeover_of({NO_INPUTS_PARAMETER: "many"}).no_inputs == 0


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("999999", 999999), (None, 0), ("", 0), ("-1", 0), ("1e3", 0), ("1" * 7, 0)]
)
def test_a_whole_number_is_one_that_we_wrote(text, number):
    assert whole(text) == number


def test_a_fingerprint_tells_prompts_apart_and_nobody_what_they_say():
    assert fingerprint(PROMPT) == fingerprint(tuple(PROMPT)) != fingerprint([Message("Which day?")])
    assert "flowers" not in fingerprint(PROMPT)
    assert len(fingerprint([Message("\ud800")])) == 8


def test_what_is_the_callers_does_not_show_when_it_is_printed():
    assert repr(takeover_of({"shop": "7", RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "4711"})) == (
        "Takeover(how='keyed', no_inputs=0, failed_turns=0, prompt=None, spoken_ms=0, reprompts_ms=(), "
        "no_input_ms=0, so_far=SoFar(began_s=None, turns=0), age_s=0)"
    )


def test_how_far_a_call_has_come_is_taken_over_and_no_fact_for_the_bot():
    parameters = dict(SoFar(1795846066, 3).parameters(71.6))
    taken = takeover_of({"shop": "7", **parameters})
    assert (taken.so_far, taken.age_s, taken.facts) == (SoFar(1795846066, 3), 72, {"shop": "7"})
    assert SoFar(1795846066, 3).query == {"began": 1795846066, "turns": 3}


def test_where_nobody_counts_nothing_is_told():
    assert SoFar().parameters(71) == []
    assert SoFar().query == {}


@pytest.mark.parametrize("began", [None, "", "yesterday", "-795846066", "17958460660"])
def test_a_time_that_is_not_ours_is_none(began):
    assert so_far_of(began, "x") == SoFar()
