"""The smallest valid settings, for tests."""

from lexbridge.config.reading import read_settings
from lexbridge.config.settings import Settings

MINIMAL_ENVIRONMENT = {
    "AWS_REGION": "us-west-2",
    "LEX_BOT_ID": "FLOWERS123",
    "LEX_BOT_ALIAS_ID": "TSTALIASID",
    "TWILIO_AUTH_TOKEN": "a-token-of-ours",
    "URL": "https://voice.example.com",
}


def make_settings(**variables: str) -> Settings:
    """Return the smallest valid settings with `variables` added."""
    return read_settings({**MINIMAL_ENVIRONMENT, **variables})
