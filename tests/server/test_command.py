"""`server.py` as a process of its own: how it starts, what it says when it does not, how it ends."""

import contextlib
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests

import server
from bench.harness.raw_client import RudeClient, client_close, client_message
from lexbridge import __version__
from lexbridge.config.settings import read_settings
from lexbridge.net.rfc6455 import PING
from lexbridge.offline.commands.bridge_process import ROOT, BridgeProcess, free_port
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import (
    EndReason,
    MarkReturned,
    StreamClosed,
    StreamOpened,
    UpdateReceived,
    VerbStarted,
    WebhookAnswered,
)
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.server import listener
from lexbridge.server.listener import Listener
from lexbridge.twilio.signatures import make_stream_token
from tests.support.processes import as_process_1, children, handles, is_running, serves
from tests.support.rehearsal import wait_until
from tests.support.rig import ENVIRONMENT, PATIENCE_S, SIGNED, TOKEN, flowers, says, v2_bot
from tests.support.server_process import (
    COMPLETE,
    STARTING_S,
    LiveCall,
    Visitors,
    live_call,
    said,
    start,
    starting,
    two_workers,
)


def test_with_nothing_set_one_message_lists_every_problem(tmp_path: Path) -> None:
    ended = start(tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    first, *problems = ended.stderr.splitlines()
    assert first == "4 problems with the settings:"
    assert [problem.split(":")[0].strip() for problem in problems] == [
        "AWS_REGION",
        "TWILIO_AUTH_TOKEN",
        "URL",
        "LEX_BOT_ID",
    ]


def test_check_passes_complete_settings_and_starts_nothing(tmp_path: Path) -> None:
    ended = start(tmp_path, "--check", **COMPLETE)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "The settings are complete and valid.\n"


def test_a_path_in_the_streams_address_is_a_warning(tmp_path: Path) -> None:
    elsewhere = {"STREAM_URL": "wss://voice.example.com/other"}
    ended = start(tmp_path, "--check", **COMPLETE, **elsewhere)
    assert (ended.returncode, ended.stderr) == (0, "")
    warning, last = ended.stdout.splitlines()
    assert warning.startswith(
        "Warning: STREAM_URL: is 'wss://voice.example.com/other'; the socket is served at / alone"
    )
    assert last == "The settings are complete and valid."
    with BridgeProcess({**COMPLETE, **elsewhere}, tmp_path / "bridge.log") as bridge:
        (line,) = said(bridge, "setting-in-doubt")
        assert (line["level"], line["variable"]) == ("warning", "STREAM_URL")
        assert "take /other away" in line["rule"]


@pytest.mark.parametrize(
    ("closed", "told_by", "name"), [(">&-", "stderr", "Standard output"), ("2>&-", "stdout", "Standard error")]
)
@pytest.mark.parametrize("arguments", ["", "--check"])
def test_a_closed_output_is_said_plainly(tmp_path: Path, closed: str, told_by: str, name: str, arguments: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} {ROOT / 'server.py'} {arguments} {closed}"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **COMPLETE},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 2
    (line,) = getattr(ended, told_by).splitlines()
    assert line.startswith(f"{name} is closed: point it somewhere")


def test_a_result_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, str(ROOT / "server.py"), "--check"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **COMPLETE},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr == "Standard output cannot be written to (No space left on device).\n"


def test_what_boto3_cannot_use_stops_the_start_with_one_line(tmp_path: Path) -> None:
    ended = start(tmp_path, **COMPLETE, AWS_PROFILE="no-such-profile")
    assert ended.returncode == 2
    first, line = ended.stderr.splitlines()
    assert first == "1 problem with the settings:"
    assert line.startswith("  AWS_*: boto3 says: The config profile (no-such-profile) could not be found")


def test_check_never_shows_a_secret(tmp_path: Path) -> None:
    ended = start(tmp_path, "--check", **{**COMPLETE, "TWILIO_AUTH_TOKEN": "my token", "URL": "nonsense"})
    assert ended.returncode == 2
    assert "TWILIO_AUTH_TOKEN: is not valid" in ended.stderr
    assert "my token" not in ended.stderr
    assert "URL: is 'nonsense'" in ended.stderr


