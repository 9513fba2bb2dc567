"""`python -m tests`: lint, types and all tests side by side, and one table at the end. `make test` runs it."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support import jobs
from tests.support.jobs import OTHER_PARTS, PARTS
from tests.support.side_by_side import Result, run


def main(arguments: Sequence[str]) -> int:
    """Run the parts that the command line names. Return 0 if all of them passed, else 1."""
    options = _options(arguments)
    coverage = Path(".venv") / "coverage"
    os.environ["COVERAGE_FILE"] = str(coverage)
    # Tests start hundreds of programs: none of them is to compile again what another one has imported.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    chosen = [job for name in options.parts for job in {**PARTS, **OTHER_PARTS}[name]()]
    if options.second_python:
        chosen += jobs.with_second_python(options.second_python)
    results = []
    try:
        for result in run(chosen):
            results.append(result)
            _tell(result, len(results), len(chosen))
        if "coverage" in options.parts:
            for result in run(jobs.coverage_report()):
                results.append(result)
                _tell(result, len(results), len(results))
    except KeyboardInterrupt:
        print("\nstopped")
        return 130
    if options.store_seconds:
        jobs.store_seconds({module: seconds for result in results for module, seconds in result.modules.items()})
    _print_table(results)
    return int(any(result.status for result in results))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests", description=__doc__)
    parser.add_argument(
        "parts",
        nargs="*",
        type=_part,
        metavar="PART",
        help=f"{', '.join(PARTS)} (all of them by default), or coverage (the pure tests under coverage)",
    )
    parser.add_argument("--second-python", metavar="PATH", help="run all pure and some live tests with this Python too")
    parser.add_argument(
        "--store-seconds", action="store_true", help="store how long each test module took in tests/seconds.json"
    )
    options = parser.parse_args(arguments)
    options.parts = options.parts or list(PARTS)
    return options


def _part(name: str) -> str:
    """Return the name of a part. (argparse's `choices` would not take a command line without any.)"""
    if name not in (*PARTS, *OTHER_PARTS):
        raise argparse.ArgumentTypeError(f"{name} is no part; they are {', '.join([*PARTS, *OTHER_PARTS])}")
    return name


def _tell(result: Result, done: int, total: int) -> None:
    """Print one line of a job that has ended, after all that it printed if it failed."""
    if result.status:
        print(f"\n--- {result.job.part}: {' '.join(result.job.command)}")
        print(result.printed)
    outcome = f"failed with status {result.status}" if result.status else "passed"
    tests = f" {result.tests} tests" if result.tests else ""
    print(f"[{done}/{total}] {result.job.part}:{tests} {outcome} in {result.seconds:.0f} s", flush=True)


def _print_table(results: Sequence[Result]) -> None:
    """Print a line for each part, and the whole."""
    parts: dict[str, list[Result]] = {}
    for name in [*PARTS, "pure-2nd", "live-2nd", *OTHER_PARTS]:
        of_part = [result for result in results if result.job.part == name]
        if of_part:
            parts[name] = of_part
    print(f"\n{'part':10} {'tests':>6} {'failed':>7} {'skipped':>8} {'seconds':>8} {'CPU s':>7}")
    for name, group in [*parts.items(), ("all", list(results))]:
        tests, failed, skipped = (sum(getattr(one, what) for one in group) for what in ("tests", "failed", "skipped"))
        verdict = "FAILED" if any(one.status for one in group) else "passed"
        cpu_s = sum(one.cpu_s for one in group)
        took_s = max(one.began_s + one.seconds for one in group) - min(one.began_s for one in group)
        print(f"{name:10} {tests:6} {failed:7} {skipped:8} {took_s:8.0f} {cpu_s:7.0f}  {verdict}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
