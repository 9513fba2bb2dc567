"""The check of a stream that has started: lexbridge's own document has to have opened it, for just this call."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lexbridge.bridge.lines import LineRuntime, LineRuntimes
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.call.events import Started
from lexbridge.call.stream_parameters import LINE_PARAMETER, RESUMED_PARAMETER, SWITCHED_PARAMETER, TOKEN_PARAMETER
from lexbridge.config.route import CallRoute
from lexbridge.net.close_codes import POLICY_VIOLATION, TRY_AGAIN_LATER
from lexbridge.twilio.route_seal import read_sealed
from lexbridge.twilio.stream_token import find_token_fault, token_expiry_s
from lexbridge.twilio.used_tokens import UsedTokens


class StreamRefused(Exception):
    """A stream is not served. The message is the reason, `code` the close code, and `hints` are fields for the log."""

    def __init__(self, why: str, code: int, hints: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.code = code
        self.hints = hints or {}


class StreamCheck:
    """The check whether a stream that starts is served."""

    __slots__ = ("_auth_tokens", "_calls", "_used_tokens")

    def __init__(self, auth_tokens: Sequence[str], used_tokens: UsedTokens, calls: CallRegistry) -> None:
        """`auth_tokens`: Twilio's, with which stream tokens are signed. `used_tokens`: those of the whole server."""
        self._auth_tokens = auth_tokens
        self._used_tokens = used_tokens
        self._calls = calls

    def check(self, started: Started, lines: LineRuntimes) -> LineRuntime:
        """Take the stream's token, which no other stream can use from now on. Return what serves its call.

        Raise StreamRefused.
        """
        token, line = (started.parameters.get(name, "") for name in (TOKEN_PARAMETER, LINE_PARAMETER))
        sids = started.call_sid, started.account_sid
        if fault := find_token_fault(self._auth_tokens, token, *sids, time.time(), line):
            why, remedy = fault
            raise StreamRefused(why, POLICY_VIOLATION, {"remedy": remedy} if remedy else {})
        if not self._used_tokens.take(token, token_expiry_s(token), time.time()):
            raise StreamRefused("token used before", POLICY_VIOLATION)
        lines.catch_up()  # the webhook may have been answered by a newer table than that of this process
        route = CallRoute.parse(line)
        runtime = None if route is None else lines.find(route, started.account_sid)
        if runtime is None:
            # The table has changed, here or in the process that made the token. The call resumes, and a line is chosen.
            remedy = "give all tasks the same LINES_FILE; the call resumes on the line that it now has"
            raise StreamRefused("unknown line", TRY_AGAIN_LATER, {"line": line, "remedy": remedy})
        if RESUMED_PARAMETER not in started.parameters and (refusal := self._refusal(*sids, runtime)):
            # Twilio opens another stream, which goes on with the call and is served.
            raise StreamRefused(refusal, TRY_AGAIN_LATER, runtime.route.log_fields)
        return runtime

    def unsealed(self, started: Started) -> Started:
        """Return the start with the route of the bot before, if there is one and lexbridge itself has named it.

        The token proves the call and its line alone, and who knows the token of a Twilio account signs streams.
        """
        sealed = started.parameters.get(SWITCHED_PARAMETER)
        if sealed is None:
            return started
        switched = read_sealed(self._auth_tokens, sealed) or ""
        return replace(started, parameters={**started.parameters, SWITCHED_PARAMETER: switched})

    def _refusal(self, call_sid: str, account_sid: str, runtime: LineRuntime) -> str | None:
        """Return why this process takes no stream of a new call, or None if it does."""
        most = runtime.settings.line_max_calls
        return self._calls.admission.refusal or self._calls.line_refusal(
            runtime.route.line, most, account_sid, call_sid
        )
