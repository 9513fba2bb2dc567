"""Cases of `python -m bench faults`, at a fast pace: what is heard, and in which order."""

import socket

import gevent
import pytest
from gevent.event import Event

from bench.stress.faults.cases import ANSWER, SETUPS, Case, cases
from bench.stress.faults.command import held_resources
from bench.stress.faults.conversation import Conversation, Options, run_cases
from bench.stress.faults.service import Timing, running
from bench.stress.faults.verdict import Result, Turn, judge, judge_end
from bench.stress.faults.voices import NoiseVoice, ToneVoice
from lexbridge.lex.runtime import Deadlines
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.voice import SilentVoice

QUICK_CASES = [
    "Lex 400 at the start, twice",
    "Lex 403 at the end, twice",
    "Lex 500 at the end, once",
    "Lex 503 at the start, once",
    "Lex 504 at the end, twice",
    "Lex reset at the middle, once",
    "Lex hang from the end, once",
    "Lex hang from the start, twice",
    "Lex upload unread from the middle, once",
    "Lex answer drips, once",
    "REST 429/20429, once",
    "REST 503, 3 times",
    "REST closed without an answer, once",
    "REST reset, once",
    "REST hang, once",
    "REST 400/21220, once",
    "Lex redirect, twice",
    "Lex 500 without end, once",
    "Lex 100 Continue without end, once",
    "Lex answer without end, once",
    "Lex answer a compressed bomb, once",
    "Lex answer with a state that is no JSON, twice",
    "REST redirect, once",
    "REST 200 without end, once",
    "REST compressed bomb, once",
    "REST 200 with a page, twice",
    "REST 200 with null, once",
    'REST 404/"20404", once',
]
QUICK_CASES_OF_STREAM_MODE = [
    "Lex 403 at the end, twice",
    "Lex 503 at the start, twice",
    "Lex redirect, twice",
    "Lex 500 without end, twice",
    "Lex answer without end, once",
    "Lex answer compressed, once",
    "Lex answer without a voice, once",
    "REST 200 with null, twice",
]
QUICK = Timing(0.1, Deadlines(connect_s=2, answer_s=2.5, session_s=2), (1.0, 1.0, 1.0))
PATIENT = Timing(0.1, Deadlines(connect_s=30, answer_s=30, session_s=30), (30.0, 30.0, 30.0))
CASES: dict[str, Case] = {case.name: case for case in cases()}
STREAM_SETUPS = [setup for setup in SETUPS if setup.reply_mode == "stream"]


def only_what_is_heard(result: Result) -> list[str]:
    """Return the problems but for those of time: the line's time is fast here, and the deadlines are the clock's."""
    return [each for each in result.problems if not each.endswith(" of silence") and "settled after" not in each]


def _timing_of(name: str) -> Timing:
    """Return deadlines that the faults of time miss soon, and that no other case misses on a busy machine."""
    return QUICK if any(word in name for word in ("hang", "drips", "unread")) else PATIENT


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    """Run all quick cases at once, and return their results."""
    found: list[Result] = []
    for timing in (QUICK, PATIENT):
        chosen = [CASES[name] for name in QUICK_CASES if _timing_of(name) is timing]
        found += run_cases(chosen, Options(timing=timing, patience_s=60))
    return {result.case.name: result for result in found}


@pytest.mark.parametrize("name", QUICK_CASES)
def test_what_the_caller_hears_of_a_fault(results: dict[str, Result], name: str) -> None:
    result = results[name]
    assert only_what_is_heard(result) == []
    assert result.hits >= 1
    assert result.first is not None


@pytest.fixture(scope="module", params=STREAM_SETUPS, ids=str)
def results_of_stream_mode(request: pytest.FixtureRequest) -> dict[str, Result]:
    """Run the quick cases of one setup of stream mode at once, and return their results."""
    chosen = [case for case in cases(request.param) if case.name in QUICK_CASES_OF_STREAM_MODE]
    found = run_cases(chosen, Options(request.param, PATIENT, patience_s=60))
    return {result.case.name: result for result in found}


@pytest.mark.parametrize("name", QUICK_CASES_OF_STREAM_MODE)
def test_what_the_caller_hears_of_a_fault_in_stream_mode(results_of_stream_mode: dict[str, Result], name: str) -> None:
    """The caller hears something, whether or not lexbridge has a voice of its own there."""
    result = results_of_stream_mode[name]
    assert only_what_is_heard(result) == []
    assert result.first is not None
    assert result.first.voice_s is not None


def test_every_setup_has_the_same_cases() -> None:
    assert [str(setup) for setup in SETUPS] == [
        "call-update",
        "stream, PutSession spoken",
        "stream, PutSession refused",
        "stream, PutSession empty",
    ]
    for setup in SETUPS:
        assert [case.name for case in cases(setup)] == [*CASES]


def test_silence_does_not_count_as_heard() -> None:
    """The words of a silent prompt do not count as heard either."""
    with running(SilentVoice(), ToneVoice(), QUICK, REPLY_MODE="stream", NO_INPUT_S="120") as service:
        result = Conversation(Case("silent", ANSWER), service, NoiseVoice(), 2, STREAM_SETUPS[0]).run()
    assert result.first is not None
    assert (result.first.outcome, result.first.voice_s) == ("nothing", None)
    assert "nothing instead of answer" in result.problems


def test_the_sweep_has_every_fault_once_and_twice() -> None:
    assert len(CASES) == len(cases())
    for case in cases():
        if case.name.endswith(", once"):
            assert case.name.replace(", once", ", twice") in CASES
    statuses = {case.lex.status for case in cases() if case.lex is not None and case.lex.kind == "status"}
    assert statuses == {307, 400, 403, 404, 409, 424, 429, 500, 502, 503, 504}


def test_a_limit_that_is_missed_is_told() -> None:
    slow = Turn("answer", voice_s=6.5, settled_s=6.5, silence_s=6.5)
    result = Result(CASES["Lex 500 at the end, once"], first=slow)
    judge(result, slow, ANSWER)
    assert result.problems == ["settled after 6.5 s", "6.5 s of silence"]
    silent = Turn("nothing", voice_s=None, settled_s=None, silence_s=16.0)
    result = Result(CASES["REST hang, 3 times"], first=silent)
    judge(result, silent, result.case.expected)
    assert result.problems == []  # nobody could speak
    result.second = silent
    judge(result, silent, ANSWER)
    assert result.problems == ["next turn: nothing instead of answer", "next turn: 16.0 s of silence"]


def test_a_fault_that_did_not_come_about_passes_nothing() -> None:
    case = Case("never", ANSWER, lex=LexFault(session="another call"))
    result = Result(case, first=Turn("answer", 0.7, 0.7, 0.7))
    judge_end(result)
    assert result.problems == ["the fault did not come about"]


def test_what_a_call_leaves_behind_is_found() -> None:
    before = held_resources()
    never = gevent.spawn(Event().wait)
    with socket.socket():
        after = held_resources()
    never.kill()
    left = after - before
    assert left.total() == 2
    assert left["descriptors of socket"] == 1
