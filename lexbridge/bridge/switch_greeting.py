"""The greeting of a bot to which another one has handed the call."""

from lexbridge.bridge.lines import LineRuntime
from lexbridge.phrases.catalogue import CATALOGUE

_OF_LANGUAGES = frozenset(language.greeting for language in CATALOGUE.values())


def greeting_after_switch(line: LineRuntime, before: LineRuntime | None, *, is_wordless: bool) -> str:
    """Return what is said before the bot of `line` hears the caller, or "" if it begins itself, or nothing is said.

    `before`: what served the call until now, or None if that is not known. `is_wordless`: its bot has handed the call
    over without a word, so that the caller has heard nothing since.
    """
    greeting = line.rules.greeting
    if line.rules.welcome == "bot":
        return ""
    is_own = greeting not in _OF_LANGUAGES and (before is None or greeting != before.rules.greeting)
    return greeting if is_own or is_wordless else ""
