"""A server of the console's pages with calls that a test gives it, in place of the observer.

    with ConsoleServer([booking(now)]) as server:
        page.goto(server.url)
        server.tell("calls", [...])

It has the routes and the security policy of the real one, and can be stopped and started again on the same port.
"""

import io
import json
import mimetypes
import queue
import threading
import time
import wave
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.packages import ROOT
from tests.support.told_calls import Told

STATIC = ROOT / "lexbridge/observer/static"
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; frame-ancestors 'none'"
)


class ConsoleServer:
    """The server. What it answers is in its attributes, which a test may change at any time."""

    def __init__(self, calls: Iterable[Told] = (), rows: Iterable[dict[str, Any]] = ()) -> None:
        self.calls = {told.call_sid: told for told in calls}
        self.rows = list(rows)
        self.port = 0
        self.rehearsal: dict[str, Any] | None = None
        self.latency: dict[str, Any] = {"last_hour": {}, "since_start": {}, "slowest": [], "history": []}
        self.health: dict[str, Any] = {"refusals": {}, "errors": {}, "lines": []}
        self.workers: list[dict[str, Any]] = [worker(4101, 0), worker(4102, 1), worker(4103, 2)]
        self.settings: list[dict[str, Any]] = []
        self.what_if: dict[str, Any] = {"now": [], "then": [], "then_levels": {}}
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.followed: list[str | None] = []
        self._browsers: list[queue.Queue[str | None]] = []
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Address of the console."""
        return f"http://127.0.0.1:{self.port}/console/"

    def start(self) -> Self:
        """Listen, on the port of before if there was one."""
        owner = self

        class Handler(_Handler):
            console = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Break all connections and listen no more."""
        for browser in self._browsers:
            browser.put(None)
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def tell(self, name: str, told: Any) -> None:
        """Send an event to every browser."""
        for browser in self._browsers:
            browser.put(f"event: {name}\ndata: {json.dumps(told)}\n\n")

    def book(self) -> dict[str, Any]:
        """Return what `/calls` answers."""
        rows = [*self.rows, *(told.summary for told in self.calls.values())]
        rows.sort(key=lambda one: -one["began_s"])
        live = [one for one in rows if one["state"] == "live"]
        recent = [one for one in rows if one["state"] != "live"]
        book = {"now_s": time.time(), "live": live, "recent": recent, "workers": self.workers}
        return {**book, "counts": {"started": len(rows), "refused": 0}, "dropped_facts": 0}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def worker(pid: int, slot: int) -> dict[str, Any]:
    """Return what a worker reports."""
    busy = {"lag_ms": 3, "busy_percent": 11 + 4 * slot, "memory_mb": 92}
    return {"pid": pid, "slot": slot, "state": "serving", "live_calls": 2, **busy, "age_s": 4000}


class _Handler(BaseHTTPRequestHandler):
    console: ConsoleServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        answers = {
            "/calls": self.console.book,
            "/console/api/latency": lambda: self.console.latency,
            "/console/api/health": lambda: {**self.console.health, "workers": self.console.workers},
            "/console/api/settings": lambda: self.console.settings,
        }
        if path == "/ping":
            self._send(b"pong", "text/plain")
        elif path in answers:
            self._json(answers[path]())
        elif path == "/console/api/rehearsal":
            self._json(self.console.rehearsal, 404 if self.console.rehearsal is None else 200)
        elif path == "/console/api/stream":
            self._stream()
        elif path.startswith("/calls/"):
            self._call(*path.split("/")[2:])
        else:
            self._static(path)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["X-Lexbridge"] != "console":
            self._json({"error": "no header"}, 403)
            return
        self.console.posted.append((self.path, body))
        if self.path == "/console/api/open":
            self._json({"call_sid": body["summary"]["call_sid"]})
        elif self.path == "/console/api/rehearsal":
            for fault in (self.console.rehearsal or {})["faults"]:
                if fault["name"] == body["name"]:
                    fault["is_on"] = body["on"] and not fault["is_once"]
            self._json({})
        else:
            self._json(self.console.what_if)

    def _call(self, call_sid: str, part: str = "") -> None:
        told = self.console.calls.get(call_sid)
        if told is None:
            self._json({"error": "unknown"}, 404)
        elif part == "levels":
            self._json(told.levels)
        elif part == "wav":
            self._send(_silence(told), "audio/wav")
        elif part == "export":
            self._json({"lexbridge_call": 1, **told.detail})
        else:
            self._json(told.detail)

    def _stream(self) -> None:
        browser: queue.Queue[str | None] = queue.Queue()
        self.console.followed.append(parse_qs(urlsplit(self.path).query).get("follow", [None])[0])
        self.console._browsers.append(browser)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b": hello\n\n")
        try:
            while (text := browser.get()) is not None:
                self.wfile.write(text.encode())
                self.wfile.flush()
        except OSError:
            pass
        self.console._browsers.remove(browser)
        self.close_connection = True

    def _static(self, path: str) -> None:
        name = "index.html" if path == "/console/" else path.removeprefix("/console/static/")
        file = STATIC / name
        if not file.is_file():
            self._json({"error": "no such page"}, 404)
            return
        self._send(file.read_bytes(), mimetypes.guess_type(name)[0] or "text/plain")

    def _json(self, told: Any, status: int = 200) -> None:
        self._send(json.dumps(told).encode(), "application/json", status)

    def _send(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: a test's output is its own."""


def _silence(told: Told) -> bytes:
    """Return a stereo WAV file as long as the call."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(int(8000 * (told.streams[-1]["ended_s"] - told.began_s)) * 4))
    return out.getvalue()