def test_settings_are_read_from_dot_env_and_the_environment_wins(tmp_path: Path) -> None:
    lines = [f"{name}={value}" for name, value in COMPLETE.items()]
    (tmp_path / ".env").write_text("\n".join([*lines, "VAD=nonsense"]), encoding="utf-8")
    assert "VAD: is 'nonsense'" in start(tmp_path, "--check").stderr
    assert start(tmp_path, "--check", VAD="amplitude").returncode == 0


def test_it_tells_its_version(tmp_path: Path) -> None:
    ended = start(tmp_path, "--version")
    assert (ended.returncode, ended.stdout) == (0, f"lexbridge {__version__}\n")


def test_the_log_names_the_bot_that_is_served() -> None:
    told = server.described(read_settings({**ENVIRONMENT, **v2_bot(flowers()), "LEX_LOCALE_ID": "en_GB"}))
    assert (told["bot"], told["alias"], told["locale"]) == (flowers().v2_id, "TSTALIASID", "en_GB")


def test_help_names_every_setting(tmp_path: Path) -> None:
    ended = start(tmp_path, "--help")
    assert ended.returncode == 0
    for name in ("AWS_REGION", "LEX_BOT_ID", "VOICE_THRESHOLD", "MAX_CALLS"):
        assert name in ended.stdout


def test_a_port_that_is_taken_is_said_plainly(tmp_path: Path) -> None:
    with BridgeProcess(COMPLETE, tmp_path / "first.log") as first:
        ended = start(tmp_path, **COMPLETE, CONTAINER_PORT=str(first.port))
        assert ended.returncode == 2
        assert f"CONTAINER_PORT: {first.port} cannot be listened on" in ended.stderr
        assert "Traceback" not in ended.stderr


def has_ipv6() -> bool:
    """Whether this machine has a loopback of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


TAKEN = [
    (socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET, "0.0.0.0"),
    (socket.AF_INET6, "::1"),
    (socket.AF_INET6, "::"),
]


@pytest.mark.parametrize(("family", "host"), TAKEN)
def test_a_port_that_is_taken_in_one_family_is_said_plainly(
    tmp_path: Path, family: socket.AddressFamily, host: str
) -> None:
    if family == socket.AF_INET6 and not has_ipv6():
        pytest.skip("there is no IPv6 here")
    with socket.socket(family) as other:
        if family == socket.AF_INET6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((host, 0))
        other.listen()
        port = other.getsockname()[1]
        ended = start(tmp_path, **COMPLETE, CONTAINER_PORT=str(port))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"CONTAINER_PORT: {port} cannot be listened on (Address already in use)\n"


def test_it_serves_ipv4_and_ipv6(tmp_path: Path) -> None:
    with BridgeProcess(COMPLETE, tmp_path / "bridge.log") as bridge:
        for host in ("127.0.0.1", *(["[::1]"] if has_ipv6() else [])):
            answer = requests.get(f"http://{host}:{bridge.port}/ping", timeout=PATIENCE_S)
            assert answer.json() == {"status": "ok", "live_calls": 0}
        if has_ipv6():
            with RudeClient(("::1", bridge.port), PATIENCE_S) as stranger:
                assert stranger.upgrade(headers=SIGNED) == 101


def test_without_ipv6_it_serves_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoIpv6(socket.socket):
        """The system's sockets as they are where IPv6 was turned off."""

        def __init__(self, family: int = -1, *rest: Any, **named: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            super().__init__(family, *rest, **named)

    monkeypatch.setattr(listener, "_Socket", NoIpv6)
    port = free_port()
    with contextlib.closing(Listener(port)), socket.create_connection(("127.0.0.1", port), PATIENCE_S) as caller:
        assert caller.getpeername() == ("127.0.0.1", port)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_logs_json_and_ends_at_a_signal(tmp_path: Path, signum: signal.Signals) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "server.py")],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **COMPLETE, "CONTAINER_PORT": str(port), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        serving = json.loads(process.stdout.readline())
        assert (serving["event"], serving["port"]) == ("serving", port)
        about = ("version", "bot", "alias", "locale", "region", "reply_mode", "detector", "workers")
        assert {name: serving.get(name) for name in about} == {
            "version": __version__,
            "bot": "OrderFlowers",
            "alias": "prod",
            "locale": None,
            "region": "us-west-2",
            "reply_mode": "call-update",
            "detector": "amplitude",
            "workers": 1,
        }
        ping = requests.get(f"http://127.0.0.1:{port}/ping", timeout=PATIENCE_S)
        assert ping.json() == {"status": "ok", "live_calls": 0}
        process.send_signal(signum)
        rest = [json.loads(line)["event"] for line in process.stdout]
        assert rest == ["draining", "stopped"]
        assert process.wait(timeout=PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


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
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "server.py"), argument],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **COMPLETE},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # As in a terminal: a shell has its background jobs ignore it, and so Python too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        wait_until(lambda pid=process.pid: handles(pid, signal.SIGINT))  # Python's own: it has begun
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
        gevent.sleep(0.5)  # two looks of the parent's
        assert said(bridge, "worker-died") == []


