"""Control of a live call by Twilio's REST API, through Twilio's own client library."""

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import urlsplit

import gevent
import requests
import twilio.rest.api.v2010.account.call  # noqa: F401 - the client imports it at first use: 130 ms without audio
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.rest import Client

from lexbridge.config.service_settings import ServiceSettings
from lexbridge.config.twilio_account import TwilioAccount, TwilioAccounts
from lexbridge.errors import CallControlError, CallControlRejected, CallControlUnavailable, CallGone
from lexbridge.logs import Log
from lexbridge.net.capped_http import is_too_long
from lexbridge.twilio.pooled_http import PooledHttpClient

ATTEMPT_DEADLINES_S = (1.5, 1.5, 1.0)
"""Deadline of each attempt of an update, in seconds. It is for the whole request, even if bytes drip in one by one."""

_PAUSES_S = ((0.1, 0.2), (0.4, 0.6))
"""Shortest and longest pause before the second and the third attempt, in seconds.

The pause is random, so that calls that failed together do not try again together.
"""

LONGEST_UPDATE_S = sum(ATTEMPT_DEADLINES_S) + sum(longest for _, longest in _PAUSES_S)
"""Longest time that an update may take with all its attempts, in seconds."""

_GONE_CODES = ("20404", "21220")
"""Twilio's error codes for a call that is over."""

_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""Errors that requests and Twilio's client raise for an answer that is not JSON, or JSON of another form."""
_CLIENTS_KEPT = 32
"""Clients that are kept, one for each account and token."""


def _always() -> bool:
    return True


