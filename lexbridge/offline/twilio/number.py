"""The phone number that a simulated call dials, and the conditions of its line."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Number:
    """A phone number, as set up in Twilio's console: how its calls reach the bridge.

    facts: more parameters of each request about a call, such as ForwardedFrom, StirVerstat or SipHeader_X-Department.
    """

    webhook_url: str
    method: str = "POST"
    fallback_url: str = ""
    status_callback: str = ""
    caller: str = "+12065550100"
    called: str = "+12065550199"
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineConditions:
    """Conditions of a simulated call, which its document and its bridge cannot choose."""

    pace: float = 1.0
    """Seconds of the clock for a second of the line; 0.1 makes calls ten times as fast."""
    callback_latency_s: float = 0.02
    """Seconds of the clock from an event to its status callback."""
    key_tones: bool = True
    """Whether the tone of a pressed key is on the line too, as with carriers that do not remove it."""
    echo_db: float | None = None
    """Level of the echo of what the caller hears (-20: a poor line), or None for no echo."""
    echo_delay_ms: int = 150
    """Delay of the echo."""
    sends_silence: bool = True
    """Whether the caller's phone sends frames while the caller is silent."""


USUAL_LINE = LineConditions()
"""A line without echo, in real time."""
