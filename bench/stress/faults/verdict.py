"""Limits of the sweep of faults, and what each turn is judged by."""

from dataclasses import dataclass, field

from bench.stress.faults.cases import Case, Outcome

ANSWER_WITHIN_S = 6.0
"""Longest time from the end of what the caller said to an answer, an apology or a goodbye, seconds."""

SILENCE_AT_MOST_S = 3.0
"""Longest time in which neither party makes a sound, seconds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Outcome of one thing that the caller said. Times count from the end of it, seconds of the line.

    `voice_s`: until anything was heard; `settled_s`: until the answer, the apology or the goodbye began; None if that
    never happened.
    """

    outcome: Outcome
    voice_s: float | None
    settled_s: float | None
    silence_s: float
    text: str = ""


@dataclass(slots=True)
class Result:
    """Call of a case: the turn with the fault, the turn after it, and what is wrong with them."""

    case: Case
    first: Turn | None = None
    second: Turn | None = None
    hits: int = 0
    """Number of times that the fault struck."""
    problems: list[str] = field(default_factory=list)


def judge(result: Result, turn: Turn, expected: frozenset[Outcome]) -> None:
    """Add to the result's problems what is wrong with one of its turns."""
    is_next = turn is result.second
    what = "next turn: " if is_next else ""
    if turn.outcome not in expected:
        result.problems.append(f"{what}{turn.outcome} instead of {' or '.join(sorted(expected))}")
    if turn.settled_s is not None and turn.settled_s > ANSWER_WITHIN_S and "nothing" not in expected:
        result.problems.append(f"{what}settled after {turn.settled_s:.1f} s")
    if turn.silence_s > SILENCE_AT_MOST_S and (is_next or result.case.silence_limited):
        result.problems.append(f"{what}{turn.silence_s:.1f} s of silence")


def judge_end(result: Result) -> None:
    """Add a problem if the fault of the case never struck."""
    if not result.hits and not result.problems and (result.case.lex or result.case.rest):
        result.problems.append("the fault did not come about")
