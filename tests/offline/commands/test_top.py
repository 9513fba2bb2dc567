"""`offline top`: the live calls of a service in the terminal, over its ADMIN_PORT."""

import argparse
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from lexbridge.observer.calls.call_book import CallBook
from lexbridge.offline.commands import top
from lexbridge.telemetry.facts import Event
from tests.support.admin_server import PASSWORD, Admin, admin
from tests.support.commands import ROOT, offline
from tests.support.told_facts import BEGAN_S, ToldCall, worker_report

DEADLINE_S = 120
WIDE = {**os.environ, "COLUMNS": "160", "LINES": "40", "TERM": "xterm"}


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    top.add_arguments(parser)
    return parser.parse_args(arguments)


def book() -> CallBook:
    """Return a book with a live call, one that ended, and one whose worker died."""
    found = CallBook()
    now = time.time() - BEGAN_S
    found.take(worker_report(now))
    calls = [ToldCall(found, f"CA{number}0123456789", f"MZ{number}") for number in range(3)]
    for call in calls:
        call.at = now
        call.begin(pid=4711 + calls.index(call))
        call.at -= 3.5
        call.turn(1, reply_ms=2500)
        call.tell("lex-request-failed", "warning", error="429")
    calls[1].end("bot")
    found.take(worker_report(now, pid=4713))
    found.take(Event(now + BEGAN_S, "", "", -1, "debug", "worker-ended", {"pid": 4713, "slot": 1}))
    return found


@pytest.fixture
def server() -> Iterator[Admin]:
    with admin(book()) as running:
        yield running


def test_calls_are_printed_once_where_there_is_no_terminal(server: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    assert top.run(parsed("--url", f"{server.url}/")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "1 live call   workers: 4711 serving 1, 4713 ended 0" in lines[0]
    (live,) = [line.split() for line in lines if line.startswith("CA00123456")]
    figures = "1 2.5 s 2.5 s 1 OrderFlowers ElicitSlot 4711"
    assert (" ".join(live[:4]), " ".join(live[6:])) == ("CA00123456 +1 ... 12", figures)
    ended = [line for line in lines if line.startswith(("CA1", "CA2"))]
    assert [line.split()[5] for line in ended] == ["lost", "ended"]
    assert ["worker-ended" in line for line in ended] == [True, False]


def test_an_empty_service_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with admin() as server:
        assert top.run(parsed("--url", server.url)) == 0
    assert "No call is live." in capsys.readouterr().out


def test_the_password_comes_from_a_file_or_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n", encoding="utf-8")
    with admin(CONSOLE_PASSWORD=PASSWORD) as server:
        assert top.run(parsed("--url", server.url)) == 1
        assert "CONSOLE_PASSWORD is needed" in capsys.readouterr().err
        assert top.run(parsed("--url", server.url, "--password-file", str(file))) == 0
        monkeypatch.setenv("CONSOLE_PASSWORD", PASSWORD)
        assert top.run(parsed("--url", server.url)) == 0
    assert top.run(parsed("--password-file", str(tmp_path / "none"))) == 2


def test_a_service_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert top.run(parsed("--url", "http://127.0.0.1:1")) == 1
    assert "does not tell its calls (ConnectionError). Is ADMIN_PORT set?" in capsys.readouterr().err


def test_what_a_terminal_would_obey_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    call = ToldCall()
    call.at = time.time() - BEGAN_S
    call.begin()
    call.tell("turn-answered", turn=1, intent="\x1b[2Jevil[red]", dialog_state="Failed")
    with admin(call.book) as server:
        assert top.run(parsed("--url", server.url)) == 0
    out = capsys.readouterr().out
    assert "?[2Jevil[red]" in out
    assert "\x1b" not in out


def seen(terminal: int, *wanted: bytes) -> bytes:
    """Read the terminal until all of `wanted` stand in it."""
    text = b""
    with gevent.Timeout(DEADLINE_S):
        while not all(one in text for one in wanted):
            gevent.socket.wait_read(terminal)
            text += os.read(terminal, 65536)
    return text


@pytest.mark.parametrize("how", ["q", "Ctrl+C"])
def test_in_a_terminal_the_calls_are_watched(server: Admin, how: str) -> None:
    ours, theirs = pty.openpty()
    command = offline("top", "--url", server.url)
    process = subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=WIDE)
    os.close(theirs)
    try:
        seen(ours, b"CA00123456", b"OrderFlowers")
        call = ToldCall(server.book, "CA777", "MZ777")
        call.at = time.time() - BEGAN_S
        call.begin()
        seen(ours, b"CA777")
        server.server.stop(timeout=0)
        seen(ours, b"does not tell its calls")
        if how == "q":
            os.write(ours, b"q")
        else:
            process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == (0 if how == "q" else 130)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
