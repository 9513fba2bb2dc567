"""The commands that check the whole project, cut into pieces that run side by side."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support.packages import COVERED, ROOT
from tests.support.purity import has_properties, needs_gevent, opens_pages, runs_code, starts_programs

BIN = Path(sys.executable).parent
SECONDS = ROOT / "tests" / "seconds.json"
"""File with the seconds of each test module, by which jobs are ordered and modules share a job."""

UNKNOWN_S = 5.0
"""The assumed seconds of a test module that SECONDS does not name."""

FIRST_TESTS = 3
"""Number of test functions of each live module that run under the second Python."""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
WAITING_JOBS = 2 * CORES
"""Number of processes with real-time calls at once, because each waits for more than half of its time.

Three a processor were too many once browsers were among them: calls were answered late, and tests of calls failed."""


@dataclass(frozen=True)
class Job:
    """One command. `waits`: mostly for real time, so that it shares a core with others. `modules`: its tests.

    `is_heavy`: it waits, and is late where another such job runs. Only one of them runs at once.
    """

    part: str
    command: Sequence[str]
    seconds: float
    waits: bool = False
    is_heavy: bool = False
    modules: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)


def stored_seconds() -> dict[str, float]:
    """Return the seconds of each test module, as stored."""
    found: dict[str, float] = json.loads(SECONDS.read_text(encoding="utf-8")) if SECONDS.exists() else {}
    return found


def store_seconds(measured: dict[str, float]) -> None:
    """Replace what is stored of the modules in `measured`, and forget modules that no longer exist."""
    merged = {module: seconds for module, seconds in stored_seconds().items() if (ROOT / module).exists()}
    merged |= {module: round(seconds, 1) for module, seconds in measured.items()}
    SECONDS.write_text(json.dumps(dict(sorted(merged.items())), indent=2) + "\n", encoding="utf-8")


def lint() -> list[Job]:
    """Return the jobs that find faults of format and style."""
    ruff = str(BIN / "ruff")
    return [
        Job("lint", [ruff, "format", "--check", "--quiet", "."], 1),
        Job("lint", [ruff, "check", "--quiet", "."], 1),
    ]


def types() -> list[Job]:
    """Return the job that checks types."""
    return [Job("types", [str(BIN / "mypy"), "--no-error-summary"], 30)]


def texts() -> list[Job]:
    """Return the tests that only read the files of this repository. No version of Python makes a difference to them."""
    return _pytest_jobs("texts", _modules(lambda path: not runs_code(path)), 1, ["-m", "pure"])


def pure() -> list[Job]:
    """Return the tests that need no gevent: for each core one process that gevent has not patched."""
    return _pytest_jobs("pure", _pure_modules(), CORES, ["-m", "pure"])


def covered() -> list[Job]:
    """Return the tests that need no gevent, while coverage looks on, but property tests without it.

    Coverage makes a test take two to three times as long. Hundreds of examples of a property reach no further branch
    than the other tests do.
    """
    run = [sys.executable, "-m", "coverage", "run", "--parallel-mode"]
    modules = _pure_modules()
    told = _pytest_jobs("pure", modules, CORES, ["-m", "pure and not hypothesis"])
    properties = [module for module in modules if has_properties(ROOT / module)]
    return [
        *(Job("pure", [*run, *job.command[1:]], 2 * job.seconds, modules=job.modules) for job in told),
        *_pytest_jobs("pure", properties, CORES, ["-m", "pure and hypothesis"]),
    ]


def with_second_python(python: str) -> list[Job]:
    """Return the tests that may fail under another version of Python, for `python`: all pure ones, and some live ones.

    Their property tests try few examples, because the first Python tries all of them. Of each live module the first
    tests run: they import all that it uses, and show whether calls and sockets work at all.
    """
    few = [
        replace(job, command=[*job.command, f"--first={FIRST_TESTS}"], seconds=job.seconds / 4)
        for job in _pytest_jobs("live", _live_modules(), CORES, [], waits=True)
    ]
    return [
        replace(job, part=f"{job.part}-2nd", command=[python, *job.command[1:]], environment={"CI": ""})
        for job in [*pure(), *few]
    ]


def coverage_report() -> list[Job]:
    """Return the job that fails unless the covered tests reached every branch of the pure packages."""
    include = ",".join(f"lexbridge/{one}" if one.endswith(".py") else f"lexbridge/{one}/*" for one in COVERED)
    script = f"coverage combine --quiet && coverage report --skip-covered --fail-under=100 --include='{include}'"
    return [Job("coverage", ["sh", "-c", script], 5, environment={"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"})]


def live() -> list[Job]:
    """Return the tests that need gevent, but start no program: sockets and simulated calls."""
    return _pytest_jobs("live", _live_modules(), WAITING_JOBS, [], waits=True)


def pages() -> list[Job]:
    """Return the tests of pages in a browser, each module a job. A browser beside another one is late."""
    modules = [module for module in _modules_in(ROOT / "tests") if opens_pages(ROOT / module)]
    return [replace(job, is_heavy=True) for job in _pytest_jobs("pages", modules, len(modules), [], waits=True)]


def programs() -> list[Job]:
    """Return the tests that start `server.py` and other programs, but those of tests/bench and tests/e2e.

    They are in twice as many jobs as run at once, so that none of the last ones is long.
    """
    modules = _modules(lambda path: starts_programs(path) and not opens_pages(path))
    return _pytest_jobs("programs", modules, 2 * WAITING_JOBS, [], waits=True)


def bench() -> list[Job]:
    """Return the tests of the benchmarks."""
    modules = _modules_in(ROOT / "tests" / "bench")
    computing = [module for module in modules if not needs_gevent(ROOT / module)]
    others = [module for module in modules if module not in computing]
    return [
        *_pytest_jobs("bench", computing, 1, ["-m", "pure"]),
        *_pytest_jobs("bench", others, 1, [], waits=True),
    ]


def e2e() -> list[Job]:
    """Return the tests of whole programs but those of pages, each module a job."""
    modules = [module for module in _modules_in(ROOT / "tests" / "e2e") if not opens_pages(ROOT / module)]
    return _pytest_jobs("e2e", modules, len(modules), [], waits=True)


def _live_modules() -> list[str]:
    return _modules(lambda path: needs_gevent(path) and not starts_programs(path) and not opens_pages(path))


def _pure_modules() -> list[str]:
    return _modules(lambda path: runs_code(path) and not needs_gevent(path))


def _modules(belongs: Callable[[Path], bool]) -> list[str]:
    """Return the test modules for which `belongs` holds, but those that are a part by their folder."""
    others = {ROOT / "tests" / folder for folder in ("bench", "deploy", "e2e")}
    modules = _modules_in(ROOT / "tests")
    return [module for module in modules if not others & {*(ROOT / module).parents} and belongs(ROOT / module)]


def _modules_in(folder: Path) -> list[str]:
    """Return the test modules in `folder` and below it, by their paths from the repository's root."""
    return [path.relative_to(ROOT).as_posix() for path in sorted(folder.rglob("test_*.py"))]


def _pytest_jobs(
    part: str, modules: Iterable[str], count: int, options: Sequence[str], waits: bool = False
) -> list[Job]:
    """Return at most `count` jobs that run `modules`, cut so that they take about equally long."""
    stored = stored_seconds()
    known = {module: stored.get(module, UNKNOWN_S) for module in modules}
    piles: list[list[str]] = [[] for _ in range(count)]
    heights = [0.0] * count
    for module in sorted(known, key=lambda module: -known[module]):
        lowest = heights.index(min(heights))
        piles[lowest].append(module)
        heights[lowest] += known[module]
    pytest = [sys.executable, "-m", "pytest", *options]
    return [
        Job(part, [*pytest, *pile], height, waits, modules=pile)
        for pile, height in zip(piles, heights, strict=True)
        if pile
    ]


PARTS = {
    "lint": lint,
    "types": types,
    "texts": texts,
    "pure": pure,
    "live": live,
    "pages": pages,
    "programs": programs,
    "bench": bench,
    "e2e": e2e,
}
"""The parts of `make test` by name, in the order of the table."""

OTHER_PARTS = {"coverage": covered}
"""The part that only runs where it is named, in the place of `pure`."""
