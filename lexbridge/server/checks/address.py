"""The check of the service's public address: it asks the running service what Twilio would ask.

The service has to run with the same settings. The check knows the auth token, so it signs its requests as Twilio does.
It begins no call.
"""

import secrets
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, suppress
from hashlib import sha1
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from twilio.request_validator import RequestValidator

from lexbridge.config.parsers import is_private
from lexbridge.config.settings import Settings
from lexbridge.net.capped_http import capped_session
from lexbridge.server.checks.findings import Finding, failed, not_asked, ok, quoted, warning
from lexbridge.twilio.signatures import SIGNATURE_HEADER

READY, WEBHOOK, SOCKET = "/ready at URL", "signed webhook", "WebSocket"

ANSWER_S = 5.0
CLOSE_S = 2.0
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_PORTS = {"wss": 443, "https": 443, "http": 80}
_SAME = "the service has to run with the same settings: TWILIO_AUTH_TOKEN and"


def check_address(settings: Settings) -> Iterator[Finding]:
    """Yield whether the service is ready at URL, accepts a signed webhook there, and a signed WebSocket handshake."""
    ready = _ready(settings)
    yield ready
    if ready.verdict == "NOT OK":
        yield not_asked(WEBHOOK, "the service does not answer at URL")
    else:
        yield _webhook(settings)
    yield _socket(settings)


def _ready(settings: Settings) -> Finding:
    address = f"{settings.service.url}/ready"
    try:
        with _session(settings) as session:
            answer = session.get(address, timeout=ANSWER_S, allow_redirects=False)
    except (requests.RequestException, OSError, ValueError) as error:
        return failed(READY, f"{address}: {_why_unreached(error)}", _remedy(error))
    state = _state(answer)
    if state == "ready" and is_private(urlsplit(settings.service.url).hostname or ""):
        return warning(READY, f"{address}: ready, but Twilio cannot reach this address", "set URL to a public one")
    if answer.status_code == 200 and state == "ready":
        return ok(READY, f"{address}: ready")
    if state:
        remedy = "wait until it has started, or has fewer calls: MAX_CALLS, WEB_CONCURRENCY"
        return failed(READY, f"{address}: the service takes no calls, it is {quoted(state, 40)[1:-1]}", remedy)
    return failed(
        READY, f"{address}: {_stranger(answer)}", "URL has to lead to lexbridge: the tunnel, the proxy's rules"
    )


def _state(answer: requests.Response) -> str:
    """Return the status that /ready reports, or "" if the answer does not come from lexbridge."""
    with suppress(ValueError):
        body = answer.json()
        if isinstance(body, dict) and "live_calls" in body:
            return str(body.get("status", ""))
    return ""


def _stranger(answer: requests.Response) -> str:
    """Describe an answer that does not come from lexbridge."""
    if where := answer.headers.get("Location"):
        return f"answered {answer.status_code}, a redirect to {quoted(where, 100)}"
    if code := answer.headers.get("ngrok-error-code"):
        return f"ngrok answered {answer.status_code}, {quoted(code, 40)[1:-1]}: no tunnel leads on from it"
    by = answer.headers.get("Server")
    return f"answered {answer.status_code}{f' by {quoted(by, 40)}' if by else ''}, and not as lexbridge does"


def _webhook(settings: Settings) -> Finding:
    """Send the status of a stream of a call that does not exist: the one webhook that changes nothing."""
    address = f"{settings.service.url}/stream-status"
    sids = {"CallSid": f"CA{'0' * 32}", "AccountSid": f"AC{'0' * 32}", "StreamSid": f"MZ{'0' * 32}"}
    form = {**sids, "StreamEvent": "stream-started", "StreamName": "check"}
    signature = RequestValidator(settings.service.account.twilio_auth_token).compute_signature(address, form)
    try:
        with _session(settings) as session:
            headers = {SIGNATURE_HEADER: signature}
            answer = session.post(address, data=form, headers=headers, timeout=ANSWER_S, allow_redirects=False)
    except (requests.RequestException, OSError, ValueError) as error:
        return failed(WEBHOOK, f"{address}: {_why_unreached(error)}", _remedy(error))
    if answer.status_code == 204:
        return ok(WEBHOOK, f"{address} takes it")
    if answer.status_code == 403:
        remedy = f"{_SAME} URL; or a proxy changes the path or the form, or refuses POST"
        return failed(WEBHOOK, f"{address}: 403, the service does not take our signature", remedy)
    return failed(
        WEBHOOK, f"{address}: {_stranger(answer)}", "the proxy has to pass POST /twiml* and /stream-status on"
    )


