"""A caching DNS resolver for gevent, so that a dead or slow name server does not disturb live calls.

gevent's own resolver looks names up in ten threads that it shares with other work, does so for every new connection,
and waits as long as the system does. Here addresses are kept, and used while they are looked up again. There is one
look-up of a name at a time, in threads that do nothing else.

Each process that serves calls installs it, after its fork:

    warm = resolver.WarmHosts(resolver.install())
    warm.keep(resolver.parse_hosts([<the Lex client's meta.endpoint_url>, settings.twilio_api_url]))

Connections of requests and boto3 are made by urllib3's create_connection. It ends, as do gevent's socket.getaddrinfo
and socket.create_connection, at `get_hub().resolver.getaddrinfo(host, port, family, type, proto, flags)`.
"""

import _socket
import ipaddress
import socket
import time
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn, Protocol, TypeAlias
from urllib.parse import urlsplit

import gevent
from gevent.event import AsyncResult
from gevent.resolver.thread import Resolver
from gevent.threadpool import ThreadPool
from urllib3.util.connection import allowed_gai_family

from lexbridge.logs import Log

FRESH_S = 30.0
"""Age at which addresses are looked up again, in seconds."""

DEADLINE_S = 3.0
"""Longest wait for a name that was never resolved, in seconds."""

_RETRY_S = 5.0
"""Interval between look-ups of a name that should be kept warm and cannot be resolved, in seconds."""
_CAPACITY = 256
"""Names that are kept. Strangers cannot fill the cache: no name that they send is looked up."""
_THREADS = 64
"""Threads for look-ups: more than this service has names, so that a name that hangs does not delay another.

Each line of a table may have an endpoint and a region of its own. A thread is made only when it is needed."""
_PORTS = {"http": 80, "https": 443}

Addresses: TypeAlias = list[tuple[Any, ...]]
_Lookup: TypeAlias = tuple[str | bytes, int | str | bytes | None, int, int, int, int]


class Host(NamedTuple):
    """Name and port of a peer."""

    name: str
    port: int


class GeventResolver(Protocol):
    """Interface of gevent's resolvers.

    Each method takes and returns what the function of that name in `socket` does.
    """

    def close(self) -> None: ...
    def getaddrinfo(
        self, host: Any, port: Any, family: int = 0, socktype: int = 0, proto: int = 0, flags: int = 0
    ) -> Any: ...
    def gethostbyname(self, hostname: Any) -> Any: ...
    def gethostbyname_ex(self, hostname: Any) -> Any: ...
    def gethostbyaddr(self, ip_address: Any) -> Any: ...
    def getnameinfo(self, sockaddr: Any, flags: int) -> Any: ...


class _CachedAnswer(NamedTuple):
    addresses: Addresses
    since_s: float


