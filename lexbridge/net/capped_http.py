"""Answers of HTTP peers, read within limits and with pauses: under boto3 for Lex, under requests for Twilio and others.

A `recv` of which the data is at hand returns at once, so a greenlet that reads an answer without end never lets the
loop go on: no deadline fires, no call is heard, and memory grows. Here each answer has a limit of bytes on the wire,
and its reader pauses every so often, whatever the bytes are: a body, heads of chunks, headers, `100 Continue`.

How it gets there (urllib3 2, botocore 1.44): a connection makes its answers with its `response_class`, which is
http.client's and reads from `fp` alone. Connections are of the class that their pool names, and pools of the classes
that a manager has in `pool_classes_by_scheme`. Ours are given to a client's own manager, and so to no other client.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, ClassVar

import gevent
import requests
from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSHTTPSConnection, AWSHTTPSConnectionPool
from requests.adapters import HTTPAdapter
from requests.exceptions import ContentDecodingError
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

HEAD_BYTES = 128 * 1024
"""Status lines and headers of one answer, those of 1xx among them. http.client bounds a line to 64 KiB and an answer's
head to 100 of them; Lex's heads, which hold its session's state, have 16 KB."""

ERROR_BYTES = 64 * 1024
"""The body of an answer that is no success."""

JSON_BYTES = 256 * 1024
"""The body of a success that is a document, of which Twilio's have 2 KB. A whole one is parsed in one go, and of the
worst that JSON has 1 MB takes 0.16 s."""

VOICE_BYTES = 32_000_000
"""The body of a success that is speech: five minutes of 16 bits at 48 kHz, the most that is played, have 28.8 MB."""

PAUSE_EVERY_BYTES = 16 * 1024
"""On the wire: chunks of one byte each are slow to read."""

VOICE_PAUSE_EVERY_BYTES = 64 * 1024
"""The same for speech, two seconds at 16 kHz: it is played meanwhile, and a busy machine makes a pause longer."""

# Not sleep(0): gevent runs what is ready for up to 5 ms before it looks at sockets and timers again, and whoever is
# ready again at once takes all of that.
_PAUSE_S = 0.001


class AnswerTooLong(OSError):
    """A peer's answer is longer than any that makes sense. urllib3 closes its connection."""


class SuccessLost(OSError):
    """A peer has answered 200, and the rest of the answer's head cannot be read: it has done what it was asked."""


def is_too_long(error: BaseException) -> bool:
    """Whether AnswerTooLong is behind an error of botocore's or requests': neither of them says so."""
    return _is_behind(error, AnswerTooLong)


def is_success_lost(error: BaseException) -> bool:
    """Whether SuccessLost is behind an error of botocore's."""
    return _is_behind(error, SuccessLost)


def _is_behind(error: BaseException, kind: type[BaseException]) -> bool:
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, kind):
        behind = behind.__cause__ or behind.__context__
    return behind is not None


