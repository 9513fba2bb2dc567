"""The check of Twilio: whether it accepts the auth token, and where its numbers send their calls.

It only reads. Source: https://www.twilio.com/docs/iam/api/account and
https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource .
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from lexbridge.config.settings import Settings
from lexbridge.net.capped_http import capped_session, is_too_long
from lexbridge.server.checks.findings import Finding, failed, not_asked, ok, quoted, warning

ACCOUNT, API_KEY, NUMBER = "Twilio account", "Twilio API key", "Twilio number"

ANSWER_S = 5.0
PAGE = 50  # numbers in one answer, which then has about 75 KB
MOST_NUMBERS = 1000
_SHOWN = 3
_WHERE = "Twilio console, the number's Voice configuration, 'A call comes in'"
_PORTS = {"http": 80, "https": 443}


def check_twilio(settings: Settings) -> Iterator[Finding]:
    """Yield whether Twilio accepts the auth token and the API key, and whether a number's webhook is that of URL."""
    if not settings.service.account.twilio_account_sid:
        remedy = "set TWILIO_ACCOUNT_SID (Twilio console, first page: it begins with AC) for this check"
        yield not_asked(ACCOUNT, "the auth token alone does not say whose account it is", remedy)
        yield not_asked(NUMBER, "the account is not known")
        return
    client = _client(settings, settings.service.account.twilio_account_sid, settings.service.account.twilio_auth_token)
    if settings.service.account.twilio_api_key_sid and settings.service.account.twilio_api_key_secret:
        yield _api_key(
            _client(
                settings, settings.service.account.twilio_api_key_sid, settings.service.account.twilio_api_key_secret
            ),
            settings,
        )
    account = _account(client, settings)
    yield account
    if account.verdict in ("ok", "warning"):
        yield _numbers(client, settings)
    else:
        yield not_asked(NUMBER, "Twilio does not accept the credentials")


def _client(settings: Settings, user: str, password: str) -> Client:
    http = TwilioHttpClient(timeout=ANSWER_S)
    http.session = capped_session()
    client = Client(user, password, settings.service.account.twilio_account_sid, http_client=http)
    client.api.base_url = settings.service.twilio_api_url
    return client


def _api_key(client: Client, settings: Settings) -> Finding:
    """Return whether Twilio accepts the API key that updates calls.

    Such a key may not read an account, so the check reads a number.
    """
    sid, account_sid = settings.service.account.twilio_api_key_sid, settings.service.account.twilio_account_sid
    try:
        client.incoming_phone_numbers.list(page_size=1, limit=1)
    except _UNREACHED as error:
        status = _status_of_list(error)
        if status == 401:
            remedy = f"check TWILIO_API_KEY_SECRET, and that the key is one of {account_sid}"
            return failed(API_KEY, f"Twilio does not take {sid} (401)", remedy)
        if status == 403:
            remedy = "a restricted key needs the right to update calls"
            return warning(API_KEY, f"{sid}: unknown, it may not read numbers (403)", remedy)
        return _unreached(API_KEY, settings, error)
    return ok(API_KEY, f"Twilio takes {sid}")


def _account(client: Client, settings: Settings) -> Finding:
    sid = settings.service.account.twilio_account_sid
    try:
        account = client.api.accounts(sid).fetch()
    except (TwilioRestException, TwilioServiceException) as error:
        if error.status in (401, 403):
            remedy = f"check TWILIO_AUTH_TOKEN: the primary auth token of {sid}, and no API key's secret"
            return failed(ACCOUNT, f"Twilio does not take TWILIO_AUTH_TOKEN for {sid} ({_said(error)})", remedy)
        return failed(ACCOUNT, f"Twilio answered {_said(error)}", "check TWILIO_ACCOUNT_SID and TWILIO_API_URL")
    except _UNREACHED as error:
        return _unreached(ACCOUNT, settings, error)
    what = f"{sid} {quoted(account.friendly_name, 60)} takes TWILIO_AUTH_TOKEN"
    if account.status != "active":
        return failed(ACCOUNT, f"{what}, but is {quoted(account.status, 20)}", "Twilio's console says why")
    if account.type == "Trial":
        remedy = "upgrade it, or call from a number that is verified in the console"
        return warning(ACCOUNT, f"{what}; a trial account: each call begins with Twilio's own words", remedy)
    return ok(ACCOUNT, what)


