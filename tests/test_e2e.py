"""Whole calls through `server.py` as a process of its own, with real speech: spoken, recognised, answered."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from rig import ENVIRONMENT, TOKEN

from lexbridge.offline.bots import ORDER_COFFEE, load_bot
from lexbridge.offline.bridge_process import ROOT, BridgeProcess, free_port

DEADLINE_S = 300

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2 * DEADLINE_S)]


def offline(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lexbridge.offline", *arguments]


@contextmanager
def local_lex() -> Iterator[str]:
    """`python -m lexbridge.offline lex`, as the README has it; yields its address."""
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


def test_the_commands_of_the_readme_make_a_call_in_three_processes(tmp_path: Path) -> None:
    coffee = load_bot(ORDER_COFFEE)
    api_port = free_port()
    with local_lex() as lex:
        settings = {
            **ENVIRONMENT,
            "LEX_BOT_ID": coffee.v2_id,
            "LEX_BOT_ALIAS_ID": "TSTALIASID",
            "TWILIO_API_URL": f"http://127.0.0.1:{api_port}",
            "AWS_ENDPOINT_URL_LEX_RUNTIME_V2": lex,
        }
        with BridgeProcess(settings, tmp_path / "bridge.log") as bridge:
            said = ["I would like two large cappuccinos", "yes", "that is all"]
            called = subprocess.run(
                offline(
                    "call",
                    "https://voice.example.com/twiml",
                    *("--connect-to", bridge.url),
                    *("--api-port", str(api_port)),
                    *(word for phrase in said for word in ("--say", phrase)),
                ),
                cwd=ROOT,
                env={**os.environ, "TWILIO_AUTH_TOKEN": TOKEN},
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                check=False,
            )
    assert called.returncode == 0, called.stdout + called.stderr
    assert "Enjoy your coffee. Goodbye." in called.stdout
    lines = [json.loads(line) for line in (tmp_path / "bridge.log").read_text(encoding="utf-8").splitlines()]
    answered = [line for line in lines if line["event"] == "turn-answered"]
    assert [line["dialog_state"] for line in answered] == ["ConfirmIntent", "Fulfilled", "Fulfilled"]
    assert answered[-1]["intent"] == "GoodbyeIntent"
