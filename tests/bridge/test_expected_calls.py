"""Places of a line: for its live calls, and for those that were answered and have no stream yet."""

from lexbridge.bridge.expected_calls import OPENING_S, ExpectedCalls
from lexbridge.bridge.live_calls import CallRegistry
from tests.support.live_calls import live_stream


def test_an_answered_call_keeps_its_place_for_a_while() -> None:
    now_s = [100.0]
    expected = ExpectedCalls(lambda: now_s[0])
    expected.add("CA1", "shop", spoken_s=3)
    expected.add("CA2", "clinic", spoken_s=0)
    assert (expected.count("shop"), expected.count("clinic"), expected.count("")) == (1, 1, 0)
    now_s[0] += OPENING_S
    assert ("CA1" in expected, "CA2" in expected) == (True, False)
    assert (expected.count("shop"), expected.count("clinic")) == (1, 0)
    now_s[0] += 3
    assert expected.count("shop") == 0


def test_calls_whose_streams_are_elsewhere_are_forgotten() -> None:
    now_s = [100.0]
    expected = ExpectedCalls(lambda: now_s[0])
    for number in range(1000):
        expected.add(f"CA{number}", "shop", spoken_s=number % 3)
        expected.add("CA again", "shop", spoken_s=0)
        now_s[0] += 1
    assert len(expected) < 20


def test_a_line_is_full_by_live_and_by_expected_calls() -> None:
    calls = CallRegistry(max_calls=100)
    calls.add(live_stream("CA1", line="shop"))
    calls.expected.add("CA2", "shop", 0)
    calls.expected.add("CA3", "clinic", 0)
    assert calls.line_refusal("shop", 2, "", "CA4") == "line full"
    assert calls.line_refusal("shop", 3, "", "CA4") is None
    assert calls.line_refusal("shop", None, "", "CA4") is None
    assert calls.line_refusal("clinic", 2, "", "CA4") is None


def test_a_call_that_has_its_place_is_not_counted_against_itself() -> None:
    calls = CallRegistry(max_calls=100)
    calls.expected.add("CA1", "shop", 0)
    assert calls.line_refusal("shop", 1, "", "CA1") is None
    assert calls.line_refusal("shop", 1, "", "CA2") == "line full"
    stream = live_stream("CA1", line="shop")
    calls.add(stream)
    assert calls.line_refusal("shop", 1, "", "CA1") is None
    assert (calls.expected.count("shop"), calls.live_lines()) == (0, {"shop": 1})
    calls.remove(stream)
    assert calls.line_refusal("shop", 1, "", "CA2") is None
