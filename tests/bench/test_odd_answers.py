"""The bench of odd answers: its cases and its limits."""

import pytest

from bench.stress.odd_answers.answers import LEX, TWILIO
from bench.stress.odd_answers.command import NEIGHBOUR_AT_MOST_MS, Case, Result, cases


def test_every_odd_answer_has_a_case() -> None:
    found = cases(("call-update", "stream"), ())
    assert len(found) == len({*found}) == 2 * len(LEX) + len(TWILIO) - 1
    assert [case.name for case in cases(("stream",), ["gzip bomb"])] == ["gzip bomb"]


def test_a_limit_that_is_missed_is_told() -> None:
    case = Case("stream", "lex", "right")
    good = Result(case, heard_s=5.9, before_mb=70, peak_mb=89, pongs_ms=[1.0, 49.0])
    assert good.problems(NEIGHBOUR_AT_MOST_MS) == []
    bad = Result(case, heard_s=6.1, before_mb=70, peak_mb=91, pongs_ms=[1.0, 51.0])
    told = ["heard late", "memory grew", "the neighbour waited"]
    assert bad.problems(NEIGHBOUR_AT_MOST_MS) == told
    assert bad.row(NEIGHBOUR_AT_MOST_MS)[-1] == ", ".join(told)
    assert Result(case, pongs_ms=[1.0]).problems(NEIGHBOUR_AT_MOST_MS) == ["nothing heard"]
    assert "the neighbour waited" in Result(case, heard_s=1).problems(NEIGHBOUR_AT_MOST_MS)


@pytest.mark.parametrize("name", [name for name in LEX if not name.startswith(("headers drip", "stalled"))])
def test_what_is_sent_in_lexs_place_can_be_made(name: str) -> None:
    assert isinstance(next(LEX[name]()), bytes)
