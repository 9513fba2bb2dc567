"""`make demo`: its three calls, side by side."""

import subprocess
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lexbridge.offline.commands.bridge_process import ROOT
from tests.support.commands import DEADLINE_S

pytestmark = pytest.mark.e2e
NAMES = ["v1", "v2", "stream"]


@dataclass
class Demo:
    """One call of the demo, running, and the folder of its files."""

    process: "subprocess.Popen[str]"
    folder: Path


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Demo]]:
    """All calls of the demo at once: each waits for real time, mostly."""
    running = {}
    for name in NAMES:
        folder = tmp_path_factory.mktemp(name)
        command = [sys.executable, "-m", "lexbridge.offline", "demo", "--only", name, "--out", str(folder)]
        with (folder / "printed").open("w") as printed:
            process = subprocess.Popen(command, cwd=ROOT, stdout=printed, stderr=subprocess.STDOUT, text=True)
        running[name] = Demo(process, folder)
    yield running
    for demo in running.values():
        demo.process.terminate()
        demo.process.wait(DEADLINE_S)


@pytest.mark.parametrize("name", NAMES)
def test_the_demo_plays_a_call_and_leaves_its_files(name: str, demos: dict[str, Demo]) -> None:
    demo = demos[name]
    status = demo.process.wait(DEADLINE_S)
    printed = (demo.folder / "printed").read_text(encoding="utf-8")
    assert status == 0, printed
    assert "the call is over: the document said <Hangup>" in printed
    assert (demo.folder / f"call-{name}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    with wave.open(str(demo.folder / f"call-{name}.wav")) as sound:
        assert sound.getnframes() > 20 * 8000
    assert (demo.folder / f"bridge-{name}.log").stat().st_size > 0
