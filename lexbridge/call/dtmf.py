"""DTMF keys that a caller presses, collected into one input for the bot. Time is media time.

1  2  3  4  #                 "1234", with the end character
1  2  3  . . . end timeout    "123", when no further key came in time
1  2  3  *  4  5  #           "45": the deletion character drops the keys before it
"""

from dataclasses import dataclass

MAX_KEYS = 1024
"""Most keys of one input, because that is Lex's limit for DTMF and text alike:
https://docs.aws.amazon.com/lexv2/latest/dg/session-attribs-speech.html"""


@dataclass(frozen=True, slots=True)
class KeyRules:
    """Meaning of the keys.

    `end_character` completes the input. `deletion_character` drops all keys, and ends the input:
    https://docs.aws.amazon.com/lexv2/latest/APIReference/API_DTMFSpecification.html . If both are the same, it
    completes. `longest`: the number of keys that complete the input by themselves; None means Lex's limit.
    """

    end_character: str = "#"
    deletion_character: str = "*"
    end_timeout_ms: int = 2000
    longest: int | None = None


class DtmfCollector:
    """Collector of one call's keys: keys in, whole inputs out."""

    def __init__(self) -> None:
        self._keys = ""
        self._ends_at_ms = 0
        self.pressed_ms: int | None = None
        """When the last key was pressed, or None if no key was."""

    @property
    def is_collecting(self) -> bool:
        """Whether keys were pressed that are not complete yet."""
        return bool(self._keys)

    @property
    def due_ms(self) -> int:
        """Time at which the keys collected so far are complete, unless another one comes."""
        return self._ends_at_ms

    def press(self, key: str, now_ms: int, rules: KeyRules) -> str | None:
        """Take a key (one of 0-9, A-D, `*`, `#`). Return all keys if this one completes them, else None.

        The bot may change the rules from key to key: the newest ones hold. An end character or a deletion character
        does nothing if no keys were collected.
        """
        self.pressed_ms = now_ms
        if key == rules.end_character:
            return self._complete()
        if key == rules.deletion_character:
            self.clear()
            return None
        self._keys += key
        self._ends_at_ms = now_ms + rules.end_timeout_ms
        longest = MAX_KEYS if rules.longest is None else min(rules.longest, MAX_KEYS)
        return self._complete() if len(self._keys) >= longest else None

    def tick(self, now_ms: int) -> str | None:
        """Return all keys if the timeout since the last one has passed, else None.

        Call it before a `press` of the same time.
        """
        return self._complete() if now_ms >= self._ends_at_ms else None

    def clear(self) -> None:
        """Drop the keys collected so far."""
        self._keys = ""

    def _complete(self) -> str | None:
        keys, self._keys = self._keys, ""
        return keys or None


def first_input(collected: str, rules: KeyRules) -> str | None:
    """Return the first whole input in the keys that Twilio collected, or None if there is none.

    Twilio has no deletion character, so it counts deleted keys too. It may have stopped in the middle of what the
    caller pressed after them: then the rest never came, and what came is no whole input.
    """
    collector, whole_input = DtmfCollector(), None
    for key in collected:
        whole_input = whole_input or collector.press(key, 0, rules)
    whole_input = whole_input or collector.tick(rules.end_timeout_ms)
    is_full = rules.longest is not None and len(collected) >= rules.longest
    is_cut_off = is_full and rules.deletion_character in collected and len(whole_input or "") < (rules.longest or 0)
    return None if is_cut_off else whole_input
