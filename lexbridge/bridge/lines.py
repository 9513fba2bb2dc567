"""The lines of one process, with what serves the calls of each."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

import gevent

from lexbridge.audio.vad import Detector, load_detector
from lexbridge.bridge.give_way import GiveWay
from lexbridge.bridge.phrase_audio import PhraseCache
from lexbridge.config.call_rules import CallRules
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import IncomingCall, LineTable
from lexbridge.config.route import CallRoute
from lexbridge.config.transfer_targets import NO_TARGETS
from lexbridge.config.twilio_account import TwilioAccount, TwilioAccounts
from lexbridge.lex.model import Message
from lexbridge.lex.runtime import LexRuntime
from lexbridge.logs import Log
from lexbridge.phrases.catalogue import phrases_for
from lexbridge.twilio.twiml import TwimlDocuments

NO_LINE_WORDS = Message(phrases_for("en_US").not_available)
"""Words for a caller whom no line serves, in English because no line tells the language."""

CATCH_UP_S = 2.0
"""The longest time for which a new call waits for the newest table, in seconds. 1,000 lines take 1 s."""


@dataclass(frozen=True, slots=True, eq=False)
class LineRuntime:
    """All that serves the calls of one route: the bot, the documents, the detector and the phrases."""

    route: CallRoute
    settings: LineSettings
    rules: CallRules
    documents: TwimlDocuments
    lex: LexRuntime
    new_detector: Callable[[], Detector]
    phrases: PhraseCache

    @classmethod
    def make(
        cls, route: CallRoute, settings: LineSettings, documents: TwimlDocuments, lex: LexRuntime
    ) -> "LineRuntime":
        """Make what serves the calls of one route, whose bot is asked through `lex`."""
        return cls(
            route=route,
            settings=settings,
            rules=settings.call_rules,
            documents=documents,
            lex=lex,
            new_detector=load_detector(settings.vad, settings.detector_options),
            phrases=PhraseCache(
                lex,
                settings.phrases,
                has_limit=settings.max_call_s is not None,
                has_transfers=settings.transfer_numbers != NO_TARGETS,
                log=Log(**route.log_fields),
            ),
        )

    @property
    def is_two_way(self) -> bool:
        """Whether the bot is heard over the media stream."""
        return self.settings.reply_mode == "stream"


class NewestTable(Protocol):
    """The newest table of lines of the server, which another process has read."""

    @property
    def generation(self) -> int:
        """The number of the newest table. It is cheap to ask for."""

    def load(self, give_way: Callable[[], None]) -> "LoadedTable":
        """Build the newest table. `give_way`: called after each small step."""


class BotClients(Protocol):
    """The clients of the bots of all lines."""

    def make_ready(self, lines: Iterable[LineSettings], give_way: Callable[[], None]) -> None:
        """Make those of `lines` that are missing, beside the calls. `give_way`: called after each of them."""

    def keep_only(self, lines: Iterable[LineSettings], give_way: Callable[[], None]) -> None:
        """Let go of those that none of `lines` needs. `give_way`: called after each of `lines`."""


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """A table of lines. `generation`: its number.

    `departed`: the Twilio accounts that it does not have any more, each with the Unix time until which calls of it may
    be live.
    """

    table: LineTable
    generation: int = 0
    departed: Sequence[tuple[TwilioAccount, float]] = ()


class LineRuntimes:
    """The lines of one process. A call keeps the LineRuntime that it began with, whatever becomes of the table."""

    def __init__(
        self,
        loaded: LoadedTable,
        accounts: TwilioAccounts,
        make: Callable[[CallRoute, LineSettings], LineRuntime],
        newest: NewestTable | None = None,
        clients: BotClients | None = None,
    ) -> None:
        """`accounts`: those of the process, which get the accounts of the lines. `make`: makes what serves a route.

        `newest`: where a newer table may come from, or None if the first one stays. `clients`: those that `make` uses,
        made ready for each newer table before that is taken.
        """
        self._loaded = loaded
        self._accounts = accounts
        self._make = make
        self._newest = newest
        self._clients = clients
        self._told: list[Callable[[], object]] = []
        self._runtimes: dict[CallRoute, LineRuntime] = {}
        self._taking: gevent.Greenlet[..., None] | None = None
        self._seen = loaded.generation  # the newest table that was taken, or could not be
        self._serve(loaded, self._made(loaded.table, lambda: None))

    @property
    def generation(self) -> int:
        """The number of the table that serves new calls."""
        return self._loaded.generation

    def when_taken(self, tell: Callable[[], object]) -> None:
        """Have `tell` called whenever a newer table has been taken."""
        self._told.append(tell)

    def follow(self) -> None:
        """Begin to take the newest table, if there is a newer one. This does not wait. Call it again and again."""
        if self._newest is not None and self._newest.generation != self._seen and self._taking is None:
            self._taking = gevent.spawn(self._take, self._newest)
        if any(until_s <= time.time() for _, until_s in self._loaded.departed):
            self._replace_accounts()

    def catch_up(self, wait_s: float = CATCH_UP_S) -> None:
        """Have new calls served by the newest table, and wait for it, if there is a newer one."""
        if self._newest is None or self._newest.generation == self._seen:
            return
        self.follow()
        if self._taking is not None:
            self._taking.join(wait_s)

    def _take(self, newest: NewestTable) -> None:
        """Take the newest table, in a greenlet of its own. What serves a route with the same settings is kept."""
        try:
            while (generation := newest.generation) != self._seen:
                self._seen = generation
                begun_s, give_way = time.monotonic(), GiveWay()
                loaded = newest.load(give_way)
                self._seen = loaded.generation
                self._load_detectors(loaded.table, give_way)
                if self._clients is not None:
                    self._clients.make_ready(loaded.table.all_settings(), give_way)
                self._serve(loaded, self._made(loaded.table, give_way))
                self._let_go(give_way)
                took_ms = round(1000 * (time.monotonic() - begun_s))
                Log().info("lines-taken", generation=loaded.generation, lines=len(self._runtimes), took_ms=took_ms)
        except Exception:  # the table before stays
            Log().exception("lines-broken")
        finally:
            self._taking = None

    def _let_go(self, give_way: Callable[[], None]) -> None:
        """Let go of what no line of the table needs any more, and tell of the table."""
        if self._clients is not None:
            switched = [one.settings for route, one in self._runtimes.items() if route.bot or route.locale_id]
            self._clients.keep_only(chain(switched, self._loaded.table.all_settings()), give_way)
        for tell in self._told:
            tell()

    def _load_detectors(self, table: LineTable, give_way: Callable[[], None]) -> None:
        """Load each new detector once on a thread, because the packages of some of them take 0.1 s."""
        loaded = {one.settings.vad for one in self._runtimes.values()}
        for route in table.routes():
            settings = table.settings_of(route)
            if settings is not None and settings.vad not in loaded:
                loaded.add(settings.vad)
                gevent.get_hub().threadpool.apply(load_detector, (settings.vad, settings.detector_options))
            give_way()

    def _made(self, table: LineTable, give_way: Callable[[], None]) -> dict[CallRoute, LineRuntime]:
        """Return what serves each route of `table`: what does so already, if its settings stay the same."""
        made: dict[CallRoute, LineRuntime] = {}
        for route, one in list(self._runtimes.items()):
            if table.settings_of(route) == one.settings:
                made[route] = one
            give_way()
        for route in table.routes():
            settings = table.settings_of(route)
            if route not in made and settings is not None:
                made[route] = self._make(route, settings)
            give_way()
        return made

    def _serve(self, loaded: LoadedTable, runtimes: dict[CallRoute, LineRuntime]) -> None:
        """Serve new calls by a table, from now on."""
        self._loaded, self._runtimes = loaded, runtimes
        self._replace_accounts()

    def _replace_accounts(self) -> None:
        """Know the accounts of all lines, and those of calls that may still be live."""
        now_s, loaded = time.time(), self._loaded
        departed = [(account, until_s) for account, until_s in loaded.departed if until_s > now_s]
        self._loaded = replace(loaded, departed=departed)
        self._accounts.replace_others([*(account for account, _ in departed), *loaded.table.accounts()])

    def choose(self, call: IncomingCall) -> LineRuntime | None:
        """Return what serves a new call, or None if no line does."""
        route = self._loaded.table.choose(call)
        return None if route is None else self.find(route, call.form.get("AccountSid", ""))

    def find(self, route: CallRoute, account_sid: str) -> LineRuntime | None:
        """Return what serves a route, or None if the table does not know it, or it is not this Twilio account's."""
        runtime = self._runtimes.get(route)
        if runtime is None:
            settings = self._loaded.table.settings_of(route)
            if settings is None:
                return None
            runtime = self._runtimes[route] = self._make(route, settings)
        return runtime if runtime.settings.account == self._accounts.of(account_sid) else None

    def route_after_switch(self, runtime: LineRuntime, bot: str, locale_id: str) -> CallRoute | None:
        """Return the route of a call of `runtime` in the hands of another bot and locale; "" for one that stays.

        That is the route of `runtime` itself if the call has that bot already, and None if the table has no such bot.
        """
        route, settings = runtime.route, runtime.settings
        # A bot that is named anew speaks its own language unless a locale is named too.
        kept_locale_id = route.locale_id if bot in ("", route.bot) else ""
        asked = CallRoute(route.line, bot or route.bot, locale_id or kept_locale_id)
        known = self._runtimes.get(asked)
        found = self._loaded.table.settings_of(asked) if known is None else known.settings
        if found is None:
            return None
        # The table may have the line's own bot under a name, or name the locale that it has anyway.
        return route if _bot_of(found) == _bot_of(settings) else asked

    def all(self) -> Iterator[LineRuntime]:
        """Yield what serves each route."""
        yield from self._runtimes.values()


def _bot_of(settings: LineSettings) -> tuple[object, ...]:
    """Return what names the bot that a line's calls are served by."""
    return settings.bot, settings.aws_region, settings.bot_endpoint_url, settings.bot_role_arn
