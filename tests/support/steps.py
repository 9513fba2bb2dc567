"""Steps of a how-to page, and a copy of the code on which a test takes them.

A step is an HTML comment in the page, followed by a fenced block:

    <!-- step: create PATH -->                the block is a new file
    <!-- step: in PATH after `LINE` -->       the block is put after the only line that reads LINE; `before` it, or to
                                              `replace` it
    <!-- step: run -->                        the block is Python that must run without an error in the copy's folder
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.packages import ROOT

_STEP = re.compile(
    r"<!-- step: (create|in|run)(?: (\S+))?(?: (after|before|replace) `(.*?)`)? -->\n+```\w*\n(.*?)```\n", re.DOTALL
)
_COPIED = [
    "bench",
    "lexbridge",
    "templates",
    "tests",
    "docs",
    "cloudformation",
    "server.py",
    "README.md",
    "pyproject.toml",
]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a page."""

    kind: str
    path: str
    side: str
    line: str
    block: str


def steps_of(page: Path) -> Iterator[Step]:
    """Yield the steps of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = [Step(*(part or "" for part in match)) for match in _STEP.findall(text)]
    assert len(found) == text.count("<!-- step: "), f"{page.name} has a step that cannot be read"
    yield from found


def copy_code(to: Path) -> None:
    """Copy what the steps change or run into the folder `to`."""
    for name in [*_COPIED, *(path.name for path in ROOT.glob(".env.example"))]:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)


def take(step: Step, folder: Path) -> None:
    """Take a step in a copy of the code. Raises AssertionError if that is not possible."""
    if step.kind == "run":
        command = [sys.executable, "-c", step.block]
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return
    path = folder / step.path
    if step.kind == "create":
        assert not path.exists(), f"{step.path} exists"
        path.write_text(step.block, encoding="utf-8")
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    places = [at for at, line in enumerate(lines) if line.strip() == step.line.strip()]
    assert len(places) == 1, f"{step.path} has {len(places)} lines that read {step.line}"
    at = places[0]
    lines[at + (step.side == "after") : at + (step.side != "before")] = [step.block]
    path.write_text("".join(lines), encoding="utf-8")
