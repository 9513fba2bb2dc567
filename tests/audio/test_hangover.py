"""The length of the hangover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.hangover import Expected, Hangover

LISTENING = Hangover(usual_ms=800, min_ms=400, max_ms=1400)


@pytest.mark.parametrize(
    ("expected", "spoken_ms", "longest_pause_ms", "length_ms"),
    [
        (Expected.CLOSED, 300, 0, 400),
        (Expected.CLOSED, 1000, 0, 400),
        (Expected.CLOSED, 1020, 0, 800),  # more than a word
        (Expected.DIGITS, 300, 0, 1400),
        (Expected.DIGITS, 5000, 600, 1400),
        (Expected.PHRASE, 300, 0, 800),
        (Expected.PHRASE, 1000, 600, 980),
        (Expected.OPEN, 1480, 0, 1400),
        (Expected.OPEN, 1500, 0, 800),
        (Expected.OPEN, 3000, 180, 800),  # a "t", not a pause
        (Expected.OPEN, 3000, 400, 800),  # a second pause of 720 ms is allowed anyway
        (Expected.OPEN, 3000, 600, 980),
        (Expected.OPEN, 3000, 1300, 1400),
        (Expected.CLOSED, 600, 200, 460),
    ],
)
def test_what_was_asked_and_how_they_speak_decide(expected, spoken_ms, longest_pause_ms, length_ms):
    assert LISTENING.length_ms(expected, spoken_ms, longest_pause_ms) == length_ms


@given(st.sampled_from(Expected), st.integers(0, 15000), st.integers(0, 5000))
def test_it_is_never_shorter_or_longer_than_allowed(expected, spoken_ms, longest_pause_ms):
    assert 400 <= LISTENING.length_ms(expected, spoken_ms, longest_pause_ms) <= 1400
    assert Hangover(700, 700, 700).length_ms(expected, spoken_ms, longest_pause_ms) == 700
