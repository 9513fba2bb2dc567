"""What docs/events.md shows for receivers works: it takes what lexbridge signs, and refuses all else."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests
from gevent import socket

from lexbridge.net.standard_webhooks import signature_headers, signing_key
from tests.support.event_receiver import waits_until
from tests.support.packages import ROOT, block

SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes of key").decode()
BODY = '{"id": "msg_1", "said": "Grüß Gott"}'.encode()
FAR_S = 60


def shown(name: str) -> str:
    """Return the code of a block of the document."""
    text = block((ROOT / "docs" / "events.md").read_text(encoding="utf-8"), name)
    return re.sub("^```.*$", "", text, flags=re.MULTILINE)


def signed(body: bytes = BODY, secret: str = SECRET, age_s: int = 0) -> Mapping[str, str]:
    """Return the headers with which lexbridge posts a body."""
    return signature_headers(signing_key(secret), "msg_1", body, int(time.time()) - age_s)


OTHERS: Mapping[str, tuple[Mapping[str, str], bytes]] = {
    "another body": (signed(), BODY + b" "),
    "another secret": (signed(secret="another-secret-of-mine"), BODY),
    "an old one": (signed(age_s=400), BODY),
    "another id": ({**signed(), "webhook-id": "msg_2"}, BODY),
    "no signature": ({name: value for name, value in signed().items() if name != "webhook-signature"}, BODY),
    "no headers": ({}, BODY),
    "odd headers": ({"webhook-timestamp": "now", "webhook-signature": "v1,é", "webhook-id": ""}, BODY),
}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[str]:
    """Run the receiver that the document shows. Give its address."""
    (tmp_path / "receiver.py").write_text(shown("verify") + shown("receiver"), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "EVENTS_SECRET": SECRET, "PORT": str(port)}
    with (tmp_path / "shown").open("wb") as output:
        process = subprocess.Popen([sys.executable, "receiver.py"], cwd=tmp_path, env=environment, stdout=output)
    try:
        waits_until(lambda: _answers(port))
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.wait(FAR_S)


def _answers(port: int) -> bool:
    with socket.socket() as one:
        return bool(one.connect_ex(("127.0.0.1", port)) == 0)


def test_the_receiver_shows_what_is_genuine_once(receiver: str, tmp_path: Path) -> None:
    for _ in range(2):
        assert requests.post(receiver, BODY, headers=signed(), timeout=FAR_S).status_code == 204
    assert json.loads((tmp_path / "shown").read_bytes()) == json.loads(BODY)


def test_the_receiver_refuses_all_else(receiver: str, tmp_path: Path) -> None:
    for name, (headers, body) in OTHERS.items():
        sent = {key: value.encode() for key, value in headers.items()}
        assert requests.post(receiver, body, headers=sent, timeout=FAR_S).status_code == 401, name
    assert (tmp_path / "shown").read_bytes() == b""


def test_the_code_for_node_takes_what_is_genuine_alone(tmp_path: Path) -> None:
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed")
    (tmp_path / "verify.mjs").write_text(shown("verify in Node.js"), encoding="utf-8")
    cases = [[dict(headers), base64.b64encode(body).decode()] for headers, body in [(signed(), BODY), *OTHERS.values()]]
    script = (
        f'import {{ isGenuine }} from "{tmp_path}/verify.mjs"; const now = Date.now() / 1000;'
        f"const cases = {json.dumps(cases)};"
        f'console.log(JSON.stringify(cases.map(([h, b]) => isGenuine(h, Buffer.from(b, "base64"), "{SECRET}", now))))'
    )
    found = subprocess.run(
        [node, "--input-type=module", "--eval", script], capture_output=True, check=True, timeout=FAR_S
    )
    assert json.loads(found.stdout) == [True, *(False for _ in OTHERS)]


def test_the_lines_for_a_shell_print_the_signature(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    headers = signed()
    (tmp_path / "body.json").write_bytes(BODY)
    names = {"EVENTS_SECRET": SECRET, "ID": headers["webhook-id"], "TIMESTAMP": headers["webhook-timestamp"]}
    found = subprocess.run(
        ["sh", "-c", shown("verify in a shell")],
        cwd=tmp_path,
        env={**os.environ, **names},
        capture_output=True,
        check=True,
        timeout=FAR_S,
    )
    assert found.stdout.decode().strip() == headers["webhook-signature"]
