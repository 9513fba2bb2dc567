"""Recordings: what is in their files, where it stands in time, and what a crash or a full disk leaves."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from gevent import monkey

from lexbridge.audio.pcm import encode_mulaw
from lexbridge.observer.calls.call_file import read_call
from lexbridge.observer.recording import recorder as recorder_module
from lexbridge.observer.recording.call_recording import mend_recording
from lexbridge.observer.recording.recorder import Recorder
from lexbridge.observer.recording.recordings import enforce, left_by_crash
from lexbridge.observer.recording.stereo_wav import StereoWav, header
from lexbridge.observer.watched import watched_calls
from lexbridge.offline.hearing.sound_file import read_channel
from tests.support.event_receiver import waits_until
from tests.support.facts_of_calls import SECRETS, CallOfFacts, holds_secret
from tests.support.fixtures import Logged
from tests.support.packages import ROOT
from tests.support.settings import make_settings
from tests.support.told_figures import assert_agree, shown
from tests.support.told_stories import STORIES

SPEECH, PROMPT, QUIET = 0x55, 0x33, 0xFF


@contextmanager
def recording(folder: Path, **variables: str) -> Iterator[Recorder]:
    """Run a recorder of a folder."""
    sink = Recorder(make_settings(RECORD_DIR=str(folder), **variables))
    try:
        yield sink
    finally:
        sink.close(10)


def records(folder: Path, call: CallOfFacts, **variables: str) -> tuple[dict[str, Any], Path]:
    """Record a call, and return its JSON and its WAV file."""
    with recording(folder, **variables) as sink:
        for fact in call.facts:
            sink.take(fact)
    (timeline,) = folder.glob("*.json")
    return json.loads(timeline.read_bytes()), timeline.with_suffix(".wav")


def codes(wav: Path, channel: int) -> bytes:
    """Return one channel as mu-law, 1 is the caller's."""
    return encode_mulaw(read_channel(wav, channel))


def runs(mulaw: bytes) -> list[tuple[float, float, int]]:
    """Return the runs of one code that is not silence: start and length in seconds, and the code."""
    found: list[tuple[float, float, int]] = []
    start = 0
    for at in range(1, len(mulaw) + 1):
        if at == len(mulaw) or mulaw[at] != mulaw[start]:
            if mulaw[start] != QUIET:
                found.append((start / 8000, (at - start) / 8000, mulaw[start]))
            start = at
    return found


def a_call(**changes: Any) -> CallOfFacts:
    """Return a call in stream mode that began 30 s ago."""
    return CallOfFacts(mode="stream", **{"now_s": float(round(time.time() - 30)), **changes})


def spoken_call(**changes: Any) -> CallOfFacts:
    """Return a call in stream mode: the caller speaks for 2 s, is silent for 1 s, and the bot for 1.6 s."""
    call = a_call(**changes)
    call.is_answered()
    call.hears("caller", 2.0, SPEECH)
    call.hears("caller", 1.0, QUIET)
    call.sends(1.6, PROMPT)
    call.has_turn(1)
    return call


def test_a_recording_has_both_sides_and_the_time_line(tmp_path: Path) -> None:
    call = spoken_call()
    call.hangs_up()
    timeline, wav = records(tmp_path, call)
    assert runs(codes(wav, 1)) == [(0.0, 2.0, SPEECH)]
    assert runs(codes(wav, 2)) == [(3.0, 1.6, PROMPT)]
    answered_s = datetime.fromtimestamp(call.began_s - 0.1, UTC)
    assert wav.name == f"{answered_s:%Y%m%dT%H%M%SZ}-{call.call_sid}.wav"
    assert (timeline["lexbridge_call"], timeline["wav"], timeline["is_complete"]) == (1, wav.name, True)
    assert timeline["wav_began_s"] == call.began_s
    assert timeline["summary"]["ended_by"] == "caller"
    assert timeline["summary"]["state"] == "ended"
    assert timeline["turns"][0]["transcript"] == "tulips for Mrs Bramble please"
    assert timeline["audio"]["caller"] == [[call.began_s, 3.0]]
    assert timeline["audio"]["bot"] == [[call.began_s + 3.0, 1.6]]
    names = [event[4] for event in timeline["events"]]
    assert (names[0], names[-1]) == ("call-answered", "call-ended")


def test_the_console_opens_a_time_line(tmp_path: Path) -> None:
    call = spoken_call()
    call.hangs_up()
    timeline, _ = records(tmp_path, call)
    opened = read_call(json.dumps(timeline).encode(), "opened-1")
    assert [turn.transcript for turn in opened.turns.as_spoken()] == ["tulips for Mrs Bramble please"]
    assert len(opened.events) == len(timeline["events"])


