"""Addresses of Lex's operations, both generations: what is asked of which bot, in which session. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lexbridge.offline.lex.bots import Bot
from lexbridge.offline.lex.wire import LexError, LexErrorKind

LATEST_V1 = "$LATEST"
"""Alias of V1 for the newest version of a bot. Every bot has it."""

_TEST_ALIAS_V2 = "TSTALIASID"
_V1_PATH = re.compile(r"/bot/([^/]+)/alias/([^/]+)/user/([^/]+)/(content|text|session)/?")
_V2_PATH = re.compile(r"/bots/([^/]+)/botAliases/([^/]+)/botLocales/([^/]+)/sessions/([^/]+)(?:/(utterance|text))?/?")
_SESSION_ID = re.compile(r"[0-9a-zA-Z._:-]{2,100}")
_OPERATIONS = {
    ("v1", "POST", "content"): "PostContent",
    ("v1", "POST", "text"): "PostText",
    ("v1", "GET", "session"): "GetSession",
    ("v1", "POST", "session"): "PutSession",
    ("v1", "DELETE", "session"): "DeleteSession",
    ("v2", "POST", "utterance"): "RecognizeUtterance",
    ("v2", "POST", "text"): "RecognizeText",
    ("v2", "GET", None): "GetSession",
    ("v2", "POST", None): "PutSession",
    ("v2", "DELETE", None): "DeleteSession",
}


@dataclass(frozen=True, slots=True)
class OperationAddress:
    """Operation and bot that a request's method and path name.

    `bot`: the bot's name in V1, its id in V2. `locale_id`: None in V1.
    """

    api: Literal["v1", "v2"]
    operation: str
    bot: str
    alias: str
    locale_id: str | None
    session_id: str


def api_of(path: str) -> Literal["v1", "v2"]:
    """Return the generation of Lex in whose way a request to `path` is answered, whether it names anything or not."""
    return "v1" if path.startswith("/bot/") else "v2"


def read_address(method: str, path: str) -> OperationAddress:
    """Return what a request names. Raises LexError if Lex has no such operation."""
    api: Literal["v1", "v2"] = "v1"
    locale_id: str | None = None
    if found := _V1_PATH.fullmatch(path):
        bot, alias, session_id, what = found.groups()
    elif found := _V2_PATH.fullmatch(path):
        api = "v2"
        bot, alias, locale_id, session_id, what = found.groups()
    else:
        raise LexError(LexErrorKind.NOT_FOUND, f"unknown operation: {path}")
    operation = _OPERATIONS.get((api, method, what))
    if operation is None:
        raise LexError(LexErrorKind.BAD_REQUEST, f"unknown operation: {method} {path}")
    return OperationAddress(api, operation, bot, alias, locale_id, session_id)


def bot_at(address: OperationAddress, bots: Iterable[Bot]) -> Bot:
    """Return the bot at an address. Raises LexError if there is none, or if the address is wrong in another way."""
    bot = _bot_named(address, bots)
    if bot is None:
        raise LexError(LexErrorKind.NOT_FOUND, f"no bot {address.bot} here")
    if bot.aliases and address.alias not in bot.aliases | {LATEST_V1, _TEST_ALIAS_V2}:
        raise LexError(LexErrorKind.NOT_FOUND, f"bot {bot.name} has no alias {address.alias}")
    if address.locale_id is not None and address.locale_id != bot.locale_id:
        raise LexError(LexErrorKind.NOT_FOUND, f"bot {bot.name} has no locale {address.locale_id}, but {bot.locale_id}")
    if not _SESSION_ID.fullmatch(address.session_id):
        raise LexError(LexErrorKind.BAD_REQUEST, "a session's id is 2 to 100 of [0-9a-zA-Z._:-]")
    return bot


def _bot_named(address: OperationAddress, bots: Iterable[Bot]) -> Bot | None:
    if address.api == "v1":
        return next((bot for bot in bots if bot.name == address.bot), None)
    of_id = [bot for bot in bots if bot.v2_id == address.bot]  # one for each locale
    return next((bot for bot in of_id if bot.locale_id == address.locale_id), of_id[0] if of_id else None)
