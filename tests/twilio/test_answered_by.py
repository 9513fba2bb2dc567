"""Who or what has answered an outbound call, and what becomes of the call."""

import pytest

from lexbridge.errors import ConfigError
from lexbridge.twilio.answered_by import MachineCall, decide_machine
from tests.support.settings import make_settings

HANG_UP, LEAVE_TEXT, LISTEN = MachineCall.HANG_UP, MachineCall.LEAVE_TEXT, MachineCall.LISTEN
NOTHING: dict[str, str] = {}
TEXT = {"MACHINE_TEXT": "Please call us back."}
HANGUP = {"MACHINE_HANGUP": "on"}
INTENT = {"MACHINE_INTENT": "VoicemailIntent"}


@pytest.mark.parametrize(
    ("answered_by", "without", "hangup", "with_text", "with_intent"),
    [
        ("human", None, None, None, None),
        ("unknown", None, None, None, None),
        ("", None, None, None, None),
        ("machine_start", None, HANG_UP, LISTEN, LISTEN),
        ("machine_end_beep", None, HANG_UP, LEAVE_TEXT, LISTEN),
        ("machine_end_silence", None, HANG_UP, LEAVE_TEXT, LISTEN),
        ("machine_end_other", None, HANG_UP, LEAVE_TEXT, LISTEN),
        ("fax", HANG_UP, HANG_UP, HANG_UP, HANG_UP),
    ],
)
def test_what_becomes_of_the_call(answered_by, without, hangup, with_text, with_intent):
    for variables, wanted in ((NOTHING, without), (HANGUP, hangup), (TEXT, with_text), (INTENT, with_intent)):
        assert decide_machine(answered_by, make_settings(**variables).line) is wanted


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({**TEXT, **HANGUP}, "MACHINE_HANGUP: is on; a machine then hears nothing: unset it, or MACHINE_TEXT"),
        (
            {**TEXT, **INTENT},
            "MACHINE_INTENT and MACHINE_TEXT: are both set; a machine hears the words of one of them: unset the other",
        ),
    ],
)
def test_one_thing_is_done_with_a_machine(variables, problem):
    with pytest.raises(ConfigError) as refused:
        make_settings(**variables)
    assert [str(one) for one in refused.value.problems] == [problem]