@pytest.mark.parametrize("name", STORIES)
def test_a_recording_has_the_figures_of_all_others(name: str, tmp_path: Path) -> None:
    call = STORIES[name]()
    timeline, _ = records(tmp_path, call)
    assert_agree(call.facts, shown(timeline))


def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    call = spoken_call()
    call.hangs_up()
    records(tmp_path, call)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".wav"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_lost_stream_stays_a_pause_in_time(tmp_path: Path) -> None:
    call = spoken_call()
    lost_s = call.now_s - call.began_s
    call.loses_worker()
    began_s = call.began_s
    call.now_s += 7
    call.begins("MZ" + "02" * 16, pid=4002, resumed="lost")
    call.hears("caller", 1.0, SPEECH)
    call.tells("call-ended", ended_by="caller")
    timeline, wav = records(tmp_path, call)
    second = runs(codes(wav, 1))[1]
    assert second == (pytest.approx(lost_s + 7, abs=0.001), 1.0, SPEECH)
    assert timeline["wav_began_s"] == began_s
    assert [one["worker_pid"] for one in timeline["streams"]] == [4001, 4002]


def test_what_the_caller_did_not_hear_of_the_bot_is_silent(tmp_path: Path) -> None:
    """The bot's 5 s were sent at once; the caller interrupts after one."""
    call = a_call()
    call.is_answered()
    call.sends(5.0, PROMPT)
    call.hears("caller", 1.0, QUIET)
    call.tells("audio-cleared")
    call.sends(0.4, SPEECH)
    call.hears("caller", 1.0, QUIET)
    call.hangs_up()
    timeline, wav = records(tmp_path, call)
    assert runs(codes(wav, 2)) == [(0.0, 1.0, PROMPT), (1.0, 0.4, SPEECH)]
    assert timeline["audio"]["bot"] == [[call.began_s, 1.4]]


def test_what_was_not_played_when_the_call_ended_is_silent(tmp_path: Path) -> None:
    call = a_call()
    call.is_answered()
    call.sends(5.0, PROMPT)
    call.hears("caller", 1.0, QUIET)
    call.hangs_up()
    _, wav = records(tmp_path, call)
    assert runs(codes(wav, 2)) == [(0.0, 1.0, PROMPT)]


def test_a_call_without_audio_has_its_time_line(tmp_path: Path) -> None:
    call = a_call(stream_sid="")
    call.tells("call-answered")
    timeline, wav = records(tmp_path, call)
    assert (timeline["wav"], wav.exists(), timeline["summary"]["why"]) == (None, False, "no stream")


def test_a_call_that_outlives_the_service_is_finished_later(tmp_path: Path) -> None:
    call = spoken_call()
    with recording(tmp_path) as sink:
        for fact in call.facts:
            sink.take(fact)
    assert sorted(path.name.split(".", 1)[1] for path in tmp_path.iterdir()) == ["facts.part", "wav.part"]
    with recording(tmp_path):
        waits_until(lambda: list(tmp_path.glob("*.json")))
    (timeline,) = tmp_path.glob("*.json")
    told = json.loads(timeline.read_bytes())
    assert (told["is_complete"], told["turns"][0]["turn"], told["summary"]["state"]) == (False, 1, "lost")
    assert runs(codes(timeline.with_suffix(".wav"), 1)) == [(0.0, 2.0, SPEECH)]
    assert told["audio"]["caller"] == [[told["wav_began_s"], 4.6]]


CRASHES = """
from gevent import monkey
monkey.patch_all()
import gevent, sys, time
from lexbridge.observer.recording.recorder import Recorder
from tests.observer.test_recorder import spoken_call
from tests.support.settings import make_settings
from tests.support.told_figures import assert_agree, shown
from tests.support.told_stories import STORIES
sink = Recorder(make_settings(RECORD_DIR=sys.argv[1]))
for fact in spoken_call().facts:
    sink.take(fact)
gevent.sleep(60)
"""


def told_bytes(wav: Path) -> int:
    """Return the size of a WAV file that its header tells."""
    return int.from_bytes(wav.read_bytes()[4:8], "little") + 8


