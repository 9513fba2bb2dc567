"""The jobs of `make test`: each test module is in one of them."""

from collections import Counter

from tests.support.jobs import PARTS, Job, covered, pure
from tests.support.packages import ROOT


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


def test_coverage_looks_at_the_same_tests() -> None:
    assert modules_of(covered()) == modules_of(pure())
