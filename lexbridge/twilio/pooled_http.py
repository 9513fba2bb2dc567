"""HTTP for Twilio's client library over urllib3 alone, which takes half of the time that the requests library takes."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from twilio.http import HttpClient
from twilio.http.response import Response
from urllib3 import exceptions
from urllib3.util import make_headers

from lexbridge.net.capped_http import capped_pools, is_encoded

_ONCE = urllib3.Retry(0, read=False)
"""No second attempt: those are made by who asks, with deadlines and pauses of their own."""


class PooledHttpClient(HttpClient):  # type: ignore[misc]  # no types there
    """A client that keeps connections open, reads answers within limits, and follows no redirects.

    `connections`: number of connections to a host that are kept open. `timeout_s`: longest wait for a connection, and
    for the next bytes of an answer. It takes nothing from the environment, such as proxies. Errors are those of the
    requests library, which Twilio's client would raise with its own HTTP.
    """

    def __init__(self, connections: int, timeout_s: float) -> None:
        super().__init__(logging.getLogger("twilio.http_client"), is_async=False, timeout=timeout_s)
        self._pools = capped_pools(connections, DEFAULT_CA_BUNDLE_PATH)
        self._pool_of: dict[tuple[str, str], urllib3.HTTPConnectionPool] = {}

    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,  # noqa: ARG002 - Twilio's API redirects nobody
    ) -> Response:
        """Make a request with a form, as Twilio's client asks. Raise requests.RequestException."""
        address = urlsplit(uri)
        path = address.path + (f"?{urlencode(params, doseq=True)}" if params else "")
        sent = {**(headers or {}), "Accept-Encoding": "identity"}  # as net/capped_http does
        if auth:
            sent.update(make_headers(basic_auth=":".join(auth)))
        with _errors_of_requests():
            answer = self._pool(address.scheme, address.netloc).urlopen(
                method,
                path,
                body=urlencode(data, doseq=True) if data else None,
                headers=sent,
                retries=_ONCE,
                redirect=False,
                timeout=timeout or self.timeout,
                preload_content=False,
                decode_content=False,
            )
            return self._read(answer)

    def _pool(self, scheme: str, netloc: str) -> urllib3.HTTPConnectionPool:
        pool = self._pool_of.get((scheme, netloc))
        if pool is None:
            pool = self._pool_of[scheme, netloc] = self._pools.connection_from_url(f"{scheme}://{netloc}")
        return pool

    def _read(self, answer: urllib3.BaseHTTPResponse) -> Response:
        """Return the whole answer. Close its connection if the answer is compressed though it may not be."""
        if is_encoded(answer.headers):
            answer.close()
            raise requests.exceptions.ContentDecodingError("the answer is compressed")
        try:
            body = answer.read(decode_content=False)
        except exceptions.ProtocolError as error:
            raise requests.exceptions.ChunkedEncodingError(error) from error
        except exceptions.ReadTimeoutError as error:
            raise requests.ConnectionError(error) from error
        answer.release_conn()
        return Response(answer.status, body.decode("utf-8", "replace"), answer.headers)


_Error = Callable[[Exception], requests.RequestException]

_AS_REQUESTS: tuple[tuple[type[Exception], _Error], ...] = (
    (exceptions.NewConnectionError, requests.ConnectionError),
    (exceptions.ConnectTimeoutError, requests.ConnectTimeout),
    (exceptions.ReadTimeoutError, requests.ReadTimeout),
    (exceptions.SSLError, requests.exceptions.SSLError),
    (exceptions.HTTPError, requests.ConnectionError),
    (OSError, requests.ConnectionError),
)
"""Errors of urllib3, the first that fits, and what the requests library makes of each."""


@contextmanager
def _errors_of_requests() -> Iterator[None]:
    try:
        yield
    except (exceptions.HTTPError, OSError) as error:
        if isinstance(error, requests.RequestException):
            raise
        reason = error.reason if isinstance(error, exceptions.MaxRetryError) and error.reason else error
        translated = next(made for kind, made in _AS_REQUESTS if isinstance(reason, kind))
        raise translated(error) from error
