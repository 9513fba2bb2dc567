"""Tables of lines for tests: the settings around them, and calls to choose lines for."""

from lexbridge.config.lines import IncomingCall, LineTable
from lexbridge.config.lines_file import read_lines
from lexbridge.config.reading import read_settings
from lexbridge.errors import ConfigError

WITHOUT_BOT = {
    "AWS_REGION": "us-west-2",
    "TWILIO_AUTH_TOKEN": "the-token-of-our-own",
    "URL": "https://voice.example.com",
    "LINES_FILE": "lines.toml",
}
"""An environment whose bots are all in the table."""

WITH_BOT = {**WITHOUT_BOT, "LEX_BOT_ID": "FLOWERS123", "LEX_BOT_ALIAS_ID": "TSTALIASID"}

TWO_BOTS = """
[bots.flowers]
id = "ABCDEFGHIJ"
alias = "TSTALIASID"

[bots.clinic]
id = "KLMNOPQRST"
alias = "LIVEALIASX"
locale = "de_DE"
region = "eu-central-1"
"""

MONDAY_NOON_S = 1764590400.0
"""Monday, 1 December 2025, 12:00 in UTC and 13:00 in Vienna."""


def table_of(text: str, environment: dict[str, str] | None = None) -> LineTable:
    """Return the table that is written in `text`, by default after TWO_BOTS and without a bot in the environment."""
    environment = WITHOUT_BOT if environment is None else environment
    return read_lines(TWO_BOTS + text, environment, read_settings(environment))


def problems_of(text: str, environment: dict[str, str] | None = None) -> list[str]:
    """Return the problems of the table that is written in `text` after TWO_BOTS."""
    try:
        table_of(text, environment)
    except ConfigError as error:
        return [str(one) for one in error.problems]
    return []


def call_of(
    to: str = "+12065550111",
    caller: str = "+12065550100",
    query: dict[str, str] | None = None,
    at_s: float = MONDAY_NOON_S,
    **form: str,
) -> IncomingCall:
    """Return an incoming call as Twilio tells of it."""
    told = {"To": to, "From": caller, "CallSid": "CA1", "AccountSid": "AC1", "Direction": "inbound", **form}
    return IncomingCall(told, query or {}, at_s)


def chosen(table: LineTable, call: IncomingCall) -> str | None:
    """Return the name of the line that serves the call, or None if none does."""
    route = table.choose(call)
    return None if route is None else route.line
