"""The live call, changed through Twilio's REST API by Twilio's own client."""

import random
from functools import lru_cache
from typing import Protocol

import gevent
import requests
from requests.adapters import HTTPAdapter
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from lexbridge.config import Settings
from lexbridge.errors import CallControlError, CallControlRejected, CallControlUnavailable, CallGone
from lexbridge.logs import Log

ATTEMPT_DEADLINE_S = 2.0
"""For one request, whole: a server that drips a byte at a time does not outlive it."""

_GONE_CODES = (20404, 21220)
_ACCOUNTS_REMEMBERED = 16


class CallControl(Protocol):
    """Something that can change a live call."""

    def update(self, account_sid: str, call_sid: str, twiml: str, log: Log) -> None:
        """Gives the call a new document; blocks the calling greenlet only.

        Raises CallGone, CallControlUnavailable (after one retry) or CallControlRejected.
        """
        ...


class TwilioCallControl:
    """CallControl by the REST API's call update, TwiML inline: no other process need know of it.

    Source: https://www.twilio.com/docs/voice/api/call-resource#update-a-call-resource .
    """

    def __init__(self, settings: Settings, attempt_deadline_s: float = ATTEMPT_DEADLINE_S) -> None:
        self._attempt_deadline_s = attempt_deadline_s
        self._token = settings.twilio_auth_token
        self._api_url = settings.twilio_api_url
        # The library sets no deadline, retries no POST, and keeps cpu + 4 connections, unless told.
        self._http = TwilioHttpClient(timeout=attempt_deadline_s)
        session = requests.Session()
        session.trust_env = False  # reads ~/.netrc on each request otherwise
        adapter = HTTPAdapter(pool_maxsize=settings.max_calls)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        self._http.session = session
        self._client = lru_cache(maxsize=_ACCOUNTS_REMEMBERED)(self._new_client)
        # The library imports its API at first use: 60 to 130 ms in which no call would be heard.
        _ = self._new_client("AC" + "0" * 32).calls

    def update(self, account_sid: str, call_sid: str, twiml: str, log: Log) -> None:
        """See CallControl."""
        try:
            self._attempt(account_sid, call_sid, twiml)
            return
        except CallControlUnavailable as error:
            log.warning("call-update-failed", error=str(error), attempt=1)
        gevent.sleep(random.uniform(0.2, 0.4))
        self._attempt(account_sid, call_sid, twiml)

    def _attempt(self, account_sid: str, call_sid: str, twiml: str) -> None:
        deadline = gevent.Timeout(self._attempt_deadline_s)
        try:
            with deadline:
                self._client(account_sid).calls(call_sid).update(twiml=twiml)
        except gevent.Timeout as timeout:
            if timeout is not deadline:
                raise
            raise CallControlUnavailable(f"no answer within {self._attempt_deadline_s:g} s") from None
        except (TwilioRestException, TwilioServiceException) as error:
            raise _ours(error) from error
        except (requests.RequestException, TwilioException) as error:
            # The class only: the text holds the address, and with it nothing that helps more.
            raise CallControlUnavailable(type(error).__name__) from error

    def _new_client(self, account_sid: str) -> Client:
        client = Client(account_sid, self._token, http_client=self._http)
        client.api.base_url = self._api_url
        return client


def _ours(error: TwilioRestException | TwilioServiceException) -> CallControlError:
    said = f"Twilio answered {error.status}, code {error.code}"
    if error.code in _GONE_CODES:
        return CallGone(said)
    if error.status == 429 or error.status >= 500:
        return CallControlUnavailable(said)
    if error.status in (401, 403):
        said += "; check TWILIO_AUTH_TOKEN"
    return CallControlRejected(said)
