"""The jobs of `make test`: each test module is in one of them."""

from collections import Counter
from pathlib import Path

from tests.support.jobs import (
    CORES,
    FIRST_TESTS,
    PARTS,
    WAITING_JOBS,
    Job,
    covered,
    live,
    pages,
    pure,
    with_second_python,
)
from tests.support.packages import ROOT
from tests.support.side_by_side import has_room, run


def modules_of(jobs: list[Job]) -> list[str]:
    return [module for job in jobs for module in job.modules]


def test_each_test_module_is_in_one_job() -> None:
    found = Counter(modules_of([job for part in PARTS.values() for job in part()]))
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert {*found} == {module for module in there if not module.startswith("tests/deploy/")}
    assert {*found.values()} == {1}


def test_a_job_names_its_modules_to_pytest() -> None:
    for job in (job for part in PARTS.values() for job in part()):
        assert list(job.modules) == [each for each in job.command if each.startswith("tests/")]


def test_beside_coverage_run_all_pure_tests_but_properties_once() -> None:
    expressions: dict[str, list[str]] = {}
    for job in covered():
        with_coverage = "coverage" in job.command
        expression = next(each for each in job.command if each.startswith("pure"))
        assert with_coverage is (expression == "pure and not hypothesis")
        expressions.setdefault(expression, []).extend(job.modules)
    assert [*expressions] == ["pure and not hypothesis", "pure and hypothesis"]
    everything, properties = ({*modules} for modules in expressions.values())
    assert everything == {*modules_of(pure())}
    assert properties == {module for module in everything if "@given" in (ROOT / module).read_text(encoding="utf-8")}


def test_a_second_python_runs_pure_and_some_live_tests() -> None:
    second = with_second_python("/other/python")
    assert Counter(modules_of(second)) == Counter(modules_of([*pure(), *live()]))
    assert {(job.part, job.command[-1] == f"--first={FIRST_TESTS}") for job in second} == {
        ("pure-2nd", False),
        ("live-2nd", True),
    }
    assert {(job.part, job.command[0], job.environment["CI"]) for job in second} == {
        ("pure-2nd", "/other/python", ""),
        ("live-2nd", "/other/python", ""),
    }


def test_one_browser_runs_at_once() -> None:
    assert all(job.is_heavy and job.waits for job in pages())
    first, second = run([Job("pages", ["sleep", "0.1"], 1, waits=True, is_heavy=True) for _ in range(2)])
    assert second.began_s >= first.began_s + first.seconds


def test_what_waits_runs_beside_a_browser(tmp_path: Path) -> None:
    meet = "touch {0}; until test -e {1}; do sleep 0.01; done"
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    heavy = Job("pages", ["sh", "-c", meet.format(one, other)], 1, waits=True, is_heavy=True)
    light = Job("live", ["sh", "-c", meet.format(other, one)], 1, waits=True)
    assert [result.status for result in run([light, heavy])] == [0, 0]


def test_what_waits_takes_the_cores_that_compute_no_more() -> None:
    computes, waits = Job("pure", [], 1), Job("live", [], 1, waits=True)
    heavy = Job("pages", [], 1, waits=True, is_heavy=True)

    def room(running: list[Job], to_start: list[Job]) -> int:
        """Return how many more of those that wait may start."""
        started = 0
        while has_room(waits, [*running, *[waits] * started], to_start):
            started += 1
        return started

    assert room([computes] * CORES, []) == WAITING_JOBS
    assert room([], [computes] * CORES) == WAITING_JOBS
    assert room([computes], [computes] * CORES) == WAITING_JOBS
    assert room([], []) == WAITING_JOBS + CORES
    assert room([heavy], []) == WAITING_JOBS - 1
    assert room([], [heavy]) == WAITING_JOBS
    assert room([computes] * (CORES - 1), [waits]) == WAITING_JOBS + 1
