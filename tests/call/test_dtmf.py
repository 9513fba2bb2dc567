"""Keys pressed and time passed, drawn as a line, and what the bot gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.call.dtmf import MAX_KEYS, DtmfCollector, KeyRules, first_input
from tests.support.property_tests import examples

KEYS = "0123456789ABCD*#"
USUAL = KeyRules()


def collect(line, rules=USUAL, collector=None, between_ms=100):
    """Press a line of keys, one each `between_ms`, a dot for none. Return the inputs, as (at_ms, keys)."""
    collector = collector or DtmfCollector()
    inputs = []
    for at, key in enumerate(line):
        now_ms = at * between_ms
        inputs.append((now_ms, collector.tick(now_ms)))
        if key != ".":
            inputs.append((now_ms, collector.press(key, now_ms, rules)))
    return [(now_ms, keys) for now_ms, keys in inputs if keys is not None]


def test_the_end_character_completes_the_keys_at_once():
    assert collect("1234#") == [(400, "1234")]


def test_the_end_timeout_after_the_last_key_completes_them():
    assert collect("12" + "." * 30) == [(2100, "12")]


def test_a_key_within_the_timeout_starts_it_anew():
    assert collect("1" + "." * 18 + "2" + "." * 30) == [(3900, "12")]


def test_a_key_after_the_timeout_is_the_next_input():
    assert collect("1" + "." * 19 + "2#") == [(2000, "1"), (2100, "2")]


def test_as_many_keys_as_the_bot_asked_for_are_complete():
    assert collect("123456", KeyRules(longest=4)) == [(300, "1234")]
    assert collect("7", KeyRules(longest=1)) == [(0, "7")]


def test_a_bot_that_lowers_the_number_gets_earlier_keys_too():
    collector = DtmfCollector()
    for key in "123":
        assert collector.press(key, 0, KeyRules()) is None
    assert collector.press("4", 20, KeyRules(longest=2)) == "1234"


@pytest.mark.parametrize(("line", "keys"), [("12*3#", "3"), ("1**23#", "23"), ("*1#", "1"), ("12**#3#", "3")])
def test_the_deletion_character_forgets_all_keys_before_it(line, keys):
    assert [found for _, found in collect(line)] == [keys]


def test_a_deletion_ends_the_input_at_once():
    collector = DtmfCollector()
    assert collect("12*", collector=collector) == []
    assert not collector.is_collecting
    assert collect("12*3" + "." * 30) == [(2300, "3")]


@pytest.mark.parametrize("line", ["#", "##", "1*#", "*", "1*" + "." * 30, "." * 30, ""])
def test_no_keys_are_no_input(line):
    collector = DtmfCollector()
    assert collect(line, collector=collector) == []
    assert not collector.is_collecting


def test_a_bot_can_have_other_keys_end_and_delete():
    assert collect("1*#2D", KeyRules(end_character="D", deletion_character="*")) == [(400, "#2")]
    assert collect("1*", KeyRules(end_character="*")) == [(100, "1")]  # one that does both completes


def test_the_letters_of_the_fourth_column_are_keys():
    assert collect("ABCD#") == [(400, "ABCD")]


def test_the_bot_can_wait_longer():
    assert collect("1" + "." * 60, KeyRules(end_timeout_ms=5000)) == [(5000, "1")]


def test_it_tells_whether_it_is_collecting_and_forgets_when_told():
    collector = DtmfCollector()
    assert not collector.is_collecting
    collector.press("1", 0, KeyRules())
    assert collector.is_collecting
    collector.clear()
    assert not collector.is_collecting
    assert collector.tick(10_000) is None
    assert collector.press("#", 10_000, KeyRules()) is None


@pytest.mark.parametrize("longest", [None, MAX_KEYS, MAX_KEYS + 1])
def test_there_are_never_more_keys_than_lex_takes(longest):
    keys = "7" * (MAX_KEYS + 1)
    assert collect(keys, KeyRules(longest=longest), between_ms=20) == [((MAX_KEYS - 1) * 20, "7" * MAX_KEYS)]


@examples(60)
@given(st.text(KEYS + "....", max_size=60), st.none() | st.integers(1, 6))
def test_whatever_is_pressed_no_key_is_lost_or_made_up(line, longest):
    """All inputs and what is left are the keys that were pressed, in order, if none were deleted."""
    line = line.replace("*", "")
    collector = DtmfCollector()
    inputs = [keys for _, keys in collect(line, KeyRules(longest=longest), collector, between_ms=400)]
    left = collector.tick(1_000_000) or ""
    assert "".join(inputs) + left == line.replace(".", "").replace("#", "")
    assert all(0 < len(keys) <= (longest or MAX_KEYS) for keys in inputs)


@pytest.mark.parametrize(
    ("collected", "keys"),
    [("12", "12"), ("12#", "12"), ("1#2#", "1"), ("12*", None), ("12*34", "34"), ("#", None), ("", None)],
)
def test_of_keys_that_twilio_collected_the_first_input_counts(collected, keys):
    assert first_input(collected, USUAL) == keys


@pytest.mark.parametrize(
    ("collected", "keys"),
    [("12*4", None), ("1**4", None), ("12*", None), ("12*#", None), ("1*34", None), ("1234", "1234")],
)
def test_keys_cut_off_by_deleted_ones_are_no_input(collected, keys):
    """Twilio counts deleted keys too: keys that were cut off for that are no input."""
    assert first_input(collected, KeyRules(longest=4)) == keys
