"""The keys that a caller presses, collected into one input for the bot. Time is media time.

1  2  3  4  #                 "1234", with the end character
1  2  3  . . . end timeout    "123", when no further key came
1  2  3  *  4  5  #           "45": the deletion character ends an input, and nothing is left of it
"""

from dataclasses import dataclass

MAX_KEYS = 1024
"""Lex's limit, of DTMF input and of text alike: https://docs.aws.amazon.com/lexv2/latest/dg/session-attribs-speech.html"""


@dataclass(frozen=True, slots=True)
class KeyRules:
    """What the keys do. `end_character` completes the input. `deletion_character` forgets all keys and ends the input:
    https://docs.aws.amazon.com/lexv2/latest/APIReference/API_DTMFSpecification.html . If both are the same, it
    completes. `longest`: the number of keys that are complete at once; None: Lex's limit."""

    end_character: str = "#"
    deletion_character: str = "*"
    end_timeout_ms: int = 2000
    longest: int | None = None


class DtmfCollector:
    """Keys in, whole inputs out. One serves one call."""

    def __init__(self) -> None:
        self._keys = ""
        self._ends_at_ms = 0
        self.pressed_ms: int | None = None
        """When the last key was pressed; None: none was."""

    @property
    def is_collecting(self) -> bool:
        """Keys were pressed and are not complete yet."""
        return bool(self._keys)

    def press(self, key: str, now_ms: int, rules: KeyRules) -> str | None:
        """The caller pressed `key` (one of 0-9, A-D, `*`, `#`) at `now_ms`. All keys, if that completes them.

        The rules may change from key to key, since the bot may: the newest ones hold. An end character or a deletion
        with nothing collected does nothing.
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
        """It is `now_ms`. All keys, if the timeout since the last one has passed; call it before a `press` of the same
        time."""
        return self._complete() if now_ms >= self._ends_at_ms else None

    def clear(self) -> None:
        """Forgets what was collected."""
        self._keys = ""

    def _complete(self) -> str | None:
        keys, self._keys = self._keys, ""
        return keys or None


def first_input(collected: str, rules: KeyRules) -> str | None:
    """The first whole input in keys that Twilio collected, which knows no deletion; None: there is none.

    Twilio counts deleted keys too. So it may have stopped in the middle of what the caller pressed after them: then the
    rest of that never came, and what came is no input.
    """
    collector, whole_input = DtmfCollector(), None
    for key in collected:
        whole_input = whole_input or collector.press(key, 0, rules)
    whole_input = whole_input or collector.tick(rules.end_timeout_ms)
    is_full = rules.longest is not None and len(collected) >= rules.longest
    is_cut_off = is_full and rules.deletion_character in collected and len(whole_input or "") < (rules.longest or 0)
    return None if is_cut_off else whole_input
