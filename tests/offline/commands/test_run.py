"""The commands `run` and `phone`: what they refuse, and which settings a real bot keeps."""

import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lexbridge.offline.commands.phone import PHONE_PORT, page_address, page_port, webhook_of
from lexbridge.offline.commands.run import CONSOLE_PORT, introduction, real_bot, restarts_told
from lexbridge.offline.phone.bridges import OfferedBot, OwnBridge
from tests.support.commands import DEADLINE_S, offline
from tests.support.rig import TOKEN

ROOT = Path(__file__).parents[3]


def ran(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder without a .env."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("TWILIO_", "LEX_"))}
    return subprocess.run(
        offline(*arguments),
        cwd=folder,
        env={**own, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["phone", "--bridge", "http://127.0.0.1:9"], "the auth token is missing"),
        (["run", "--real-bot"], "none of LEX_BOT_ID, LEX_BOT_NAME is set"),
        (["run", "--bot", "no-such-bot.zip"], "no-such-bot.zip: cannot be read"),
        (["run", "--setting", "VAD"], "'VAD' is no NAME=value"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(arguments: list[str], problem: str, tmp_path: Path) -> None:
    result = ran(tmp_path, *arguments)
    assert result.returncode == 2
    assert problem in result.stderr


def test_a_setting_that_the_bridge_refuses_is_shown(tmp_path: Path) -> None:
    result = ran(tmp_path, "run", "--bot", "flowers", "--port", "0", "--setting", "VAD=ears", LEX_BOT_ID="ABCDEFGHIJ")
    assert result.returncode == 1
    assert "LEX_BOT_ID is set: this run asks a local bot all the same" in result.stdout
    assert "VAD: is 'ears'" in result.stderr


def test_the_phone_says_where_it_is_and_what_the_bridge_needs(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"TWILIO_AUTH_TOKEN={TOKEN}\n", encoding="utf-8")
    own = {name: value for name, value in os.environ.items() if not name.startswith("TWILIO_")}
    process = subprocess.Popen(
        offline("phone", "--bridge", "http://127.0.0.1:9", "--port", "0", "--api-port", "0"),
        cwd=tmp_path,
        env={**own, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    while "Ctrl-C" not in (line := process.stdout.readline()):
        assert line, lines
        lines.append(line)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    printed = "".join(lines)
    assert re.search(r"^    http://localhost:\d+/$", printed, re.MULTILINE)
    assert re.search(r"calls http://127.0.0.1:9/twiml.*TWILIO_API_URL=http://127.0.0.1:\d+\.", printed)


def test_an_address_without_a_path_gets_the_webhooks() -> None:
    assert webhook_of("http://127.0.0.1:8080") == "http://127.0.0.1:8080/twiml"
    assert webhook_of("https://voice.example.com/") == "https://voice.example.com/twiml"
    assert webhook_of("https://voice.example.com/a#rc=2") == "https://voice.example.com/a#rc=2"


def test_the_page_takes_another_port_where_its_own_is_taken() -> None:
    assert page_port(4711) == 4711
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", PHONE_PORT))
            taken.listen()
        except OSError:
            pass  # by another phone on this machine
        assert page_port(None) not in (0, PHONE_PORT)
        assert page_port(None, PHONE_PORT) not in (0, PHONE_PORT)
    assert page_address("http://127.0.0.1:8190") == "http://localhost:8190/"


class StartedBridge(OwnBridge):
    """A bridge that runs, and has a log."""

    log = Path("/logs/bridge-1.log")

    @property
    def process(self) -> Any:
        return self


def test_the_run_prints_where_the_console_is(tmp_path: Path) -> None:
    bridge = StartedBridge([OfferedBot("OrderFlowers", {})], None, {}, tmp_path)
    printed = introduction("http://localhost:8190/", f"http://127.0.0.1:{CONSOLE_PORT}", bridge)
    for line in ("console/", "metrics"):
        assert f"    http://127.0.0.1:9090/{line}\n" in printed
    assert "-m lexbridge.offline top --url http://127.0.0.1:9090\n" in printed
    assert "console" not in introduction("http://localhost:8190/", "", bridge)


def test_each_restart_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bridge = StartedBridge([OfferedBot("OrderFlowers", {})], None, {}, tmp_path)
    look = restarts_told(bridge)
    look()
    bridge.log = Path("/logs/bridge-2.log")
    look()
    look()
    [line] = capsys.readouterr().out.splitlines()
    assert line == "The bridge runs again: OrderFlowers, in call-update mode. Its log is /logs/bridge-2.log."


def test_a_real_bot_keeps_the_settings_of_its_calls_alone() -> None:
    bot = real_bot(
        {
            "LEX_BOT_ID": "ABCDEFGHIJ",
            "AWS_REGION": "us-west-2",
            "AWS_PROFILE": "voice",
            "GREETING": "Welcome.",
            "VAD": "hybrid",
            "TWILIO_AUTH_TOKEN": TOKEN,
            "URL": "https://voice.example.com",
            "EVENTS_URL": "https://crm.example.com",
            "RECORD_DIR": "/var/calls",
            "WEB_CONCURRENCY": "8",
            "HANGOVER_MS": " ",
        }
    )
    assert bot.name == "ABCDEFGHIJ, on AWS"
    assert {*bot.settings} == {"LEX_BOT_ID", "AWS_REGION", "AWS_PROFILE", "GREETING", "VAD"}