def _socket(settings: Settings) -> Finding:
    address = settings.service.stream_url
    parts = urlsplit(address)
    key = b64encode(secrets.token_bytes(16)).decode()
    headers = {
        "Host": parts.netloc,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        SIGNATURE_HEADER: RequestValidator(settings.service.account.twilio_auth_token).compute_signature(address, {}),
    }
    try:
        with closing(_connection(settings)) as connection:
            connection.request("GET", parts.path or "/", headers=headers)
            answer = connection.getresponse()
            accept = b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
            if answer.status == 101 and answer.headers.get("Sec-WebSocket-Accept") == accept:
                _say_goodbye(connection)
                return ok(SOCKET, f"{address} takes a signed upgrade")
            return failed(SOCKET, f"{address}: {_refused(answer.status)}", _REMEDIES.get(answer.status, _UPGRADES))
    except (HTTPException, OSError, ValueError) as error:
        return failed(SOCKET, f"{address}: {_why_unreached(error)}", _remedy(error, "STREAM_URL"))


_UPGRADES = "the proxy has to pass WebSocket upgrades on to lexbridge, at the path /"
_REMEDIES = {
    403: f"{_SAME} STREAM_URL (unset: made of URL); or a firewall refuses the upgrade",
    404: "lexbridge serves the socket at / alone: check the path of STREAM_URL, and the proxy's rules",
    503: "wait, or raise MAX_CALLS",
}


def _refused(status: int) -> str:
    why = {
        101: "101, but not for our key: something in between answers",
        403: "403, the service does not take our signature",
        404: "404, no socket is served there",
        426: "426, the upgrade did not get through",
        503: "503, the service takes no more sockets",
    }
    return why.get(status, f"answered {status}, not 101")


def _connection(settings: Settings) -> HTTPConnection:
    """Return a connection to the host of STREAM_URL, with TLS unless both addresses are private and URL has none.

    Twilio accepts wss only, and so does STREAM_URL, but a simulated Twilio reaches a bridge on its own machine by plain
    ws.
    """
    parts = urlsplit(settings.service.stream_url)
    host, port = parts.hostname or "", parts.port
    if (
        settings.service.url.startswith("http:")
        and is_private(urlsplit(settings.service.url).hostname or "")
        and is_private(urlsplit(settings.service.stream_url).hostname or "")
    ):
        return HTTPConnection(host, port or _PORTS["http"], timeout=ANSWER_S)
    context = ssl.create_default_context(cafile=settings.service.url_ca_file or DEFAULT_CA_BUNDLE_PATH)
    return HTTPSConnection(host, port or _PORTS["wss"], timeout=ANSWER_S, context=context)


def _say_goodbye(connection: HTTPConnection) -> None:
    """Send a close frame, masked as a client has to, and wait a moment for the answer."""
    mask = secrets.token_bytes(4)
    code = (1000).to_bytes(2, "big")
    with suppress(OSError):
        connection.sock.settimeout(CLOSE_S)
        connection.sock.sendall(b"\x88\x82" + mask + bytes(byte ^ mask[at] for at, byte in enumerate(code)))
        connection.sock.recv(64)


def _session(settings: Settings) -> requests.Session:
    session = capped_session()
    session.verify = settings.service.url_ca_file or True
    return session


def _why_unreached(error: BaseException) -> str:
    cause = _root(error)
    match cause:
        case ssl.SSLError():
            return f"no TLS connection ({quoted(getattr(cause, 'verify_message', '') or cause.reason or cause, 80)})"
        case socket.gaierror():
            return "the name has no address in DNS"
        case ConnectionRefusedError():
            return "connection refused: nothing listens there"
        case ConnectionError():
            return "the connection broke before an answer"
        case TimeoutError() | requests.Timeout():
            return f"no answer within {ANSWER_S:g} s"
    return f"not reached ({type(cause).__name__})"


def _remedy(error: BaseException, variable: str = "URL") -> str:
    cause = _root(error)
    if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
        return f"{variable} leads to a port without TLS: Twilio's sockets need TLS, which a tunnel or a proxy brings"
    if isinstance(cause, ssl.SSLError):
        return f"the host of {variable} needs a certificate that Twilio takes; URL_CA_FILE is for one of your own"
    if isinstance(cause, socket.gaierror):
        return f"check {variable} and its DNS record"
    return f"is the service running, and does {variable} lead to it? Start it (and the tunnel), and check again"


def _root(error: BaseException) -> BaseException:
    """Return the first error in the chain of exceptions that names a cause; requests and urllib3 wrap it."""
    causes = (ssl.SSLError, socket.gaierror, ConnectionError, TimeoutError)
    behind: BaseException | None = error
    for _ in range(10):
        if behind is None:
            break
        if isinstance(behind, causes) and not isinstance(behind, requests.RequestException):
            return behind
        within = [getattr(behind, "reason", None), behind.__cause__, behind.__context__, *behind.args]
        behind = next((each for each in within if isinstance(each, BaseException)), None)
    return error
