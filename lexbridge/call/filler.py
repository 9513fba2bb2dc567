"""The filler: words for a caller who waits long for Lex."""

from lexbridge.call.context import CallContext
from lexbridge.call.output.base import Speaker
from lexbridge.call.timed_rule import TimedRule


class Filler(TimedRule):
    """Rule that asks the caller to wait, after FILLER_S of silence on both sides while Lex thinks."""

    def __init__(self, call: CallContext, speaker: Speaker) -> None:
        self._call = call
        self._speaker = speaker
        self._after_ms = round(call.rules.filler_s * 1000)

    def next_due_ms(self) -> float | None:
        """Return the media time at which the filler is due, or None while the caller does not wait for Lex."""
        turns = self._call.turns
        waits = turns.in_flight is not None and turns.open is None
        return self._due_ms if waits else None

    def tick(self) -> None:
        """Ask the caller to wait if that is due."""
        call = self._call
        is_due = call.now_ms >= self._due_ms
        if is_due and call.turns.in_flight is not None and call.turns.open is None:
            call.take_reports(self._speaker.fill())

    @property
    def _due_ms(self) -> float:
        # A protected first prompt comes before anything else is said.
        return max(self._call.quiet_from_ms + self._after_ms, self._call.deaf_until_ms)
