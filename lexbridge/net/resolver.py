"""Host names to addresses: a name server that is dead or slow does not touch a live call.

gevent's own resolver asks the system in one of ten threads that it shares with whoever else wants a thread, asks again
for every new connection, and waits for as long as the system does. Here an answer is kept and used while it is asked
for again, one question a name is under way at a time, in threads that serve nothing else.

Each process that serves installs it, after its fork and before it serves:

    resolver = names.install()
    resolver.keep_warm(names.hosts_of([<the Lex client's meta.endpoint_url>, settings.twilio_api_url]))

socket.getaddrinfo and socket.create_connection, both gevent's, and urllib3's create_connection with them (requests and
boto3 connect by it) all end at `get_hub().resolver.getaddrinfo(host, port, family, type, proto, flags)`.
"""

import _socket
import ipaddress
import socket
import time
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol, TypeAlias
from urllib.parse import urlsplit

import gevent
from gevent.event import AsyncResult
from gevent.resolver.thread import Resolver
from gevent.threadpool import ThreadPool
from urllib3.util.connection import allowed_gai_family

from lexbridge.logs import Log

FRESH_S = 30.0
"""How old an answer may be before the name is asked for again."""

DEADLINE_S = 3.0
"""How long anyone waits for a name that was never resolved."""

_OUTAGE_S = 5.0  # how often a name is asked for that should be warm and is not
_CAPACITY = 256  # names; nothing that a stranger sends is looked up, so this is only a bound
_THREADS = 16  # more than the names of this service, so that one name that hangs does not keep another waiting
_PORTS = {"http": 80, "https": 443}

Addresses: TypeAlias = list[tuple[Any, ...]]
_Question: TypeAlias = tuple[str | bytes, int | str | bytes | None, int, int, int, int]


class Host(NamedTuple):
    """Where a connection goes."""

    name: str
    port: int


class _Inner(Protocol):
    """A resolver as gevent has them: what each method takes and returns is as in the module `socket`."""

    def close(self) -> None: ...
    def getaddrinfo(
        self, host: Any, port: Any, family: int = 0, socktype: int = 0, proto: int = 0, flags: int = 0
    ) -> Any: ...
    def gethostbyname(self, hostname: Any) -> Any: ...
    def gethostbyname_ex(self, hostname: Any) -> Any: ...
    def gethostbyaddr(self, ip_address: Any) -> Any: ...
    def getnameinfo(self, sockaddr: Any, flags: int) -> Any: ...


class _Answer(NamedTuple):
    addresses: Addresses
    since_s: float


