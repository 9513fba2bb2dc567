"""HTTP clients that read answers within limits and with pauses: boto3 for Lex, requests for Twilio and others.

`recv` returns at once while data is waiting. So a greenlet that reads an endless answer never yields to the loop: no
deadline fires, no call is heard, and memory grows. Here each answer has a limit of bytes on the wire, and its reader
pauses every so often, whatever the bytes are: a body, chunk headers, header fields, `100 Continue`.

How the limits get into the clients (urllib3 2, botocore 1.44): a connection makes its answers with its
`response_class`, which is http.client's and reads from `fp` alone. A pool names the class of its connections, and a
pool manager has the classes of its pools in `pool_classes_by_scheme`. The classes here are given to one client's
manager, so other clients keep theirs.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, ClassVar

import gevent
import requests
import urllib3
from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSHTTPSConnection, AWSHTTPSConnectionPool
from requests.adapters import HTTPAdapter
from requests.exceptions import ContentDecodingError
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from lexbridge.net.probed_connection import ProbedConnection

HEAD_BYTES = 128 * 1024
"""Limit of an answer's status line and headers, including those of 1xx answers.

http.client allows 100 lines of 64 KiB. Lex's heads, which hold the state of its session, have 16 KB.
"""

ERROR_BYTES = 64 * 1024
"""Limit of a body whose status is not a success."""

JSON_BYTES = 256 * 1024
"""Limit of a document, because it is parsed at once: 1 MB of the worst JSON takes 0.16 s.

Twilio's documents have 2 KB.
"""

VOICE_BYTES = 32_000_000
"""Limit of speech. The longest that is played, five minutes of 16 bits at 48 kHz, has 28.8 MB."""

PAUSE_EVERY_BYTES = 16 * 1024
"""Bytes on the wire between two pauses. They count on the wire because chunks of one byte each are slow to read."""

VOICE_PAUSE_EVERY_BYTES = 64 * 1024
"""Bytes of speech between two pauses: two seconds at 16 kHz.

Pauses are rarer there, because a busy machine makes them longer while the speech is already being played.
"""

# Not sleep(0): gevent runs ready greenlets for up to 5 ms before it looks at sockets and timers, and a greenlet that is
# ready again at once would take all of that.
_PAUSE_S = 0.001


class AnswerTooLong(OSError):
    """A peer's answer is longer than its limit. urllib3 closes the connection."""


class SuccessLost(OSError):
    """A peer has answered 200, but the rest of the answer's head cannot be read.

    The peer has done what it was asked.
    """


def is_too_long(error: BaseException) -> bool:
    """Return whether an error of botocore or requests was caused by AnswerTooLong. Its text does not tell."""
    return _is_caused_by(error, AnswerTooLong)


def is_success_lost(error: BaseException) -> bool:
    """Return whether an error of botocore was caused by SuccessLost."""
    return _is_caused_by(error, SuccessLost)


def _is_caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, kind):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


class _CappedReader(io.RawIOBase):
    """Reader of an answer's bytes from the socket: it counts them, and pauses."""

    def __init__(self, raw: io.RawIOBase, limit_bytes: int) -> None:
        self._raw = raw
        self._left_bytes = limit_bytes
        self._pause_every_bytes = self._until_pause_bytes = PAUSE_EVERY_BYTES

    def allow(self, more_bytes: int, pause_every_bytes: int) -> None:
        """Allow `more_bytes` from here on, with a pause after each `pause_every_bytes`."""
        self._left_bytes = more_bytes
        self._until_pause_bytes += pause_every_bytes - self._pause_every_bytes
        self._pause_every_bytes = pause_every_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read into `buffer` as RawIOBase does. Raise AnswerTooLong."""
        if self._left_bytes < 0:
            raise AnswerTooLong("the answer is too long")
        if self._until_pause_bytes <= 0:
            self._until_pause_bytes = self._pause_every_bytes
            gevent.sleep(_PAUSE_S)
        # The buffer may be as large as the whole body. Take no more than is due before the next pause.
        count = self._raw.readinto(memoryview(buffer)[:PAUSE_EVERY_BYTES])
        if count:
            self._left_bytes -= count
            self._until_pause_bytes -= count
        return count

    def close(self) -> None:
        try:
            self._raw.close()
        finally:
            super().close()


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Limits of a successful answer's body, in bytes: to a GET, and to another method."""

    get_bytes: int
    other_bytes: int


