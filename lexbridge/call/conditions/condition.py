"""Condition of a call: a row of the table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the call, of a turn or of a prompt.

    `kept_in`: the attributes that hold it. `begins`: who sets it, and when. `ends`: what ends it. `effect`: what is
    forbidden, or different, while it holds.
    """

    name: str
    kept_in: tuple[str, ...]
    begins: str
    ends: str
    effect: str
