"""The check of a stream that has started: lexbridge's own document has to have opened it, for just this call."""

import time
from collections.abc import Mapping, Sequence

from lexbridge.bridge.call_admission import CallAdmission
from lexbridge.call.events import Started
from lexbridge.call.stream_parameters import RESUMED_PARAMETER, TOKEN_PARAMETER
from lexbridge.net.close_codes import POLICY_VIOLATION, TRY_AGAIN_LATER
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

    __slots__ = ("_admission", "_auth_tokens", "_used_tokens")

    def __init__(self, auth_tokens: Sequence[str], used_tokens: UsedTokens, admission: CallAdmission) -> None:
        """`auth_tokens`: Twilio's, with which stream tokens are signed. `used_tokens`: those of the whole server."""
        self._auth_tokens = auth_tokens
        self._used_tokens = used_tokens
        self._admission = admission

    def check(self, started: Started) -> None:
        """Take the stream's token, which no other stream can use from now on. Raise StreamRefused."""
        token = started.parameters.get(TOKEN_PARAMETER, "")
        if fault := find_token_fault(self._auth_tokens, token, started.call_sid, started.account_sid, time.time()):
            why, remedy = fault
            raise StreamRefused(why, POLICY_VIOLATION, {"remedy": remedy} if remedy else {})
        if not self._used_tokens.take(token, token_expiry_s(token), time.time()):
            raise StreamRefused("token used before", POLICY_VIOLATION)
        if RESUMED_PARAMETER not in started.parameters and (refusal := self._admission.refusal):
            # Twilio opens another stream, which goes on with the call and is served.
            raise StreamRefused(refusal, TRY_AGAIN_LATER)
