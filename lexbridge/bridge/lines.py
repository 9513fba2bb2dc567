"""The lines of one process, with what serves the calls of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lexbridge.audio.vad import Detector, load_detector
from lexbridge.bridge.phrase_audio import PhraseCache
from lexbridge.config.call_rules import CallRules
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import IncomingCall, LineTable
from lexbridge.config.route import CallRoute
from lexbridge.config.transfer_targets import NO_TARGETS
from lexbridge.config.twilio_account import TwilioAccounts
from lexbridge.lex.model import Message
from lexbridge.lex.runtime import LexRuntime
from lexbridge.phrases import phrases_for
from lexbridge.twilio.twiml import TwimlDocuments

NO_LINE_WORDS = Message(phrases_for("en_US").not_available)
"""Words for a caller whom no line serves, in English because no line tells the language."""


@dataclass(frozen=True, slots=True, eq=False)
class LineRuntime:
    """What serves the calls of one route: the bot, the documents, the detector and the phrases."""

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
            ),
        )

    @property
    def is_two_way(self) -> bool:
        """Whether the bot is heard over the media stream."""
        return self.settings.reply_mode == "stream"


class LineRuntimes:
    """The lines of one process. A call keeps the LineRuntime that it began with, whatever becomes of the table."""

    def __init__(
        self,
        table: LineTable,
        accounts: TwilioAccounts,
        make: Callable[[CallRoute, LineSettings], LineRuntime],
    ) -> None:
        """`accounts`: those of the process, which get the accounts of the lines. `make`: makes what serves a route."""
        self._table = table
        self._accounts = accounts
        self._make = make
        self._runtimes: dict[CallRoute, LineRuntime] = {}
        self.replace(table)

    def replace(self, table: LineTable) -> None:
        """Serve new calls by `table`. What serves a route whose settings stay the same goes on to do so."""
        kept = {route: one for route, one in self._runtimes.items() if table.settings_of(route) == one.settings}
        runtimes = dict(kept)
        for route in table.routes():
            settings = table.settings_of(route)
            if route not in runtimes and settings is not None:
                runtimes[route] = self._make(route, settings)
        self._table, self._runtimes = table, runtimes
        self._accounts.replace_others(table.accounts())

    def choose(self, call: IncomingCall) -> LineRuntime | None:
        """Return what serves a new call, or None if no line does."""
        route = self._table.choose(call)
        return None if route is None else self.find(route, call.form.get("AccountSid", ""))

    def find(self, route: CallRoute, account_sid: str) -> LineRuntime | None:
        """Return what serves a route, or None if the table does not know it, or it is not this Twilio account's."""
        runtime = self._runtimes.get(route)
        if runtime is None:
            settings = self._table.settings_of(route)
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
        found = self._table.settings_of(asked) if known is None else known.settings
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
