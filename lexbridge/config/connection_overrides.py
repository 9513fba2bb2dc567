"""Connection overrides: how Twilio connects to an address, written behind the `#` of it.

Source: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides .
"""

import re

from lexbridge.config.parsers import parse_whole

DEFAULT_OVERRIDES = "rc=2&rp=all"
"""Two more attempts, whatever goes wrong: if a process dies while it answers a webhook, another process gets it."""

OFF = "off"
_NUMBERS = {"ct": (100, 10_000), "rt": (100, 15_000), "tt": (100, 15_000), "rc": (0, 5)}
_WORDS = {"rp": "(?:(?:4xx|5xx|ct|rt|all)(?:,(?!$)|$))+", "sni": "[yn]", "e": "[a-z-]{1,30}(?:,[a-z-]{1,30}){0,4}"}
_RULE = (
    "must be overrides that Twilio takes, such as rc=3&rp=all&ct=2000: ct (100 to 10000 ms), rt and tt (100 to 15000 "
    "ms), rc (0 to 5), rp (4xx, 5xx, ct, rt or all), sni (y or n) and e, each at most once; or off"
)


def connection_overrides(value: str) -> str:
    """Return overrides in Twilio's spelling, or "" for `off`."""
    if value == OFF:
        return ""
    names = set()
    for pair in value.split("&"):
        name, _, text = pair.partition("=")
        if name in names or not _is_valid(name, text):
            raise ValueError(_RULE)
        names.add(name)
    return value


def fragment(overrides: str) -> str:
    """Return the end of an address that has these overrides; nothing if there are none."""
    return f"#{overrides}" if overrides else ""


def _is_valid(name: str, text: str) -> bool:
    if limits := _NUMBERS.get(name):
        return parse_whole(text, *limits) is not None
    return name in _WORDS and re.fullmatch(_WORDS[name], text) is not None
