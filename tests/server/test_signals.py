"""Behaviour of `server.py` at signals while it starts, serves and drains."""

import json
import os
import signal
from pathlib import Path

import gevent
import pytest

from bench.harness.raw_client import RawClient
from lexbridge.offline.commands.bridge_process import BridgeProcess
from lexbridge.offline.twilio.events import EndReason, StreamClosed, UpdateReceived, WebhookAnswered
from tests.support.processes import as_process_1, children
from tests.support.rehearsal import wait_until
from tests.support.rig import ENVIRONMENT, PATIENCE_S, SIGNED, says
from tests.support.server_process import COMPLETE, STARTING_S, halted, live_call, said, starting


@pytest.mark.parametrize("is_process_1", [False, True])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_starts_ends_it_well(tmp_path: Path, signum: signal.Signals, is_process_1: bool) -> None:
    before = as_process_1() if is_process_1 else []
    for after_s in STARTING_S:
        with starting(tmp_path, *before) as (process, server):
            gevent.sleep(after_s)
            os.kill(server, signum)
            out, err = process.communicate(timeout=PATIENCE_S)
            assert (after_s, process.returncode, err) == (after_s, 0, "")
            events = [json.loads(line)["event"] for line in out.splitlines()]
            assert {*events} <= {"serving", "draining", "stopped"}


def test_sighup_while_it_starts_changes_nothing(tmp_path: Path) -> None:
    with starting(tmp_path) as (process, server):
        os.kill(server, signal.SIGHUP)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "serving"
        os.kill(server, signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE_S)[1] == ""
        assert process.returncode == 0


@pytest.mark.parametrize("argument", ["--check", "--help"])
def test_a_check_that_is_cut_short_does_not_say_that_all_is_well(tmp_path: Path, argument: str) -> None:
    for signum in (signal.SIGTERM, signal.SIGINT):
        # its first import, and one of its own after gevent has patched the standard library
        for module in ("gevent", "lexbridge.config.settings"):
            with halted(tmp_path / signum.name, module, argument) as process:
                process.send_signal(signum)
                assert process.communicate(timeout=PATIENCE_S)[0] == b""
                assert process.returncode != 0


def test_a_worker_that_is_told_and_has_no_call_is_no_error(tmp_path: Path) -> None:
    with BridgeProcess(COMPLETE, tmp_path / "bridge.log") as bridge:
        wait_until(lambda: said(bridge, "serving"))
        (worker,) = children(bridge.pid)
        os.kill(worker, signal.SIGTERM)
        wait_until(lambda: said(bridge, "worker-started"))
        assert [line["pid"] for line in said(bridge, "stopped")] == [worker]
        wait_until(lambda: worker not in children(bridge.pid))
        gevent.sleep(0.5)  # the supervisor checks its workers twice in this time
        assert said(bridge, "worker-died") == []


def test_after_a_signal_live_calls_go_on_to_their_end(tmp_path: Path) -> None:
    """Live calls go on to their end after a signal, and no new call is accepted."""
    with live_call(tmp_path, DRAIN_S="7200") as live:
        live.send_signal(signal.SIGTERM)
        late = live.twilio.place_call(f"{ENVIRONMENT['URL']}/twiml", says(), connect_to=live.bridge.url)
        assert late.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        answer = late.wait_for(WebhookAnswered, PATIENCE_S)
        assert "all lines are busy" in answer.body
        address = ("127.0.0.1", live.bridge.port)
        for headers, status in ((SIGNED, 101), ({}, 403)):  # a signed socket may be the next stream of a live call
            with RawClient(address, PATIENCE_S) as stranger:
                assert stranger.upgrade(headers=headers) == status
        live.caller.say("some flowers please")
        live.call.wait_for(UpdateReceived, PATIENCE_S, where=lambda told: "What type of flowers" in told.twiml)
        live.call.hang_up()
        assert live.call.wait_for(StreamClosed, PATIENCE_S).code == 0
        assert live.bridge.wait(PATIENCE_S) == 0  # far less than DRAIN_S
        assert [line["live_calls"] for line in live.events() if line["event"] in ("draining", "stopped")] == [1, 0]


def test_a_call_that_does_not_end_is_given_up_after_drain_s(tmp_path: Path) -> None:
    with live_call(tmp_path, DRAIN_S="1") as live:
        live.bridge.send_signal(signal.SIGTERM)
        assert live.bridge.wait(PATIENCE_S) == 0
        assert [line["live_calls"] for line in live.events() if line["event"] in ("draining", "stopped")] == [1, 1]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, second: signal.Signals) -> None:
    with live_call(tmp_path) as live:
        live.send_signal(signal.SIGTERM)
        live.bridge.send_signal(second)
        assert live.bridge.wait(PATIENCE_S) == 1  # far less than DRAIN_S
        assert "stopped" not in [line.get("event") for line in live.events()]
