"""Callers who pause in the middle of what they say, in both modes."""

import pytest

from lexbridge.audio.pcm import decode_mulaw
from lexbridge.call.actions import OpenUtterance
from lexbridge.errors import SessionNotRestored
from tests.support.caller import Caller

FIRST, SECOND = {"after": "the first answer"}, {"after": "the second answer"}
NOT_RESTORED = SessionNotRestored("Lex answered 403 AccessDeniedException")
MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])


def a_caller(mode="call-update", parameters=None, **variables):
    caller = Caller(**{"REPLY_MODE": mode, "JOIN": "on", "BARGE_IN": "on", "GREETING": "Hello.", **variables})
    caller.dials(parameters)
    caller.is_silent(1000)
    return caller


def says_the_first_half(caller, ms=1000):
    caller.speaks(ms)
    caller.is_silent(700)


def a_caller_in_a_pause(mode="call-update", pause_ms=200, parameters=None, **variables):
    """Return a caller whose first half is at Lex, and who begins the second."""
    caller = a_caller(mode, parameters, **variables)
    says_the_first_half(caller)
    caller.is_silent(pause_ms)
    caller.speaks(500)
    caller.steps()
    return caller


def opened(caller, turn):
    """Return the newest request of `turn`."""
    return [action for action in caller.actions if isinstance(action, OpenUtterance) and action.turn == turn][-1]


def said(caller, from_ms):
    """Return all that was said since `from_ms`, as Lex gets it."""
    return decode_mulaw(caller.said[8 * from_ms :])


def a_caller_whose_answer_is_on_its_way(**variables):
    caller = a_caller("stream", **variables)
    says_the_first_half(caller)
    caller.lex_says("What would you like?", speaks=True, checkpoint=FIRST)
    caller.is_silent(100)
    caller.steps()
    return caller
