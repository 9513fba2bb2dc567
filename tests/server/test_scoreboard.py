"""What the processes know of each other, in one of them."""

import time

import pytest

from lexbridge.server.scoreboard import FRESH_S, Board, State


def test_the_board_knows_who_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(3)
    assert [board.state(slot) for slot in board.slots] == [State.NONE] * 3
    board.write(0, State.READY)
    assert not board.others_are_ready(0)
    assert board.others_are_ready(1)
    for state in (State.BUSY, State.DRAINING, State.STARTING, State.NONE):
        board.write(0, state)
        assert not board.others_are_ready(1)
    board.write(0, State.READY)
    board.is_ending = True
    assert not board.others_are_ready(1)
    board.is_ending = False
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + FRESH_S + 1)
    assert not board.others_are_ready(1)