@dataclass(frozen=True, slots=True)
class _Number:
    """A phone number of the account. `differs`: how its webhook differs from that of URL, or "" if it does not."""

    number: str
    method: str
    differs: str
    is_near: bool

    def __str__(self) -> str:
        remark = self.differs or ("by GET" if self.method == "GET" else "")
        return f"{self.number} ({remark})" if remark else self.number


def _numbers(client: Client, settings: Settings) -> Finding:
    wanted = f"{settings.service.url}/twiml"
    try:
        listed = client.incoming_phone_numbers.list(page_size=PAGE, limit=MOST_NUMBERS)
        numbers = [_look_at(each, wanted) for each in listed]
    except _UNREACHED as error:
        if status := _status_of_list(error):
            return failed(NUMBER, f"Twilio answered {status}", "try again; status.twilio.com reports outages")
        return _unreached(NUMBER, settings, error)
    if not numbers:
        return failed(NUMBER, "the account has no number", "buy one with voice, and set its webhook to " + wanted)
    right = [each for each in numbers if not each.differs]
    near = [each for each in numbers if each.is_near]
    if right:
        besides = f"; not so {_some(near)}" if near else ""
        return ok(NUMBER, f"{_some(right)}: calls go to {wanted}{besides}")
    remedy = f"set it to {wanted}, HTTP POST: {_WHERE}"
    if near:
        return failed(NUMBER, f"no number's calls go to {wanted}, but nearly: {_some(near)}", remedy)
    count = f"none of the account's {len(numbers)} numbers" if len(numbers) > 1 else f"{numbers[0].number} does not"
    ends = "sends its calls to" if len(numbers) > 1 else "send its calls to"
    return failed(NUMBER, f"{count} {ends} {wanted}", f"{remedy} (a Studio flow that leads there is not seen here)")


def _look_at(number: Any, wanted: str) -> _Number:
    name = quoted(number.phone_number, 40)[1:-1]
    method = (number.voice_method or "POST").upper()
    if number.trunk_sid:
        return _Number(name, method, "a SIP trunk has its calls", is_near=False)
    if number.voice_application_sid:
        differs = f"the TwiML app {quoted(number.voice_application_sid, 40)[1:-1]} has its calls, not its webhook"
        return _Number(name, method, differs, is_near=_differs(number.voice_url or "", wanted)[0] == "")
    differs, is_near = _differs(number.voice_url or "", wanted)
    return _Number(name, method, differs, is_near)


def _differs(url: str, wanted: str) -> tuple[str, bool]:
    """Return how a webhook differs from the wanted one, or "", and whether it is probably meant to be the wanted one.

    It is probably meant if it has the same host or the same path. The part after "?" or "#" is ignored.
    """
    try:
        given, right = urlsplit(url), urlsplit(wanted)
        ports = [each.port or _PORTS.get(each.scheme, 0) for each in (given, right)]
    except ValueError:
        return "its webhook is no address", False
    if not given.netloc:
        return "no webhook", False
    differences = []
    if given.hostname != right.hostname:
        differences.append(f"host {given.hostname}")
    if given.scheme != right.scheme:
        differences.append(f"{given.scheme}://, not {right.scheme}://")
    elif ports[0] != ports[1]:
        differences.append(f"port {ports[0]}, not {ports[1]}")
    has_host = given.hostname == right.hostname
    has_path = given.path.rstrip("/") == right.path  # lexbridge serves the path with and without a slash at the end
    if not has_path:
        differences.append(f"path {quoted(given.path, 60)[1:-1] or '/'}, not {right.path}")
    return ", ".join(differences), bool(differences) and (has_host or has_path)


def _some(numbers: Sequence[_Number]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    return shown if len(numbers) <= _SHOWN else f"{shown} and {len(numbers) - _SHOWN} more"


_UNREACHED = (requests.RequestException, TwilioException, ValueError, TypeError, LookupError, AttributeError)


def _unreached(subject: str, settings: Settings, error: BaseException) -> Finding:
    how = "its answer is too long" if is_too_long(error) else type(error).__name__
    return failed(
        subject,
        f"Twilio cannot be reached at {settings.service.twilio_api_url} ({how})",
        "check this machine's network",
    )


def _status_of_list(error: BaseException) -> int | None:
    """Return the status by which Twilio answered a list: its client keeps the answer as the error's second argument."""
    answer = error.args[1] if isinstance(error, TwilioException) and len(error.args) > 1 else None
    status = getattr(answer, "status_code", None)
    return status if isinstance(status, int) and status >= 400 else None


def _said(error: TwilioRestException | TwilioServiceException) -> str:
    return f"{error.status}, code {str(error.code)[:20]}"
