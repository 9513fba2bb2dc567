"""`python -m lexbridge.offline replay`: a recorded call once more, beside what was decided then."""

import base64
import json
import time
from pathlib import Path

import pytest

from lexbridge.observer.recording.recorder import Recorder
from lexbridge.offline.__main__ import main
from lexbridge.offline.replay.comparison import Utterance, compare, table
from tests.support.facts_of_calls import CallOfFacts
from tests.support.settings import make_settings
from tests.support.sounds import tone

SOUND = tone(1000, 0) + tone(800) + tone(500, 0) + tone(600) + tone(1500, 0) + tone(400) + tone(2000, 0)
"""Two utterances with HANGOVER_MS=700: from 1 to 3.6 s, with a pause of 500 ms in the first; and from 4.4 to 5.5 s."""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave out the settings of whoever runs the test."""
    monkeypatch.chdir(tmp_path)
    for name in ("HANGOVER_MS", "VAD", "VOICE_THRESHOLD", "ONSET_MS"):
        monkeypatch.delenv(name, raising=False)


def a_recording(folder: Path, *decided: tuple[int, int]) -> Path:
    """Record a call of two streams. The first has SOUND. `decided`: where its utterances began and ended."""
    call = CallOfFacts(mode="stream", now_s=float(round(time.time() - 60)))
    call.is_answered()
    for start in range(0, len(SOUND), 1600):
        call.hears_piece("caller", SOUND[start : start + 1600])
    for turn, (started_ms, ended_ms) in enumerate(decided, 1):
        call.tells(
            "utterance-ended", turn=turn, started_ms=started_ms, ended_ms=ended_ms, silent_ms=700, reason="hangover"
        )
    call.hangs_up()
    sink = Recorder(make_settings(RECORD_DIR=str(folder)))
    for fact in call.facts:
        sink.take(fact)
    sink.close(10)
    (wav,) = folder.glob("*.wav")
    return wav


DECIDED = ((1000, 3600), (4400, 5500))


def replayed(capsys: pytest.CaptureFixture[str], path: Path, *options: str, status: int = 0) -> str:
    """Run the command, and return what it printed."""
    assert main(["replay", str(path), *options]) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


@pytest.mark.parametrize("ending", [".wav", ".json"])
def test_a_recording_is_heard_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str) -> None:
    told = replayed(capsys, a_recording(tmp_path, *DECIDED).with_suffix(ending))
    assert "all 2 are as they were" in told
    assert "*" not in told
    assert "HANGOVER_MS=700" in told


def test_what_differs_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = replayed(capsys, a_recording(tmp_path, *DECIDED), "--set", "HANGOVER_MS=400")
    lines = [line.split(maxsplit=1)[1] for line in told.splitlines() if line.startswith(" *")]
    assert len(lines) == 3
    assert lines[0].endswith("1 became 2")
    assert lines[2].endswith("ends 300 ms sooner")
    assert "2 of 2 differ" in told


def test_another_detector_may_be_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = replayed(capsys, a_recording(tmp_path, *DECIDED), "--set", "VOICE_THRESHOLD=30000")
    assert told.count("not heard now") == 2


def test_what_was_not_heard_then_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "was not heard then" in replayed(capsys, a_recording(tmp_path, DECIDED[0]))


def test_a_file_that_the_console_exported_is_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wav = a_recording(tmp_path, *DECIDED)
    exported = json.loads(wav.with_suffix(".json").read_bytes())
    del exported["wav"]
    exported["wav_base64"] = base64.b64encode(wav.read_bytes()).decode()
    path = tmp_path / "call.json"
    path.write_text(json.dumps(exported), encoding="utf-8")
    assert "all 2 are as they were" in replayed(capsys, path)


def test_a_wav_file_alone_is_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wav = a_recording(tmp_path)
    wav.with_suffix(".json").unlink()
    told = replayed(capsys, wav)
    assert "what was decided then is not known" in told
    assert told.count(" hangover") == 2
    assert told.count("not known  ") == 2
    assert "*" not in told


def test_a_picture_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "call.png"
    told = replayed(capsys, a_recording(tmp_path, *DECIDED), "--picture", str(picture))
    assert f"drawn: {picture}" in told
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is no recorded call"),
        ("[]", "call.json: this is no call of lexbridge's"),
        ('{"lexbridge_call": 1, "wav": "../gone.wav"}', "gone.wav cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_no_call_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, told: str
) -> None:
    path = tmp_path / "call.json"
    path.write_text(content, encoding="utf-8")
    assert told in replayed(capsys, path, status=2)


def test_a_call_without_audio_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    timeline = a_recording(tmp_path, *DECIDED).with_suffix(".json")
    content = json.loads(timeline.read_bytes()) | {"wav": None}
    timeline.write_text(json.dumps(content), encoding="utf-8")
    assert "has no audio of a caller" in replayed(capsys, timeline, status=2)


def test_a_setting_that_hears_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["replay", "a.wav", "--set", "MAX_CALLS=1"])
    assert "'MAX_CALLS=1' is no NAME=VALUE" in capsys.readouterr().err
    assert "HANGOVER_MS" in replayed(capsys, tmp_path / "a.wav", "--set", "HANGOVER_MS=5", status=2)


# -- the comparison


def utterance(started_ms: int, ended_ms: int, reason: str | None = "hangover", stream: str = "MZ1") -> Utterance:
    return Utterance(stream, started_ms, ended_ms, reason)


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        ([(0, 900)], [(0, 900)], [""]),
        ([(0, 900)], [(20, 880)], [""]),
        ([(0, 900)], [(60, 860)], ["starts 60 ms later, ends 40 ms sooner"]),
        ([(0, 900), (2000, 2900)], [(0, 2900)], ["2 became 1"]),
        ([(0, 2900)], [(0, 900), (2000, 2900)], ["1 became 2"]),
        ([(0, 900)], [(900, 1800)], ["not heard now", "was not heard then"]),
        ([], [], []),
    ],
)
def test_utterances_are_compared_where_they_share_time(
    then: list[tuple[int, int]], now: list[tuple[int, int]], told: list[str]
) -> None:
    rows = compare([utterance(*one) for one in then], [utterance(*one) for one in now])
    assert [row.difference for row in rows] == told


def test_streams_are_compared_apart_and_in_their_order() -> None:
    then = [utterance(0, 900, stream="MZ2"), utterance(0, 900, stream="MZ1")]
    rows = compare(then, [utterance(0, 900, stream="MZ1")])
    assert [(row.then[0].stream_sid, row.difference) for row in rows] == [("MZ2", "not heard now"), ("MZ1", "")]


def test_another_reason_is_a_difference() -> None:
    (row,) = compare([utterance(0, 900)], [utterance(0, 900, reason=None)])
    assert row.difference == "not heard out instead of hangover"
    (row,) = compare([utterance(0, 900, reason=None)], [utterance(0, 900, reason="max-length")])
    assert row.difference == "max-length instead of not heard out"


def test_a_table_of_nothing_says_so() -> None:
    assert table([]) == ["no utterances, then or now"]
