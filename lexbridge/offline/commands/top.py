"""`python -m lexbridge.offline top`: the live calls of a service in the terminal, over its ADMIN_PORT."""

import argparse
import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lexbridge.offline.commands.arguments import http_address
from lexbridge.offline.commands.stopping import StopRequest

INTERVAL_S = 1.0
"""Interval in seconds at which the calls are asked for, because a person reads no faster."""

ANSWER_S = 5.0
"""Time in seconds after which the service counts as absent."""

PLAIN_COLUMNS = 150
"""Columns of the table where standard output is no terminal: all of them have room."""

MAX_ENDED = 8
"""Most calls that are over that are shown, because those that are live matter."""

SLOW_MS = 2000
"""Reply time in ms from which on it is marked, because a caller then says "hello?"."""

_IS_LOCKED = "CONSOLE_PASSWORD is needed, or it is wrong: give --password-file, or set the variable"

_COLUMNS = ("call", "caller", "line", "age", "speaks", "turn", "last", "worst", "faults", "intent", "state", "worker")


class NotAnswered(Exception):
    """The service did not tell its calls. The message is a sentence for whoever asked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `top` to `parser`."""
    parser.description = (
        "Shows the live calls of a service once a second: who speaks, how long replies take, what went wrong. q or "
        "Ctrl+C ends it. Where standard output is no terminal, the calls are printed once."
    )
    parser.add_argument(
        "--url",
        type=http_address,
        default="http://127.0.0.1:9090",
        help="address of ADMIN_PORT (default: %(default)s)",
    )
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="file with CONSOLE_PASSWORD; or set that variable"
    )


def run(args: argparse.Namespace) -> int:
    """Show the calls, and return the exit status: 1 if the service does not answer, 2 for a wrong argument."""
    try:
        password = _password(args.password_file)
    except OSError as error:
        print(f"{args.password_file} cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    with requests.Session() as session:
        session.trust_env = False  # no proxy and no .netrc for this machine's own address
        if password is not None:
            session.auth = requests.auth.HTTPBasicAuth("top", password)
        source = Source(session, args.url.rstrip("/"))
        try:
            overview = source.overview()
        except NotAnswered as error:
            print(error, file=sys.stderr)
            return 1
        if not sys.stdout.isatty():
            Console(width=PLAIN_COLUMNS, highlight=False).print(screen(overview))
            return 0
        _watch(source, overview)
    return 0


class Source:
    """The service that is asked."""

    def __init__(self, session: requests.Session, url: str) -> None:
        self._session = session
        self._url = url

    def overview(self) -> dict[str, Any]:
        """Return what `/calls` tells. Raises NotAnswered."""
        try:
            answer = self._session.get(f"{self._url}/calls", timeout=ANSWER_S)
            if answer.status_code == 401:
                raise NotAnswered(
                    "CONSOLE_PASSWORD is needed, or it is wrong: give --password-file, or set the variable"
                )
            answer.raise_for_status()
            told: dict[str, Any] = answer.json()
            return told
        except (requests.RequestException, ValueError) as error:
            raise NotAnswered(
                f"{self._url} does not tell its calls ({type(error).__name__}). Is ADMIN_PORT set?"
            ) from error


def _password(file: Path | None) -> str | None:
    """Return the password of the file or of the environment, or None. Raises OSError."""
    if file is not None:
        return file.read_text(encoding="utf-8").strip()
    return os.environ.get("CONSOLE_PASSWORD") or None


def _watch(source: Source, overview: dict[str, Any]) -> None:
    """Show the calls until q is pressed. Raise KeyboardInterrupt if Ctrl+C is, or the command is told to end."""
    trouble = ""
    stop = StopRequest()
    stop.be_ready()  # an interruption could be lost in what draws and asks, which catches exceptions
    with _keys_at_once(), Live(screen(overview), screen=True, auto_refresh=False) as live:
        while not _is_q_pressed(INTERVAL_S):
            if stop.has_come:
                raise KeyboardInterrupt
            try:
                overview, trouble = source.overview(), ""
            except NotAnswered as error:
                trouble = str(error)
            live.update(screen(overview, trouble), refresh=True)


@contextlib.contextmanager
def _keys_at_once() -> Iterator[None]:
    """Have the terminal give keys at once, without the line feed, and not show them."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _is_q_pressed(within_s: float) -> bool:
    """Return whether q comes within the time. Without a terminal to read from, just wait."""
    if not sys.stdin.isatty():
        time.sleep(within_s)
        return False
    end_s = time.monotonic() + within_s
    while (left_s := end_s - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left_s)[0] and os.read(sys.stdin.fileno(), 1) in (b"q", b"Q", b""):
            return True
    return False


def screen(overview: dict[str, Any], trouble: str = "") -> Group:
    """Return what is shown. `trouble`: why the figures are old, or ""."""
    workers, live, now_s = overview["workers"], overview["live"], overview["now_s"]
    states = ", ".join(f"{one['pid']} {_clean(one['state'])} {one['live_calls']}" for one in workers)
    how_many = f"{len(live)} live call{'' if len(live) == 1 else 's'}"
    head = Text(f"{time.strftime('%H:%M:%S', time.localtime(now_s))}  {how_many}", style="bold")
    head.append(f"   workers: {states or 'none has reported'}", style="not bold")
    if overview["dropped_facts"]:
        head.append(f"   {overview['dropped_facts']} facts dropped", style="yellow")
    parts: list[Any] = [head]
    if trouble:
        parts.append(Text(trouble, style="bold red"))
    parts.append(_calls(live, now_s) if live else Text("No call is live.", style="dim"))
    if ended := overview["recent"][:MAX_ENDED]:
        parts += [Text("\nover", style="bold"), _calls(ended, now_s)]
    return Group(*parts)


def _calls(calls: list[dict[str, Any]], now_s: float) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in _COLUMNS:
        is_figure = name in ("age", "turn", "last", "worst", "faults", "worker")
        table.add_column(name, justify="right" if is_figure else "left", no_wrap=True)
    for call in calls:
        table.add_row(*_cells(call, now_s))
    return table


def _cells(call: dict[str, Any], now_s: float) -> Iterator[Text]:
    is_live = call["state"] == "live"
    age_s = max(0, (call["ended_s"] or now_s) - call["began_s"])
    yield Text(_clean(call["call_sid"])[:10])
    yield Text(_clean(call["caller"]))
    yield Text(_clean(call.get("line")))
    yield Text(f"{age_s // 60:.0f}:{age_s % 60:02.0f}")
    yield (
        Text(_clean(call["speaking"]))
        if is_live
        else Text(call["state"], style="red" if call["state"] == "lost" else "")
    )
    yield Text(str(call["turns"]))
    yield _reply(call["last_reply_ms"])
    yield _reply(call["worst_reply_ms"])
    yield Text(str(call["faults"]), style="yellow" if call["faults"] else "dim")
    yield Text(_clean(call["intent"]))
    yield Text(_clean(call["dialog_state"] if is_live else f"{call['ended_by'] or '-'} {call['why'] or ''}".strip()))
    yield Text(_clean(call["worker_pid"]))


def _reply(ms: int | None) -> Text:
    if ms is None:
        return Text("-", style="dim")
    return Text(f"{ms / 1000:.1f} s", style="bold red" if ms >= SLOW_MS else "")


def _clean(value: object) -> str:
    """Return a value for the terminal, which would obey control characters."""
    text = "-" if value is None else str(value)
    return "".join(character if character.isprintable() else "?" for character in text)
