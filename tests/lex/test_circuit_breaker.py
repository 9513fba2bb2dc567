"""The circuit breaker, on a clock that is turned by hand."""

from lexbridge.lex.circuit_breaker import MAX_FAILURES, OPEN_S, Breaker, Breakers


class Clock:
    """A clock that the test moves by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def an_open_breaker() -> tuple[Breaker, Clock]:
    """Return a breaker that has just opened."""
    clock = Clock()
    breaker = Breaker(clock)
    assert [breaker.record_failure() for _ in range(MAX_FAILURES)] == [False] * (MAX_FAILURES - 1) + [True]
    return breaker, clock


def test_a_breaker_is_closed_until_many_turns_fail_in_a_row() -> None:
    breaker = Breaker(Clock())
    for _ in range(3):
        for _ in range(MAX_FAILURES - 1):
            assert breaker.allow_request()
            assert not breaker.record_failure()
        assert not breaker.record_success()
    assert not breaker.is_open


def test_an_open_breaker_allows_no_request_for_a_while() -> None:
    breaker, clock = an_open_breaker()
    assert breaker.is_open
    assert not breaker.allow_request()
    clock.now_s += OPEN_S - 0.001
    assert not breaker.allow_request()


def test_after_that_it_allows_one_probe() -> None:
    breaker, clock = an_open_breaker()
    clock.now_s += OPEN_S
    assert [breaker.allow_request() for _ in range(3)] == [True, False, False]
    assert not breaker.record_failure()  # it was open already
    clock.now_s += OPEN_S - 0.001
    assert not breaker.allow_request()
    clock.now_s += 0.001
    assert breaker.allow_request()
    assert breaker.record_success()
    assert [breaker.allow_request() for _ in range(3)] == [True, True, True]


def test_a_probe_without_a_result_is_followed_by_another() -> None:
    breaker, clock = an_open_breaker()
    clock.now_s += OPEN_S
    assert breaker.allow_request()
    clock.now_s += OPEN_S
    assert breaker.allow_request()


def test_a_success_resets_the_count_of_failures() -> None:
    breaker, clock = an_open_breaker()
    clock.now_s += OPEN_S
    assert breaker.allow_request()
    assert breaker.record_success()
    assert [breaker.record_failure() for _ in range(MAX_FAILURES)] == [False] * (MAX_FAILURES - 1) + [True]


def test_each_bot_alias_has_a_breaker_of_its_own() -> None:
    breakers = Breakers(Clock())
    sales = breakers.for_bot(("SALES/prod/en_US", "https://lex"))
    for _ in range(MAX_FAILURES):
        sales.record_failure()
    assert breakers.for_bot(("SALES/prod/en_US", "https://lex")) is sales
    assert sales.is_open
    others = [
        ("SALES/test/en_US", "https://lex"),
        ("SALES/prod/de_DE", "https://lex"),
        ("SALES/prod/en_US", "https://eu"),
    ]
    assert not any(breakers.for_bot(alias).is_open for alias in others)
