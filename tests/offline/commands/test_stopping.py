"""The end of a command that serves: at the moment that it prints that it is ready, and while it still starts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import DEADLINE_S, offline
from tests.support.processes import children, is_running
from tests.support.rehearsal import wait_until
from tests.support.rig import TOKEN

ROOT = Path(__file__).parents[3]

STOPPED_AS_IT_IS_READY = """
import os, signal, sys
from lexbridge.offline.__main__ import main
from lexbridge.offline.commands import {command}

def stopped(*_: object) -> str:
    os.kill(os.getpid(), signal.SIGTERM)
    return "ready"

{command}.introduction = stopped
sys.exit(main(sys.argv[1:]))
"""
"""A program that runs a command, and gets SIGTERM as the command makes the line that says that it is ready."""


@pytest.mark.parametrize(
    "arguments",
    [
        ["twilio", "--port", "0", "--auth-token", TOKEN],
        ["lex", "--port", "0"],
        ["phone", "--bridge", "http://127.0.0.1:9", "--port", "0", "--api-port", "0", "--auth-token", TOKEN],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_ends_well_at_the_moment_it_is_ready(arguments: list[str], tmp_path: Path) -> None:
    program = STOPPED_AS_IT_IS_READY.format(command=arguments[0])
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "ready\n"), result.stderr


def test_a_command_that_starts_ends_with_what_it_has_started(tmp_path: Path) -> None:
    process = subprocess.Popen(
        offline("run", "--bot", "flowers", "--port", "0"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "Starting" in process.stdout.readline()
    # The voice and the recogniser run in processes of their own.
    wait_until(lambda: len(children(process.pid)) >= 2)
    started = children(process.pid)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    wait_until(lambda: not any(map(is_running, started)))
