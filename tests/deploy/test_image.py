"""The image: built, examined, and called as process 1, as its user, on a file system that it cannot write to."""

import json
import os
import platform
import signal
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from lexbridge.offline.commands.bridge_process import ROOT
from lexbridge.offline.ports import free_port
from tests.support.commands import DEADLINE_S, coffee_order, coffee_settings, local_lex, start_call
from tests.support.compose_file import services
from tests.support.deploy.containers import BUILD_LIMIT_S, PROGRAMS, Container, build, config_of, make_base, root_of
from tests.support.deploy.machine import need_programs, need_root, need_to_work
from tests.support.processes import children
from tests.support.rig import ENVIRONMENT, TOKEN

pytestmark = pytest.mark.timeout(4 * BUILD_LIMIT_S)

IMAGE = "localhost/lexbridge"
PLAIN_IMAGE = "localhost/lexbridge-plain"
OFFLINE_IMAGE = "localhost/lexbridge-offline"

BOT = {"LEX_BOT_ID": "ABCDEFGHIJ", "LEX_BOT_ALIAS_ID": "KLMNOPQRST"}

# SILERO=auto includes the model where its package has a wheel.
VAD = "hybrid" if platform.machine() == "x86_64" else "adaptive"


@pytest.fixture(scope="module")
def base() -> None:
    """Make the stand-in for the base image, on a machine that can build and run images."""
    need_root()
    need_programs(PROGRAMS)
    need_to_work("unshare", "--mount", "--pid", "--fork", "mount", "--make-rprivate", "/")
    make_base()


@pytest.fixture(scope="module")
def config(base: None) -> Mapping[str, Any]:
    """Build the image. Return its configuration."""
    build("Dockerfile", IMAGE)
    return config_of(IMAGE)


