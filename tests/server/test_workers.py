"""Several workers behind one port: killed, replaced, full or stopped, while calls go on."""

import contextlib
import json
import os
import select
import signal
import socket
import time
from pathlib import Path

from bench.harness.raw_client import RawClient, client_close, client_message
from lexbridge.net.rfc6455 import PING
from lexbridge.offline.twilio.events import MarkReturned, StreamClosed, StreamOpened
from lexbridge.twilio.stream_token import make_stream_token
from tests.support.flower_order import KINDS_ASKED
from tests.support.processes import children, is_running, serves
from tests.support.rehearsal import wait_until
from tests.support.rig import ENVIRONMENT, PATIENCE_S, SIGNED, TOKEN, says
from tests.support.server_process import LiveCall, Visitors, live_call, said, two_workers
from tests.support.streaming import said_by_twilio


def test_a_killed_worker_is_replaced_and_others_answer(tmp_path: Path) -> None:
    with two_workers(tmp_path) as bridge, Visitors(bridge.url) as heard:
        parent = bridge.pid
        one, other = children(parent)
        assert (
            len(list(Path(f"/proc/{parent}/task").iterdir())) == 1
        )  # the supervisor has no other thread, because none survives a fork
        wait_until(lambda: len(heard) > 10)
        os.kill(one, signal.SIGKILL)
        wait_until(lambda: len(said(bridge, "worker-started")) == 2)
        before = len(heard)
        wait_until(lambda: len(heard) > before + 10)
        assert other in children(parent)
        assert one not in children(parent)
        assert {status for status in heard if isinstance(status, int)} == {200}
        assert (
            len([status for status in heard if not isinstance(status, int)]) <= 3
        )  # requests that the killed worker was answering


def test_no_request_fails_while_all_workers_are_replaced(tmp_path: Path) -> None:
    with two_workers(tmp_path) as bridge, Visitors(bridge.url) as heard:
        old = children(bridge.pid)
        bridge.send_signal(signal.SIGHUP)
        wait_until(lambda: len(said(bridge, "stopped")) == 2)
        wait_until(lambda: not {*old} & {*children(bridge.pid)})
        before = len(heard)
        wait_until(lambda: len(heard) > before + 20)
        assert {*heard} == {200}


def test_a_token_opens_one_socket_whichever_worker_gets_it(tmp_path: Path) -> None:
    with two_workers(tmp_path) as bridge, contextlib.ExitStack() as strangers:
        sids = {"streamSid": "MZ" + "1" * 32, "callSid": "CA" + "1" * 32, "accountSid": "AC" + "1" * 32}
        token = make_stream_token(TOKEN, sids["callSid"], sids["accountSid"], time.time())
        start = {**sids, "tracks": ["inbound"], "customParameters": {"lexbridge:token": token}}
        sockets = []
        for stopped in children(bridge.pid):  # the other worker accepts connections meanwhile
            os.kill(stopped, signal.SIGSTOP)
            for _ in range(15):
                one = strangers.enter_context(RawClient(("127.0.0.1", bridge.port), PATIENCE_S))
                assert one.upgrade(headers=SIGNED) == 101
                sockets.append(one)
            os.kill(stopped, signal.SIGCONT)
        ends = [one._socket.getsockname()[1] for one in sockets]
        assert all(any(serves(worker, bridge.port, end) for end in ends) for worker in children(bridge.pid))
        for one in sockets:
            one.send(client_message(json.dumps({"event": "start", "start": start})))
        # The server closes all but one by itself. Only then the test sends its own close, whose code the server would
        # echo.
        wait_until(lambda: len(select.select([one._socket for one in sockets], [], [], 0)[0]) >= len(sockets) - 1)
        for one in sockets:
            one.send(client_message(b"", PING) + client_close(4000))
        codes = [one.end().code for one in sockets]
        wait_until(lambda: said(bridge, "stream-started"))
    assert len(said(bridge, "stream-started")) == 1
    assert {*codes} == {1008, 4000}


def test_when_the_parent_is_killed_the_port_is_free_again(tmp_path: Path) -> None:
    with two_workers(tmp_path) as bridge:
        there = children(bridge.pid)
        bridge.send_signal(signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, there)))
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("0.0.0.0", bridge.port))
            again.listen()


