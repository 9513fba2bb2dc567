"""The maker of what serves the lines of one process: the clients of their bots, and their documents."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import gevent

from lexbridge.bridge.lines import LineRuntime
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.route import CallRoute
from lexbridge.config.service_settings import ServiceSettings
from lexbridge.config.twilio_account import sid_of_other
from lexbridge.lex.boto import LexClients
from lexbridge.lex.runtime import Deadlines, LexRuntime
from lexbridge.twilio.rest import LONGEST_UPDATE_S
from lexbridge.twilio.signatures import socket_address
from lexbridge.twilio.twiml import TwimlDocuments


class LineMaker:
    """The maker of lines. It keeps the clients of boto3 that they share."""

    def __init__(self, service: ServiceSettings, bot: LexRuntime | None, deadlines: Deadlines | None) -> None:
        """`bot`: one for all lines, instead of the clients of AWS. `deadlines`: instead of those of each line."""
        self._service = service
        self._bot = bot
        self._deadlines = deadlines
        self._clients = LexClients(service)

    def make(self, route: CallRoute, line: LineSettings) -> LineRuntime:
        """Make what serves the calls of one route."""
        limits = self._limits(line)
        bot = self._clients.make(line, limits, route.line) if self._bot is None else self._bot
        return LineRuntime.make(route, line, self._documents(route, line, limits), bot)

    def make_ready(self, lines: Iterable[LineSettings], give_way: Callable[[], None] | None = None) -> None:
        """Make the clients of all bots of `lines` that are missing. Raise ConfigError.

        `give_way`: if calls are served meanwhile, called after each client, all of which are made on a thread then.
        """
        for line in lines if self._bot is None else ():
            run = _run if give_way is None else gevent.get_hub().threadpool.apply
            self._clients.make_ready(line, self._limits(line), run)
            if give_way is not None:
                give_way()

    def keep_only(self, lines: Iterable[LineSettings], give_way: Callable[[], None]) -> None:
        """Let go of the clients that none of `lines` needs. Calls that have one keep it.

        `give_way`: called after each of `lines`.
        """

        def used() -> Iterator[tuple[LineSettings, Deadlines]]:
            for line in lines:
                yield line, self._limits(line)
                give_way()

        self._clients.keep_only(used())

    def endpoint_urls(self) -> Sequence[str]:
        """Return the addresses of Lex and STS that the bots of all lines ask."""
        return self._clients.endpoint_urls

    def _limits(self, line: LineSettings) -> Deadlines:
        return self._deadlines or Deadlines(answer_s=line.lex_timeout_s)

    def _documents(self, route: CallRoute, line: LineSettings, deadlines: Deadlines) -> TwimlDocuments:
        """Make the TwiML documents, which hold a call for as long as the next update may take."""
        # The longest time from the end of a prompt to the next update: the caller is silent, then speaks, then Lex
        # answers, then Twilio is updated. An utterance that is joined with the one before is sent to Lex twice.
        answers_s = deadlines.answer_s * (2 if line.join else 1)
        longest_s = line.no_input_s + line.max_utterance_ms / 1000 + answers_s + LONGEST_UPDATE_S + 1
        account_sid = sid_of_other(line.account, self._service.account)
        return TwimlDocuments(
            self._service.url,
            socket_address(self._service.stream_url, account_sid),
            math.ceil(longest_s),
            line.say_voice,
            line.say_language,
            line.reply_mode == "stream",
            route.text,
            self._service.account.twilio_auth_token,
            account_sid,
            self._service.connection_overrides,
        )


def _run(make: Callable[[], object]) -> object:
    return make()
