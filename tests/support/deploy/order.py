"""A caller who orders flowers turn by turn, and a recogniser that tells the sentences apart by their length."""

import time
from collections.abc import Sequence

import gevent

from lexbridge.audio.pcm import RATE_HZ
from lexbridge.offline.lex.recognition import Recogniser, trim
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.twilio.events import BotBegan, BotFinished, EndReason, StreamOpened
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, says

SENTENCES = ("I would like to order flowers", "roses", "tomorrow", "five pm", "yes", "goodbye")
_UNIT = 8
"""Number of characters by which each sentence is longer than the one after it; each takes 40 ms to say."""
_MARGIN_MS = 200
"""Milliseconds before and after the speech that `trim` finds."""
_PAUSE_S = 0.6
"""Silence of the bot, in seconds on the line, after which it has said everything."""


class LengthRecogniser(Recogniser):
    """A recogniser that finds a sentence of SENTENCES by its length, and nothing in a part of one or in two at once."""

    def recognise(self, pcm: bytes, grammar: str) -> str:
        length_ms = len(trim(pcm)) // 2 * 1000 / RATE_HZ - _MARGIN_MS
        place = len(SENTENCES) - length_ms / (40 * _UNIT)
        nearest = round(place)
        return SENTENCES[nearest] if 0 <= nearest < len(SENTENCES) and abs(place - nearest) < 0.4 else ""


class Order:
    """One call that orders flowers."""

    def __init__(self, twilio: SimulatedTwilio, lex: LocalLex, number: Number) -> None:
        self._lex = lex
        self._caller = says()
        self._left = list(SENTENCES)
        self.call = twilio.place_call(number, self._caller)

    def turns(self, count: int = len(SENTENCES)) -> None:
        """Take turns: wait for the bot, say the next sentence, hear the answer; at most `count` times."""
        for sentence in self._left[:count]:
            self.hears_the_bot(0)
            said_s = time.monotonic()
            length = _UNIT * len(self._left)
            self._left.remove(sentence)
            self._caller.say(sentence.ljust(length, ".")[:length])
            wait_until(lambda said_s=said_s: self.call.over or self._answered_since(said_s))
            self.hears_the_bot(said_s)

    def hears_the_bot(self, since_s: float) -> None:
        """Wait until the bot has spoken and finished, or until the call is over."""
        wait_until(lambda: self.call.over or self._bot_has_spoken(since_s))

    def assert_complete(self, complaints: Sequence[str] = ()) -> None:
        """Check that Lex got each sentence once and in order, the order is complete, and the bot hung up.

        `complaints`: the error codes that Twilio may have logged; it must not have logged others.
        """
        assert self.call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        assert self.complaints == list(complaints)
        answered = self._requests()
        assert [request.transcript for request in answered] == list(SENTENCES)
        assert [request.dialog_state for request in answered][4] == "Fulfilled"

    @property
    def complaints(self) -> list[str]:
        """Return the codes of the errors that Twilio logged."""
        return [complaint.partition(" ")[0] for complaint in self.call.complaints]

    def _requests(self) -> list[LexRequest]:
        mine = [request for request in self._lex.requests if request.session_id == self.call.sid]
        return [request for request in mine if request.operation == "PostContent" and request.transcript is not None]

    def _answered_since(self, since_s: float) -> bool:
        return any(request.answered and request.answered > since_s for request in self._requests())

    def _bot_has_spoken(self, since_s: float) -> bool:
        spoken = [event for event in self.call.events if isinstance(event, BotBegan | BotFinished)]
        if not spoken or isinstance(spoken[-1], BotBegan) or spoken[-1].at_s < since_s or not self.call.streams:
            return False
        # A caller who answers before a stream is open is not heard.
        opened = [event for event in self.call.events if isinstance(event, StreamOpened)]
        return time.monotonic() - max(spoken[-1].at_s, opened[-1].at_s) > _PAUSE_S * self.call.pace


def together(orders: Sequence[Order], count: int = len(SENTENCES)) -> None:
    """Let each call take its next `count` turns, all at the same time."""
    gevent.joinall([gevent.spawn(order.turns, count) for order in orders], raise_error=True)
