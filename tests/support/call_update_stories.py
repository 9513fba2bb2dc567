"""Callers of calls in call-update mode: Twilio speaks, by a document for each answer."""

from lexbridge.call.actions import UpdateCall
from lexbridge.call.attributes import MAX_LENGTH_ATTRIBUTE
from lexbridge.call.documents import SPEAKING_MS_PER_CHARACTER, Opening
from lexbridge.call.stream_parameters import BEGAN_PARAMETER
from lexbridge.lex.model import DialogState
from tests.support.caller import Caller
from tests.support.twiml import verbs_of

HOLDS = ["Pause", "Redirect"]
FULFILLED = DialogState.FULFILLED
NUMBER = "+12065550100"
ASKS_FOR_KEYS = {MAX_LENGTH_ATTRIBUTE: "4", "x-amz-lex:dtmf:end-timeout-ms": "5000"}
SPOKEN_MS = len("Key it in.") * SPEAKING_MS_PER_CHARACTER
NEXT = Opening("lexbridge-0-next", [("lexbridge:token", "the token of the next stream")])
ONE_MOMENT = ["One moment please.", *HOLDS]
BYE = {"dialog_state": FULFILLED, "intent": "GoodbyeIntent"}
BEGAN = {BEGAN_PARAMETER: "1795846066"}


def a_caller(parameters=None, **variables):
    """Return a caller whose call has just been answered."""
    caller = Caller(**variables)
    caller.dials(parameters)
    return caller


def a_caller_lex_thinks_about(**variables):
    """Return a caller who has said something, all of which is at Lex."""
    caller = a_caller(**variables)
    caller.says_something()
    caller.steps()
    return caller


def a_caller_asked_for_keys(attributes=ASKS_FOR_KEYS, **variables):
    caller = a_caller_lex_thinks_about(**{"NO_INPUT_S": "5", "NO_INPUT_LIMIT": "2", **variables})
    caller.lex_says("Key it in.", session_attributes=attributes)
    caller.steps()
    return caller


def opening_of(caller):
    """Return the name of the stream that the newest document opens, and its parameters without the token."""
    _, start, *_ = verbs_of([action for action in caller.actions if isinstance(action, UpdateCall)][-1].twiml)
    (stream,) = start.getElementsByTagName("Stream")
    told = {node.getAttribute("name"): node.getAttribute("value") for node in stream.getElementsByTagName("Parameter")}
    assert told.pop("lexbridge:token") == "the token of the next stream"
    return stream.getAttribute("name"), told