def test_a_log_that_nobody_reads_does_not_stop_a_call(tmp_path: Path) -> None:
    order = ["I would like to order flowers", "roses", "tomorrow", "five pm", "yes", "goodbye"]
    with (
        LocalLex(bots=[flowers()], recogniser=ScriptedRecogniser(order), voice=SilentVoice()) as lex,
        SimulatedTwilio(auth_token=TOKEN, pace=0.15) as twilio,
    ):
        port = free_port()
        told = {
            "CONTAINER_PORT": str(port),
            "TWILIO_API_URL": twilio.url,
            "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": lex.url,
            "LOG_LEVEL": "DEBUG",
        }
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "server.py")],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **COMPLETE, **told},
            stdout=subprocess.PIPE,
            pipesize=4096,  # full after a few turns
        )
        try:
            assert process.stdout is not None
            worker = json.loads(process.stdout.readline())["pid"]  # it serves; from here on nobody reads
            call = twilio.place_call(
                "https://voice.example.com/twiml", says(*order), connect_to=f"http://127.0.0.1:{port}"
            )
            assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()  # and now somebody does: nothing was lost
            assert len(rest) > 4096
            events = [json.loads(line)["event"] for line in rest.splitlines()]
            assert events.count("turn-answered") == events.count("turn-latency") == len(order)
            assert events.count("call-ended") == 1
            told = [json.loads(line) for line in rest.splitlines() if call.sid.encode() in line]
            assert {line["pid"] for line in told} == {worker}
            assert events[-1] == "stopped"
            assert process.wait(timeout=PATIENCE_S) == 0
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def test_a_log_that_nobody_reads_does_not_stop_the_parent(tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "server.py")],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **COMPLETE, "CONTAINER_PORT": str(port)},
        stdout=subprocess.PIPE,
        pipesize=4096,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it serves; from here on nobody reads
        filler = os.open(f"/proc/self/fd/{process.stdout.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(filler, b"\n")
        os.close(filler)
        for _ in range(2):
            (worker,) = children(process.pid)
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda worker=worker: children(process.pid) not in ([], [worker]))
        assert requests.get(f"http://127.0.0.1:{port}/ready", timeout=PATIENCE_S).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_what_is_wrong_only_when_it_starts_is_said_once(tmp_path: Path) -> None:
    without = {name: value for name, value in COMPLETE.items() if "KEY" not in name}
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    for arguments in ([], ["--check"]):
        ended = start(tmp_path, *arguments, **without, **nowhere, WEB_CONCURRENCY="3", CONTAINER_PORT=str(free_port()))
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.count("boto3 finds no AWS credentials") == 1
        assert "Traceback" not in ended.stderr


def test_when_a_worker_is_killed_another_answers_and_it_is_replaced(tmp_path: Path) -> None:
    with two_workers(tmp_path) as bridge, Visitors(bridge.url) as heard:
        parent = bridge.pid
        one, other = children(parent)
        assert len(list(Path(f"/proc/{parent}/task").iterdir())) == 1  # no thread would survive a fork
        wait_until(lambda: len(heard) > 10)
        os.kill(one, signal.SIGKILL)
        wait_until(lambda: len(said(bridge, "worker-started")) == 2)
        before = len(heard)
        wait_until(lambda: len(heard) > before + 10)
        assert other in children(parent)
        assert one not in children(parent)
        assert {status for status in heard if isinstance(status, int)} == {200}
        assert len([status for status in heard if not isinstance(status, int)]) <= 3  # what it was just answering


