"""The supervisor's part in the table of lines, with looks that do what a test says (supervised_workers.py)."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.support.processes import children
from tests.support.rehearsal import wait_until
from tests.support.supervised import Supervised, supervised


def write(folder: Path, **look: Any) -> None:
    """Say what the next looks find."""
    new = folder / "look.new"
    new.write_text(json.dumps(look), encoding="utf-8")
    new.replace(folder / "look.json")


def told(started: Supervised, event: str, count: int = 1) -> dict[str, Any]:
    """Wait until the log has an event so many times. Return the newest of these lines."""
    wait_until(lambda: len(started.lines(event)) >= count)
    return started.lines(event)[-1]


def test_sighup_reads_the_table_and_replaces_no_worker(tmp_path: Path) -> None:
    write(tmp_path, result="reloaded", version="2", lines=5, added=2)
    with supervised(tmp_path, count=2, look_every_s=1000) as started:
        workers = started.are_ready(2)
        os.kill(started.pid, signal.SIGHUP)
        line = told(started, "lines-reloaded")
        assert (line["by"], line["generation"], line["lines"], line["added"]) == ("signal", 2, 5, 2)
        assert "pid" not in line  # the supervisor's own, which the metrics count
        wait_until(lambda: children(started.pid) == workers)
        assert not started.lines("renewing")
        write(tmp_path, result="unchanged", version="2")
        os.kill(started.pid, signal.SIGHUP)
        assert told(started, "lines-unchanged")["generation"] == 2
        assert started.end(signal.SIGTERM) == 0


def test_a_changed_file_is_noticed_and_a_fault_told_once(tmp_path: Path) -> None:
    write(tmp_path, result="unchanged", version="1")
    with supervised(tmp_path, look_every_s=0.05) as started:
        started.are_ready(1)
        write(tmp_path, result="reloaded", version="2", lines=1)
        assert told(started, "lines-reloaded")["by"] == "file"
        write(tmp_path, result="refused", version="3", problems=4)
        refused = told(started, "lines-refused")
        assert (refused["problems"], refused["generation"], refused["level"]) == (4, 2, "error")
        write(tmp_path, result="unread", error="cannot be read (S3 answered AccessDenied)")
        assert told(started, "lines-unread")["error"] == "cannot be read (S3 answered AccessDenied)"
        looks = len(started.lines("looks"))
        wait_until(lambda: len(started.lines("looks")) > looks + 5)
        write(tmp_path, result="unchanged", version="3")
        assert told(started, "lines-unchanged")["by"] == "file"
        told(started, "looks", looks + 20)
        for event in ("lines-reloaded", "lines-refused", "lines-unread", "lines-unchanged"):
            assert len(started.lines(event)) == 1, event
        assert [line["known"] for line in started.lines("looks")][-1] == "3"
        assert started.end(signal.SIGTERM) == 0


def test_a_look_that_hangs_or_breaks_holds_up_nothing(tmp_path: Path) -> None:
    write(tmp_path, result="hang")
    with supervised(tmp_path, count=2, look_every_s=0.1, look_limit_s=0.5) as started:
        started.are_ready(2)
        told(started, "looks")
        os.kill(started.lines("worker-started")[0]["pid"], signal.SIGKILL)  # the supervisor still does all else
        told(started, "worker-died")
        assert told(started, "lines-unread")["error"] == "the reading process ended: SIGKILL"
        write(tmp_path, result="break")
        wait_until(lambda: started.lines("lines-unread")[-1]["error"] == "the reading process ended: status 1")
        assert told(started, "lines-broken")["exception"]
        write(tmp_path, result="hang")
        os.kill(started.pid, signal.SIGHUP)
        assert started.end(signal.SIGTERM) == 0  # with a look under way, too