class CachingResolver:
    """A gevent resolver that keeps the answers of another one, `inner`, whose methods may raise or hang.

    `fresh_s`, `deadline_s`: as FRESH_S and DEADLINE_S. `capacity`: how many names are kept, and looked up at a time.
    """

    def __init__(
        self, inner: GeventResolver, fresh_s: float = FRESH_S, deadline_s: float = DEADLINE_S, capacity: int = _CAPACITY
    ) -> None:
        self._inner = inner
        self._fresh_s = fresh_s
        self._deadline_s = deadline_s
        self._capacity = capacity
        self._answers: dict[_Lookup, _CachedAnswer] = {}  # the least recently used first
        self._pending: dict[_Lookup, AsyncResult[Addresses]] = {}
        # Rare kinds of look-ups are not cached.
        self.close = inner.close
        self.gethostbyname = inner.gethostbyname
        self.gethostbyname_ex = inner.gethostbyname_ex
        self.gethostbyaddr = inner.gethostbyaddr
        self.getnameinfo = inner.getnameinfo

    # The parameters are named as in gevent's resolvers.
    def getaddrinfo(
        self,
        host: str | bytes | bytearray | None,
        port: int | str | bytes | None,
        family: int = 0,
        socktype: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Addresses:
        """Return addresses, as socket.getaddrinfo does. Raise socket.gaierror.

        Addresses that are in the cache are returned at once, however old, while the name is looked up again. A name
        that was never resolved is waited for, until the deadline.
        """
        name = bytes(host) if isinstance(host, bytearray) else host
        if name is None or flags & socket.AI_NUMERICHOST or _is_address(name):
            return _socket.getaddrinfo(name, port, family, socktype, proto, flags)  # needs no name server
        lookup = (name, port, family, socktype, proto, flags)
        answer = self._answers.pop(lookup, None)
        if answer is None:
            return self._wait_for(lookup)
        self._answers[lookup] = answer  # the most recently used last
        if time.monotonic() - answer.since_s >= self._fresh_s:
            self._start(lookup)
        return list(answer.addresses)

    def keep_warm(self, host: Host) -> NoReturn:
        """Resolve `host` now, and again and again, so that no connection to it has to wait.

        Log once when its name cannot be resolved, and when it can be again.
        """
        # Exactly urllib3's arguments: with others, its look-up would not find the answer in the cache.
        lookup = (host.name, host.port, allowed_gai_family(), socket.SOCK_STREAM, 0, 0)
        is_resolved = True
        while True:
            try:
                self._wait_for(lookup)
            except (OSError, UnicodeError) as error:
                if is_resolved:
                    Log().warning("name-not-resolved", host=host.name, error=str(error))
                is_resolved = False
            else:
                if not is_resolved:
                    Log().info("name-resolved", host=host.name)
                is_resolved = True
            gevent.sleep(self._fresh_s if is_resolved else min(self._fresh_s, _RETRY_S), ref=False)

    def _wait_for(self, lookup: _Lookup) -> Addresses:
        if len(self._pending) >= self._capacity and lookup not in self._pending:
            raise socket.gaierror(socket.EAI_AGAIN, "too many names are being resolved")
        pending = self._start(lookup)
        pending.wait(self._deadline_s)
        if not pending.ready():
            raise socket.gaierror(socket.EAI_AGAIN, f"no answer within {self._deadline_s:g} s")
        return list(pending.get() or ())

    def _start(self, lookup: _Lookup) -> "AsyncResult[Addresses]":
        """Return the look-up that is under way, or start one. It goes on even if no greenlet waits for it any more."""
        pending = self._pending.get(lookup)
        if pending is None:
            pending = self._pending[lookup] = AsyncResult()
            gevent.spawn(self._look_up, lookup, pending)
        return pending

    def _look_up(self, lookup: _Lookup, pending: "AsyncResult[Addresses]") -> None:
        try:
            addresses = list(self._inner.getaddrinfo(*lookup))
        except Exception as error:  # passed on to the greenlets that wait; a cached answer stays
            pending.set_exception(error)
        else:
            self._answers.pop(lookup, None)
            self._answers[lookup] = _CachedAnswer(addresses, time.monotonic())
            if len(self._answers) > self._capacity:
                del self._answers[next(iter(self._answers))]
            pending.set(addresses)
        finally:
            del self._pending[lookup]


class WarmHosts:
    """The hosts of a process that are kept warm: another table of lines may have others."""

    def __init__(self, resolver: CachingResolver) -> None:
        self._resolver = resolver
        self._greenlets: dict[Host, gevent.Greenlet[..., Any]] = {}

    def keep(self, hosts: Iterable[Host]) -> None:
        """Keep these hosts warm from now on, and no others. This does not wait, or keep the process from ending."""
        kept = set(hosts)
        for host in self._greenlets.keys() - kept:
            self._greenlets.pop(host).kill(block=False)
        for host in kept - self._greenlets.keys():
            self._greenlets[host] = gevent.spawn(self._resolver.keep_warm, host)


def install() -> CachingResolver:
    """Give this thread's hub a CachingResolver, with the system's resolver behind it, and return it."""
    hub = gevent.get_hub()
    system = Resolver(hub)
    system.pool = ThreadPool(_THREADS, hub)
    resolver = CachingResolver(system)
    hub.resolver = resolver  # type: ignore[assignment]  # gevent's resolvers have no common base class
    return resolver


def parse_hosts(addresses: Iterable[str]) -> list[Host]:
    """Return the hosts of URLs, each once, without those that are addresses already."""
    parts = [urlsplit(address) for address in addresses]
    hosts = [Host(part.hostname, part.port or _PORTS[part.scheme]) for part in parts if part.hostname]
    return [host for host in dict.fromkeys(hosts) if not _is_address(host.name)]


def _is_address(host: str | bytes) -> bool:
    try:
        ipaddress.ip_address(host if isinstance(host, str) else host.decode("ascii"))
    except ValueError:  # UnicodeDecodeError is one
        return False
    return True
