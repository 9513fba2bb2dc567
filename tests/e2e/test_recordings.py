"""Recordings by `server.py`: with the notice first, and though the process that writes them is killed."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from lexbridge.audio.pcm import frame_levels_dbfs
from lexbridge.offline.hearing.sound_file import read_channel
from lexbridge.offline.twilio.events import BotBegan, EndReason, StreamOpened
from tests.support.flower_order import ORDER
from tests.support.log_lines import whole_lines
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S
from tests.support.watched_service import watched_service

pytestmark = pytest.mark.e2e

NOTICE = "This call is recorded."


def lines_of(folder: Path, event: str) -> list[dict[str, Any]]:
    """Return the log lines of one event."""
    lines = [json.loads(line) for line in whole_lines((folder / "bridge.log").read_text(encoding="utf-8"))]
    return [line for line in lines if line["event"] == event]


def test_a_recording_outlives_the_process_that_writes_it(tmp_path: Path) -> None:
    """The observer is killed in the middle of a call: its successor finishes the first part, and records the rest."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    recording = {"RECORD_DIR": str(folder), "RECORD_NOTICE": NOTICE}
    with watched_service(tmp_path, *ORDER, **recording) as service:
        call = service.place_call(*ORDER)
        call.wait_for(StreamOpened, PATIENCE_S)
        wait_until(lambda: any(ORDER[0] in path.read_text("utf-8") for path in folder.glob("*.facts.part")))
        os.kill(lines_of(tmp_path, "observing")[0]["pid"], signal.SIGKILL)
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        wait_until(lambda: len(list(folder.glob("*.json"))) == 2)
    assert [line["signal"] for line in lines_of(tmp_path, "observer-died")] == ["SIGKILL"]
    said = [event.text for event in call.events if isinstance(event, BotBegan) and event.text]
    assert said[0] == NOTICE
    assert said.count(NOTICE) == 1
    first, second = sorted(folder.glob("*.json"))
    parts = [json.loads(path.read_bytes()) for path in (first, second)]
    assert [part["is_complete"] for part in parts] == [False, True]
    assert {part["summary"]["call_sid"] for part in parts} == {call.sid}
    assert parts[0]["turns"][0]["transcript"] == ORDER[0]
    assert parts[1]["turns"][-1]["transcript"] == ORDER[-1]
    for path in (first, second):
        assert max(frame_levels_dbfs(read_channel(path.with_suffix(".wav"), 1))) > -40
    assert {path.suffix for path in folder.iterdir()} == {".json", ".wav"}
