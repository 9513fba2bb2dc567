"""Events that wait: their order, pauses and bounds."""

import pytest

from lexbridge.observer.events import outbox
from lexbridge.observer.events.outbox import LONGEST_ASKED_S, LONGEST_PAUSE_S, MAX_AGE_S, Letter, Outbox


def letter(call_sid: str, name: str = "1", made_s: float = 0.0) -> Letter:
    return Letter(call_sid, name, name.encode(), made_s)


def filled(*letters: Letter, jitter: float = 0.0) -> Outbox:
    waiting = Outbox(lambda: jitter)
    for one in letters:
        assert waiting.put(one) is None
    return waiting


def test_events_of_a_call_go_one_after_the_other() -> None:
    first, second, other = letter("CA1"), letter("CA1", "2"), letter("CA2")
    waiting = filled(first, second, other)
    assert waiting.take(0) is first
    assert waiting.take(0) is other
    assert waiting.take(0) is None
    waiting.done(first, 1)
    assert waiting.take(1) is second
    waiting.done(second, 1)
    waiting.done(other, 1)
    assert (len(waiting), waiting.due_s(), waiting.take(9)) == (0, None, None)


def test_an_event_that_failed_holds_back_its_own_call_alone() -> None:
    first, second, other = letter("CA1"), letter("CA1", "2"), letter("CA2")
    waiting = filled(first, second, other)
    assert waiting.take(0) is first
    assert waiting.retry(first, 0)
    assert waiting.take(0) is other
    assert waiting.take(0.9) is None
    assert waiting.due_s() == 1.0
    assert waiting.take(1.0) is first


def test_pauses_double_up_to_the_longest() -> None:
    one = letter("CA1")
    waiting = filled(one)
    now_s, pauses_s = 0.0, []
    for _ in range(9):
        assert waiting.take(now_s) is one
        assert waiting.retry(one, now_s)
        due_s = waiting.due_s()
        assert due_s is not None
        pauses_s.append(due_s - now_s)
        now_s = due_s
    assert pauses_s == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_pauses_are_shortened_by_chance() -> None:
    one = letter("CA1")
    waiting = filled(one, jitter=1.0)
    waiting.take(0)
    waiting.retry(one, 0)
    assert waiting.due_s() == 0.5


@pytest.mark.parametrize(("asked_s", "pause_s"), [(30.0, 30.0), (0.2, 1.0), (1e9, LONGEST_ASKED_S)])
def test_the_receiver_may_ask_for_a_longer_pause(asked_s: float, pause_s: float) -> None:
    one = letter("CA1")
    waiting = filled(one)
    waiting.take(0)
    assert waiting.retry(one, 0, asked_s)
    assert waiting.due_s() == pause_s


def test_an_event_that_is_too_old_makes_way_for_the_next() -> None:
    old, young = letter("CA1"), letter("CA1", "2", MAX_AGE_S)
    waiting = filled(old, young)
    waiting.take(0)
    assert not waiting.retry(old, MAX_AGE_S)
    assert waiting.take(MAX_AGE_S) is young
    assert len(waiting) == 1


def test_the_oldest_event_is_dropped_when_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_EVENTS", 2)
    first, second, third, other = letter("CA1"), letter("CA1", "2"), letter("CA1", "3"), letter("CA2")
    waiting = filled(first, second)
    assert waiting.put(third) is first
    assert waiting.put(other) is second
    assert len(waiting) == 2
    assert (waiting.take(0), waiting.take(0)) == (other, third)
    assert first.body == b""


def test_an_event_may_be_dropped_while_it_is_posted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_EVENTS", 1)
    first, second = letter("CA1"), letter("CA1", "2")
    waiting = filled(first)
    assert waiting.take(0) is first
    assert waiting.put(second) is first
    assert not waiting.retry(first, 0)
    assert waiting.take(0) is second
    waiting.done(second, 0)
    assert len(waiting) == 0