def test_while_all_workers_are_replaced_nobody_is_turned_away(tmp_path: Path) -> None:
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
        for stopped in children(bridge.pid):  # the other one takes what comes meanwhile
            os.kill(stopped, signal.SIGSTOP)
            for _ in range(15):
                one = strangers.enter_context(RudeClient(("127.0.0.1", bridge.port), PATIENCE_S))
                assert one.upgrade(headers=SIGNED) == 101
                sockets.append(one)
            os.kill(stopped, signal.SIGCONT)
        ends = [one._socket.getsockname()[1] for one in sockets]
        assert all(any(serves(worker, bridge.port, end) for end in ends) for worker in children(bridge.pid))
        for one in sockets:
            one.send(client_message(json.dumps({"event": "start", "start": start})))
        for one in sockets:
            one.send(client_message(b"", PING) + client_close(4000))
        codes = [one.end().code for one in sockets]
    assert sorted(codes, key=str) == [1008] * 29 + [4000]


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
    # A full worker cannot be asked how many calls it has: the other one answers.
    with live_call(tmp_path, is_asked=False, WEB_CONCURRENCY="2", MAX_CALLS="1") as live:
        wait_until(lambda: len(said(live.bridge, "worker-started")) == 1)
        gevent.sleep(0.5)  # a few beats
        with Visitors(live.bridge.url) as heard:
            wait_until(lambda: len(heard) > 50)
        assert {*heard} == {200}
        second = live.twilio.place_call(f"{ENVIRONMENT['URL']}/twiml", says(), connect_to=live.bridge.url)
        second.wait_for(StreamOpened, PATIENCE_S)
        wait_until(lambda: live.ready() == 503)  # now both are full, and both say so
        second.hang_up()
        wait_until(lambda: live.ready() == 200)
        live.call.hang_up()


def test_after_a_signal_live_calls_go_on_to_their_end_and_nobody_else_is_let_in(tmp_path: Path) -> None:
    with live_call(tmp_path) as live:
        live.is_told(signal.SIGTERM)
        late = live.twilio.place_call(f"{ENVIRONMENT['URL']}/twiml", says(), connect_to=live.bridge.url)
        assert late.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        answer = late.wait_for(WebhookAnswered, PATIENCE_S)
        assert "all lines are busy" in answer.body
        address = ("127.0.0.1", live.bridge.port)
        for headers, status in ((SIGNED, 101), ({}, 403)):  # it may be the next stream of a live call
            with RudeClient(address, PATIENCE_S) as stranger:
                assert stranger.upgrade(headers=headers) == status
        live.caller.say("some flowers please")
        live.call.wait_for(UpdateReceived, PATIENCE_S, where=lambda told: "What type of flowers" in told.twiml)
        live.call.hang_up()
        assert live.call.wait_for(StreamClosed, PATIENCE_S).code == 0
        assert live.bridge.wait(PATIENCE_S) == 0  # far less than DRAIN_S
        assert read_settings(COMPLETE).drain_s > PATIENCE_S
        assert [line["live_calls"] for line in live.events() if line["event"] in ("draining", "stopped")] == [1, 0]


def test_a_call_that_does_not_end_is_given_up_after_drain_s(tmp_path: Path) -> None:
    with live_call(tmp_path, DRAIN_S="1") as live:
        live.bridge.send_signal(signal.SIGTERM)
        assert live.bridge.wait(PATIENCE_S) == 0
        assert [line["live_calls"] for line in live.events() if line["event"] in ("draining", "stopped")] == [1, 1]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, second: signal.Signals) -> None:
    with live_call(tmp_path) as live:
        live.is_told(signal.SIGTERM)
        live.bridge.send_signal(second)
        assert live.bridge.wait(PATIENCE_S) == 1  # far less than DRAIN_S
        assert "stopped" not in [line.get("event") for line in live.events()]


def raw_lines(bridge: BridgeProcess) -> list[str]:
    """What it wrote to standard output and error and is no JSON."""
    return [line for line in bridge.log.read_text(encoding="utf-8").splitlines() if not line.startswith("{")]