class _CappedResponse(HTTPResponse):
    """An answer that is read within limits."""

    limits: ClassVar[BodyLimits]

    def __init__(self, sock: Any, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._is_get = method == "GET"
        self._reader = _CappedReader(self.fp.detach(), HEAD_BYTES)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read the head as HTTPResponse does. Raise AnswerTooLong, also for a Content-Length beyond the limit."""
        super().begin()
        if self.status >= 300:
            limit_bytes = ERROR_BYTES
        else:
            limit_bytes = self.limits.get_bytes if self._is_get else self.limits.other_bytes
        # Checked before the body is read, because urllib3 makes a buffer as large as the Content-Length.
        if self.length is not None and self.length > limit_bytes:
            raise AnswerTooLong(f"the answer has {self.length} bytes")
        is_voice = limit_bytes == VOICE_BYTES
        self._reader.allow(limit_bytes, VOICE_PAUSE_EVERY_BYTES if is_voice else PAUSE_EVERY_BYTES)


class _LexResponse(_CappedResponse):
    limits = BodyLimits(JSON_BYTES, VOICE_BYTES)

    def begin(self) -> None:
        """Read the head as HTTPResponse does. Raise SuccessLost for a fault after the status line of a 200."""
        try:
            super().begin()
        except (HTTPException, OSError) as error:
            if self.status == 200:
                raise SuccessLost(str(error)) from error
            raise


class _DocumentResponse(_CappedResponse):
    limits = BodyLimits(JSON_BYTES, JSON_BYTES)


class _LexConnection(ProbedConnection, AWSHTTPConnection):  # type: ignore[misc]  # no types there
    response_class = _LexResponse


class _LexTlsConnection(ProbedConnection, AWSHTTPSConnection):  # type: ignore[misc]  # no types there
    response_class = _LexResponse


class _LexPool(AWSHTTPConnectionPool):  # type: ignore[misc]  # no types there
    ConnectionCls = _LexConnection


class _LexTlsPool(AWSHTTPSConnectionPool):  # type: ignore[misc]  # no types there
    ConnectionCls = _LexTlsConnection


class _DocumentConnection(HTTPConnection):
    response_class = _DocumentResponse


class _DocumentTlsConnection(HTTPSConnection):
    response_class = _DocumentResponse


class _DocumentPool(HTTPConnectionPool):
    ConnectionCls = _DocumentConnection


class _DocumentTlsPool(HTTPSConnectionPool):
    ConnectionCls = _DocumentTlsConnection


_DOCUMENT_POOLS = {"http": _DocumentPool, "https": _DocumentTlsPool}


def cap_lex(client: Any) -> None:
    """Make a boto3 client of a Lex runtime read its answers within limits from now on.

    Raise AttributeError or TypeError if this version of botocore is built in another way.
    """
    http_session = client._endpoint.http_session
    pools = http_session._pool_classes_by_scheme
    # The dict is changed in place: botocore makes the managers for proxies later, and gives them the same dict.
    if http_session._manager.pool_classes_by_scheme is not pools or set(pools) != {"http", "https"}:
        raise TypeError("botocore's connection pools are not where they were")
    pools.update(http=_LexPool, https=_LexTlsPool)


def capped_pools(maxsize: int, ca_file: str) -> urllib3.PoolManager:
    """Return pools of connections whose answers are documents, read within limits.

    `maxsize`: number of connections to a host that are kept open. `ca_file`: certificates that a host may be signed by.
    """
    pools = urllib3.PoolManager(maxsize=maxsize, ca_certs=ca_file)
    pools.pool_classes_by_scheme = _DOCUMENT_POOLS
    return pools


class CappedAdapter(HTTPAdapter):
    """Adapter of the requests library for documents: answers within limits, in UTF-8, and not compressed."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _DOCUMENT_POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _DOCUMENT_POOLS
        return manager

    def add_headers(self, request: requests.PreparedRequest, **kwargs: Any) -> None:
        super().add_headers(request, **kwargs)
        # Small answers gain little by compression, and a compressed one can unpack to any size.
        request.headers["Accept-Encoding"] = "identity"

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Make the response as HTTPAdapter does. Raise ContentDecodingError if it is compressed all the same."""
        response = super().build_response(req, resp)
        if is_encoded(response.headers):
            response.close()
            raise ContentDecodingError("the answer is compressed")
        # Otherwise requests guesses the encoding of an answer that names none, which takes seconds for 1 MB.
        response.encoding = "utf-8"
        return response


class _Session(requests.Session):
    """A session that ignores redirects.

    With allow_redirects=False requests would still read the answer, without limits, to see where it leads.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        return None


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Return whether the body of an answer with these headers is compressed, or encoded in another way.

    `headers`: a mapping that ignores case, or one with names in lower case.
    """
    return headers.get("content-encoding", "").strip().lower() not in ("", "identity")


def capped_session(pool_maxsize: int = 1) -> requests.Session:
    """Return a session of the requests library with CappedAdapter. It follows no redirects.

    It takes nothing from the environment, such as proxies or ~/.netrc, which requests would read for each request, and
    keeps no cookies: what an answer sets must not go with a request about another caller.
    `pool_maxsize`: number of connections that are kept open.
    """
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = CappedAdapter(pool_maxsize=pool_maxsize)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session
