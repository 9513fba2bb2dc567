"""Switches: a bot hands its call to another bot of the table of lines, or to another locale.

The functions here decide, and change nothing. `Conversation` hands a call over, and `StreamStart` goes on with it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from lexbridge.call.attributes import ATTRIBUTES, SWITCHES_ATTRIBUTE
from lexbridge.call.directives import Directives
from lexbridge.config.route import LOCALE_ID, NAME, CallRoute
from lexbridge.lex.model import Reply

MAX_IN_A_ROW = 20
"""Switches without a turn of the caller between them. Two bots that name each other would never come to an end."""

_DIRECTIVES = frozenset(one.name for one in ATTRIBUTES if one.set_by == "bot")
_LEX_OWN = "x-amz-lex:"


def _no_other(_bot: str, _locale_id: str) -> CallRoute | None:
    return None


@dataclass(frozen=True, slots=True)
class Switchboard:
    """The bots that a call may be handed to. `route`: the one that serves the call.

    `find`: returns the route of the call in the hands of a bot and a locale, each "" if it is not to change. That is
    `route` itself if the call has that bot already, and None if the table has no such bot.
    """

    route: CallRoute = field(default_factory=CallRoute)
    find: Callable[[str, str], CallRoute | None] = _no_other


@dataclass(frozen=True, slots=True)
class Switches:
    """The switches of a call so far: how many, and how many since the caller's last turn.

    `origin`: the route of the bot that handed the call over, as long as the bot that has it now does not know of that.
    """

    count: int = 0
    in_a_row: int = 0
    origin: CallRoute | None = None

    @classmethod
    def parse(cls, text: str | None) -> "Switches":
        """Return what `text` is the `text` of. One that lexbridge itself cannot have written counts as no switch."""
        found = re.fullmatch(r"([0-9]{1,6})\.([0-9]{1,6})(?::(.*))?", text or "")
        if found is None:
            return cls()
        return cls(int(found[1]), int(found[2]), None if found[3] is None else CallRoute.parse(found[3]))

    @property
    def text(self) -> str:
        """The switches as they stand in addresses and stream parameters: `2.1:sales/flowers/de_DE`, or "" for none."""
        if not self.count:
            return ""
        return f"{self.count}.{self.in_a_row}" + ("" if self.origin is None else f":{self.origin.text}")

    def after_switch(self, origin: CallRoute) -> "Switches":
        """Return the switches after another one, by the bot of `origin`."""
        return Switches(self.count + 1, self.in_a_row + 1, origin)

    def after_answer(self) -> "Switches":
        """Return the switches after an answer of the call's bot, which has been told of them."""
        return replace(self, origin=None)

    def after_turn(self) -> "Switches":
        """Return the switches after a turn of the caller was answered."""
        return replace(self, in_a_row=0)


NO_SWITCHES = Switches()
"""The switches of a call that was never handed to another bot."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A switch that is not carried out. `why` is one of a small set of reasons."""

    why: str


def decide(directives: Directives, switchboard: Switchboard, switches: Switches) -> CallRoute | Refused | None:
    """Return the route to which an answer with `directives` hands the call, or None if it stays where it is.

    Lex keeps session attributes: an answer that names the bot which the call has already hands nothing over.
    """
    bot, locale_id = directives.bot or "", directives.locale_id or ""
    if not bot and not locale_id:
        return None
    if locale_id and not LOCALE_ID.fullmatch(locale_id):
        return Refused("malformed locale")
    route = switchboard.find(bot, locale_id) if not bot or NAME.fullmatch(bot) else None
    if route is None:
        return Refused("not in the table")
    if route == switchboard.route:
        return None
    return Refused("too many in a row") if switches.in_a_row >= MAX_IN_A_ROW else route


def is_known(reply: Reply | None, switchboard: Switchboard, switches: Switches) -> bool:
    """Return whether the call's bot knows that the call was handed to it. `reply`: the last answer in its session.

    The session may be that of an earlier visit, which ended when the bot handed the call on.
    """
    if reply is None:
        return False
    if reply.session_attributes.get(SWITCHES_ATTRIBUTE) == str(switches.count):
        return True
    return not isinstance(decide(Directives.from_reply(reply), switchboard, NO_SWITCHES), CallRoute)


def carried(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the session attributes that go along to the next bot: all but those by which a bot steers the call."""
    return {
        name: text for name, text in attributes.items() if name not in _DIRECTIVES and not name.startswith(_LEX_OWN)
    }
