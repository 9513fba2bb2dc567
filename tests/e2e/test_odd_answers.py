"""Two cases of the bench of odd answers: server.py beside peers that flood."""

import asyncio
from pathlib import Path

import pytest

from bench.stress.odd_answers.command import Case, measure

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    "case", [Case("stream", "lex", "403, endless"), Case("call-update", "twilio", "200, endless")], ids=str
)
def test_an_answer_without_end_costs_no_memory_and_is_heard(case: Case, tmp_path: Path) -> None:
    """The caller hears words, and memory stays, while an answer of Lex has no end."""
    result = asyncio.run(measure(case, tmp_path))
    # Time is left to the bench: the machine may do other things here.
    assert {*result.problems(neighbour_ms=float("inf"))} <= {"heard late"}
    assert result.pongs_ms
