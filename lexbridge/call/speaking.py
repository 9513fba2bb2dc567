"""The speaker's own time: what it has to do as media time moves on, such as sending more of a prompt."""

from lexbridge.call.context import CallContext
from lexbridge.call.output.base import Speaker
from lexbridge.call.timed_rule import TimedRule


class Speaking(TimedRule):
    """Rule that has the speaker do what is due, and the call take what it reports."""

    def __init__(self, call: CallContext, speaker: Speaker) -> None:
        self._call = call
        self._speaker = speaker

    def next_due_ms(self) -> float | None:
        """Return the media time at which the speaker has something to do, as far as it knows."""
        return self._speaker.next_due_ms()

    def tick(self) -> None:
        """Have the speaker do what is due."""
        self._call.take_reports(self._speaker.tick())
