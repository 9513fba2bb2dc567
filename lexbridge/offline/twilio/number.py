"""The phone number that a simulated call dials."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Number:
    """A phone number, as set up in Twilio's console: how its calls reach the bridge."""

    webhook_url: str
    method: str = "POST"
    fallback_url: str = ""
    status_callback: str = ""
    caller: str = "+12065550100"
    called: str = "+12065550199"
