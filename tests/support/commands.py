"""The README's offline commands, as processes of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import requests

from lexbridge.offline.commands.bridge_process import ROOT
from lexbridge.offline.lex.bot_files import ORDER_COFFEE, load_bot
from lexbridge.offline.ports import free_port
from tests.support.rig import ENVIRONMENT, TOKEN, v2_bot

DEADLINE_S = 300
"""Seconds that a command may take, because it loads models on a machine that may be busy."""


def offline(*arguments: str) -> list[str]:
    """Return the command line of `python -m lexbridge.offline`."""
    return [sys.executable, "-m", "lexbridge.offline", *arguments]


@contextmanager
def local_lex() -> Iterator[str]:
    """Run `python -m lexbridge.offline lex` as in the README. Yield its address."""
    port = free_port()
    process = subprocess.Popen(
        offline("lex", "--port", str(port)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline_s:
            try:
                requests.get(address, timeout=5)
                break
            except requests.ConnectionError:
                assert process.poll() is None, process.stdout and process.stdout.read()
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_S)


def coffee_settings(lex: str, api_port: int) -> dict[str, str]:
    """Return the settings of a bridge whose callers order coffee."""
    return {
        **ENVIRONMENT,
        **v2_bot(load_bot(ORDER_COFFEE)),
        "TWILIO_API_URL": f"http://127.0.0.1:{api_port}",
        "AWS_ENDPOINT_URL_LEX_RUNTIME_V2": lex,
    }


def coffee_order(bridge: str, api_port: int) -> Sequence[str]:
    """Return the arguments of `offline` for a caller who orders coffee from the bridge at the address `bridge`."""
    said = ["I would like two large cappuccinos", "yes", "that is all"]
    phrases = [word for phrase in said for word in ("--say", phrase)]
    where = ["--connect-to", bridge, "--api-port", str(api_port)]
    return ["call", "https://voice.example.com/twiml", *where, *phrases]


def start_call(*arguments: str) -> "subprocess.Popen[str]":
    """Start the command of a caller."""
    environment = {**os.environ, "TWILIO_AUTH_TOKEN": TOKEN}
    return subprocess.Popen(
        offline(*arguments), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
