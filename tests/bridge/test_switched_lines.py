"""The route of a call in the hands of another bot, as the table of lines has it."""

from collections.abc import Mapping

import pytest

from lexbridge.config.route import CallRoute
from lexbridge.server.build import build_service
from tests.support.rehearsal import RehearsedControl, RehearsedLex
from tests.support.rig import settings
from tests.support.switched_lines import table_of

ROUTER = {"LEX_BOT_ID": "ROUTER0000", "LEX_BOT_ALIAS_ID": "TSTALIASID"}
FLOWERS = {"LEX_BOT_ID": "FLOWERS000", "LEX_BOT_ALIAS_ID": "TSTALIASID"}
COFFEE = {"LEX_BOT_NAME": "Coffee", "LEX_BOT_ALIAS": "prod"}
BOTS: Mapping[str, Mapping[str, str]] = {
    "router": ROUTER,
    "flowers": FLOWERS,
    "flowers/de_DE": {**FLOWERS, "LEX_LOCALE_ID": "de_DE"},
    "/de_DE": {**ROUTER, "LEX_LOCALE_ID": "de_DE"},
    "/en_US": ROUTER,
    "coffee": COFFEE,
    "far": {**FLOWERS, "AWS_REGION": "eu-central-1"},
}


@pytest.mark.parametrize(
    ("route", "bot", "locale_id", "asked"),
    [
        ("", "flowers", "", "/flowers"),
        ("", "flowers", "de_DE", "/flowers/de_DE"),
        ("", "coffee", "", "/coffee"),
        ("", "", "de_DE", "//de_DE"),
        ("/flowers", "router", "", "/router"),
        ("/flowers", "", "de_DE", "/flowers/de_DE"),
        ("/flowers", "flowers", "de_DE", "/flowers/de_DE"),
        ("/flowers", "far", "", "/far"),
        ("/flowers/de_DE", "coffee", "", "/coffee"),
        # the call has it already
        ("", "router", "", ""),
        ("", "", "en_US", ""),
        ("/flowers", "flowers", "", "/flowers"),
        ("/flowers/de_DE", "flowers", "", "/flowers/de_DE"),
        ("/flowers/de_DE", "", "de_DE", "/flowers/de_DE"),
        # the table does not have it
        ("", "tulips", "", None),
        ("", "flowers", "fr_FR", None),
        ("/coffee", "", "de_DE", None),
    ],
)
def test_what_a_bot_names_is_a_route_of_the_table(route: str, bot: str, locale_id: str, asked: str | None) -> None:
    table = table_of(ROUTER, BOTS)
    service = build_service(settings(**ROUTER), table=table, lex=RehearsedLex(), call_control=RehearsedControl())
    lines = service.bridge.lines
    parsed = CallRoute.parse(route)
    assert parsed is not None
    runtime = lines.find(parsed, "")
    assert runtime is not None
    for _ in ("the first time", "once something serves it"):
        found = lines.route_after_switch(runtime, bot, locale_id)
        assert (None if found is None else found.text) == asked
        if found is not None:
            lines.find(found, "")
