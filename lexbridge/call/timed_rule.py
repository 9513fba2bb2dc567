"""Protocol of the rules that act because time has passed, and not because something happened."""

from typing import Protocol


class TimedRule(Protocol):
    """A rule that does something at a certain media time."""

    def tick(self) -> None:
        """Do what is due, for media time has moved on."""
        ...

    def next_due_ms(self) -> float | None:
        """Return the media time up to which `tick` has nothing to do unless something else happens; None: no such time.

        It may have passed already, or be too early.
        """
        ...
