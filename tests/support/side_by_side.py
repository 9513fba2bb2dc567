"""Commands run side by side: what each printed, how its tests went, and what it cost."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from xml.etree import ElementTree

from tests.support.jobs import CORES, WAITING_JOBS, Job
from tests.support.packages import ROOT

STOP_S = 15
"""Seconds that the processes have to end after Ctrl-C, because pytest first ends what its tests have started."""


@dataclass(frozen=True)
class Result:
    """Outcome of one job. `seconds` are of the clock, `cpu_s` of all cores; `modules`: the seconds of each module."""

    job: Job
    status: int
    printed: str
    began_s: float
    seconds: float
    cpu_s: float
    tests: int = 0
    failed: int = 0
    skipped: int = 0
    modules: dict[str, float] = field(default_factory=dict)


class _Process:
    """One job that runs, in a session of its own: Ctrl-C in a terminal reaches it through `run` only."""

    def __init__(self, job: Job, folder: Path) -> None:
        self.job = job
        self.began_s = time.monotonic()
        self._printed = folder / "printed"
        self._report = folder / "report.xml"
        # Each pytest clears old folders of all runs away, and fails if another one does the same: each gets its own.
        own = ["--basetemp", str(folder / "t"), "--junit-xml", str(self._report), "-o", "junit_family=xunit1"]
        # Pure computation gives way: what waits for real time has to be on time, it has not.
        nice = [] if job.waits else ["nice", "-n", "10"]
        with self._printed.open("wb") as printed:
            self._popen = subprocess.Popen(
                [*nice, *job.command, *(own if job.modules else [])],
                cwd=ROOT,
                env={**os.environ, **job.environment},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._popen.pid

    def send(self, signum: signal.Signals) -> None:
        """Send a signal to the job and all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signum)

    def ended(self, status: int, cpu_s: float) -> Result:
        """Return how it went, once it has been waited for."""
        self._popen.returncode = status
        self.send(signal.SIGKILL)  # what a test has left behind
        seconds = time.monotonic() - self.began_s
        printed = self._printed.read_text(encoding="utf-8", errors="replace")
        result = Result(self.job, status, printed, self.began_s, seconds, cpu_s)
        try:
            root = ElementTree.parse(self._report).getroot()
        except (OSError, ElementTree.ParseError):  # no pytest, or it crashed
            return result
        modules: dict[str, float] = {}
        for case in root.iter("testcase"):
            module = case.get("file", "")
            modules[module] = modules.get(module, 0.0) + float(case.get("time", "0"))
        count = {name: sum(int(suite.get(name, "0")) for suite in root.iter("testsuite")) for name in _COUNTS}
        failed = count["failures"] + count["errors"]
        return Result(
            self.job, status, printed, self.began_s, seconds, cpu_s, count["tests"], failed, count["skipped"], modules
        )


_COUNTS = ("tests", "failures", "errors", "skipped")


def run(jobs: Sequence[Job]) -> Iterator[Result]:
    """Run the jobs, the heavy ones and the longest first, and yield how each went as it ends.

    As many jobs that compute run at once as there are cores, and beside them WAITING_JOBS that wait, of which one is
    heavy. Once no heavy ones are left, one more runs for each core for which nothing to compute is left. None has a
    deadline. Where the caller stops iterating, or Ctrl-C is pressed, all processes end.
    """
    waiting_to_start = sorted(jobs, key=lambda job: (not job.is_heavy, -job.seconds))
    running: dict[int, _Process] = {}
    with (
        tempfile.TemporaryDirectory(prefix="lexbridge-tests-", ignore_cleanup_errors=True) as folder,
        _sigterm_as_ctrl_c(),
    ):
        try:
            while waiting_to_start or running:
                for job in list(waiting_to_start):
                    if has_room(job, [process.job for process in running.values()], waiting_to_start):
                        waiting_to_start.remove(job)
                        process = _Process(job, Path(tempfile.mkdtemp(dir=folder)))
                        running[process.pid] = process
                pid, status, used = os.wait4(-1, 0)
                if pid in running:
                    cpu_s = used.ru_utime + used.ru_stime
                    yield running.pop(pid).ended(os.waitstatus_to_exitcode(status), cpu_s)
        finally:
            _stop(running)


def has_room(job: Job, running: Sequence[Job], waiting_to_start: Sequence[Job]) -> bool:
    """Return whether a job may start beside those that run."""
    if job.is_heavy and any(other.is_heavy for other in running):
        return False
    computing = sum(not other.waits for other in running)
    if not job.waits:
        return computing < CORES
    # A core for which nothing to compute is left has room for one more. A browser beside so many is late.
    left = [*running, *waiting_to_start]
    idle = 0 if any(other.is_heavy for other in left) else max(0, CORES - sum(not other.waits for other in left))
    return len(running) - computing < WAITING_JOBS + idle


def _stop(running: dict[int, _Process]) -> None:
    """End what still runs: by SIGINT, so that tests end what they have started, and by SIGKILL in the end."""
    for process in running.values():
        process.send(signal.SIGINT)
    give_up_s = time.monotonic() + STOP_S
    left = set(running)
    while left and time.monotonic() < give_up_s:
        for pid in list(left):
            ended, _ = os.waitpid(pid, os.WNOHANG)
            if ended:
                left.remove(pid)
        time.sleep(0.05)
    for process in running.values():
        process.send(signal.SIGKILL)
    for pid in left:
        os.waitpid(pid, 0)


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C: a CI that gives up leaves no process behind either."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
