"""A call is let go through another worker than the one that has its stream, and through the console's port."""

import http.client
import json
import os
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from twilio.request_validator import RequestValidator

from lexbridge.offline.ports import free_port
from lexbridge.offline.twilio.events import StreamClosed, UpdateReceived, WebhookRequested
from lexbridge.twilio.webhook_form import CONTENT_TYPE
from tests.support.processes import children, serves
from tests.support.rehearsal import wait_until
from tests.support.rig import ENVIRONMENT, PATIENCE_S, TOKEN
from tests.support.server_process import LiveCall, live_call, said
from tests.support.shown_code import shown

MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])


def path_of(live: LiveCall) -> str:
    return f"/calls/{live.call.sid}/release"


def release_by_other_worker(live: LiveCall) -> tuple[int, bytes]:
    """Let the call go by a request to the worker that does not have its stream. Return status and body."""
    form = {"AccountSid": live.call.account_sid}
    signature = RequestValidator(TOKEN).compute_signature(ENVIRONMENT["URL"] + path_of(live), form)
    workers = children(live.bridge.pid)
    port = live.bridge.port
    wait_until(lambda: any(serves(worker, port, live.call.streams[0].port) for worker in workers))
    (owner,) = [worker for worker in workers if serves(worker, port, live.call.streams[0].port)]
    (other,) = {*workers} - {owner}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    os.kill(owner, signal.SIGSTOP)  # so that the other worker accepts the connection
    try:
        connection.connect()
        end = connection.sock.getsockname()[1]
        wait_until(lambda: serves(other, port, end))
    finally:
        os.kill(owner, signal.SIGCONT)
    headers = {"X-Twilio-Signature": signature, "Content-Type": CONTENT_TYPE}
    connection.request("POST", path_of(live), urlencode(form), headers)
    answer = connection.getresponse()
    status, body = answer.status, answer.read()
    connection.close()
    return status, body


@MODES
def test_a_call_is_let_go_through_another_worker(mode: str, tmp_path: Path) -> None:
    with live_call(tmp_path, REPLY_MODE=mode, WEB_CONCURRENCY="2") as live:
        wait_until(lambda: len(said(live.bridge, "worker-started")) == 1)
        status, _ = release_by_other_worker(live)
        assert status == 200
        wait_until(lambda: said(live.bridge, "call-released") and said(live.bridge, "call-ended"))
        (released,) = said(live.bridge, "call-released")
        (ended,) = said(live.bridge, "call-ended")
        assert released["pid"] != ended["pid"]
        assert (released["found"], ended["ended_by"]) == (True, "release")
        updates = len([one for one in live.call.events if isinstance(one, UpdateReceived)])
        if mode == "call-update":
            live.call.wait_for(StreamClosed, PATIENCE_S)
        live.caller.say("some flowers please")
        live.call.line.wait_ms(3000)
        assert len([one for one in live.call.events if isinstance(one, UpdateReceived)]) == updates
        assert said(live.bridge, "turn-answered") == []
        assert said(live.bridge, "call-resumed") == []
        live.call.hang_up()


def by_curl(live: LiveCall, port: int, password: str) -> object:
    """Let the call go by the command of docs/release.md. Return what it prints, read."""
    command = shown("docs/release.md", "sh", "curl -X POST").replace("9090", str(port)).replace("CA...", live.call.sid)
    environment = {"PATH": os.environ["PATH"], "CONSOLE_PASSWORD": password}
    ran = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, timeout=PATIENCE_S, check=True)
    return json.loads(ran.stdout)


def test_the_console_lets_a_call_go(tmp_path: Path) -> None:
    admin, password = free_port(), "the password of the console"
    with live_call(tmp_path, ADMIN_PORT=str(admin), CONSOLE_PASSWORD=password) as live:
        url = f"http://127.0.0.1:{admin}{path_of(live)}"
        ask = partial(requests.post, auth=("", password), timeout=PATIENCE_S)
        wait_until(lambda: said(live.bridge, "observing"))
        assert ask(url).status_code == 403  # a form of another site has no such header
        proof = {"X-Lexbridge": "console"}
        assert requests.post(url, headers=proof, timeout=PATIENCE_S).status_code == 401
        told = by_curl(live, admin, password) if shutil.which("curl") else ask(url, headers=proof).json()
        assert told == {"released": True, "noted": True}
        wait_until(lambda: said(live.bridge, "call-ended"))
        (ended,) = said(live.bridge, "call-ended")
        assert ended["ended_by"] == "release"
        unknown = ask(url.replace("/CA", "/XX"), headers=proof)
        assert unknown.status_code == 404
        assert not [one for one in live.call.events if isinstance(one, WebhookRequested) and "resume" in one.url]
        live.call.hang_up()
