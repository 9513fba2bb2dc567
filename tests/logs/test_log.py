"""Log lines: their form, and what they never hold."""

import io
import json
import logging
import re
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


def refusals(logged: Logged) -> list[dict[str, Any]]:
    """Return the lines about refused peers; what an earlier test has started may log meanwhile."""
    return [line for line in logged() if line["event"] == "peer-refused"]


def test_what_strangers_cause_is_one_line_a_reason_and_window(logged: Logged) -> None:
    counted = RateLimitedLog("peer-refused", window_s=1)  # a busy machine counts to a thousand within that
    for _ in range(1000):
        counted.count("rude")
    counted.count("late")
    with gevent.Timeout(PATIENCE_S):
        while len(refusals(logged)) < 3:
            gevent.sleep(0.01)
    lines = [(line["reason"], line["count"]) for line in refusals(logged)]
    assert lines == [("rude", 1), ("late", 1), ("rude", 999)]
    assert counted.totals == {"rude": 1000, "late": 1}


def test_a_counted_line_has_the_hints_of_its_last_event(logged: Logged) -> None:
    """A line that counts refused strangers has the hints of the last of them."""
    counted = RateLimitedLog("peer-refused", window_s=0.5)
    for at in range(3):
        counted.count("rude", {"remedy": f"be kind, {at}"})
    with gevent.Timeout(PATIENCE_S):
        while len(refusals(logged)) < 2:
            gevent.sleep(0.01)
    assert [(line["count"], line["remedy"]) for line in refusals(logged)] == [(1, "be kind, 0"), (2, "be kind, 2")]


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