class TwilioCallControl:
    """Implementation of `CallControl`. Documents are sent inside the request, so no other process has to know them.

    Source: https://www.twilio.com/docs/voice/api/call-resource#update-a-call-resource .
    """

    def __init__(
        self,
        settings: ServiceSettings,
        accounts: TwilioAccounts | None = None,
        attempt_deadlines_s: Sequence[float] = ATTEMPT_DEADLINES_S,
    ) -> None:
        """`accounts`: all whose calls are served; without it, that of `settings` alone."""
        self._attempt_deadlines_s = attempt_deadlines_s
        self._accounts = accounts or TwilioAccounts(settings.account)
        self._accepted: dict[TwilioAccount, str] = {}  # the secret that Twilio accepted last, if it was not the first
        self._api_url = settings.twilio_api_url
        self._host = urlsplit(settings.twilio_api_url).netloc
        self._http = PooledHttpClient(settings.max_calls, max(attempt_deadlines_s))
        self._client = lru_cache(maxsize=_CLIENTS_KEPT)(self._new_client)

    def update(
        self, account_sid: str, call_sid: str, twiml: str, log: Log, is_wanted: Callable[[], bool] = _always
    ) -> None:
        """Give the call a new document. Retry after a passing fault while `is_wanted()` returns true.

        A retry does no harm if the attempt before it was carried out: the same document twice leaves the same call.

        Raise CallGone, CallControlUnavailable or CallControlRejected.
        """
        *but_last, last = enumerate(self._attempt_deadlines_s, 1)

        def attempt(deadline_s: float) -> None:
            self._attempt(lambda client: client.calls(call_sid).update(twiml=twiml), account_sid, deadline_s)

        for number, deadline_s in but_last:
            try:
                attempt(deadline_s)
                return
            except CallControlUnavailable as error:
                if not is_wanted():
                    raise
                log.warning("call-update-failed", error=str(error), host=error.host, check=error.check, attempt=number)
            gevent.sleep(random.uniform(*_PAUSES_S[number - 1]))
        attempt(last[1])

    def stop_stream(self, account_sid: str, call_sid: str, stream: str) -> None:
        """Stop a one-way stream by its name or SID. Raise CallGone if there is none, or another CallControlError.

        Source: https://www.twilio.com/docs/voice/api/stream-resource#update-a-stream-resource .
        """
        self._attempt(
            lambda client: client.calls(call_sid).streams(stream).update(status="stopped"),
            account_sid,
            self._attempt_deadlines_s[0],
        )

    def _attempt(self, request: Callable[[Client], object], account_sid: str, deadline_s: float) -> None:
        """Make the request once. Raise a CallControlError that names the host."""
        try:
            self._try(request, account_sid, deadline_s)
        except CallControlError as error:
            error.host = self._host
            raise

    def _try(self, request: Callable[[Client], object], account_sid: str, deadline_s: float) -> None:
        deadline = gevent.Timeout(deadline_s)
        try:
            with deadline:
                self._authenticate(request, account_sid)
        except gevent.Timeout as timeout:
            if timeout is not deadline:
                raise
            raise _unreachable(f"no answer within {deadline_s:g} s") from None
        except (TwilioRestException, TwilioServiceException) as error:
            has_key = self._accounts.of(account_sid).twilio_api_key_sid is not None
            raise _translate_error(error, "TWILIO_API_KEY_SID" if has_key else "TWILIO_AUTH_TOKEN") from error
        except (requests.RequestException, TwilioException) as error:
            raise _unreachable("Twilio's answer is too long" if is_too_long(error) else _class_names(error)) from error
        except _UNREADABLE as error:
            raise _unreachable(f"Twilio's answer cannot be read: {type(error).__name__}") from error

    def _authenticate(self, request: Callable[[Client], object], account_sid: str) -> None:
        """Make the request with the secret that Twilio accepted last. If Twilio answers 401, try the other.

        The other one is accepted as soon as the operator has promoted it at Twilio.
        """
        account = self._accounts.of(account_sid)
        user = account.twilio_api_key_sid or account_sid
        secrets = self._secrets_of(account)
        for secret in secrets[:-1]:
            try:
                self._request(request, user, secret, account_sid)
                return
            except (TwilioRestException, TwilioServiceException) as error:
                if error.status != HTTPStatus.UNAUTHORIZED:
                    raise
        self._request(request, user, secrets[-1], account_sid)
        if len(secrets) > 1:
            self._accepted[account] = secrets[-1]

    def _request(self, request: Callable[[Client], object], user: str, secret: str, account_sid: str) -> None:
        request(self._client(user, secret, account_sid))

    def _secrets_of(self, account: TwilioAccount) -> Sequence[str]:
        """Return the secrets to sign in with, first the one that Twilio accepted last.

        An API key has one secret, and no token counts beside it.
        """
        if account.twilio_api_key_sid and account.twilio_api_key_secret:
            return (account.twilio_api_key_secret,)
        accepted = self._accepted.get(account)
        return sorted(account.auth_tokens, key=lambda token: token != accepted) if accepted else account.auth_tokens

    def _new_client(self, user: str, secret: str, account_sid: str) -> Client:
        """Return a client for an account. `account_sid`: from the webhook of the call."""
        client = Client(user, secret, account_sid, http_client=self._http)
        client.api.base_url = self._api_url
        return client


def _class_names(error: Exception) -> str:
    """Return the class of an error, and of its cause, without their texts, which hold an address with the CallSid."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return type(error).__name__ + (f": {type(reason).__name__}" if isinstance(reason, Exception) else "")


def _unreachable(text: str) -> CallControlUnavailable:
    """Return the error for an answer that did not come, or is not Twilio's: the address may be wrong."""
    error = CallControlUnavailable(text)
    error.check = "TWILIO_API_URL"
    return error


def _translate_error(error: TwilioRestException | TwilioServiceException, check: str) -> CallControlError:
    """Return Twilio's error as one of lexbridge's. `check`: the setting with the secret of the requests."""
    code = str(error.code)[:20]
    # Twilio's code may be a text, and the `status` of an answer in the form of RFC 9457 may be anything.
    status = error.status if isinstance(error.status, int) else 0
    text = f"Twilio answered {status}, code {code}"
    if code in _GONE_CODES:
        return CallGone(text)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        rejected = CallControlRejected(f"{text}; check {check}")
        rejected.check = check
        return rejected
    # If an answer has no code, Twilio's client takes the status for it. Such as a proxy's, or a maintenance page.
    is_twilios = code != str(status)
    if is_twilios and 400 <= status < 500 and status != HTTPStatus.TOO_MANY_REQUESTS:
        return CallControlRejected(text)
    return CallControlUnavailable(text)
