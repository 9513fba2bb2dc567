"""The wiring of a service: what the settings ask for reaches the parts."""

import pytest

from lexbridge.config.reading import read_settings
from lexbridge.errors import LexUnavailable
from lexbridge.logs import Log
from lexbridge.offline.lex.faults import LexFault
from lexbridge.server.build import build_service
from tests.support.lexes import asked, local_lex
from tests.support.line_tables import WITHOUT_BOT, table_of
from tests.support.rig import settings


@pytest.mark.parametrize("seconds", ["1", "2"])
def test_lex_has_as_long_as_the_setting_says(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    """LEX_TIMEOUT_S is for slow bots: a service that ignored it would fail on each of their turns."""
    with local_lex(monkeypatch) as lex:
        lex.faults.append(LexFault(kind="hang", times=None))
        service = build_service(settings(LEX_TIMEOUT_S=seconds))
        with pytest.raises(LexUnavailable, match=f"within {seconds} s"):
            next(service.bridge.lines.all()).lex.ask(asked(), Log())


def test_clients_of_all_bots_are_made_before_calls_are_served() -> None:
    """A call may be handed to a bot that no line has, and nobody waits then for the first client of its region."""
    environment = {**WITHOUT_BOT, "ACCESS_KEY_ID": "AKIAEXAMPLE", "SECRET_ACCESS_KEY": "secret"}
    service = build_service(read_settings(environment), table=table_of('[[lines]]\nbot = "flowers"', environment))
    assert [url for url in service.peer_urls if "lex" in url] == [
        "https://runtime-v2-lex.us-west-2.amazonaws.com",
        "https://runtime-v2-lex.eu-central-1.amazonaws.com",
    ]
