"""The scoreboard, in a single process."""

import time

import pytest

from lexbridge.server.scoreboard import MAX_HEARTBEAT_AGE_S, Scoreboard, State


def test_the_board_knows_who_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    scoreboard = Scoreboard(3)
    assert [scoreboard.state(slot) for slot in scoreboard.slots] == [State.NONE] * 3
    scoreboard.write(0, State.READY)
    assert not scoreboard.others_are_ready(0)
    assert scoreboard.others_are_ready(1)
    for state in (State.BUSY, State.DRAINING, State.STARTING, State.NONE):
        scoreboard.write(0, state)
        assert not scoreboard.others_are_ready(1)
    scoreboard.write(0, State.READY)
    scoreboard.is_ending = True
    assert not scoreboard.others_are_ready(1)
    scoreboard.is_ending = False
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + MAX_HEARTBEAT_AGE_S + 1)
    assert not scoreboard.others_are_ready(1)
