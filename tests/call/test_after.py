"""What AFTER_URL gets: the query, its bounds, and the address that it is added to."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.call.after import MAX_QUERY_CHARACTERS, NO_RESULT, Outcome, Result, after_query, with_query

ORDER = Result("Order", {"Size": "big & tall", "Day": None, "Ort": "Köln"}, {"customer": "4711", "pin": "hush"})


def test_the_query_has_outcome_intent_slots_and_attributes():
    query = after_query(ORDER, Outcome.DONE, ("customer", "unknown"))
    assert query == "outcome=done&intent=Order&slot_Size=big%20%26%20tall&slot_Ort=K%C3%B6ln&customer=4711"


def test_before_the_dialog_only_the_outcome_is_known():
    assert after_query(NO_RESULT, Outcome.SILENT, ("customer",)) == "outcome=silent"


def test_what_has_no_room_is_left_out_and_the_rest_stays():
    result = Result("Order", {"Long": "ü" * 300, "Day": "Monday"})
    query = dict(parse_qsl(after_query(result, Outcome.LIMIT, ())))
    assert query == {"outcome": "limit", "intent": "Order", "slot_Day": "Monday"}  # 200 "ü" take 1,200 characters
    assert dict(parse_qsl(after_query(Result(slots={"Long": "u" * 300}), Outcome.DONE, ())))["slot_Long"] == "u" * 200


@given(st.text(), st.dictionaries(st.text(), st.none() | st.text()), st.dictionaries(st.text(), st.text()))
def test_whatever_the_slots_are_the_query_is_short_and_clean(intent, slots, attributes):
    query = after_query(Result(intent, slots, attributes), Outcome.DONE, tuple(attributes))
    assert len(query) <= MAX_QUERY_CHARACTERS
    assert query.isascii()
    assert not set(query) & set(" <>\"#\r\n'")
    assert dict(parse_qsl(query))["outcome"] == "done" or "outcome" in attributes


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example.com", "https://a.example.com?b=c"),
        ("https://a.example.com/d?FlowEvent=return", "https://a.example.com/d?FlowEvent=return&b=c"),
        ("https://a.example.com/d?", "https://a.example.com/d?b=c"),
        ("https://a.example.com/d?e&", "https://a.example.com/d?e&b=c"),
        ("https://a.example.com/d?e#rc=2&rp=all", "https://a.example.com/d?e&b=c#rc=2&rp=all"),
        ("https://a.example.com/d#rc=2?", "https://a.example.com/d?b=c#rc=2?"),
    ],
)
def test_the_query_comes_behind_that_of_the_address(url, expected):
    assert with_query(url, "b=c") == expected
