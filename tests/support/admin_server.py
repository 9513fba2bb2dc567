"""The observer's web server on a real port, for tests: Flask on gevent's WSGI server, as the observer runs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from gevent import socket
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer

from lexbridge.observer.admin.app import build_admin
from lexbridge.observer.calls.call_book import CallBook
from tests.support.settings import make_settings

PASSWORD = "correct horse battery"
CONSOLE = {"X-Lexbridge": "console"}


class Admin:
    """A running server, and a client of it."""

    def __init__(self, book: CallBook, **variables: str) -> None:
        self.book = book
        self.followed: list[frozenset[str]] = []
        self.app = build_admin(make_settings(ADMIN_PORT="9", **variables), book, self.followed.append)
        self.server = WSGIServer(("127.0.0.1", 0), self.app, log=None, error_log=None, spawn=Pool(100))
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.password = variables.get("CONSOLE_PASSWORD")

    def ask(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        """Ask for a path, with the password if there is one."""
        auth = None if self.password is None else ("any", self.password)
        return requests.request(method, self.url + path, timeout=60, **{"auth": auth, **options})

    def post(self, path: str, **options: Any) -> requests.Response:
        """Post with the header that the console sends."""
        return self.ask(path, "POST", headers=CONSOLE, **options)

    def raw(self, *lines: str) -> bytes:
        """Send the lines of a request as they are, and return all of the answer."""
        with socket.create_connection(("127.0.0.1", self.server.server_port), timeout=60) as connection:
            connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
            return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def admin(book: CallBook | None = None, **variables: str) -> Iterator[Admin]:
    """Serve a book until the block ends."""
    running = Admin(book or CallBook(), **variables)
    try:
        yield running
    finally:
        running.server.stop(timeout=0)
