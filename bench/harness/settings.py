"""Settings with which every measurement starts the service under test."""

from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""Folder of the project."""

NOWHERE = "http://127.0.0.1:9"
"""Address of Lex and Twilio where no caller speaks, and so neither is ever asked: the discard port."""

AUTH_TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of a simulated Twilio
PUBLIC_URL = "https://voice.example.com"
"""URL of the service where no simulated Twilio has to reach it by its own address."""

FLOWER_SHOP = {"LEX_BOT_NAME": "OrderFlowers", "LEX_BOT_ALIAS": "prod"}
"""Bot of Lex V1, as in the demo."""


def v2_bot(bot_id: str) -> dict[str, str]:
    """Return the settings of a bot of Lex V2."""
    return {"LEX_BOT_ID": bot_id, "LEX_BOT_ALIAS_ID": "TSTALIASID"}


def service_settings(
    bot: Mapping[str, str] | None = None,
    *,
    lex_url: str = NOWHERE,
    twilio_url: str = NOWHERE,
    auth_token: str = AUTH_TOKEN,
    **others: str,
) -> dict[str, str]:
    """Return the environment of a service between the Lex and the Twilio at these addresses.

    `bot`: FLOWER_SHOP if it is not given. `others`: settings of the measurement's own.
    """
    return {
        "AWS_REGION": "us-east-1",
        "ACCESS_KEY_ID": "offline",
        "SECRET_ACCESS_KEY": "offline",
        "TWILIO_AUTH_TOKEN": auth_token,
        "TWILIO_API_URL": twilio_url,
        **lex_endpoints(lex_url),
        **(FLOWER_SHOP if bot is None else bot),
        **others,
    }


def lex_endpoints(lex_url: str) -> dict[str, str]:
    """Return boto3's own variables, which a process needs for a Lex at another address than AWS's."""
    return {"AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": lex_url, "AWS_ENDPOINT_URL_LEX_RUNTIME_V2": lex_url}
