"""Attributes of the routing hook: the bot gets them once, and addresses say so as long as it does not have them."""

import pytest

from lexbridge.call.actions import OpenUtterance, UpdateCall
from lexbridge.call.events import LeaveRequested, NextStreamOpened
from lexbridge.call.stream_parameters import GREETING_PARAMETER, HOOK_PARAMETER
from tests.support.call_update_stories import a_caller, opening_of
from tests.support.caller import NEXT_STREAM

GIVEN = {"tier": "gold", HOOK_PARAMETER: "1", GREETING_PARAMETER: "Hello Zoe."}


def newest_document(caller):
    return [action for action in caller.actions if isinstance(action, UpdateCall)][-1].twiml


def test_the_bot_gets_the_attributes_with_the_first_turn():
    caller = a_caller(GIVEN)
    caller.says_something()
    caller.lex_says("Which flowers?")
    caller.says_something()
    first, second = [action.session_attributes for action in caller.actions if isinstance(action, OpenUtterance)]
    assert first["tier"] == "gold"
    assert not set(GIVEN) & set(second or {})
    assert GREETING_PARAMETER not in first


@pytest.mark.parametrize(("given", "count"), [(GIVEN, 3), ({"tier": "gold"}, 0)], ids=["hook", "none"])
def test_addresses_say_so_until_the_bot_has_them(given, count):
    caller = a_caller(given, NO_INPUT_S="5")
    caller.is_silent(20_000)
    caller.steps()
    assert newest_document(caller).count("hook=1") == (2 if count else 0)  # resume and keys
    caller.says_something()
    caller.lex_says("Which flowers?")
    caller.steps()
    assert "hook=1" not in newest_document(caller)


@pytest.mark.parametrize("has_turn", [False, True])
def test_a_call_that_moves_before_a_turn_takes_them_along(has_turn):
    caller = a_caller(GIVEN, NO_INPUT_S="5")
    caller.sends(NextStreamOpened(NEXT_STREAM))
    if has_turn:
        caller.says_something()
        caller.lex_says("Which flowers?")
    caller.sends(LeaveRequested())
    caller.is_silent(30_000)
    _, told = opening_of(caller)
    assert (set(GIVEN.items()) <= set(told.items())) is not has_turn