@contextmanager
def another_process_records(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that records a call, and wait until its files are there."""
    process = subprocess.Popen([sys.executable, "-c", CRASHES, str(folder)], cwd=ROOT)
    try:
        waits_until(lambda: any(told_bytes(path) > 3 * 16_000 for path in folder.glob("*.wav.part")))
        yield process
    finally:
        process.kill()
        process.wait(10)


def test_a_crash_leaves_files_that_can_be_read(tmp_path: Path) -> None:
    with another_process_records(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    (wav_part,) = tmp_path.glob("*.wav.part")
    assert runs(codes(wav_part, 1)) == [(0.0, 2.0, SPEECH)]
    (facts_part,) = tmp_path.glob("*.facts.part")
    with facts_part.open("ab") as file:
        file.write(b'["Event",17')  # torn apart
    with wav_part.open("ab") as file:
        file.write(b"\xff" * 333)
    with recording(tmp_path):
        waits_until(lambda: list(tmp_path.glob("*.json")))
    (wav,) = tmp_path.glob("*.wav")
    assert wav.stat().st_size == told_bytes(wav)
    assert runs(codes(wav, 1)) == [(0.0, 2.0, SPEECH)]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".wav"]


def test_what_another_process_is_recording_is_left_alone(tmp_path: Path) -> None:
    with another_process_records(tmp_path):
        call = spoken_call(call_sid="CA" + "0" * 32)
        call.hangs_up()
        with recording(tmp_path) as sink:
            for fact in call.facts:
                sink.take(fact)
            waits_until(lambda: list(tmp_path.glob("*.json")))
        assert len(list(tmp_path.glob("*.json"))) == 1
        assert len(list(tmp_path.glob("*.wav.part"))) == 1


def test_what_was_finished_meanwhile_is_not_finished_again(tmp_path: Path) -> None:
    """Two services share a folder, and both find what a crash has left."""
    with another_process_records(tmp_path) as process:
        process.kill()
        process.wait(10)
    (facts_part,) = tmp_path.glob("*.facts.part")
    name = facts_part.name.removesuffix(".facts.part")
    with left_by_crash(facts_part) as is_left:
        assert is_left
        mend_recording(tmp_path, name)
        assert list(tmp_path.glob("*.json")) == [], "another one is at it"
    mend_recording(tmp_path, name)
    (timeline,) = tmp_path.glob("*.json")
    before = timeline.read_bytes()
    mend_recording(tmp_path, name)
    assert timeline.read_bytes() == before


def test_what_is_finished_between_two_steps_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other service is done after we have opened the file, and before we have locked it."""
    facts_part = tmp_path / "20260104T000000Z-CA4.facts.part"
    facts_part.write_bytes(b"")
    monkeypatch.setattr(recorder_module.recordings.fcntl, "flock", lambda *_: facts_part.unlink())
    with left_by_crash(facts_part) as is_left:
        assert not is_left


def make_recording(folder: Path, number: int, size: int = 1000, age_days: float = 0) -> None:
    """Make the files of a recording."""
    for ending in (".wav", ".json"):
        path = folder / f"2026010{number}T000000Z-CA{number}{ending}"
        path.write_bytes(b"x" * (size // 2))
        os.utime(path, (time.time(), time.time() - age_days * 86400))


def names(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[-1] for path in folder.iterdir())


def test_the_oldest_recordings_go_when_there_are_too_many(tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_bytes(b"x" * 100_000)
    (tmp_path / "20260104T000000Z-CA4.wav.part").write_bytes(b"x" * 500)
    for number in (1, 2, 3):
        make_recording(tmp_path, number)
    assert enforce(tmp_path, max_bytes=2500, max_days=30) == (1, True)
    assert names(tmp_path) == ["CA2.json", "CA2.wav", "CA3.json", "CA3.wav", "CA4.wav.part", "notes.wav"]
    assert enforce(tmp_path, max_bytes=499, max_days=30) == (2, False)
    assert names(tmp_path) == ["CA4.wav.part", "notes.wav"]


def test_recordings_of_too_many_days_go(tmp_path: Path) -> None:
    make_recording(tmp_path, 1, age_days=2.9)
    make_recording(tmp_path, 2, age_days=3.1)
    assert enforce(tmp_path, max_bytes=10**9, max_days=3) == (1, True)
    assert names(tmp_path) == ["CA1.json", "CA1.wav"]


def test_live_recordings_beyond_the_bound_get_no_audio(tmp_path: Path, logged: Logged) -> None:
    (tmp_path / "20260104T000000Z-CA4.wav.part").write_bytes(b"x" * 1_200_000)
    (tmp_path / "20260104T000000Z-CA4.facts.part").write_bytes(b"")
    with (tmp_path / "20260104T000000Z-CA4.facts.part").open("rb") as file:
        recorder_module.recordings.fcntl.flock(file, recorder_module.recordings.fcntl.LOCK_EX)
        call = spoken_call()
        call.hangs_up()
        with recording(tmp_path, RECORD_MAX_MB="1") as sink:
            for fact in call.facts:
                sink.take(fact)
    assert list(tmp_path.glob("*.wav")) == []
    assert failures(logged) == ["RECORD_MAX_MB"]


def failures(logged: Logged) -> list[str]:
    return [line["reason"] for line in logged() if line["event"] == "recording-failed"]


def test_a_full_disk_is_logged_and_stops_nothing(
    tmp_path: Path, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full for the audio at first, and has room when the call ends."""
    pwrite, is_full = os.pwrite, threading.Event()

    def full(file: int, content: bytes, place: int) -> int:
        if is_full.is_set() and len(content) > 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(file, content, place)

    monkeypatch.setattr(os, "pwrite", full)
    is_full.set()
    call = spoken_call()
    with recording(tmp_path) as sink:
        for fact in call.facts:
            sink.take(fact)
        waits_until(lambda: failures(logged))
        is_full.clear()
        call.facts.clear()
        call.hears("caller", 1.0, SPEECH)
        call.hangs_up()
        for fact in call.facts:
            sink.take(fact)
    assert failures(logged) == ["ENOSPC"]
    (wav,) = tmp_path.glob("*.wav")
    ((start_s, length_s, code),) = runs(codes(wav, 1))
    assert (length_s, code) == (1.0, SPEECH)
    assert start_s > 7, "what was lost is a pause"


def test_a_folder_that_is_gone_is_logged_and_stops_nothing(tmp_path: Path, logged: Logged) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    with recording(folder) as sink:
        folder.rmdir()
        for fact in spoken_call().facts:
            sink.take(fact)
        waits_until(lambda: failures(logged))
    assert set(failures(logged)) == {"ENOENT"}


def test_a_disk_that_hangs_holds_nothing_up(tmp_path: Path, logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts are taken while the thread hangs, until too many wait; those are dropped, and counted."""
    is_free = monkey.get_original("threading", "Event")()
    monkeypatch.setattr(recorder_module.recordings, "unfinished", lambda _: is_free.wait(20) and [])
    monkeypatch.setattr(recorder_module, "MAX_WAITING_BYTES", 20_000)
    call = spoken_call()
    call.hangs_up()
    try:
        with recording(tmp_path) as sink:
            waits_until(lambda: sink._pool.size)
            for fact in call.facts:
                sink.take(fact)
            assert failures(logged) == ["too slow"]
            is_free.set()
    finally:
        is_free.set()
    (timeline,) = tmp_path.glob("*.json")
    assert json.loads(timeline.read_bytes())["summary"]["ended_by"] == "caller"


def test_the_log_has_no_words_of_a_recording(tmp_path: Path, logged: Logged) -> None:
    call = spoken_call()
    call.hangs_up()
    timeline, _ = records(tmp_path, call)
    assert list(holds_secret(json.dumps(timeline, ensure_ascii=False))) == list(SECRETS)
    assert list(holds_secret(json.dumps(logged()))) == []
    assert list(holds_secret(" ".join(names(tmp_path)))) == []


def test_audio_may_be_written_at_any_place(tmp_path: Path) -> None:
    wav = StereoWav(tmp_path / "a.wav")
    wav.put("caller", 100, b"\x01" * 800)
    wav.put("bot", 150, b"\x02" * 1600)
    wav.put("caller", 0, b"\x03" * 80)
    assert wav.put("caller", -5, b"\x04" * 80) == 0
    wav.silence("bot", 200, 10_000)
    wav.silence("bot", 9000, 10_000)
    wav.close()
    content = (tmp_path / "a.wav").read_bytes()
    assert content.startswith(header(2 * (1200 + 1600)))
    assert runs(codes(tmp_path / "a.wav", 1)) == [(0.0, 0.01, 3), (0.1, 0.1, 1)]
    assert runs(codes(tmp_path / "a.wav", 2)) == [(0.15, 0.05, 2)]


def test_a_call_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is recorded when it has ended, without the end of the service."""
    monkeypatch.setattr(watched_calls, "ENDED_S", 0.1)
    call = spoken_call()
    call.hangs_up()
    with recording(tmp_path) as sink:
        for fact in call.facts:
            sink.take(fact)
        waits_until(lambda: list(tmp_path.glob("*.json")))
