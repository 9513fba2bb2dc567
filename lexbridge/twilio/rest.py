"""The live call, changed through Twilio's REST API by Twilio's own client."""

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

import gevent
import requests
import twilio.rest.api.v2010.account.call  # noqa: F401 - else at first use: 130 ms in which no call would be heard
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from lexbridge.config.settings import Settings
from lexbridge.errors import CallControlError, CallControlRejected, CallControlUnavailable, CallGone
from lexbridge.logs import Log
from lexbridge.net.capped_http import capped_session, is_too_long

ATTEMPT_DEADLINES_S = (1.5, 1.5, 1.0)
"""For each request of an update, whole: a server that drips a byte at a time does not outlive it."""

_PAUSES_S = ((0.1, 0.2), (0.4, 0.6))
"""Before the second and the third; random, so that calls that failed together spread out."""

LONGEST_UPDATE_S = sum(ATTEMPT_DEADLINES_S) + sum(longest for _, longest in _PAUSES_S)

_GONE_CODES = ("20404", "21220")

_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What requests and Twilio's client raise of an answer that is not in Twilio's form: no JSON, JSON of another shape."""
_CLIENTS_KEPT = 32  # one for each account and token


def _always() -> bool:
    return True


class CallControl(Protocol):
    """Something that can change a live call. Everything here blocks the calling greenlet only."""

    def update(
        self, account_sid: str, call_sid: str, twiml: str, log: Log, is_wanted: Callable[[], bool] = _always
    ) -> None:
        """Gives the call a new document. One that failed is tried again while `is_wanted()`.

        Raises CallGone, CallControlUnavailable or CallControlRejected.
        """
        ...

    def stop_stream(self, account_sid: str, call_sid: str, stream: str) -> None:
        """Stops a one-way stream by its name or SID. Raises a CallControlError, CallGone if there is none."""
        ...


class TwilioCallControl:
    """CallControl by the REST API's call update, TwiML inline: no other process need know of it.

    Source: https://www.twilio.com/docs/voice/api/call-resource#update-a-call-resource .
    """

    def __init__(self, settings: Settings, attempt_deadlines_s: Sequence[float] = ATTEMPT_DEADLINES_S) -> None:
        self._attempt_deadlines_s = attempt_deadlines_s
        self._api_key_sid = settings.twilio_api_key_sid
        # The one that Twilio took last is first. An API key has one secret, and no token signs in beside it.
        key_secret = settings.twilio_api_key_secret
        self._secrets = (key_secret,) if self._api_key_sid and key_secret else settings.twilio_auth_tokens
        self._api_url = settings.twilio_api_url
        self._host = urlsplit(settings.twilio_api_url).netloc
        # The library sets no deadline, retries no POST, and keeps cpu + 4 connections, unless told.
        self._http = TwilioHttpClient(timeout=max(attempt_deadlines_s))
        self._http.session = capped_session(settings.max_calls)
        self._client = lru_cache(maxsize=_CLIENTS_KEPT)(self._new_client)

    def update(
        self, account_sid: str, call_sid: str, twiml: str, log: Log, is_wanted: Callable[[], bool] = _always
    ) -> None:
        """See CallControl. The same document twice is the same call, so an attempt may follow one that was heard."""
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
        """See CallControl. https://www.twilio.com/docs/voice/api/stream-resource#update-a-stream-resource ."""
        self._attempt(
            lambda client: client.calls(call_sid).streams(stream).update(status="stopped"),
            account_sid,
            self._attempt_deadlines_s[0],
        )

    def _attempt(self, request: Callable[[Client], object], account_sid: str, deadline_s: float) -> None:
        """Makes the request once. Raises a CallControlError that names the host."""
        try:
            self._try(request, account_sid, deadline_s)
        except CallControlError as error:
            error.host = self._host
            raise

    def _try(self, request: Callable[[Client], object], account_sid: str, deadline_s: float) -> None:
        deadline = gevent.Timeout(deadline_s)
        try:
            with deadline:
                self._signed_in(request, account_sid)
        except gevent.Timeout as timeout:
            if timeout is not deadline:
                raise
            raise _unreached(f"no answer within {deadline_s:g} s") from None
        except (TwilioRestException, TwilioServiceException) as error:
            raise _ours(error, "TWILIO_API_KEY_SID" if self._api_key_sid else "TWILIO_AUTH_TOKEN") from error
        except (requests.RequestException, TwilioException) as error:
            raise _unreached("Twilio's answer is too long" if is_too_long(error) else _named(error)) from error
        except _UNREADABLE as error:
            raise _unreached(f"Twilio's answer cannot be read: {type(error).__name__}") from error

    def _signed_in(self, request: Callable[[Client], object], account_sid: str) -> None:
        """Makes the request with the token that Twilio takes: when one is promoted, that is the other from then on."""
        *but_last, last = self._secrets
        for secret in but_last:
            try:
                request(self._client(account_sid, secret))
                return
            except (TwilioRestException, TwilioServiceException) as error:
                if error.status != HTTPStatus.UNAUTHORIZED:
                    raise
        request(self._client(account_sid, last))
        self._secrets = (last, *but_last)

    def _new_client(self, account_sid: str, secret: str) -> Client:
        """`account_sid`: that of the call, which the webhook names."""
        client = Client(self._api_key_sid or account_sid, secret, account_sid, http_client=self._http)
        client.api.base_url = self._api_url
        return client


def _named(error: Exception) -> str:
    """Returns the error's class, and that of its cause. Their texts hold the request's address, with the CallSid."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return type(error).__name__ + (f": {type(reason).__name__}" if isinstance(reason, Exception) else "")


def _unreached(said: str) -> CallControlUnavailable:
    """Returns the error for what is no answer of Twilio's: perhaps something else answers at that address."""
    error = CallControlUnavailable(said)
    error.check = "TWILIO_API_URL"
    return error


def _ours(error: TwilioRestException | TwilioServiceException, check: str) -> CallControlError:
    """`check`: the setting by which requests sign in."""
    code = str(error.code)[:20]
    # One that names a code of Twilio's may name it as a text, and what RFC 9457 calls `status` as anything.
    status = error.status if isinstance(error.status, int) else 0
    said = f"Twilio answered {status}, code {code}"
    if code in _GONE_CODES:
        return CallGone(said)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        rejected = CallControlRejected(f"{said}; check {check}")
        rejected.check = check
        return rejected
    # Twilio's client has the status for the code where there is none: that was a proxy, or a page of its maintenance.
    is_twilios = code != str(status)
    if is_twilios and 400 <= status < 500 and status != HTTPStatus.TOO_MANY_REQUESTS:
        return CallControlRejected(said)
    return CallControlUnavailable(said)
