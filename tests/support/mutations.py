"""Small changes of a text, as a forger might try them."""

import random
import string
from collections.abc import Callable


def mutations(seed: int) -> Callable[[str], str]:
    """Return a function that makes one small random change to a text."""
    rolls = random.Random(seed)

    def mutate(text: str) -> str:
        at = rolls.randrange(len(text) + 1)
        other = rolls.choice(string.ascii_letters + string.digits + "+/=:?&%. \x00\xe9")
        kind = rolls.randrange(5)
        if kind == 0:
            return text[:at] + other + text[at:]
        if kind == 1:
            return text[:at] + text[at + 1 :]
        if kind == 2:
            return text[:at] + other + text[at + 1 :]
        if kind == 3:
            return text.swapcase()
        return text[at:] + text[:at]

    return mutate
