"""A newer table of lines while a process serves calls: it is taken beside them, and what stays the same is kept."""

import time
from collections.abc import Callable, Iterable

import gevent
import pytest

from lexbridge.bridge import give_way as give_way_module
from lexbridge.bridge import lines as lines_module
from lexbridge.bridge.give_way import GiveWay
from lexbridge.bridge.lines import BotClients, LineRuntime, LineRuntimes, LoadedTable
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import Line, LineTable
from lexbridge.config.route import CallRoute
from lexbridge.config.twilio_account import TwilioAccount, TwilioAccounts
from lexbridge.twilio.twiml import TwimlDocuments
from tests.support.fixtures import Logged
from tests.support.line_tables import call_of
from tests.support.lines import line
from tests.support.rehearsal import RehearsedLex, wait_until
from tests.support.rig import settings

SALES, CLINIC = "+12065550101", "+12065550102"
SID = "AC" + "1" * 32


class Tables:
    """A NewestTable whose tables a test sets."""

    def __init__(self, *first: Line) -> None:
        self.loaded = LoadedTable(LineTable(settings().default_line, first), 1)
        self.generation = 1
        self.gate: Callable[[], object] = lambda: None
        """Called while a table is loaded."""

    def load(self, give_way: Callable[[], None]) -> LoadedTable:
        """Return the newest table."""
        loaded = self.loaded
        self.gate()
        give_way()
        return loaded

    def publish(self, *served: Line, departed: tuple[tuple[TwilioAccount, float], ...] = ()) -> None:
        """Publish a newer table."""
        self.generation += 1
        self.loaded = LoadedTable(LineTable(settings().default_line, served), self.generation, departed)


class Served:
    """The lines of a process."""

    def __init__(self, *first: Line, clients: BotClients | None = None) -> None:
        self.tables = Tables(*first)
        self.accounts = TwilioAccounts(settings().service.account)
        self.made: list[CallRoute] = []
        self.lines = LineRuntimes(self.tables.load(lambda: None), self.accounts, self._make, self.tables, clients)

    def _make(self, route: CallRoute, of: LineSettings) -> LineRuntime:
        self.made.append(route)
        return LineRuntime.make(route, of, TwimlDocuments("https://a.example", "wss://a.example", 9), RehearsedLex())

    def find(self, name: str, account_sid: str = "AC0") -> LineRuntime | None:
        """Return what serves a line."""
        return self.lines.find(CallRoute(name), account_sid)

    def take(self) -> None:
        """Take the newest table, as the heartbeat does."""
        self.lines.follow()
        wait_until(lambda: self.lines._taking is None)


class Clients:
    """The clients of bots. Each is named by the greeting of its line, and may be made only beside calls."""

    def __init__(self) -> None:
        self.ready: list[str | None] = []
        self.error: Exception | None = None

    def make_ready(self, lines: Iterable[LineSettings], give_way: Callable[[], None]) -> None:
        """Note what is made, or raise the error."""
        for one in lines:
            give_way()
            if self.error is not None:
                raise self.error
            self.ready.append(one.greeting)

    def keep_only(self, lines: Iterable[LineSettings], give_way: Callable[[], None]) -> None:
        """Keep these."""
        give_way()
        wanted = [one.greeting for one in lines]
        self.ready = [one for one in self.ready if one in wanted]


def test_clients_are_ready_before_a_table_and_go_after_it() -> None:
    clients = Clients()
    served = Served(line("sales", SALES, GREETING="Sales."), clients=clients)
    told: list[tuple[int, list[str | None]]] = []
    served.lines.when_taken(lambda: told.append((served.lines.generation, [*clients.ready])))
    served.tables.publish(line("sales", SALES, GREETING="Sales again."), line("clinic", CLINIC, GREETING="Clinic."))
    served.take()
    default = settings().line.greeting
    assert told == [(2, ["Sales again.", "Clinic.", default])]
    served.tables.publish(line("clinic", CLINIC, GREETING="Clinic."))
    served.take()
    assert set(clients.ready) == {"Clinic.", default}
    assert [generation for generation, _ in told] == [2, 3]


def test_a_client_that_cannot_be_made_leaves_the_old_table(logged: Logged) -> None:
    clients = Clients()
    served = Served(line("sales", SALES), clients=clients)
    clients.error = ValueError("secret")
    served.tables.publish(line("clinic", CLINIC))
    served.take()
    assert served.lines.generation == 1
    assert served.find("sales") is not None
    assert [one["event"] for one in logged()] == ["lines-broken"]


