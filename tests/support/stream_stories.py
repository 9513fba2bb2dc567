"""Callers of calls in stream mode: Lex's own voice is played to them over the stream."""

from lexbridge.call.attributes import ACTION_ATTRIBUTE, TRANSFER_TO_ATTRIBUTE
from tests.support.call_update_stories import FULFILLED, NUMBER
from tests.support.caller import Caller
from tests.support.phrases import NOT_AVAILABLE, NOT_HEARD, ONE_MOMENT, SAY_AGAIN
from tests.support.sounds import tone
from tests.support.twiml import verbs_of

TRANSFER = {
    "dialog_state": FULFILLED,
    "session_attributes": {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: NUMBER},
}


PHRASE_AUDIO = {
    NOT_HEARD: tone(400, 7000),
    SAY_AGAIN: tone(600, 7100),
    ONE_MOMENT: tone(300, 7200),
    NOT_AVAILABLE: tone(500),
}
CONNECTS = ["Connect", "Redirect"]


def a_caller(parameters=None, phrase_audio=None, **variables):
    """Return a caller on a two-way stream whose call has just been answered, and who may interrupt."""
    caller = Caller(phrase_audio, **{"REPLY_MODE": "stream", "BARGE_IN": "on", **variables})
    caller.dials(parameters)
    return caller


def a_caller_lex_thinks_about(**variables):
    caller = a_caller(**variables)
    caller.says_something()
    caller.steps()
    return caller


def a_caller_who_hears_a_prompt(ms=3000, so_far_ms=1000, attributes=None, phrase_audio=None, **variables):
    """Return a caller who has heard `so_far_ms` of the answer to the first turn, "Which day?"."""
    caller = a_caller_lex_thinks_about(phrase_audio=phrase_audio, **variables)
    caller.lex_says_aloud("Which day?", ms=ms, session_attributes=attributes or {})
    caller.is_silent(so_far_ms)
    caller.steps(), caller.gets()
    return caller


def heard_since(caller, at_ms):
    return caller.heard[8 * at_ms :]


def voice_in(mulaw):
    """Return how many milliseconds of `mulaw` are not silent."""
    return 20 * sum(set(mulaw[at : at + 160]) != {0xFF} for at in range(0, len(mulaw), 160))


def parameters_of(caller):
    """Return the `<Parameter>`s of the stream that the newest document connects."""
    (connect,) = [verb for verb in verbs_of(caller.document()) if verb.tagName == "Connect"]
    nodes = connect.getElementsByTagName("Parameter")
    return {node.getAttribute("name"): node.getAttribute("value") for node in nodes}
