"""The table of texts in shared memory: each holds for a time."""

from lexbridge.twilio.shared_digests import IN_BUCKET, SharedDigests

NOW_S = 1_800_000_000.0


def test_a_text_holds_until_its_time_or_until_it_is_forgotten() -> None:
    table = SharedDigests(4)
    assert not table.has("a", NOW_S)
    assert table.add("a", NOW_S + 60, NOW_S)
    assert not table.add("a", NOW_S + 600, NOW_S)
    assert table.has("a", NOW_S + 60)
    assert not table.has("a", NOW_S + 61)
    assert not table.has("b", NOW_S)
    table.forget("b")
    table.forget("a")
    assert not table.has("a", NOW_S)
    assert table.add("a", NOW_S + 60, NOW_S)


def test_a_full_bucket_forgets_what_ends_next() -> None:
    table = SharedDigests(1)
    for number in range(IN_BUCKET + 1):
        table.add(f"{number}", NOW_S + 60 + number, NOW_S)
    assert [table.has(f"{number}", NOW_S) for number in range(IN_BUCKET + 1)] == [False] + [True] * IN_BUCKET