@pytest.fixture(scope="module")
def root(config: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the directory of the image's files."""
    with root_of(IMAGE) as folder:
        yield folder


def events(log: Path) -> list[dict[str, Any]]:
    """Return the complete lines of a log that may still grow."""
    whole, _, _ = log.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def status_of(pid: int) -> dict[str, list[str]]:
    """Return the fields of /proc/PID/status, seen from outside the container."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return {name: values.split() for name, _, values in (line.partition(":") for line in lines)}


def test_the_image_names_user_port_health_check_and_process_1(
    config: Mapping[str, Any],
) -> None:
    assert config["User"] == "10001:10001"
    assert set(config["ExposedPorts"]) == {"8080/tcp"}
    assert config["Entrypoint"] == ["python", "server.py"]
    assert not config.get("Cmd")
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert not [line for line in config["Env"] if "TOKEN" in line or "SECRET" in line]


def test_the_image_has_the_service_without_the_offline_side(root: Path) -> None:
    app = root / "app"
    assert {path.name for path in app.iterdir()} == {"server.py", "lexbridge", "templates"}
    assert not list(app.rglob(".*"))
    modules = {path.relative_to(app) for path in app.glob("lexbridge/**/*.py")}
    in_tree = {path.relative_to(ROOT) for path in (ROOT / "lexbridge").rglob("*.py")}
    assert modules == {path for path in in_tree if path.parts[1] != "offline"}
    compiled = {path.parents[1] / path.name.partition(".")[0] for path in app.glob("lexbridge/**/__pycache__/*.pyc")}
    assert compiled == {(app / path).with_suffix("") for path in modules}
    assert {path.suffix for path in app.glob("lexbridge/**/*.*")} == {".py", ".pyc"}
    found = root.glob("opt/venv/lib/python3*/site-packages/*.dist-info")
    packages = {path.name.partition("-")[0].lower() for path in found}
    assert {"gevent", "boto3", "twilio", "flask_sockets", "webrtcvad_wheels"} <= packages
    assert not packages & {"soundswallower", "hibari_tts", "matplotlib", "websocket_client", "pytest", "pip"}


def test_its_user_owns_nothing_and_can_change_nothing_of_it(root: Path) -> None:
    found = [path.lstat() for folder in ("app", "opt/venv") for path in (root / folder).rglob("*")]
    assert {status.st_uid for status in found} == {0}
    assert not [status for status in found if not stat.S_ISLNK(status.st_mode) and status.st_mode & 0o022]


def test_the_root_is_one_that_it_cannot_write_to(root: Path, config: Mapping[str, Any]) -> None:
    touched = Container(root, config, {}).run(["touch", "/tmp/anything"])  # noqa: S108 - whoever may write at all, may there
    assert "Read-only file system" in touched.stderr


@pytest.mark.parametrize("vad", ["amplitude", "webrtc", "adaptive", VAD])
def test_the_detectors_work_in_it(root: Path, config: Mapping[str, Any], vad: str) -> None:
    checked = Container(root, config, {**ENVIRONMENT, **BOT, "VAD": vad}).run(["python", "server.py", "--check"])
    assert (checked.returncode, checked.stdout) == (0, "The settings are complete and valid.\n"), checked.stderr


def test_without_the_model_the_image_says_what_is_missing(base: None) -> None:
    build("Dockerfile", PLAIN_IMAGE, SILERO="no")
    with root_of(PLAIN_IMAGE) as root:
        assert not [*root.glob("opt/venv/lib/python3*/site-packages/onnxruntime*")]
        container = Container(root, config_of(PLAIN_IMAGE), {**ENVIRONMENT, **BOT, "VAD": "hybrid"})
        checked = container.run(["python", "server.py", "--check"])
    assert checked.returncode == 2
    assert "requirements-silero.txt" in checked.stderr


def test_a_build_argument_that_is_none_is_refused(base: None) -> None:
    with pytest.raises(AssertionError, match="SILERO=perhaps: must be auto, yes or no"):
        build("Dockerfile", PLAIN_IMAGE, SILERO="perhaps")


def test_the_health_check_knows_whether_it_serves(tmp_path: Path, root: Path, config: Mapping[str, Any]) -> None:
    port = free_port()
    container = Container(root, config, {**ENVIRONMENT, **BOT, "CONTAINER_PORT": str(port)})
    check = config["Healthcheck"]["Test"][1:]
    assert container.run(check).returncode != 0
    with container.serving(port, tmp_path / "bridge.log"):
        assert container.run(check).returncode == 0


def test_as_process_1_it_lets_its_call_finish_after_sigterm(
    tmp_path: Path, root: Path, config: Mapping[str, Any]
) -> None:
    """The service as process 1 lets its call finish after SIGTERM, and takes no other."""
    api_port, port, log = free_port(), free_port(), tmp_path / "bridge.log"
    address = f"http://127.0.0.1:{port}"
    with local_lex() as lex:
        settings = {**coffee_settings(lex, api_port), "CONTAINER_PORT": str(port), "VAD": VAD}
        with Container(root, config, settings).serving(port, log) as process:
            [pid] = children(process.pid)
            status = status_of(pid)
            assert status["NSpid"] == [str(pid), "1"]
            assert set(status["Uid"] + status["Gid"]) == {"10001"}
            caller = start_call(*coffee_order(address, api_port))
            wait_for_event(log, "turn-answered")
            os.kill(pid, signal.SIGTERM)
            wait_for_event(log, "draining")
            assert requests.get(f"{address}/ready", timeout=5).status_code == 503
            printed, _ = caller.communicate(timeout=DEADLINE_S)
            assert caller.returncode == 0, printed
            assert "Enjoy your coffee. Goodbye." in printed, printed
            assert process.wait(timeout=30) == 0
    lines = events(log)
    assert [line["live_calls"] for line in lines if line["event"] in ("draining", "stopped")] == [1, 0]
    assert len([line for line in lines if line["event"] == "turn-answered"]) == 3


def test_the_offline_image_has_a_lex_and_a_caller_for_it(tmp_path: Path, root: Path, config: Mapping[str, Any]) -> None:
    build("Dockerfile.offline", OFFLINE_IMAGE)
    api_port, lex_port, port = free_port(), free_port(), free_port()
    settings = {**coffee_settings(f"http://127.0.0.1:{lex_port}", api_port), "CONTAINER_PORT": str(port)}
    order = coffee_order(f"http://127.0.0.1:{port}", api_port)
    with root_of(OFFLINE_IMAGE) as offline_root:
        offline_config = config_of(OFFLINE_IMAGE)
        [scratch] = services({"TWILIO_AUTH_TOKEN": TOKEN})["lex"]["tmpfs"]
        lex = Container(offline_root, offline_config, {}, scratch)
        offline = Container(offline_root, offline_config, {"TWILIO_AUTH_TOKEN": TOKEN})
        with (
            lex.serving(lex_port, tmp_path / "lex.log", "lex", "--port", str(lex_port)),
            Container(root, config, settings).serving(port, tmp_path / "bridge.log"),
        ):
            called = offline.run([*offline_config["Entrypoint"], *order])
    assert called.returncode == 0, called.stdout + called.stderr
    assert "Enjoy your coffee. Goodbye." in called.stdout, called.stdout


def wait_for_event(log: Path, event: str) -> None:
    """Wait until `log` has a line of `event`."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not any(line["event"] == event for line in events(log)):
        assert time.monotonic() < deadline_s, f"no {event} in\n{log.read_text(encoding='utf-8')}"
        time.sleep(0.05)
