"""Parameters by which one stream of a call tells the next how the call stands."""

import pytest

from lexbridge.call.attributes import CALLED_NUMBER_ATTRIBUTE
from lexbridge.call.stream_parameters import (
    CALLED_PARAMETER,
    GREETING_PARAMETER,
    HANDED_OVER,
    HOOK_PARAMETER,
    KEYED,
    KEYS_PARAMETER,
    LOST,
    NO_INPUTS_PARAMETER,
    REPROMPTS_PARAMETER,
    RESUMED_PARAMETER,
    SPOKEN_PARAMETER,
    STREAMS_LOST_PARAMETER,
    TOKEN_PARAMETER,
    CallProgress,
    StreamParameters,
    fingerprint,
    hand_over_parameters,
    parse_count,
    proof_parameters,
    rules_of_call,
)
from lexbridge.lex.model import Message
from tests.support.settings import make_settings

PROMPT = [Message("Which flowers?")]


def test_the_first_stream_takes_over_only_the_facts():
    assert StreamParameters.parse({"shop": "7", TOKEN_PARAMETER: "t"}) == StreamParameters(call_facts={"shop": "7"})


def test_what_is_handed_over_is_taken_over():
    parameters = dict(hand_over_parameters({"shop": "7"}, 2, 1, PROMPT)) | {
        SPOKEN_PARAMETER: "900",
        REPROMPTS_PARAMETER: "700 x 0",
    }
    assert StreamParameters.parse(parameters) == StreamParameters(
        HANDED_OVER,
        {"shop": "7"},
        no_inputs=2,
        failed_turns=1,
        prompt_fingerprint=fingerprint(PROMPT),
        spoken_ms=900,
        reprompts_ms=(700, 0, 0),
    )


def test_what_is_not_known_or_nothing_is_not_handed_over():
    assert hand_over_parameters({}, 0, 0, None) == [(RESUMED_PARAMETER, HANDED_OVER)]


def test_the_called_number_is_handed_over_beside_the_facts():
    known = dict(hand_over_parameters({}, 0, 0, None, "+12065550199"))
    assert known == {RESUMED_PARAMETER: HANDED_OVER, CALLED_PARAMETER: "+12065550199"}
    assert StreamParameters.parse(known) == StreamParameters(
        HANDED_OVER, called_number="+12065550199"
    )  # and the bot is not told again
    facts = {CALLED_NUMBER_ATTRIBUTE: "+12065550199"}
    known = dict(hand_over_parameters(facts, 0, 0, None, "+12065550199"))
    assert known == {RESUMED_PARAMETER: HANDED_OVER, **facts}
    assert StreamParameters.parse(known) == StreamParameters(HANDED_OVER, facts, called_number="+12065550199")


def test_keys_are_taken_over_only_by_the_stream_opened_for_them():
    parameters = {KEYS_PARAMETER: "12", STREAMS_LOST_PARAMETER: "1"}
    assert StreamParameters.parse({**parameters, RESUMED_PARAMETER: KEYED}).keys == "12"
    assert StreamParameters.parse({**parameters, RESUMED_PARAMETER: LOST}) == StreamParameters(LOST)


def test_what_the_routing_hook_gave_is_no_fact_of_ours():
    parameters = {"tier": "gold", HOOK_PARAMETER: "1", GREETING_PARAMETER: "Hello Zoë."}
    assert StreamParameters.parse(parameters) == StreamParameters(
        call_facts={"tier": "gold"}, has_hook=True, greeting="Hello Zoë."
    )
    assert "Zoë" not in repr(StreamParameters.parse(parameters))


def test_a_call_has_the_greeting_that_it_was_given():
    rules = make_settings(WELCOME="bot", WELCOME_INTENT="Hello").line.call_rules
    assert rules_of_call(rules, {}) is rules
    given = rules_of_call(rules, {GREETING_PARAMETER: "Hello Zoë."})
    assert (given.greeting, given.welcome) == ("Hello Zoë.", "greeting")


def test_a_count_that_is_not_ours_is_none():
    assert StreamParameters.parse({NO_INPUTS_PARAMETER: "many"}).no_inputs == 0


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("999999", 999999), (None, 0), ("", 0), ("-1", 0), ("1e3", 0), ("1" * 7, 0)]
)
def test_a_whole_number_is_one_that_we_wrote(text, number):
    assert parse_count(text) == number


def test_a_fingerprint_tells_prompts_apart_but_not_their_words():
    assert fingerprint(PROMPT) == fingerprint(tuple(PROMPT)) != fingerprint([Message("Which day?")])
    assert "flowers" not in fingerprint(PROMPT)
    assert len(fingerprint([Message("\ud800")])) == 8


def test_what_is_the_callers_does_not_show_when_it_is_printed():
    assert repr(StreamParameters.parse({"shop": "7", RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "4711"})) == (
        "StreamParameters(resumed='keyed', no_inputs=0, failed_turns=0, prompt_fingerprint=None, "
        "spoken_ms=0, reprompts_ms=(), no_input_ms=0, progress=CallProgress(began_s=None, turns=0, returned=None, "
        "switches=Switches(count=0, in_a_row=0, origin=None)), age_s=0, is_callee_first=False, "
        "has_callee_spoken=False, machine=None, has_hook=False)"
    )


def test_the_counts_of_a_call_are_taken_over_but_no_facts():
    parameters = dict(CallProgress(1795846066, 3).parameters(71.6))
    taken = StreamParameters.parse({"shop": "7", **parameters})
    assert (taken.progress, taken.age_s, taken.call_facts) == (CallProgress(1795846066, 3), 72, {"shop": "7"})
    assert CallProgress(1795846066, 3).query == {"began": 1795846066, "turns": 3}


def test_a_transfer_that_came_back_is_told_in_any_case():
    progress = CallProgress(returned="busy")
    assert (progress.query, progress.parameters(3)) == ({"returned": "busy"}, [("lexbridge:returned", "busy")])
    parsed = StreamParameters.parse({"shop": "7", **dict(progress.parameters(3))})
    assert (parsed.progress, parsed.call_facts) == (progress, {"shop": "7"})
    assert CallProgress(1795846066, 3, "busy").query == {"began": 1795846066, "turns": 3, "returned": "busy"}
    assert CallProgress.parse(None, None, "my own words") == CallProgress()


def test_where_nobody_counts_nothing_is_told():
    assert CallProgress().parameters(71) == []
    assert CallProgress().query == {}


@pytest.mark.parametrize("began", [None, "", "yesterday", "-795846066", "17958460660"])
def test_a_time_that_is_not_ours_is_none(began):
    assert CallProgress.parse(began, "x") == CallProgress()


def test_a_token_goes_with_the_route_that_it_proves() -> None:
    assert proof_parameters("1.a.b", "") == [("lexbridge:token", "1.a.b")]
    assert proof_parameters("1.a.b", "shop/faq") == [("lexbridge:token", "1.a.b"), ("lexbridge:line", "shop/faq")]