def test_a_newer_table_serves_new_calls() -> None:
    served = Served(line("sales", SALES), line("clinic", CLINIC))
    sales, clinic = served.find("sales"), served.find("clinic")
    assert sales is not None
    served.tables.publish(line("sales", SALES), line("hotline", CLINIC, GREETING="Hello."))
    assert served.lines.choose(call_of(CLINIC)) is clinic
    served.take()
    assert served.lines.generation == 2
    assert served.find("sales") is sales  # with its phrases, and its limit of requests
    assert served.find("clinic") is None
    chosen = served.lines.choose(call_of(CLINIC))
    assert chosen is not None
    assert (chosen.route.line, chosen.settings.greeting) == ("hotline", "Hello.")
    assert [route.line for route in served.made] == ["sales", "clinic", "", "hotline"]


def test_a_changed_line_leaves_live_calls_what_they_have() -> None:
    served = Served(line("sales", SALES))
    live = served.find("sales")
    served.tables.publish(line("sales", SALES, GREETING="Hello."))
    served.take()
    newer = served.find("sales")
    assert live is not None
    assert newer is not None
    assert (live.settings.greeting, newer.settings.greeting) == (settings().line.greeting, "Hello.")


def test_a_call_waits_for_the_newest_table() -> None:
    served = Served(line("sales", SALES))
    served.tables.gate = lambda: gevent.sleep(0.05)
    served.tables.publish(line("clinic", CLINIC))
    served.lines.catch_up()
    assert served.lines.generation == 2
    assert served.find("clinic") is not None


def test_a_call_does_not_wait_for_ever() -> None:
    served = Served(line("sales", SALES))
    opened = gevent.event.Event()
    served.tables.gate = opened.wait
    served.tables.publish(line("clinic", CLINIC))
    served.lines.catch_up(wait_s=0.01)
    assert served.lines.generation == 1
    assert served.find("sales") is not None
    opened.set()
    wait_until(lambda: served.lines.generation == 2)


def test_a_table_published_meanwhile_is_taken_too() -> None:
    served = Served(line("sales", SALES))
    newer = iter([lambda: served.tables.publish(line("third", SALES))])
    served.tables.gate = lambda: next(newer, lambda: None)()
    served.tables.publish(line("second", SALES))
    served.take()
    assert served.lines.generation == 3
    assert served.find("second") is None
    assert served.find("third") is not None


def test_a_bug_in_a_new_table_leaves_the_old_one(logged: Logged) -> None:
    served = Served(line("sales", SALES))

    def fail() -> None:
        raise ValueError("secret")

    served.tables.gate = fail
    served.tables.publish(line("clinic", CLINIC))
    served.take()
    served.lines.catch_up()
    served.lines.follow()
    assert [line["event"] for line in logged()] == ["lines-broken"]  # once, and not ten times a second
    assert served.lines.generation == 1
    assert served.find("sales") is not None
    served.tables.gate = lambda: None
    served.tables.publish(line("clinic", CLINIC))
    served.take()
    assert served.find("clinic") is not None


def test_a_departed_account_is_known_as_long_as_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = time.time()
    monkeypatch.setattr(lines_module.time, "time", lambda: now_s)
    subaccount = {"TWILIO_AUTH_TOKEN": "1" * 32, "TWILIO_ACCOUNT_SID": SID}
    served = Served(line("sales", SALES, **subaccount))
    account = settings(**subaccount).service.account
    assert served.find("sales", SID) is not None
    served.tables.publish(line("clinic", CLINIC), departed=((account, now_s + 60),))
    served.take()
    assert served.accounts.of(SID) == account  # its webhooks are signed with it, and its calls are updated
    assert served.find("clinic", SID) is None
    assert served.find("", SID) is None
    now_s += 61
    served.lines.follow()
    assert served.accounts.of(SID) == served.accounts.own


def test_a_new_detector_is_loaded_beside_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    class Pool:
        def apply(self, load: Callable[..., object], options: tuple[object, ...]) -> None:
            loaded.append(options[0])
            load(*options)

    served = Served(line("sales", SALES))
    monkeypatch.setattr(gevent.get_hub(), "threadpool", Pool())
    served.tables.publish(line("sales", SALES, VAD="adaptive"), line("clinic", CLINIC, VAD="adaptive"))
    served.take()
    assert loaded == ["adaptive"]


def test_long_work_lets_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    pauses: list[float] = []
    monkeypatch.setattr(give_way_module.time, "monotonic", lambda: now_s)
    monkeypatch.setattr(give_way_module.gevent, "sleep", pauses.append)
    give_way = GiveWay()
    for _ in range(6):
        now_s += give_way_module.SLICE_S / 2
        give_way()
    assert pauses == [give_way_module.PAUSE_S] * 3
