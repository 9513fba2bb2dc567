"""The Lex bot that callers reach, and the settings that name it."""

from dataclasses import dataclass

from lexbridge.config.parsers import matching
from lexbridge.config.places import locale_id
from lexbridge.config.setting import Group, Setting


@dataclass(frozen=True, slots=True)
class LexV1Bot:
    """A Lex V1 bot, asked by PostContent. AWS shut Lex V1 down on 2025-09-15."""

    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class LexV2Bot:
    """A Lex V2 bot, asked by RecognizeUtterance."""

    bot_id: str
    alias_id: str
    locale_id: str


Bot = LexV1Bot | LexV2Bot

BOT_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "LEX_BOT_ID",
        matching(r"[0-9a-zA-Z]{10}", "must be the bot's id: 10 letters and digits"),
        Group.BOT,
        "Id of a Lex V2 bot: 10 letters and digits. Set either a V2 or a V1 bot, not both",
    ),
    Setting(
        "LEX_BOT_ALIAS_ID",
        matching(r"[0-9a-zA-Z]{10}", "must be the alias's id: 10 letters and digits, such as TSTALIASID"),
        Group.BOT,
        "Alias id of a Lex V2 bot (`TSTALIASID` is the test alias)",
    ),
    Setting(
        "LEX_LOCALE_ID",
        locale_id,
        Group.BOT,
        "Locale of a Lex V2 bot, such as `de_DE`. It is also the language of what lexbridge itself says",
        default="en_US",
    ),
    Setting(
        "LEX_BOT_NAME",
        matching(r"[A-Za-z_]{2,50}", "must be the bot's name: 2 to 50 letters and underscores"),
        Group.BOT,
        "Name of a Lex V1 bot",
    ),
    Setting(
        "LEX_BOT_ALIAS",
        matching(r"\$LATEST|[A-Za-z_]{1,100}", "must be the alias's name: letters and underscores, or $LATEST"),
        Group.BOT,
        "Alias of a Lex V1 bot",
    ),
)
"""Settings that name the bot. `config.reading` makes the bot of them."""
