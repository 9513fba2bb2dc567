"""One call of a browser: placed at the bridge, and told to the page as it happens."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent

from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.phone.bridges import Bridge
from lexbridge.offline.phone.browser_party import BrowserParty
from lexbridge.offline.phone.line_effects import LineEffects
from lexbridge.offline.report.causes import Placed, likely_causes
from lexbridge.offline.report.lex_turn import worded
from lexbridge.offline.report.timeline import moments
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.simulator import SimulatedTwilio

LOOK_EVERY_S = 0.05
"""Seconds between two looks at the call, because a page that is later by that is not slow."""

SETTLED_S = 0.25
"""Age in seconds of an event that is told, because no older one is noted any more by then."""

PATIENCE_S = 15.0
"""Seconds from the caller's first words after which a missing reply is explained, because no bot thinks so long."""

SPOKEN_FRAMES = 20
"""Frames in which the caller could be heard that count as words: 0.4 s, because "yes" is not shorter."""

ENDED_LIMIT_S = 30.0
"""Seconds for a call's connections to close, because a bridge that hangs may not hold the page."""

OWN_WORDS = "(lexbridge's own words, in the bot's voice)"
"""Text for a voice that follows no answer of Lex's: the bridge had Lex speak these words before the call."""

GOES_ON = "(the bot goes on, or lexbridge's own words)"
"""Text for such a voice after the bridge stopped the bot, who may go on after a false alarm."""

_WORDS = {
    EndReason.CALLER_HUNG_UP: "you hung up",
    EndReason.HANGUP_VERB: "the bot hung up",
    EndReason.REST_COMPLETED: "the bot hung up",
    EndReason.DOCUMENT_ENDED: "the bridge had nothing more to say",
}

Message = dict[str, Any]


