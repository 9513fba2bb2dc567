"""Settings of transfers and of what comes after the bot: each wrong value is answered with its rule."""

import pytest

from lexbridge.errors import ConfigError
from tests.support.settings import make_settings

AFTER = "must be an address such as https://flows.example.com/next?FlowEvent=return, at most 500 characters"
ATTRIBUTES = "must be names other than intent, outcome and slot_..., which the query has anyway"
INTENT = "must be the name of an intent such as NobodyThere"


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"AFTER_URL": "https://a:b@flows.example.com/"}, f"AFTER_URL: is 'https://a:b@flows.example.com/'; {AFTER}"),
        ({"AFTER_ATTRIBUTES": "customer,slot_x"}, f"AFTER_ATTRIBUTES: is 'customer,slot_x'; {ATTRIBUTES}"),
        ({"TRANSFER_FAILED_INTENT": "Nobody There"}, f"TRANSFER_FAILED_INTENT: is 'Nobody There'; {INTENT}"),
    ],
)
def test_a_wrong_value_is_answered_with_its_rule(variables, problem):
    with pytest.raises(ConfigError) as raised:
        make_settings(**variables)
    assert problem in str(raised.value)


def test_all_of_them_can_be_set():
    line = make_settings(
        TRANSFER_NUMBERS="queue:Sales",
        TRANSFER_ATTRIBUTES="customer, topic",
        TRANSFER_FAILED_INTENT="NobodyThere",
        TRANSFER_FAILED_TEXT="Nobody is here.",
        AFTER_URL="https://flows.example.com/next?FlowEvent=return",
        AFTER_ATTRIBUTES="customer",
    ).line
    assert line.transfer_numbers.find("queue:Sales") is not None
    assert (line.transfer_attributes, line.transfer_failed_intent) == (("customer", "topic"), "NobodyThere")
    assert line.phrases.transfer_failed == "Nobody is here."
    assert (line.after_url, line.after_attributes) == (
        "https://flows.example.com/next?FlowEvent=return",
        ("customer",),
    )