def test_without_descriptors_calls_live_on_and_the_rest_waits(tmp_path: Path) -> None:
    with live_call(tmp_path) as live:
        (worker,) = children(live.bridge.pid)
        has = len(list(Path(f"/proc/{worker}/fd").iterdir()))
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (has + 16, has + 16))
        with contextlib.ExitStack() as crowd:
            for _ in range(200):  # the system takes those that we do not accept, up to the backlog
                one = crowd.enter_context(socket.create_connection(("127.0.0.1", live.bridge.port), PATIENCE_S))
                one.sendall(b"GET /ping HTTP/1.1\r\n")  # and no more
            wait_until(lambda: len(list(Path(f"/proc/{worker}/fd").iterdir())) >= has + 16)
            gevent.sleep(2)
        wait_until(lambda: live.ready() == 200)
        # The neighbour has lost nothing, and is understood and answered
        assert [event for event in live.call.events if isinstance(event, StreamClosed)] == []
        live.caller.say("some flowers please")
        live.call.wait_for(UpdateReceived, PATIENCE_S, where=lambda told: "What type of flowers" in told.twiml)
        assert live.call.complaints == []
        assert children(live.bridge.pid) == [worker]
        live.call.hang_up()
        live.call.wait_for(StreamClosed, PATIENCE_S)
        # One counted line, and nothing else
        assert raw_lines(live.bridge) == []
        assert said(live.bridge, "greenlet-broken") == []
        refusals = [line for line in said(live.bridge, "peer-refused") if line["reason"] == "no descriptors"]
        assert 1 <= len(refusals) <= 10


KINDS = "What type of flowers would you like to order?"


STREAM_MODE = {"REPLY_MODE": "stream", "WEB_CONCURRENCY": "2", "NO_INPUT_S": "120"}


def is_asked_for_kinds(live: LiveCall) -> int:
    """The caller says something, and hears the bot's question over the stream. Returns the worker that has the call."""
    wait_until(lambda: len(said(live.bridge, "worker-started")) == 1)
    live.caller.say("some flowers please")
    live.call.wait_for(MarkReturned, PATIENCE_S, where=lambda mark: mark.name == "turn-1.1:end")
    ends = live.bridge.port, live.call.streams[0].port
    workers = children(live.bridge.pid)
    wait_until(lambda: any(serves(worker, *ends) for worker in workers))
    return next(worker for worker in workers if serves(worker, *ends))


def said_by_twilio(call: PhoneCall) -> list[str]:
    """What was said by Twilio's own voice."""
    return [event.text for event in call.events if isinstance(event, VerbStarted) and event.verb == "Say"]


def test_a_call_in_stream_mode_goes_on_when_its_worker_is_killed(tmp_path: Path) -> None:
    with live_call(tmp_path, **STREAM_MODE) as live:
        os.kill(is_asked_for_kinds(live), signal.SIGKILL)
        live.call.wait_for(StreamOpened, PATIENCE_S, count=2)
        heard = live.call.wait_for(MarkReturned, PATIENCE_S, where=lambda mark: mark.name == "turn--1.1:end")
        assert not heard.cleared
        assert said_by_twilio(live.call)[1:] == []  # Lex said it once more
        assert [event.code for event in live.call.events if isinstance(event, StreamClosed)] in ([31903], [31921])
        live.call.hang_up()
        live.call.wait(PATIENCE_S)


def test_a_call_in_stream_mode_is_handed_over_when_workers_are_replaced(tmp_path: Path) -> None:
    with live_call(tmp_path, **{**STREAM_MODE, "NO_INPUT_S": "10"}) as live:
        old = is_asked_for_kinds(live)
        live.bridge.send_signal(signal.SIGHUP)
        wait_until(lambda: not is_running(old))  # with the call, as soon as the caller was asked again
        live.call.wait_for(StreamOpened, PATIENCE_S, count=2)
        assert [event.code for event in live.call.events if isinstance(event, StreamClosed)] == [0]
        assert said_by_twilio(live.call)[1:] in ([], ["Sorry, I did not hear anything.", KINDS])
        live.call.hang_up()
        live.call.wait(PATIENCE_S)
        assert live.call.complaints == []


def test_a_call_in_stream_mode_outlives_the_signal_and_its_process_goes_after_it(tmp_path: Path) -> None:
    with live_call(tmp_path, **{**STREAM_MODE, "WEB_CONCURRENCY": "1"}) as live:
        live.is_told(signal.SIGTERM)
        live.caller.say("some flowers please")
        live.call.wait_for(MarkReturned, PATIENCE_S, where=lambda mark: mark.name == "turn-1.1:end")
        live.call.hang_up()
        assert live.call.wait_for(StreamClosed, PATIENCE_S).code == 0
        assert live.bridge.wait(PATIENCE_S) == 0
