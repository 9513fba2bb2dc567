"""The token bucket: it allows its burst at once, its rate in the long run, and no more."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.net.token_bucket import TokenBucket

RATES = st.integers(0, 500)
BURSTS = st.integers(0, 1000)
# Quarters are exact in floating point: sums of them can be compared without a tolerance.
STEPS = st.lists(st.tuples(st.integers(0, 40).map(lambda step: step / 4), st.integers(0, 400).map(lambda n: n / 4)))


def test_it_is_full_at_first_whatever_the_clock_says():
    for now_s in (0.0, 0.5, 1e9):
        bucket = TokenBucket(rate_hz=1, burst=3)
        assert [bucket.take(now_s) for _ in range(4)] == [True, True, True, False]


def test_it_fills_again_by_its_rate_and_never_over_its_burst():
    bucket = TokenBucket(rate_hz=2, burst=3)
    assert bucket.take(10, 3)
    assert not bucket.take(10.25)
    assert bucket.take(10.5)
    assert not bucket.take(1000, 3.5)
    assert bucket.take(1000, 3)
    assert not bucket.take(1000)


def test_what_is_refused_takes_nothing():
    bucket = TokenBucket(rate_hz=0, burst=5)
    assert not bucket.take(1, 6)
    assert bucket.take(1, 5)


def test_a_clock_that_goes_back_fills_nothing_twice():
    bucket = TokenBucket(rate_hz=1, burst=10)
    assert bucket.take(100, 10)
    assert bucket.take(105, 5)
    assert not bucket.take(90)
    assert not bucket.take(105)
    assert bucket.take(106)


@given(RATES, BURSTS, STEPS)
def test_it_is_the_bucket_of_exact_arithmetic(rate_hz, burst, steps):
    bucket, now_s = TokenBucket(rate_hz, burst), 0.0
    held = Fraction(burst)
    for step_s, amount in steps:
        now_s += step_s
        held = min(Fraction(burst), held + Fraction(step_s) * rate_hz)
        taken = bucket.take(now_s, amount)
        assert taken == (amount <= held)
        held -= Fraction(amount) if taken else 0


@given(RATES, BURSTS, STEPS, st.data())
def test_any_span_has_the_burst_and_the_rate_at_most(rate_hz, burst, steps, data):
    bucket, now_s = TokenBucket(rate_hz, burst), 0.0
    taken: list[tuple[float, float]] = []
    for step_s, amount in steps:
        now_s += step_s
        if bucket.take(now_s, amount):
            taken.append((now_s, amount))
    first_s = data.draw(st.sampled_from([at_s for at_s, _ in taken] or [0.0]))
    last_s = data.draw(st.sampled_from([at_s for at_s, _ in taken if at_s >= first_s] or [0.0]))
    within = sum(amount for at_s, amount in taken if first_s <= at_s <= last_s)
    assert within <= burst + (last_s - first_s) * rate_hz


@pytest.mark.parametrize("amount", [0, 0.0])
def test_nothing_can_always_be_taken(amount):
    assert TokenBucket(rate_hz=0, burst=0).take(0, amount)
