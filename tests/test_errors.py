"""The tree of errors, and what the caller hears of it."""

import re

import pytest

from lexbridge import errors
from lexbridge.errors import (
    CallControlError,
    CallGone,
    ConfigError,
    LexError,
    LexRejected,
    LexUnavailable,
    LexUnreadable,
    Problem,
    SessionNotRestored,
)


def test_the_tree_in_the_docstring_is_the_tree_in_the_code():
    drawn = []
    above: list[str] = []
    for line in re.findall(r"^    ((?:\|   |    )*(?:[|`]-- )?)(\w+)", errors.__doc__, re.MULTILINE):
        depth = len(line[0]) // 4
        above[depth:] = [line[1]]
        drawn.append((line[1], above[depth - 1] if depth else "Exception"))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert sorted(drawn) == sorted((kind.__name__, kind.__base__.__name__) for kind in kinds)


@pytest.mark.parametrize(
    ("kind", "apology", "ends_call"),
    [
        (LexError, "say_it_again", False),
        (LexUnavailable, "say_it_again", False),
        (LexRejected, "not_available", True),
        (SessionNotRestored, "say_it_again", False),
    ],
)
def test_each_lex_error_has_a_phrase_and_may_end_the_call(kind, apology, ends_call):
    """Each error of Lex names the phrase that the caller hears, and tells whether the call ends with it."""
    error = kind("Lex answered 400")
    assert (error.apology, error.ends_call, str(error)) == (apology, ends_call, "Lex answered 400")


def test_an_unreadable_answer_names_ten_of_its_parts():
    """An answer of Lex that cannot be read is apologised for; its error names ten parts at most."""
    error = LexUnreadable([f"messages[{number}]" for number in range(99)])
    assert (error.apology, error.ends_call, len(error.parts)) == ("say_it_again", False, 99)
    assert str(error) == "nothing of Lex's answer can be used: " + ", ".join(f"messages[{n}]" for n in range(10))


def test_a_config_error_lists_one_problem_in_the_singular():
    problem = Problem("URL", "is not set", "must be an address")
    assert str(ConfigError([problem])) == "1 problem with the settings:\n  URL: is not set; must be an address"


def test_a_config_error_lists_all_its_problems():
    problems = [Problem("A", "is wrong", "must be right"), Problem("B", "is odd", "must be even")]
    error = ConfigError(problems)
    assert error.problems == tuple(problems)
    assert str(error) == "2 problems with the settings:\n  A: is wrong; must be right\n  B: is odd; must be even"


def test_a_call_that_is_gone_is_told_from_other_refusals():
    assert issubclass(CallGone, CallControlError)
    assert not issubclass(CallGone, errors.CallControlUnavailable)
