"""The program `server.py` as a process of its own: run to its end, while starting, with workers, with a live call."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
import requests

from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.commands.bridge_process import MAX_LOOP_LAG_MS, ROOT, BridgeProcess
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.ports import free_port
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import StreamOpened
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.log_lines import events_in, whole_lines
from tests.support.processes import children, has_mapped
from tests.support.rehearsal import wait_until
from tests.support.rig import ENVIRONMENT, PATIENCE_S, TOKEN, V1_BOT, flowers, says

COMPLETE = {
    **ENVIRONMENT,
    **V1_BOT,
    # No name is looked up: what the log says does not depend on the machine's name server.
    "TWILIO_API_URL": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": "http://127.0.0.1:9",
    "MAX_LOOP_LAG_MS": MAX_LOOP_LAG_MS,
}


def start(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `server.py` in `folder` with exactly this environment, to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "server.py"), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@contextmanager
def starting(folder: Path, *before: str, **changes: str) -> "Iterator[tuple[subprocess.Popen[str], int]]":
    """Yield a `server.py` that has just begun to import gevent, its first import, and its process id.

    `before`: a command through which it is started.
    """
    process = subprocess.Popen(
        [*before, sys.executable, str(ROOT / "server.py")],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **COMPLETE, "CONTAINER_PORT": str(free_port()), **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    server = [process.pid]
    try:
        if before:
            wait_until(lambda: children(process.pid))
            server = children(process.pid)
        wait_until(lambda: has_mapped(server[0], "/gevent/") or process.poll() is not None)
        yield process, server[0]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server[0], signal.SIGKILL)
        process.kill()
        process.communicate()


HALT = """
import sys
from time import sleep  # before gevent replaces it


class Halt:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            open(REACHED, "x").close()
            sleep(PATIENCE_S)
        return None


sys.meta_path.insert(0, Halt())
"""
"""Program that Python runs before any other: it tells that a module is being imported, and waits there."""


@contextmanager
def halted(folder: Path, module: str, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Yield a `server.py` that is halted in the import of `module`, and goes on only if a signal wakes it."""
    place = folder / f"halt-{module}"
    place.mkdir(parents=True)
    reached = place / "reached"
    values = {"MODULE": module, "REACHED": str(reached), "PATIENCE_S": PATIENCE_S}
    constants = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    (place / "sitecustomize.py").write_text(constants + HALT, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(ROOT / "server.py"), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(place), **COMPLETE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # As in a terminal. A shell lets its background jobs ignore SIGINT, and then Python ignores it too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            wait_until(lambda: reached.exists() or process.poll() is not None)
            yield process
        finally:
            process.kill()


STARTING_S = (0.0, 0.05, 0.2, 0.6, 1.0, 1.5)


class Visitors:
    """Clients that request /ready again and again, each time on a new connection, as a context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.heard: list[object] = []
        self._is_over = False

    def _ask(self) -> None:
        while not self._is_over:
            try:
                answer = requests.get(f"{self._url}/ready", headers={"Connection": "close"}, timeout=PATIENCE_S)
                self.heard.append(answer.status_code)
            except requests.RequestException as error:
                self.heard.append(error)
            gevent.sleep(0.01)

    def __enter__(self) -> list[object]:
        self._asking = [gevent.spawn(self._ask) for _ in range(3)]
        return self.heard

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        gevent.joinall(self._asking, timeout=PATIENCE_S, raise_error=True)  # a killed one would leave its socket open


@contextmanager
def two_workers(folder: Path, **changes: str) -> Iterator[BridgeProcess]:
    """Run `server.py` with two workers, both ready."""
    with BridgeProcess({**COMPLETE, "WEB_CONCURRENCY": "2", **changes}, folder / "bridge.log") as bridge:
        wait_until(lambda: len(said(bridge, "worker-started")) == 1)
        yield bridge


def said(bridge: BridgeProcess, event: str) -> list[dict[str, Any]]:
    """Return the log lines of `event`."""
    return events_in(bridge.log, event)


@dataclass
class LiveCall:
    """A live call at `server.py`, with everything around it."""

    call: PhoneCall
    caller: SimulatedCaller
    bridge: BridgeProcess
    twilio: SimulatedTwilio

    def ready(self) -> int:
        """Return the status of /ready."""
        return requests.get(f"{self.bridge.url}/ready", timeout=PATIENCE_S).status_code

    def send_signal(self, signum: signal.Signals) -> None:
        """Send the signal, and wait until the server has noticed it."""
        self.bridge.send_signal(signum)
        wait_until(lambda: self.ready() == 503)

    def events(self) -> list[dict[str, Any]]:
        """Return the lines of the server's log."""
        return [json.loads(line) for line in whole_lines(self.bridge.log.read_text(encoding="utf-8"))]


@contextmanager
def live_call(folder: Path, *, is_asked: bool = True, **changes: str) -> Iterator[LiveCall]:
    """Run `server.py` with `changes` in its settings, and a call of which Lex will understand one sentence.

    `is_asked`: wait until the bridge counts the call. A silent caller is not left while the test takes its time, unless
    `changes` say so.
    """
    recogniser = ScriptedRecogniser(["I would like to order flowers"])
    with (
        LocalLex(bots=[flowers()], recogniser=recogniser, voice=SilentVoice()) as lex,
        # As fast as Media Streams may come to a process that is not told otherwise.
        SimulatedTwilio(auth_token=TOKEN, pace=0.2) as twilio,
    ):
        neighbours = {"TWILIO_API_URL": twilio.url, "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": lex.url}
        with BridgeProcess({**COMPLETE, "NO_INPUT_S": "120", **neighbours, **changes}, folder / "bridge.log") as bridge:
            caller = says()
            call = twilio.place_call(f"{ENVIRONMENT['URL']}/twiml", caller, connect_to=bridge.url)
            call.wait_for(StreamOpened, PATIENCE_S)
            if is_asked:
                wait_until(lambda: requests.get(f"{bridge.url}/ping", timeout=PATIENCE_S).json()["live_calls"] == 1)
            yield LiveCall(call, caller, bridge, twilio)