class KeptNames:
    """A gevent resolver that keeps the answers of another, `inner`, whose methods may raise or hang.

    `fresh_s`, `deadline_s`, `capacity`: see FRESH_S, DEADLINE_S; how many names are kept, and asked for at a time.
    """

    def __init__(
        self, inner: _Inner, fresh_s: float = FRESH_S, deadline_s: float = DEADLINE_S, capacity: int = _CAPACITY
    ) -> None:
        self._inner = inner
        self._fresh_s = fresh_s
        self._deadline_s = deadline_s
        self._capacity = capacity
        self._answers: dict[_Question, _Answer] = {}  # the one least lately used is first
        self._asked: dict[_Question, AsyncResult[Addresses]] = {}
        # Everything else is as it was.
        self.close = inner.close
        self.gethostbyname = inner.gethostbyname
        self.gethostbyname_ex = inner.gethostbyname_ex
        self.gethostbyaddr = inner.gethostbyaddr
        self.getnameinfo = inner.getnameinfo

    # The names of the arguments are those of gevent's resolvers.
    def getaddrinfo(
        self,
        host: str | bytes | bytearray | None,
        port: int | str | bytes | None,
        family: int = 0,
        socktype: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Addresses:
        """See socket.getaddrinfo. Waits only for a name that was never resolved, and then no longer than the deadline:
        an old answer is returned at once, however old, while the name is asked for again.

        Raises socket.gaierror.
        """
        name = bytes(host) if isinstance(host, bytearray) else host
        if name is None or flags & socket.AI_NUMERICHOST or _is_address(name):
            return _socket.getaddrinfo(name, port, family, socktype, proto, flags)  # asks nobody
        question = (name, port, family, socktype, proto, flags)
        answer = self._answers.pop(question, None)
        if answer is None:
            return self._wait_for(question)
        self._answers[question] = answer  # the latest used is last
        if time.monotonic() - answer.since_s >= self._fresh_s:
            self._ask(question)
        return list(answer.addresses)

    def keep_warm(self, hosts: Iterable[Host]) -> "list[gevent.Greenlet[..., Any]]":
        """Resolves `hosts` now and from then on, so that no connection to them has to wait. Logs when a name cannot be
        resolved, once, and when it can be again.

        Returns a greenlet for each host; they run until killed, and keep no process from ending.
        """
        return [gevent.spawn(self._keep_warm, host) for host in hosts]

    def _keep_warm(self, host: Host) -> None:
        # Exactly the question of urllib3, or its answer would not be found.
        question = (host.name, host.port, allowed_gai_family(), socket.SOCK_STREAM, 0, 0)
        is_resolved = True
        while True:
            try:
                self._wait_for(question)
            except (OSError, UnicodeError) as error:
                if is_resolved:
                    Log().warning("name-not-resolved", host=host.name, error=str(error))
                is_resolved = False
            else:
                if not is_resolved:
                    Log().info("name-resolved", host=host.name)
                is_resolved = True
            gevent.sleep(self._fresh_s if is_resolved else min(self._fresh_s, _OUTAGE_S), ref=False)

    def _wait_for(self, question: _Question) -> Addresses:
        if len(self._asked) >= self._capacity and question not in self._asked:
            raise socket.gaierror(socket.EAI_AGAIN, "too many names are being resolved")
        asked = self._ask(question)
        asked.wait(self._deadline_s)
        if not asked.ready():
            raise socket.gaierror(socket.EAI_AGAIN, f"no answer within {self._deadline_s:g} s")
        return list(asked.get() or ())

    def _ask(self, question: _Question) -> "AsyncResult[Addresses]":
        """The look-up of `question` that is under way, or a new one. Whoever waits for it may leave: it goes on."""
        asked = self._asked.get(question)
        if asked is None:
            asked = self._asked[question] = AsyncResult()
            gevent.spawn(self._look_up, question, asked)
        return asked

    def _look_up(self, question: _Question, asked: "AsyncResult[Addresses]") -> None:
        try:
            addresses = list(self._inner.getaddrinfo(*question))
        except Exception as error:  # whatever it is, it is of those who asked; an answer that is known stays
            asked.set_exception(error)
        else:
            self._answers.pop(question, None)
            self._answers[question] = _Answer(addresses, time.monotonic())
            if len(self._answers) > self._capacity:
                del self._answers[next(iter(self._answers))]
            asked.set(addresses)
        finally:
            del self._asked[question]


def install() -> KeptNames:
    """Makes a KeptNames before the system's own resolver the resolver of this thread's hub."""
    hub = gevent.get_hub()
    system = Resolver(hub)
    system.pool = ThreadPool(_THREADS, hub)
    resolver = KeptNames(system)
    hub.resolver = resolver  # type: ignore[assignment]  # gevent's own have no common class either
    return resolver


def hosts_of(addresses: Iterable[str]) -> list[Host]:
    """The hosts of URLs, each once, without those that need no resolving."""
    parts = [urlsplit(address) for address in addresses]
    hosts = [Host(part.hostname, part.port or _PORTS[part.scheme]) for part in parts if part.hostname]
    return [host for host in dict.fromkeys(hosts) if not _is_address(host.name)]


def _is_address(host: str | bytes) -> bool:
    try:
        ipaddress.ip_address(host if isinstance(host, str) else host.decode("ascii"))
    except ValueError:  # UnicodeDecodeError is one
        return False
    return True
