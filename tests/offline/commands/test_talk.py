"""The two commands: a conversation in text, and the local runtime as a process of its own."""

import argparse
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import boto3
import gevent
import pytest

from lexbridge.offline.commands import lex as lex_command
from lexbridge.offline.commands import talk
from lexbridge.offline.lex.bot_files import CHECK_BOOKING, ORDER_COFFEE, ORDER_FLOWERS, load_bot, shipped_bots

ROOT = Path(__file__).parents[3]
SUNDAY = date(2026, 11, 22)


def parsed(command: object, *arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)  # type: ignore[attr-defined]
    return parser.parse_args(arguments)


def test_a_conversation() -> None:
    lines = ["order flowers", "", "roses", "/details", "/new", "help", "goodbye", "never reached"]
    printed = list(talk.conversation(load_bot(ORDER_FLOWERS), lines, SUNDAY))
    assert printed[0].startswith("OrderFlowers listens.")
    assert "bot> What day do you want the roses to be picked up?" in printed
    assert "     dialog state: ElicitSlot; intent: OrderFlowers" in printed
    assert "     FlowerType = roses" in printed
    assert "     asking for PickupDate" in printed
    assert "(a new conversation)" in printed
    assert printed[-2:] == ["bot> Thank you for calling. Goodbye.", "(on the phone the bridge would hang up now)"]


def test_a_response_card_is_shown_as_text_and_a_hang_up_is_told() -> None:
    lines = ["check my booking", "428153", "breakfast", "never reached"]
    printed = list(talk.conversation(load_bot(CHECK_BOOKING), lines, SUNDAY))
    assert "bot> Booking 428153, Double room, two nights [Breakfast] [Parking] [Nothing more]" in printed
    assert printed[-1] == "(on the phone the bridge would hang up now)"


def test_details_of_every_turn() -> None:
    printed = list(
        talk.conversation(load_bot(ORDER_FLOWERS), ["some red roses for friday", "/quit", "x"], SUNDAY, True)
    )
    assert '     PickupDate = 2026-11-27 from "friday"' in printed
    assert '     FlowerType = roses from "red roses"' in printed


def test_talk_reads_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("order coffee\nespresso"))
    assert talk.run(parsed(talk, "--bot", str(ORDER_COFFEE), "--today", "2026-11-22")) == 0
    out = capsys.readouterr().out
    assert "you> order coffee\nbot> What would you like" in out
    assert out.endswith("you> espresso\nbot> Small, medium, or large?\n")


@pytest.mark.parametrize("command", [talk, lex_command], ids=["talk", "lex"])
def test_a_bot_that_cannot_be_read(command: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(parsed(command, "--bot", str(tmp_path / "none.json"))) == 2  # type: ignore[attr-defined]
    assert "cannot be read" in capsys.readouterr().err


def test_the_introduction_has_the_lines_to_copy() -> None:
    text = lex_command.introduction("http://127.0.0.1:8081", shipped_bots())
    assert "    export AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE=http://127.0.0.1:8081\n" in text
    assert "    export AWS_ENDPOINT_URL_LEX_RUNTIME_V2=http://127.0.0.1:8081\n" in text
    assert "    export LEX_BOT_NAME=OrderFlowers LEX_BOT_ALIAS=prod\n" in text
    assert "LEX_BOT_ID=C0FFEEBOT1 LEX_BOT_ALIAS_ID=TSTALIASID LEX_LOCALE_ID=en_US" in text


PROGRAM = """
from gevent import monkey
monkey.patch_all()
import argparse, sys
from lexbridge.offline.commands import lex as lex_command
parser = argparse.ArgumentParser()
lex_command.add_arguments(parser)
sys.exit(lex_command.run(parser.parse_args()))
"""


@pytest.fixture
def served() -> Iterator[tuple["subprocess.Popen[str]", str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process, gevent.Timeout(60):
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().split()[6].rstrip(".")
        finally:
            process.kill()


def test_the_local_runtime_alone(served: tuple["subprocess.Popen[str]", str]) -> None:
    process, url = served
    client = boto3.client(
        "lex-runtime", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    answer = client.post_content(
        botName="OrderFlowers",
        botAlias="prod",
        userId="caller",
        contentType="text/plain; charset=utf-8",
        accept="audio/pcm",
        inputStream=b"goodbye",
    )
    assert answer["intentName"] == "GoodbyeIntent"
    assert len(answer["audioStream"].read()) > 16000
    client.close()
    process.send_signal(signal.SIGTERM)
    with gevent.Timeout(60):
        assert process.wait() == 0


def test_a_port_in_use(served: tuple["subprocess.Popen[str]", str], capsys: pytest.CaptureFixture[str]) -> None:
    port = served[1].rpartition(":")[2]
    assert lex_command.run(parsed(lex_command, "--port", port)) == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err
