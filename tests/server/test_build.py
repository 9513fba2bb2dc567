"""The wiring of a service: what the settings ask for reaches the parts."""

from collections.abc import Callable
from typing import Any

import pytest
from gevent.monkey import get_original

from lexbridge.bridge.lines import LoadedTable
from lexbridge.config.reading import read_settings
from lexbridge.errors import LexUnavailable
from lexbridge.lex.boto import LexClients
from lexbridge.logs import Log
from lexbridge.offline.lex.faults import LexFault
from lexbridge.server.build import Service, build_service
from tests.support.lexes import asked, local_lex
from tests.support.line_tables import WITHOUT_BOT, table_of
from tests.support.rehearsal import wait_until
from tests.support.rig import settings

get_ident = get_original("threading", "get_ident")
"""Function that returns the number of the thread; gevent has that of the greenlet in its place."""


ENVIRONMENT = {**WITHOUT_BOT, "ACCESS_KEY_ID": "AKIAEXAMPLE", "SECRET_ACCESS_KEY": "secret"}
ROLE = "arn:aws:iam::123456789012:role/asks-the-bot"


def lex_hosts(service: Service) -> list[str]:
    """Return the hosts of Lex and STS that the service asks."""
    return [host for url in service.peer_urls() if "amazonaws" in (host := url.removeprefix("https://"))]


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
    table = table_of('[[lines]]\nbot = "flowers"', ENVIRONMENT)
    service = build_service(read_settings(ENVIRONMENT), table=table)
    assert lex_hosts(service) == ["runtime-v2-lex.us-west-2.amazonaws.com", "runtime-v2-lex.eu-central-1.amazonaws.com"]


class Tables:
    """The tables of a server, of which a test publishes one after the other."""

    def __init__(self, text: str) -> None:
        self.generation = 0
        self.publish(text)

    def publish(self, text: str) -> None:
        """Publish the table that is written in `text`."""
        self.generation += 1
        self._loaded = LoadedTable(table_of(text, ENVIRONMENT), self.generation)

    def load(self, give_way: Callable[[], None]) -> LoadedTable:
        """Return the newest table."""
        give_way()
        return self._loaded


def test_a_newer_table_has_its_clients_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made beside the calls, on a thread, and those that no line needs any more are let go."""
    tables = Tables('[[lines]]\nbot = "flowers"')
    service = build_service(read_settings(ENVIRONMENT), newest=tables)
    threads: list[bool] = []
    make, here = LexClients._make_client, get_ident()

    def made(clients: LexClients, key: Any) -> Any:
        threads.append(get_ident() != here)
        return make(clients, key)

    monkeypatch.setattr(LexClients, "_make_client", made)
    lines, hosts = service.bridge.lines, list[list[str]]()
    lines.when_taken(lambda: hosts.append(lex_hosts(service)))

    def take(text: str) -> None:
        tables.publish(text)
        lines.follow()
        wait_until(lambda: lines.generation == tables.generation and lines._taking is None)

    take(
        '[[lines]]\nbot = "flowers"\nregion = "eu-west-2"\nmatch.to = "+12065550101"\n[[lines]]\nbot = "flowers"\n'
        f'[bots.loans]\nid = "LOANBOT123"\nalias = "TSTALIASID"\nregion = "us-east-1"\nrole = "{ROLE}"\n'
        '[bots.old]\nname = "Old"\nalias = "prod"\nregion = "us-east-1"'
    )
    assert threads == [True, True, True]  # for eu-west-2, the role, and the V1 bot
    assert hosts[-1] == [
        "runtime-v2-lex.us-west-2.amazonaws.com",
        "runtime-v2-lex.eu-central-1.amazonaws.com",
        "runtime-v2-lex.eu-west-2.amazonaws.com",
        "runtime-v2-lex.us-east-1.amazonaws.com",
        "runtime.lex.us-east-1.amazonaws.com",
        "sts.us-east-1.amazonaws.com",
    ]
    take('[[lines]]\nbot = "clinic"\nregion = "eu-central-1"')
    assert hosts[-1] == ["runtime-v2-lex.us-west-2.amazonaws.com", "runtime-v2-lex.eu-central-1.amazonaws.com"]
    assert len(threads) == 3
    assert len(hosts) == 2
