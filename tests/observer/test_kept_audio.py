"""The audio of one side of a stream: in the order of time, without what is told twice, within bounds."""

import pytest

from lexbridge.observer.calls.kept_audio import MAX_MEDIA_MS, MAX_RUNS, Track
from tests.support.told_facts import FRAME, LOUD_FRAME


def spans(track: Track) -> list[tuple[int, int]]:
    return [(run.start_ms, run.end_ms) for run in track.runs]


def test_pieces_in_a_row_are_one_run() -> None:
    track = Track()
    assert [track.put(at_ms, FRAME) for at_ms in (100, 120, 140)] == [160, 160, 160]
    assert (spans(track), track.end_ms, track.size_bytes) == ([(100, 160)], 160, 480)


@pytest.mark.parametrize(
    ("at_ms", "kept", "found"),
    [
        (20, 160, [(0, 40)]),
        (39, 160, [(0, 40)]),  # the carrier's rounding
        (1, 160, [(0, 40)]),
        (0, 0, [(0, 20)]),
        (40, 320, [(0, 60)]),
        (6020, 160 * 301, [(0, 6040)]),
        (6021, 160, [(0, 20), (6021, 6041)]),
        (MAX_MEDIA_MS + 1, 0, [(0, 20)]),
    ],
)
def test_a_piece_finds_its_place(at_ms: int, kept: int, found: list[tuple[int, int]]) -> None:
    track = Track()
    track.put(0, FRAME)
    assert track.put(at_ms, FRAME) == kept
    assert spans(track) == found


def test_what_overlaps_is_kept_once() -> None:
    track = Track()
    track.put(0, FRAME * 5)
    assert track.put(60, LOUD_FRAME * 5) == 160 * 3
    assert bytes(track.runs[0].mulaw) == FRAME * 5 + LOUD_FRAME * 3


def test_nothing_is_no_piece() -> None:
    track = Track()
    assert track.put(0, b"") == track.put(-5, FRAME) == 0
    track.put(0, FRAME)
    assert track.put(1000, b"") == 0
    assert spans(track) == [(0, 20)]


def test_runs_are_bounded() -> None:
    track = Track()
    for number in range(MAX_RUNS + 5):
        track.play(number * 100, FRAME)
    assert len(track.runs) == MAX_RUNS


def test_the_bot_is_heard_after_what_was_sent_before() -> None:
    track = Track()
    track.play(1000, FRAME * 50)
    track.play(1100, FRAME * 50)
    track.play(9000, FRAME)
    assert spans(track) == [(1000, 3000), (9000, 9020)]


def test_what_is_cleared_was_never_heard() -> None:
    track = Track()
    track.play(0, FRAME * 50)
    track.play(2000, FRAME * 50)
    track.play(5000, FRAME * 50)
    assert track.clear(2500) == 160 * 75
    assert (spans(track), track.unheard) == ([(0, 1000), (2000, 2500)], [(4500, 1500)])
    assert track.clear(2500) == track.clear(9000) == 0
    assert track.clear(2000) == 160 * 25
    assert spans(track) == [(0, 1000)]
    assert track.clear(-50) == 160 * 50
    assert (spans(track), track.end_ms, track.size_bytes) == ([], 0, 0)


def test_what_was_not_heard_is_bounded() -> None:
    track = Track()
    for number in range(MAX_RUNS + 5):
        track.play(number * 20, FRAME)
        track.clear(number * 20 + 10)
    assert len(track.unheard) == MAX_RUNS


def test_a_part_is_told_from_one_place_to_another() -> None:
    track = Track()
    track.play(1000, LOUD_FRAME * 5)
    track.play(2000, FRAME * 5)
    assert list(track.between(0, 1000)) == []
    assert list(track.between(1020, 1040)) == [(1020, LOUD_FRAME)]
    assert list(track.between(1090, 2010)) == [(1090, LOUD_FRAME[80:]), (2000, FRAME[80:])]


def test_a_copy_stays_as_it_is() -> None:
    track = Track()
    track.play(0, FRAME)
    copy = track.copy()
    track.play(20, FRAME)
    assert track.forget() == 320
    assert (spans(copy), spans(track)) == ([(0, 20)], [])