def test_a_full_worker_leaves_new_connections_to_one_that_is_not(tmp_path: Path) -> None:
    # A full worker accepts no connection that could ask it for its number of calls; the other one answers.
    with live_call(tmp_path, is_asked=False, WEB_CONCURRENCY="2", MAX_CALLS="1") as live:
        wait_until(lambda: len(said(live.bridge, "worker-started")) == 1)
        with Visitors(live.bridge.url) as heard:
            # The full one may answer until the other's heartbeats come, and while they are late.
            wait_until(lambda: heard[-50:] == [200] * 50)
        second = live.twilio.place_call(f"{ENVIRONMENT['URL']}/twiml", says(), connect_to=live.bridge.url)
        second.wait_for(StreamOpened, PATIENCE_S)
        wait_until(lambda: live.ready() == 503)  # now both workers are full, and both answer 503
        second.hang_up()
        wait_until(lambda: live.ready() == 200)
        live.call.hang_up()


STREAM_MODE = {"REPLY_MODE": "stream", "WEB_CONCURRENCY": "2", "NO_INPUT_S": "120"}


def is_asked_for_kinds(live: LiveCall) -> int:
    """Let the caller speak until the bot's question is heard over the stream. Return the worker that has the call."""
    wait_until(lambda: len(said(live.bridge, "worker-started")) == 1)
    live.caller.say("some flowers please")
    live.call.wait_for(MarkReturned, PATIENCE_S, where=lambda mark: mark.name == "turn-1.1:end")
    ends = live.bridge.port, live.call.streams[0].port
    workers = children(live.bridge.pid)
    wait_until(lambda: any(serves(worker, *ends) for worker in workers))
    return next(worker for worker in workers if serves(worker, *ends))


def test_a_call_in_stream_mode_goes_on_when_its_worker_is_killed(tmp_path: Path) -> None:
    with live_call(tmp_path, **STREAM_MODE) as live:
        os.kill(is_asked_for_kinds(live), signal.SIGKILL)
        live.call.wait_for(StreamOpened, PATIENCE_S, count=2)
        heard = live.call.wait_for(MarkReturned, PATIENCE_S, where=lambda mark: mark.name == "turn--1.1:end")
        assert not heard.cleared
        assert said_by_twilio(live.call)[1:] == []  # Lex spoke the words once more, not Twilio
        assert [event.code for event in live.call.events if isinstance(event, StreamClosed)] in ([31903], [31921])
        live.call.hang_up()
        live.call.wait(PATIENCE_S)


def test_a_stream_mode_call_is_handed_over_between_workers(tmp_path: Path) -> None:
    with live_call(tmp_path, **{**STREAM_MODE, "NO_INPUT_S": "10"}) as live:
        old = is_asked_for_kinds(live)
        live.bridge.send_signal(signal.SIGHUP)
        wait_until(lambda: not is_running(old))  # the worker ends with the call, as soon as the bot has asked again
        live.call.wait_for(StreamOpened, PATIENCE_S, count=2)
        assert [event.code for event in live.call.events if isinstance(event, StreamClosed)] == [0]
        assert said_by_twilio(live.call)[1:] in ([], ["Sorry, I did not hear anything.", KINDS_ASKED])
        live.call.hang_up()
        live.call.wait(PATIENCE_S)
        assert live.call.complaints == []


def test_a_lone_process_stays_for_its_stream_mode_call(tmp_path: Path) -> None:
    """A call in stream mode outlives SIGTERM to its process, which ends after it."""
    with live_call(tmp_path, **{**STREAM_MODE, "WEB_CONCURRENCY": "1"}) as live:
        live.send_signal(signal.SIGTERM)
        live.caller.say("some flowers please")
        live.call.wait_for(MarkReturned, PATIENCE_S, where=lambda mark: mark.name == "turn-1.1:end")
        live.call.hang_up()
        assert live.call.wait_for(StreamClosed, PATIENCE_S).code == 0
        assert live.bridge.wait(PATIENCE_S) == 0
