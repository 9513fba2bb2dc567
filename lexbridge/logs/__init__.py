"""Log lines: one event a line, as JSON for machines or as text for people.

No line holds a word that was spoken, a phone number, a token or a key. Libraries that would write such things at their
lower levels are held at WARNING, whatever LOG_LEVEL is.
"""

from lexbridge.logs.configuration import configure, debugs_if_switched, is_debugging, switch_debug
from lexbridge.logs.lines import listen
from lexbridge.logs.log import Log, RateLimitedLog
from lexbridge.logs.writers import InstantWriter, LineWriter, find_closed_output

__all__ = [
    "InstantWriter",
    "LineWriter",
    "Log",
    "RateLimitedLog",
    "configure",
    "debugs_if_switched",
    "find_closed_output",
    "is_debugging",
    "listen",
    "switch_debug",
]
