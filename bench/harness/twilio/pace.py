"""Pace of the lightweight Twilio: how long things take."""

from dataclasses import dataclass

from bench.harness.marked_audio import LONGEST_SAY_S
from lexbridge.offline.twilio.verbs import Say


@dataclass(frozen=True, slots=True)
class Pace:
    """Time that things take, seconds. The bot speaks for `say_s_per_character`, at most `longest_say_s` a `<Say>`."""

    say_s_per_character: float = 0.030
    longest_say_s: float = LONGEST_SAY_S
    callback_s: float = 0.050
    """Delay from an event of a stream to its callback, and from the end of a `<Connect>` to the next verb."""
    rest_s: float = 0.0
    """Delay from a REST request to its answer and its effect."""

    def say_s(self, say: Say) -> float:
        """Return how long the bot speaks for that `<Say>`."""
        return min(self.longest_say_s, len(say.text) * self.say_s_per_character) * say.loop
