"""Whole calls in stream mode: a rig whose Lex hums, and what a caller has heard over the stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import MarkReturned, StreamOpened, VerbStarted
from tests.support.lexes import hum_of
from tests.support.rig import PATIENCE_S, HummingVoice, Rig, flowers, running, says, v2_bot


@contextmanager
def streaming(*heard: str, generation: str = "v1", **changes: Any) -> Iterator[Rig]:
    """A bridge in stream mode, whose Lex hums what it says. Ten times as fast as on the telephone: a hum takes time to
    be made."""
    bot = v2_bot(flowers()) if generation == "v2" else {}
    usual = {"pace": 0.1, "lex_voice": HummingVoice(), "REPLY_MODE": "stream", "NO_INPUT_S": "120"}
    with running(heard, **{**usual, **bot, **changes}) as rig:
        yield rig


def turns_of(rig: Rig) -> list[LexRequest]:
    """The caller's turns at Lex: without lexbridge's own phrases, and without look-ups."""
    return [request for request in rig.lex.requests if request.operation in ("PostContent", "RecognizeUtterance")]


def heard_by(call: PhoneCall, text: str) -> int:
    """How often the caller has heard Lex say `text`, whole and without a gap."""
    return bytes(call.line.bot_mulaw).count(hum_of(text))


def prompt_heard(call: PhoneCall, turn: int, count: int = 1) -> MarkReturned:
    """Waits until the prompt of `turn` was heard: of the call's stream, or of the `count`th that has such a turn."""
    return call.wait_for(MarkReturned, PATIENCE_S, count, lambda mark: is_end(mark, turn))


def is_end(mark: MarkReturned, turn: int) -> bool:
    return mark.name.startswith(f"turn-{turn}.") and mark.name.endswith(":end") and not mark.cleared


def said_by_twilio(call: PhoneCall) -> list[str]:
    """What was said by Twilio's own voice, in order."""
    return [event.text for event in call.events if isinstance(event, VerbStarted) and event.verb == "Say"]


def count_of(call: PhoneCall, kind: type) -> int:
    return len([event for event in call.events if isinstance(event, kind)])


def call_until_asked_for_kinds(rig: Rig, caller: SimulatedCaller | None = None) -> tuple[SimulatedCaller, PhoneCall]:
    """A caller who has heard the bot ask what type of flowers they want."""
    caller = caller or says()
    call = rig.place_call(caller)
    call.wait_for(StreamOpened, PATIENCE_S)
    caller.say("some flowers")
    prompt_heard(call, 1)
    return caller, call
