"""Whole calls in stream mode: a rig whose Lex hums, and the words that a caller has heard over the stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lexbridge.audio.pcm import MULAW_SILENCE
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import MarkReturned, StreamOpened, VerbStarted
from tests.support.lexes import hum_of
from tests.support.rig import PATIENCE_S, HummingVoice, Rig, flowers, running, says, v2_bot


@contextmanager
def streaming(*heard: str, generation: str = "v1", **changes: Any) -> Iterator[Rig]:
    """Run a bridge in stream mode whose Lex hums its messages.

    Calls run ten times as fast as on the telephone, because a hum takes time to make.
    """
    bot = v2_bot(flowers()) if generation == "v2" else {}
    usual = {"pace": 0.1, "lex_voice": HummingVoice(), "REPLY_MODE": "stream", "NO_INPUT_S": "120"}
    with running(heard, **{**usual, **bot, **changes}) as rig:
        yield rig


def turns_of(rig: Rig) -> list[LexRequest]:
    """Return the caller's turns at Lex, without the requests for lexbridge's own phrases and for sessions."""
    return [request for request in rig.lex.requests if request.operation in ("PostContent", "RecognizeUtterance")]


def heard_by(call: PhoneCall, text: str) -> int:
    """Return how often the caller has heard Lex say `text`, whole. Silence within it does not count.

    The line plays faster than a telephone, so that on a busy machine it waits for what is sent to it.
    """
    return _voice(call.line.bot_mulaw).count(_voice(hum_of(text)))


def _voice(mulaw: bytes | bytearray) -> bytes:
    """Return audio without its silent samples."""
    return bytes(mulaw).replace(MULAW_SILENCE, b"")


def prompt_heard(call: PhoneCall, turn: int, count: int = 1) -> MarkReturned:
    """Wait until the prompt of `turn` was heard. `count`: of which of the call's streams that have such a turn."""
    return call.wait_for(MarkReturned, PATIENCE_S, count, lambda mark: is_end(mark, turn))


def is_end(mark: MarkReturned, turn: int) -> bool:
    """Return whether a mark is the end of the prompt of `turn`, which was heard."""
    return mark.name.startswith(f"turn-{turn}.") and mark.name.endswith(":end") and not mark.cleared


def said_by_twilio(call: PhoneCall) -> list[str]:
    """Return the texts that Twilio's own voice said, in order."""
    return [event.text for event in call.events if isinstance(event, VerbStarted) and event.verb == "Say"]


def count_of(call: PhoneCall, kind: type) -> int:
    """Return the number of the call's events of one kind."""
    return len([event for event in call.events if isinstance(event, kind)])


def call_until_asked_for_kinds(rig: Rig, caller: SimulatedCaller | None = None) -> tuple[SimulatedCaller, PhoneCall]:
    """Place a call. Return the caller and the call, once the bot has asked for the type of flowers."""
    caller = caller or says()
    call = rig.place_call(caller)
    call.wait_for(StreamOpened, PATIENCE_S)
    caller.say("some flowers")
    prompt_heard(call, 1)
    return caller, call
