"""Log lines: their form, and what is never in them."""

import io
import json
import logging
import os
import re
from pathlib import Path
from typing import Any

import gevent
import pytest

from lexbridge import logs
from lexbridge.logs import Log, RateLimitedLog
from lexbridge.offline.twilio.events import EndReason
from tests.support.fixtures import Logged
from tests.support.rig import ENVIRONMENT, PATIENCE_S, TOKEN, flowers, running, says, v2_bot


def test_a_line_is_one_json_object_with_the_fields_of_its_log(logged: Logged) -> None:
    Log(call_sid="CA1").bind(turn=2).info("heard", text="a\nline\x1b[2J")
    (line,) = logged()
    timestamp = line.pop("timestamp")
    assert line == {"call_sid": "CA1", "turn": 2, "event": "heard", "level": "info", "text": "a\nline\x1b[2J"}
    assert timestamp.endswith("Z")


def test_a_library_logs_the_same_way_and_not_below_warning(logged: Logged) -> None:
    logging.getLogger("botocore.endpoint").debug("a secret")
    logging.getLogger("twilio.http_client").info("a number")
    logging.getLogger("urllib3").warning("a pool is full")
    assert [(line["event"], line["level"]) for line in logged()] == [("a pool is full", "warning")]


def test_a_bugs_traceback_comes_without_the_values_of_variables(logged: Logged) -> None:
    password = "hunter2"
    try:
        raise ValueError("broken")
    except ValueError:
        Log().exception("call-broken", length=len(password))
    (line,) = logged()
    assert line["exception"][0]["exc_value"] == "broken"
    assert "hunter2" not in json.dumps(line)


def test_what_strangers_cause_is_one_line_a_reason_and_window(logged: Logged) -> None:
    counted = RateLimitedLog("peer-refused", window_s=0.05)
    for _ in range(1000):
        counted.count("rude")
    counted.count("late")
    with gevent.Timeout(PATIENCE_S):
        while len(logged()) < 3:
            gevent.sleep(0.01)
    lines = [(line["event"], line["reason"], line["count"]) for line in logged()]
    assert lines == [("peer-refused", "rude", 1), ("peer-refused", "late", 1), ("peer-refused", "rude", 999)]
    assert counted.totals == {"rude": 1000, "late": 1}


def test_a_counted_line_has_the_hints_of_its_last_event(logged: Logged) -> None:
    """A line that counts refused strangers has the hints of the last of them."""
    counted = RateLimitedLog("peer-refused", window_s=0.05)
    for at in range(3):
        counted.count("rude", {"remedy": f"be kind, {at}"})
    with gevent.Timeout(PATIENCE_S):
        while len(logged()) < 2:
            gevent.sleep(0.01)
    assert [(line["count"], line["remedy"]) for line in logged()] == [(1, "be kind, 0"), (2, "be kind, 2")]


def test_text_is_for_people(logged: Logged) -> None:
    stream = io.StringIO()
    logs.configure("INFO", "text", logging.StreamHandler(stream))
    Log(call_sid="CA1").info("heard")
    Log().write("debug", "unheard", {})
    line = stream.getvalue()
    assert "CA1      heard" in line
    assert "unheard" not in line
    assert "\x1b" not in line  # no colours into a file


def test_text_begins_with_the_time_and_the_call() -> None:
    """A line of text begins with the time of day and the call; whole SIDs stand where they are needed."""
    stream = io.StringIO()
    logs.configure("INFO", "text", logging.StreamHandler(stream), pid=77)
    sid = "CA" + "b15e" * 8
    Log(call_sid=sid).warning("turn-failed", turn=1, update_ms=None, error="two words\n\x1b[2J")
    Log().info("serving")
    Log(call_sid=sid).info("turn-latency", turn=2)
    Log(call_sid=sid).info("stream-started")
    first, second, third, fourth = stream.getvalue().splitlines()
    at, told = first[:12], first[12:].split()
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d\d\d", at)
    whole = [f"call_sid={sid}", "pid=77"]
    assert told == ["[warning", "]", "CAb15eb1", "turn-failed", "turn=1", *told[5:7], *whole]
    assert " ".join(told[5:7]) == "error='two words\\n\\x1b[2J'"
    assert second.split()[1:] == ["[info", "]", "-", "serving", "pid=77"]
    assert third.split()[3:] == ["CAb15eb1", "turn-latency", "turn=2"]
    assert fourth.split()[3:] == ["CAb15eb1", "stream-started", *whole]


