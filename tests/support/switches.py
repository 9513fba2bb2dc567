"""Bots that a call may be handed to: a router, and a flower shop that also speaks German."""

from lexbridge.call.switching import Switchboard
from lexbridge.config.route import CallRoute

ROUTER = CallRoute("sales")
FLOWERS = CallRoute("sales", "flowers")
GERMAN = CallRoute("sales", "flowers", "de_DE")


def switchboard(route: CallRoute | None = None) -> Switchboard:
    """Return the bots that a call of `route` may be handed to, or none."""
    return Switchboard() if route is None else Switchboard(route, lambda *asked: _find(route, *asked))


def _find(route: CallRoute, bot: str, locale_id: str) -> CallRoute | None:
    if (bot or route.bot or "router") == "router":
        return None if locale_id else ROUTER
    kept = route.locale_id if bot in ("", route.bot) else ""
    found = CallRoute(route.line, bot or route.bot, locale_id or kept)
    return found if found in (FLOWERS, GERMAN) else None
