"""What docs/routing-hook.md shows works: its hook answers lexbridge, and strangers not."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import requests
from gevent import socket

from tests.support.event_receiver import waits_until
from tests.support.hook_server import SECRET
from tests.support.packages import ROOT, block
from tests.support.rig import PATIENCE_S
from tests.support.webhook_client import FORM, WebhookClient, parameters


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[str]:
    """Run the hook that the document shows. Give its address."""
    text = block((ROOT / "docs" / "routing-hook.md").read_text(encoding="utf-8"), "example hook")
    (tmp_path / "hook.py").write_text(re.sub("^```.*$", "", text, flags=re.MULTILINE), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "ROUTE_SECRET": SECRET, "PORT": str(port)}
    process = subprocess.Popen([sys.executable, "hook.py"], cwd=tmp_path, env=environment)
    try:
        waits_until(lambda: _answers(port))
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def _answers(port: int) -> bool:
    with socket.socket() as one:
        return bool(one.connect_ex(("127.0.0.1", port)) == 0)


def test_the_hook_greets_customers_and_refuses_others(hook: str) -> None:
    twilio = WebhookClient(ROUTE_URL=hook, ROUTE_SECRET=SECRET)
    known = twilio.post("/twiml")
    assert parameters(known)["tier"] == "gold"
    assert "Welcome back, Zoe." in known.text
    refused = twilio.post("/twiml", {**FORM, "From": "+12065550666"})
    assert [verb.tag for verb in ElementTree.fromstring(refused.text)] == ["Reject"]
    unknown = twilio.post("/twiml", {**FORM, "From": "+12065550101"})
    assert "You will be interacting with Lex bot" in unknown.text


def test_the_hook_tells_strangers_nothing(hook: str) -> None:
    question = {"data": {"from": "+12065550100"}}
    answer = requests.post(hook, json=question, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()) == (401, {})
    other = WebhookClient(ROUTE_URL=hook, ROUTE_SECRET="another-secret-of-mine").post("/twiml")
    assert "tier" not in parameters(other)