def test_a_workers_line_has_its_process_id_or_names_another() -> None:
    stream = io.StringIO()
    logs.configure("INFO", "json", logging.StreamHandler(stream), pid=77)
    Log(call_sid="CA1").info("turn-answered")
    logging.getLogger("urllib3").warning("a pool is full")
    Log().info("worker-started", pid=78)
    assert [json.loads(line)["pid"] for line in stream.getvalue().splitlines()] == [77, 77, 78]


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_a_whole_call_leaves_nothing_private_in_the_log(generation: str, logged: Logged) -> None:
    """A whole call, logged at DEBUG, leaves no words, keys, numbers or tokens in the log."""
    heard = ("I would like to order flowers", "roses", "tomorrow", "five pm", "yes", "goodbye")
    bot = v2_bot(flowers()) if generation == "v2" else {}
    with running(heard, SHARE_CALLER_NUMBER="on", **bot) as rig:
        call = rig.place_call(says(*heard))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        parameters = call.parameters()
    lines = [json.dumps(line) for line in logged() if not line.get("logger")]
    assert len(lines) > 10
    private = [TOKEN, ENVIRONMENT["SECRET_ACCESS_KEY"] + '"', "AKIA", parameters["From"], parameters["To"]]
    private += ["roses", "tomorrow", "flowers?", "order flowers", "five pm", "type of flowers"]
    for word in private:
        assert [line for line in lines if word in line] == []


def test_whoever_logs_never_waits_for_whoever_reads(logged: Logged) -> None:
    reading, writing = os.pipe()
    out = logs.LineWriter(writing, capacity=100)
    logs.configure("INFO", "json", out)
    with gevent.Timeout(PATIENCE_S):
        for number in range(5000):  # far more than a pipe and the queue hold
            Log().info("said", number=number, words="x" * 200)
    lines: list[dict[str, Any]] = []

    def read_on() -> None:
        """Takes what is there, and so makes room."""
        data = os.read(reading, 1 << 20)
        while not data.endswith(b"\n"):
            data += os.read(reading, 1 << 20)
        lines.extend(json.loads(line) for line in data.splitlines())

    said: list[int] = []
    dropped = 0
    with gevent.Timeout(PATIENCE_S):
        while len(said) + dropped < 5000:  # every line is written or counted; there may be several counts
            read_on()
            Log().info("said", number=-1)
            gevent.sleep(0.001)
            said = [line["number"] for line in lines if line["event"] == "said" and line["number"] >= 0]
            dropped = sum(line["count"] for line in lines if line["event"] == "log-lines-dropped")
    assert said == sorted(set(said))  # whole lines, in order
    assert said[:100] == list(range(100))
    assert len(said) < 1000  # the rest really was dropped: nobody read
    out.close()
    os.close(reading)
    os.close(writing)


def test_a_line_that_waits_is_written_at_the_end(logged: Logged) -> None:
    reading, writing = os.pipe()
    out = logs.LineWriter(writing)
    logs.configure("INFO", "json", out)
    Log().info("last words")
    out.close()
    assert json.loads(os.read(reading, 1 << 16))["event"] == "last words"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("is_pipe_of_another_user", [False, True])
def test_an_instant_writer_writes_now_or_drops_and_counts(
    logged: Logged, monkeypatch: pytest.MonkeyPatch, is_pipe_of_another_user: bool
) -> None:
    if is_pipe_of_another_user:
        monkeypatch.setattr(logs, "_open_again", lambda descriptor: descriptor)
    reading, writing = os.pipe()
    logs.configure("INFO", "json", logs.InstantWriter(writing))
    with gevent.Timeout(PATIENCE_S):
        for number in range(1000):  # more than a pipe holds
            Log().info("said", number=number, words="x" * 200)
    assert os.get_blocking(writing)  # whoever shares it is not told not to wait
    lines = os.read(reading, 1 << 20).splitlines()
    Log().info("said", number=1000, words="y" * 5000)  # never whole: never
    Log().info("said", number=1001)
    lines += os.read(reading, 1 << 20).splitlines()
    said = [json.loads(line) for line in lines]
    dropped = sum(line["count"] for line in said if line["event"] == "log-lines-dropped")
    numbers = [line["number"] for line in said if line["event"] == "said"]
    assert numbers == [*range(len(numbers) - 1), 1001]
    assert 10 < len(numbers) < 1000
    assert len(numbers) + dropped == 1002
    os.close(reading)
    Log().info("nobody hears this")
    os.close(writing)


def test_an_instant_writer_appends_to_a_file(logged: Logged, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("ab") as out:
        out.write(b"before\n")
        out.flush()
        logs.configure("INFO", "json", logs.InstantWriter(out.fileno()))
        Log().info("after")
    first, second = path.read_text(encoding="utf-8").splitlines()
    assert (first, json.loads(second)["event"]) == ("before", "after")


def test_a_reader_that_went_away_is_no_fault(logged: Logged) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    out = logs.LineWriter(writing)
    logs.configure("INFO", "json", out)
    Log().info("nobody hears this")
    out.close()
    os.close(writing)
