"""The list of facts of a call that the bot gets."""

import pytest

from tests.support.settings import make_settings


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("", ("AnsweredBy", "StirVerstat", "ParentCallSid")),
        ("none", ()),
        ("From, query.*,SipHeader_X-*,,From", ("From", "query.*", "SipHeader_X-*")),
    ],
)
def test_facts_of_a_call_are_listed_in_order(value: str, read: tuple[str, ...]) -> None:
    assert make_settings(CALL_FACTS=value).line.call_facts == read
