"""The garbage collector of a worker: it leaves alone what lives long, and looks seldom at the rest."""

import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from lexbridge.server.worker import GC_THRESHOLDS, settle_memory

OBJECTS_OF_CALLS = 400_000
"""Objects that some thousand calls make and keep."""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def collections_meanwhile() -> Counter[int]:
    """Make the objects of calls. Return how often the collector ran meanwhile, by generation."""
    found: Counter[int] = Counter()

    def note(phase: str, info: dict[str, int]) -> None:
        found[info["generation"]] += phase == "start"

    gc.callbacks.append(note)
    try:
        kept = [[number] for number in range(OBJECTS_OF_CALLS)]
        assert len(kept) == OBJECTS_OF_CALLS
    finally:
        gc.callbacks.remove(note)
    return found


def test_new_calls_cause_few_collections() -> None:
    settle_memory()
    found = collections_meanwhile()
    assert found.total() <= OBJECTS_OF_CALLS // GC_THRESHOLDS[0] + 1
    assert found[1] == found[2] == 0  # none that looks at what older calls hold


def test_by_pythons_own_thresholds_there_are_many() -> None:
    """Otherwise the test above could not fail."""
    gc.set_threshold(700, 10, 10)
    found = collections_meanwhile()
    assert found.total() > 100
    assert found[1]


def test_what_the_start_has_made_is_not_looked_at() -> None:
    of_the_start = [[number] for number in range(100_000)]
    settle_memory()
    assert len(gc.get_objects()) < 10_000
    assert len(of_the_start) == 100_000
