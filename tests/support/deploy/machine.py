"""The abilities of this machine: missing programs are installed if possible; otherwise the test is skipped."""

import os
import shutil
import subprocess
from collections.abc import Sequence

import pytest


def need_root() -> None:
    """Skip the test unless this process is root."""
    if os.geteuid() != 0:
        pytest.skip("needs root: for other users' ids, mounts and process ids of its own")


def need_programs(packages: Sequence[tuple[str, str]]) -> None:
    """Skip the test unless all programs exist. `packages`: each program, and the Debian package to try to install."""
    missing = {package for program, package in packages if shutil.which(program) is None}
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *sorted(missing)]):
            # The exit status does not matter: the programs either exist afterwards or not.
            subprocess.run(["apt-get", "--quiet", *command], capture_output=True, timeout=600, check=False)
    if absent := [f"{program} (Debian: {package})" for program, package in packages if shutil.which(program) is None]:
        pytest.skip(f"needs {', '.join(absent)}")


def need_to_work(*command: str) -> None:
    """Skip the test unless `command` succeeds on this machine."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False
    )
    if done.returncode != 0:
        said = (done.stdout.strip().splitlines() or [f"status {done.returncode}"])[-1]
        pytest.skip(f"`{' '.join(command)}` does not work here: {said}")