class _CappedReader(io.RawIOBase):
    """An answer's bytes as they come from the socket: counted, with pauses."""

    def __init__(self, raw: io.RawIOBase, limit_bytes: int) -> None:
        self._raw = raw
        self._left_bytes = limit_bytes
        self._pause_every_bytes = self._until_pause_bytes = PAUSE_EVERY_BYTES

    def allow(self, more_bytes: int, pause_every_bytes: int) -> None:
        """So many from here on, and no more."""
        self._left_bytes = more_bytes
        self._until_pause_bytes += pause_every_bytes - self._pause_every_bytes
        self._pause_every_bytes = pause_every_bytes

    def readable(self) -> bool:
        """See RawIOBase."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """See RawIOBase. Raises AnswerTooLong."""
        if self._left_bytes < 0:
            raise AnswerTooLong("the answer is too long")
        if self._until_pause_bytes <= 0:
            self._until_pause_bytes = self._pause_every_bytes
            gevent.sleep(_PAUSE_S)
        # A buffer may be as large as the whole of a body: no more than what is due before the next pause.
        count = self._raw.readinto(memoryview(buffer)[:PAUSE_EVERY_BYTES])
        if count:
            self._left_bytes -= count
            self._until_pause_bytes -= count
        return count

    def close(self) -> None:
        """See RawIOBase."""
        try:
            self._raw.close()
        finally:
            super().close()


@dataclass(frozen=True, slots=True)
class Limits:
    """The longest body of a success, bytes: of a GET, and of what else is asked."""

    got_bytes: int
    asked_bytes: int


class _CappedResponse(HTTPResponse):
    """An answer within limits."""

    limits: ClassVar[Limits]

    def __init__(self, sock: Any, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._is_got = method == "GET"
        self._reader = _CappedReader(self.fp.detach(), HEAD_BYTES)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """See HTTPResponse. Raises AnswerTooLong, also of a body that says itself that it is."""
        super().begin()
        if self.status >= 300:
            limit_bytes = ERROR_BYTES
        else:
            limit_bytes = self.limits.got_bytes if self._is_got else self.limits.asked_bytes
        # Before anybody reads: of a length that is told urllib3 makes a buffer.
        if self.length is not None and self.length > limit_bytes:
            raise AnswerTooLong(f"the answer has {self.length} bytes")
        is_voice = limit_bytes == VOICE_BYTES
        self._reader.allow(limit_bytes, VOICE_PAUSE_EVERY_BYTES if is_voice else PAUSE_EVERY_BYTES)


class _LexResponse(_CappedResponse):
    limits = Limits(JSON_BYTES, VOICE_BYTES)

    def begin(self) -> None:
        """See HTTPResponse. Raises SuccessLost if it fails after the status line of a 200."""
        try:
            super().begin()
        except (HTTPException, OSError) as error:
            if self.status == 200:
                raise SuccessLost(str(error)) from error
            raise


class _DocumentResponse(_CappedResponse):
    limits = Limits(JSON_BYTES, JSON_BYTES)


class _LexConnection(AWSHTTPConnection):  # type: ignore[misc]  # no types there
    response_class = _LexResponse


class _LexTlsConnection(AWSHTTPSConnection):  # type: ignore[misc]  # no types there
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
    """Has a boto3 client of a Lex runtime read its answers within limits from now on.

    Raises AttributeError or TypeError if this botocore is built otherwise than the one that this was written for.
    """
    http_session = client._endpoint.http_session
    pools = http_session._pool_classes_by_scheme
    # The same dict, so that those that lead through a proxy, which are made when they are needed, have it too.
    if http_session._manager.pool_classes_by_scheme is not pools or set(pools) != {"http", "https"}:
        raise TypeError("botocore's connection pools are not where they were")
    pools.update(http=_LexPool, https=_LexTlsPool)


class CappedAdapter(HTTPAdapter):
    """An adapter of requests for documents: answers within limits, in UTF-8, not compressed."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """See HTTPAdapter."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _DOCUMENT_POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """See HTTPAdapter."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _DOCUMENT_POOLS
        return manager

    def add_headers(self, request: requests.PreparedRequest, **kwargs: Any) -> None:
        """See HTTPAdapter. What small answers would save is not worth what a compressed one can unpack to."""
        super().add_headers(request, **kwargs)
        request.headers["Accept-Encoding"] = "identity"

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """See HTTPAdapter. Raises ContentDecodingError if the answer is compressed all the same."""
        response = super().build_response(req, resp)
        if is_encoded(response.headers):
            response.close()
            raise ContentDecodingError("the answer is compressed")
        # Else requests guesses, of an answer that does not say: that takes seconds for one of 1 MB.
        response.encoding = "utf-8"
        return response


class _Session(requests.Session):
    """A session that follows no redirect. One that only is not told to looks where it leads all the same, and reads the
    answer for it, in a way of its own."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """See Session."""
        return None


def is_encoded(headers: Mapping[str, str]) -> bool:
    """The body of an answer with these headers is not what its Content-Type says, but compressed or the like.
    `headers`: any case, or with names in lower case."""
    return headers.get("content-encoding", "").strip().lower() not in ("", "identity")


def capped_session(pool_maxsize: int = 1) -> requests.Session:
    """A session of requests with CappedAdapter. It follows no redirects and takes nothing from the environment, such as
    proxies or ~/.netrc, which would be read on each request. `pool_maxsize`: connections that are kept."""
    session = _Session()
    session.trust_env = False
    adapter = CappedAdapter(pool_maxsize=pool_maxsize)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session
