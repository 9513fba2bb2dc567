"""The telephone exchange of the simulated Twilio: what its calls reach beyond the bridge.

twilio.exchange.set("+12065550111", FarEnd(does="busy"), FarEnd(talks_s=3))   # busy first, then somebody answers
twilio.exchange.set("sip:desk@example.com", FarEnd(presses="1"))              # accepts the call in its whisper
twilio.exchange.set("workflow:WW...", FarEnd(rings_s=20))                     # an agent comes after 20 s
twilio.exchange.caller_ids.add("+12065550177")                                # the account may show this number

call.legs[0].whispered, .headers, .custom_parameters, .keys_sent, .caller_id, .status   # what reached the far end
twilio.exchange.queues.tasks[0].attributes                                    # what reached TaskRouter
"""

from collections.abc import Callable, Iterable

from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.conferences import Conferences
from lexbridge.offline.twilio.dialling import Dialling
from lexbridge.offline.twilio.executed_call import Network
from lexbridge.offline.twilio.far_ends import FarEnd, FarEnds
from lexbridge.offline.twilio.queueing import Queues
from lexbridge.offline.twilio.verbs import Dial, Enqueue


class Exchange(Network):
    """The people, queues and conferences of one account. `usual`: the far end of every address for which none is set.

    numbers: returns the account's own numbers, which it may show.
    """

    def __init__(self, usual: FarEnd, numbers: Callable[[], Iterable[str]] = tuple) -> None:
        self.far_ends = FarEnds(usual)
        self.queues = Queues(self.far_ends)
        self.conferences = Conferences(self.far_ends)
        self.caller_ids: set[str] = set()
        """Validated numbers that the account may show, besides those of the call itself and its own."""
        self._numbers = numbers

    def set(self, address: str, *far_ends: FarEnd) -> None:
        """Let the next calls to `address` meet these far ends in turn, and all calls after them the last of them."""
        self.far_ends.set(address, *far_ends)

    @property
    def own_numbers(self) -> frozenset[str]:
        """Numbers that the account may show in any call."""
        return frozenset([*self.caller_ids, *self._numbers()])

    def callee(self, address: str) -> FarEnd:
        """Return the far end of a call that the REST API places: somebody who never hangs up, if none was set."""
        return self.far_ends.next(address, usual=FarEnd(talks_s=None))

    def dial(self, call: PhoneCall, verb: Dial) -> dict[str, str]:
        if verb.conference is not None:
            return self.conferences.dial(call, verb, verb.conference)
        if verb.queue is not None:
            return self.queues.dial(call, verb, verb.queue)
        return Dialling(call, verb, self.far_ends, self.own_numbers).perform()

    def enqueue(self, call: PhoneCall, verb: Enqueue) -> dict[str, str]:
        return self.queues.enqueue(call, verb)
