"""The program `server.py` as a process of its own: its start, its messages when it cannot start, and its end."""

import contextlib
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests

from bench.harness.raw_client import RawClient
from lexbridge import __main__ as command_line
from lexbridge import __version__
from lexbridge.config.reading import read_settings
from lexbridge.offline.commands.bridge_process import ROOT, BridgeProcess
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.ports import free_port
from lexbridge.offline.twilio.events import EndReason, StreamClosed, UpdateReceived
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.server import listener
from lexbridge.server.listener import Listener
from tests.support.log_lines import whole_lines
from tests.support.processes import children
from tests.support.rehearsal import wait_until
from tests.support.rig import ENVIRONMENT, PATIENCE_S, SIGNED, TOKEN, flowers, says, v2_bot
from tests.support.server_process import COMPLETE, live_call, said, start


def test_with_nothing_set_one_message_lists_every_problem(tmp_path: Path) -> None:
    ended = start(tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    first, *problems = ended.stderr.splitlines()
    assert first == "4 problems with the settings:"
    assert [problem.split(":")[0].strip() for problem in problems] == [
        "AWS_REGION",
        "URL",
        "TWILIO_AUTH_TOKEN",
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
    assert ended.stderr == "Cannot write to standard output (No space left on device).\n"


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


@pytest.mark.parametrize("program", [["server.py"], ["-m", "lexbridge"]])
def test_the_program_and_the_package_tell_the_version(program: list[str]) -> None:
    command = [sys.executable, *program, "--version"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (ended.returncode, ended.stdout) == (0, f"lexbridge {__version__}\n")


def test_the_log_names_the_bot_that_is_served() -> None:
    told = command_line.described(read_settings({**ENVIRONMENT, **v2_bot(flowers()), "LEX_LOCALE_ID": "en_GB"}))
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
    """Return whether this machine has a loopback address of IPv6."""
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
    first, line = ended.stderr.splitlines()
    assert first == "1 problem with the settings:"
    assert line == f"  CONTAINER_PORT: {port} cannot be listened on (Address already in use); must be a free port"


def test_it_serves_ipv4_and_ipv6(tmp_path: Path) -> None:
    with BridgeProcess(COMPLETE, tmp_path / "bridge.log") as bridge:
        for host in ("127.0.0.1", *(["[::1]"] if has_ipv6() else [])):
            answer = requests.get(f"http://{host}:{bridge.port}/ping", timeout=PATIENCE_S)
            assert answer.json() == {"status": "ok", "live_calls": 0}
        if has_ipv6():
            with RawClient(("::1", bridge.port), PATIENCE_S) as stranger:
                assert stranger.upgrade(headers=SIGNED) == 101


def test_without_ipv6_it_serves_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoIpv6(socket.socket):
        """A socket class as on a system where IPv6 is turned off."""

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


def test_an_unread_log_does_not_stop_a_call(tmp_path: Path) -> None:
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
            worker = json.loads(process.stdout.readline())["pid"]  # it serves; from here on nothing reads its output
            call = twilio.place_call(
                "https://voice.example.com/twiml", says(*order), connect_to=f"http://127.0.0.1:{port}"
            )
            assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()  # now the test reads it all: no line was lost
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


def test_an_unread_log_does_not_stop_the_parent(tmp_path: Path) -> None:
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
        process.stdout.readline()  # it serves; from here on nothing reads its output
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


def raw_lines(bridge: BridgeProcess) -> list[str]:
    """Return the lines of standard output and standard error that are not JSON."""
    return [line for line in whole_lines(bridge.log.read_text(encoding="utf-8")) if not line.startswith("{")]


def test_without_descriptors_calls_live_on_and_the_rest_waits(tmp_path: Path) -> None:
    with live_call(tmp_path) as live:
        (worker,) = children(live.bridge.pid)
        has = len(list(Path(f"/proc/{worker}/fd").iterdir()))
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (has + 16, has + 16))
        with contextlib.ExitStack() as crowd:
            for _ in range(200):  # the system accepts connections up to the backlog, although the server does not
                one = crowd.enter_context(socket.create_connection(("127.0.0.1", live.bridge.port), PATIENCE_S))
                one.sendall(b"GET /ping HTTP/1.1\r\n")  # an unfinished request
            # The line is written once. The number of descriptors goes up and down, because the oldest make room.
            wait_until(lambda: "no descriptors" in [line["reason"] for line in said(live.bridge, "peer-refused")])
            gevent.sleep(2)
        wait_until(lambda: live.ready() == 200)
        # The live call lost no stream, and the caller gets an answer
        assert [event for event in live.call.events if isinstance(event, StreamClosed)] == []
        live.caller.say("some flowers please")
        live.call.wait_for(UpdateReceived, PATIENCE_S, where=lambda told: "What type of flowers" in told.twiml)
        assert live.call.complaints == []
        assert children(live.bridge.pid) == [worker]
        live.call.hang_up()
        live.call.wait_for(StreamClosed, PATIENCE_S)
        # One line with a count, and no other
        assert raw_lines(live.bridge) == []
        assert said(live.bridge, "greenlet-broken") == []
        refusals = [line for line in said(live.bridge, "peer-refused") if line["reason"] == "no descriptors"]
        assert 1 <= len(refusals) <= 10
