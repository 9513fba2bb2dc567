"""`make demo`: the very command, from its start to its end."""

import subprocess
import sys
import wave
from pathlib import Path

import pytest

from lexbridge.offline.commands.bridge_process import ROOT
from tests.support.commands import DEADLINE_S

pytestmark = pytest.mark.e2e
CALLS = ("v1", "v2", "stream")


def test_the_demo_plays_its_calls_and_leaves_their_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lexbridge.offline", "demo", "--out", str(tmp_path / "demo")]
    demo = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=3 * DEADLINE_S,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout
    assert demo.stdout.count("the call is over: the document said <Hangup>") == len(CALLS)
    for name in CALLS:
        assert (tmp_path / "demo" / f"call-{name}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        with wave.open(str(tmp_path / "demo" / f"call-{name}.wav")) as sound:
            assert sound.getnframes() > 20 * 8000
        assert (tmp_path / "demo" / f"bridge-{name}.log").stat().st_size > 0
