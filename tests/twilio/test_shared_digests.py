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


def test_the_owner_with_the_most_texts_gives_way() -> None:
    table = SharedDigests(1, 4)
    for owner, texts in {"a": "123", "b": "4"}.items():
        for text in texts:
            assert table.add(text, NOW_S + 60 + int(text), NOW_S, owner)
    table.add("5", NOW_S + 99, NOW_S, "b")
    assert [text for text in "12345" if table.has(text, NOW_S)] == [*"2345"]
    table.add("6", NOW_S + 99, NOW_S, "b")  # nobody takes from an equal
    assert [text for text in "123456" if table.has(text, NOW_S)] == [*"2356"]


def test_nobody_pushes_out_the_texts_of_who_has_fewer() -> None:
    table = SharedDigests(4, 64)
    kept = [f"kept {number}" for number in range(32)]  # half of the room of a bucket, wherever they stand
    for text in kept:
        table.add(text, NOW_S + 60, NOW_S, "a")
    for number in range(10_000):
        table.add(f"{number}", NOW_S + 60 + number, NOW_S, "b")
    assert all(table.has(text, NOW_S) for text in kept)


def test_as_many_owners_as_entries_have_room_of_their_own() -> None:
    table = SharedDigests(1, 4)
    for owner in "abcd":
        table.add(owner, NOW_S + 60, NOW_S, owner)
    for number in range(100):
        table.add(f"{number}", NOW_S + 99, NOW_S, "a")
    assert [owner for owner in "abcd" if table.has(owner, NOW_S)] == [*"bcd"]
    table.add("e", NOW_S + 99, NOW_S, "e")  # one more than there is room for: what ends next is forgotten
    assert sum(table.has(owner, NOW_S) for owner in "bcde") == 3
    assert table.has("e", NOW_S)


def test_what_has_ended_gives_way_first() -> None:
    table = SharedDigests(1, 4)
    for text in "1234":
        table.add(text, NOW_S + int(text), NOW_S, "a")
    table.add("5", NOW_S + 60, NOW_S + 2, "b")
    assert [text for text in "345" if table.has(text, NOW_S + 2)] == [*"345"]


def test_texts_that_compete_cannot_be_chosen() -> None:
    """Two tables, such as an attacker's and a server's, keep their texts at different places."""
    of_attacker, of_server = SharedDigests(64, 1), SharedDigests(64, 1)

    def push_out(table: SharedDigests, text: str) -> bool:
        table.add("victim", NOW_S + 60, NOW_S)
        table.add(text, NOW_S + 99, NOW_S)
        return not table.has("victim", NOW_S)

    chosen = [text for text in map(str, range(10_000)) if push_out(of_attacker, text)]
    assert len(chosen) > 50
    assert sum(push_out(of_server, text) for text in chosen) < len(chosen) / 2


def test_bytes_across_two_entries_are_no_entry() -> None:
    table = SharedDigests(1)
    digest = table._digest("a")
    table._table[8:24] = digest
    assert not table.has("a", 0.0)
    assert table.add("a", NOW_S + 60, NOW_S)
    assert table.has("a", NOW_S)