class BrowserCall:
    """A call from a browser to `bridge`. `tell` takes what the page is to know, `play` 20 ms of the bot's voice."""

    def __init__(
        self,
        bridge: Bridge,
        twilio: SimulatedTwilio,
        effects: LineEffects,
        tell: Callable[[Message], None],
        play: Callable[[bytes], None],
    ) -> None:
        self._bridge = bridge
        self._placed = Placed(bridge.webhook, twilio.url, bridge.connect_to)
        self._tell = tell
        self._told_moments = 0
        self._told_bot = 0
        self._told_turns: set[int] = set()
        self._spoke_at_s = math.inf
        self._explained = False
        self.party = BrowserParty(effects, self._tell_bot)
        self.call: PhoneCall = twilio.place_call(
            Number(bridge.webhook, called=bridge.number), self.party, connect_to=bridge.connect_to
        )
        self.call.line.taps.append(lambda end_ms, caller, bot: play(bot))  # noqa: ARG005
        tell({"what": "call", "state": "calling", "sid": self.call.sid})
        self._following = gevent.spawn(self._follow)

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self.call.over is not None

    def hang_up(self) -> None:
        """The caller hangs up. What follows is still told."""
        self.call.hang_up()

    def wait(self) -> None:
        """Wait until the page knows all."""
        self._following.join()

    def _tell_bot(self, text: str | None) -> None:
        self._tell({"what": "bot", "speaks": text is not None})

    def _follow(self) -> None:
        is_answered = False
        while self.call.over is None:
            gevent.sleep(LOOK_EVERY_S)
            if self.call.answered and not is_answered:
                is_answered = True
                self._tell({"what": "call", "state": "answered", "sid": self.call.sid})
            self._look(time.monotonic() - SETTLED_S)
        over = self.call.over
        try:
            self.call.wait(ENDED_LIMIT_S)
        except TimeoutError as error:
            self._tell({"what": "problem", "texts": [str(error)]})
        self._look(math.inf)
        self._explain()
        self._tell(
            {
                "what": "call",
                "state": "over",
                "sid": self.call.sid,
                "reason": over.detail or _WORDS.get(over.reason, over.reason.value),
                "seconds": self.call.line.now_ms / 1000,
                "starved": self.party.microphone.starved_frames,
                "dropped": self.party.microphone.dropped_frames,
            }
        )

    def _look(self, until_s: float) -> None:
        """Tell what is new."""
        events, requests = list(self.call.events), self._bridge.lex_requests(self.call.sid)
        for _, message in sorted([*self._turns(requests), *self._bot(events, requests)], key=lambda each: each[0]):
            self._tell(message)
        known = [each for each in moments(events, requests) if each.at_s <= until_s]
        for moment in known[self._told_moments :]:
            at_s = max(0.0, self.call.line_s(moment.at_s)) if self.call.answered else 0.0
            is_unnamed = moment.text == "(speaks)" and self._bridge.knows_lex
            text = unnamed_words(events, moment.at_s) if is_unnamed else moment.text
            self._tell({"what": "moment", "at_s": round(at_s, 2), "who": moment.who, "text": text})
        self._told_moments = max(self._told_moments, len(known))
        if self.party.spoken_frames >= SPOKEN_FRAMES and self._spoke_at_s == math.inf:
            self._spoke_at_s = time.monotonic()
        if time.monotonic() - self._spoke_at_s > PATIENCE_S and not self._explained:
            self._explain()

    def _bot(self, events: Sequence[happened.Event], requests: Sequence[LexRequest]) -> Iterator[tuple[float, Message]]:
        """The bot's words that are new, with when they began."""
        began = [each for each in worded(events, requests) if isinstance(each, happened.BotBegan)]
        for each in began[self._told_bot :]:
            text = each.text or (unnamed_words(events, each.at_s) if self._bridge.knows_lex else "")
            yield each.at_s, {"what": "said", "who": "bot", "text": text}
        self._told_bot = len(began)

    def _turns(self, requests: Sequence[LexRequest]) -> Iterator[tuple[float, Message]]:
        """Each turn that Lex has answered and of which the page does not know, with when that was."""
        for place, request in enumerate(requests):
            if request.answered is None or place in self._told_turns or request.operation.endswith("Session"):
                continue
            self._told_turns.add(place)
            yield (
                request.answered,
                {
                    "what": "said",
                    "who": "caller",
                    "text": request.transcript or "",
                    "keys": request.is_text,
                    "intent": request.intent,
                    "slots": dict(request.slots),
                    "state": request.dialog_state,
                    "status": request.status,
                    "after": failed_before(requests, place),
                    "spoken": self._spoken(request.answered),
                },
            )

    def _spoken(self, before_s: float) -> str:
        """Return the last sentence that was typed or clicked before a time, or ""."""
        began = (each for each in self.call.events if isinstance(each, happened.SpeechStarted))
        return next((each.text for each in reversed([*began]) if each.at_s <= before_s), "")

    def _explain(self) -> None:
        """Say why the bot cannot answer, if that is to be seen from here."""
        if self._bridge.bots and self.call.answered:  # it is our own, and has our addresses
            return
        spoke = [happened.SpeechEnded(0.0, "")] if self._spoke_at_s < math.inf else []
        if causes := likely_causes([*self.call.events, *spoke], self._placed, frozenset()):
            self._explained = True
            self._tell({"what": "problem", "texts": [f"{cause[0].upper()}{cause[1:]}" for cause in causes]})


def unnamed_words(events: Sequence[happened.Event], at_s: float) -> str:
    """Return what stands for the words of a voice that began at `at_s`, and follows no answer of Lex's."""
    before = [each for each in events if each.at_s < at_s]
    spoke_s = max((each.at_s for each in before if isinstance(each, happened.BotBegan)), default=math.inf)
    stops = [each for each in before if isinstance(each, happened.MessageSent) and each.kind == "clear"]
    return GOES_ON if any(each.at_s > spoke_s for each in stops) else OWN_WORDS


def failed_before(requests: Sequence[LexRequest], place: int) -> int | None:
    """Return with which status Lex refused the same words just before, or None if the request asks them first."""
    turns = [each for each in requests[: place + 1] if not each.operation.endswith("Session")]
    if len(turns) < 2 or (turns[-2].status or 0) < 400:
        return None
    one, again = turns[-2:]
    is_same = one.is_text == again.is_text and again.audio.startswith(one.audio)
    return one.status if is_same else None
