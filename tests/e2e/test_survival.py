"""The survival bench still runs, in both modes: a few calls, nothing disturbed, and a worker killed now and then."""

import subprocess
import sys

import pytest

from lexbridge.offline.commands.bridge_process import MAX_LOOP_LAG_MS, ROOT
from tests.support.commands import DEADLINE_S

pytestmark = pytest.mark.e2e


def table_of(*arguments: str) -> tuple[int, dict[str, str]]:
    """Run the benchmark. Return its exit status and the rows of its table.

    It runs in a process of its own, as by hand, because it does not work with gevent's patches.
    """
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "survival", "--setting", f"MAX_LOOP_LAG_MS={MAX_LOOP_LAG_MS}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    rows = {name: value.strip() for name, _, value in (line.partition("  ") for line in ran.stdout.splitlines())}
    assert "calls finished" in rows, ran.stdout + ran.stderr
    return ran.returncode, rows


@pytest.mark.parametrize(("mode", "updates"), [("call-update", "15"), ("stream", "5")])
def test_the_smallest_run_finishes_every_call_and_loses_nothing(mode: str, updates: str) -> None:
    calls = ["--calls", "5", "--turns", "3", "--ramp", "0.5"]
    status, rows = table_of(*calls, "--patience", str(DEADLINE_S), "--reply-mode", mode)  # nobody says anything twice
    assert status == 0, rows
    wanted = {
        "calls finished": "5 of 5",
        "turns counted by Lex": "15",
        "turns counted twice": "0",
        "updates by REST": updates,  # in stream mode only the goodbye is one
    }
    assert {name: rows[name] for name in wanted} == wanted


@pytest.mark.parametrize("mode", ["call-update", "stream"])
def test_workers_are_killed_and_nothing_is_lost(mode: str) -> None:
    """Whether its limits are kept is for a machine that has nothing else to do."""
    _, rows = table_of(
        "--scenario", "kill", "--calls", "3", "--turns", "4", "--ramp", "0.5", "--seed", "1", "--reply-mode", mode
    )
    wanted = {"calls finished": "3 of 3", "turns counted by Lex": "12", "turns lost or out of order": "0"}
    assert {name: rows[name] for name in wanted} == wanted
    assert int(rows["streams lost"]) > 0
