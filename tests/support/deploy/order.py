"""A caller who orders flowers turn by turn, and a Lex that tells their sentences apart by their length."""

import time
from collections.abc import Sequence

import gevent

from lexbridge.audio.pcm import RATE_HZ
from lexbridge.offline.lex.recognition import trim
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.twilio.events import BotBegan, BotFinished, EndReason, StreamOpened
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, says

SENTENCES = ("I would like to order flowers", "roses", "tomorrow", "five pm", "yes", "goodbye")
_UNIT = 8
"""Characters by which each is longer than the one after it: each has 40 ms of the caller's voice, words or not."""
_MARGIN_MS = 200
"""The line before and after what `trim` finds."""
_PAUSE_S = 0.6
"""Of the line: a bot that is silent for so long has said what it had to say."""


class LengthRecogniser:
    """Hears which of SENTENCES it was, so that a piece of one, or two at once, are none of them."""

    def recognise(self, pcm: bytes, grammar: str) -> str:
        """See Recogniser."""
        length_ms = len(trim(pcm)) // 2 * 1000 / RATE_HZ - _MARGIN_MS
        place = len(SENTENCES) - length_ms / (40 * _UNIT)
        nearest = round(place)
        return SENTENCES[nearest] if 0 <= nearest < len(SENTENCES) and abs(place - nearest) < 0.4 else ""


class Order:
    """One call."""

    def __init__(self, twilio: SimulatedTwilio, lex: LocalLex, number: Number) -> None:
        self._lex = lex
        self._caller = says()
        self._left = list(SENTENCES)
        self.call = twilio.place_call(number, self._caller)

    def turns(self, count: int = len(SENTENCES)) -> None:
        """The caller waits for the bot to finish, says the next sentence, hears the answer; `count` times at most."""
        for sentence in self._left[:count]:
            self.hears_the_bot(0)
            said_s = time.monotonic()
            length = _UNIT * len(self._left)
            self._left.remove(sentence)
            self._caller.say(sentence.ljust(length, ".")[:length])
            wait_until(lambda said_s=said_s: self.call.over or self._answered_since(said_s))
            self.hears_the_bot(said_s)

    def hears_the_bot(self, since_s: float) -> None:
        """Returns when the bot has spoken since then, and said what it had to say; or the call is over."""
        wait_until(lambda: self.call.over or self._bot_has_spoken(since_s))

    def assert_complete(self, complaints: Sequence[str] = ()) -> None:
        """Every sentence got to Lex once, in order; the flowers are ordered; the bot hung up; and Twilio had no other
        `complaints`."""
        assert self.call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        assert self.complaints == list(complaints)
        answered = self._requests()
        assert [request.transcript for request in answered] == list(SENTENCES)
        assert [request.dialog_state for request in answered][4] == "Fulfilled"

    @property
    def complaints(self) -> list[str]:
        """The codes of what Twilio had to complain about."""
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
        # Who answers before a stream is open is not heard.
        opened = [event for event in self.call.events if isinstance(event, StreamOpened)]
        return time.monotonic() - max(spoken[-1].at_s, opened[-1].at_s) > _PAUSE_S * self.call.pace


def together(orders: Sequence[Order], count: int = len(SENTENCES)) -> None:
    """Each takes its next `count` turns, all at the same time."""
    gevent.joinall([gevent.spawn(order.turns, count) for order in orders], raise_error=True)
