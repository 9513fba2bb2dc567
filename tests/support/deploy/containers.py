"""Images without a container engine: buildah builds them, and Linux namespaces run them.

The base image is a stand-in: a Debian of the same release, with its own Python, made by debootstrap. Images are kept
beside the packages of the tests, in a storage of their own; `make clean` deletes both.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from lexbridge.offline.commands.bridge_process import ROOT
from tests.support.deploy.machine import need_to_work
from tests.support.processes import children

STORAGE = Path(sys.prefix) / "containers"
BASE = "localhost/lexbridge-test-base:trixie"
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BUILD_LIMIT_S = 900
START_LIMIT_S = 60
RUN_LIMIT_S = 300

PROGRAMS = [("buildah", "buildah"), ("debootstrap", "debootstrap"), ("unshare", "util-linux"), ("chroot", "coreutils")]

# The script becomes process 1 of the container. It binds the root onto itself, to make it read-only. /dev is the
# machine's.
_AS_A_CONTAINER_DOES = """\
set -eu
root=$1; user=$2; folder=$3; scratch=$4; shift 4
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
test -z "$scratch" || mount -t tmpfs tmpfs "$root$scratch"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" "$root" /usr/bin/env --chdir="$folder" "$@"
"""


def buildah(*arguments: str) -> str:
    """Run buildah and return its output. Fails with the end of its error messages."""
    storage = ["--root", str(STORAGE / "storage"), "--runroot", str(STORAGE / "run"), "--storage-driver", "vfs"]
    done = subprocess.run(
        ["nice", "buildah", *storage, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"buildah {' '.join(arguments)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout.strip()


def make_base() -> None:
    """Make the stand-in for python:3.13-slim-trixie if it does not exist. Skip the test if it cannot be made."""
    buildah("rm", "--all")  # containers that an interrupted run has left
    if buildah("images", "--quiet", "--filter", f"reference={BASE}"):
        return
    with tempfile.TemporaryDirectory(prefix="lexbridge-base-") as folder:
        root = Path(folder) / "root"
        packages = "--include=python3,python3-pip,ca-certificates"
        need_to_work("nice", "debootstrap", "--variant=minbase", packages, "trixie", str(root))
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        # The machine's package index may have a certificate of its own.
        certificates = Path("etc/ssl/certs/ca-certificates.crt")
        if (Path("/") / certificates).is_file():
            (root / certificates).write_bytes((Path("/") / certificates).read_bytes())
        container = buildah("from", "scratch")
        buildah("copy", "--quiet", container, str(root), "/")
        index = [f"--env=PIP_INDEX_URL={os.environ['PIP_INDEX_URL']}"] if "PIP_INDEX_URL" in os.environ else []
        buildah("config", f"--env=PATH={BASE_PATH}", *index, container)
        buildah("commit", "--quiet", "--rm", container, BASE)


def build(dockerfile: str, name: str, **arguments: str) -> None:
    """Build the image that `dockerfile` describes, as an engine would, but on the stand-in."""
    given = {"PYTHON_IMAGE": BASE, **arguments}
    options = [word for key, value in given.items() for word in ("--build-arg", f"{key}={value}")]
    how = ["--isolation", "chroot", "--pull-never", "--format", "docker"]  # OCI's format has no HEALTHCHECK
    buildah("bud", "--quiet", *how, *options, "--file", dockerfile, "--tag", name, ".")
    buildah("rmi", "--prune")  # the image that had the name before


def config_of(image: str) -> Mapping[str, Any]:
    """Return the configuration that the image gives an engine: User, Env, Entrypoint and so on."""
    config: Mapping[str, Any] = json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]
    return config


@contextmanager
def root_of(image: str) -> Iterator[Path]:
    """Yield the directory of the image's files."""
    container = buildah("from", "--pull-never", image)
    try:
        yield Path(buildah("mount", container))
    finally:
        buildah("rm", container)


class Container:
    """A process in the image's files, as the image's user, in a process id space of its own.

    It cannot write to the files, and shares the network with the machine. `scratch`: a directory that it can write to.
    """

    def __init__(
        self, root: Path, config: Mapping[str, Any], environment: Mapping[str, str], scratch: str = ""
    ) -> None:
        self._config = config
        self._namespaces = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", _AS_A_CONTAINER_DOES, "sh", str(root)]
        variables = dict(line.split("=", 1) for line in config["Env"])
        self._environment = {**variables, **environment}
        self._scratch = scratch

    def run(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run `command` to its end, in a container of its own."""
        return subprocess.run(self._command(command), capture_output=True, text=True, timeout=RUN_LIMIT_S, check=False)

    @contextmanager
    def serving(self, port: int, log: Path, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the image's entry point; yield once it answers on `port`. Its output goes to `log`."""
        with log.open("wb") as out:
            command = self._command([*self._config["Entrypoint"], *arguments])
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            self._await(port, process, log)
            yield process
        finally:
            for pid in children(process.pid):
                os.kill(pid, signal.SIGKILL)  # process 1, with which the others end
            process.wait(timeout=START_LIMIT_S)

    def _command(self, command: Sequence[str]) -> list[str]:
        variables = [f"{name}={value}" for name, value in self._environment.items()]
        user, folder = self._config["User"], self._config["WorkingDir"]
        return [*self._namespaces, user, folder, self._scratch, "--ignore-environment", *variables, *command]

    @staticmethod
    def _await(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            try:
                requests.get(f"http://127.0.0.1:{port}/ping", timeout=2)
                return
            except requests.RequestException:
                time.sleep(0.1)
        raise AssertionError(f"nothing answers within {START_LIMIT_S} s:\n{log.read_text(encoding='utf-8')}")
