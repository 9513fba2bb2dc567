"""The backlog of a call: media that has come and was not heard yet, and the events that came behind it.

    receive -> hear a slice ..... HearMore                     MoreToHear -> hear a slice ..... HearMore
                                           keep -> [event, event]                          take event, take event

Events are taken in the order in which they came, however long the media before them takes to be heard. What is taken in
one go is bounded, so that no call makes the others wait for long.
"""

from collections.abc import Callable

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.call.actions import Action, HearMore, JudgeVoice
from lexbridge.call.events import CallEvent, MoreToHear, VoiceJudged
from lexbridge.call.hearing import SLICE_MS, Hearing


class Backlog:
    """Media and events of one call that wait their turn. While any do, give each event to `receive`."""

    __slots__ = ("_act", "_events", "_hearing", "is_behind")

    def __init__(self, hearing: Hearing, act: Callable[[Action], object]) -> None:
        """Keep the hearing of the call. `act` takes HearMore and JudgeVoice, by which more is asked for."""
        self._hearing = hearing
        self._act = act
        self._events: list[CallEvent] = []  # a list, because a deque takes 760 bytes while it is empty
        self.is_behind = False
        """Whether media has come that was not heard yet, or events have that were not taken."""

    def ask(self) -> None:
        """Ask for the event with which the hearing goes on, if media or events wait."""
        self.is_behind = self._hearing.is_behind or bool(self._events)
        if self._hearing.window is not None:
            self._act(JudgeVoice(self._hearing.window))
        elif self.is_behind:
            self._act(HearMore())

    def receive(self, event: CallEvent, hear: Callable[[], object], take: Callable[[CallEvent], object]) -> None:
        """Go on, if `event` is what the call waits for; or keep it.

        `hear` hears the next slice, and `take` takes an event. They are the owner's, and are not kept: an owner that
        refers to itself would be freed only by the garbage collector.
        """
        if not isinstance(event, MoreToHear | VoiceJudged):
            self._events.append(event)
        elif isinstance(event, VoiceJudged) == (self._hearing.window is not None):
            if isinstance(event, VoiceJudged):
                self._hearing.take_probability(event.probability)
            self._go_on(hear, take)

    def drop(self) -> None:
        """Drop all, because the call is over."""
        self._hearing.drop()
        self._events.clear()
        self.is_behind = False

    def _go_on(self, hear: Callable[[], object], take: Callable[[CallEvent], object]) -> None:
        """Hear a slice of what waits, and take the events behind it."""
        hearing, events = self._hearing, self._events
        until_ms = hearing.heard_ms + SLICE_MS
        if hearing.is_behind:
            hear()
        for _ in range(min(len(events), SLICE_MS // FRAME_MS)):
            if hearing.is_behind or hearing.heard_ms >= until_ms or not events:
                break
            take(events.pop(0))
        self.ask()
