"""The survival bench still runs: a few calls, nothing disturbed."""

import subprocess
import sys

import pytest

from bench.counting_lex import Session, turns_of
from bench.marked_audio import FRAME_MS, MOST_TURNS, SILENCE, SPEECH_MS, frame_of, turn_in
from bench.webhooks import Overrides, read_overrides
from lexbridge.audio import decode_mulaw, rms
from lexbridge.offline.bridge_process import ROOT

WHOLE = SPEECH_MS // FRAME_MS


def heard(*frames: bytes) -> int | None:
    return turn_in(decode_mulaw(b"".join(frames)))


def test_every_turn_is_heard_as_itself_and_is_far_above_the_threshold_of_voice() -> None:
    for turn in range(1, MOST_TURNS + 1):
        assert heard(SILENCE, *[frame_of(turn)] * WHOLE, SILENCE) == turn
        assert rms(decode_mulaw(frame_of(turn))) > 1000


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [SILENCE] * 3,
        [frame_of(3)] * (WHOLE - 1),
        [frame_of(3)] * (WHOLE + 1),
        [frame_of(3)] * 5 + [SILENCE] + [frame_of(3)] * (WHOLE - 5),
        [frame_of(3)] * (WHOLE - 1) + [frame_of(4)],
        [frame_of(3)] * WHOLE + [SILENCE] + [frame_of(3)] * WHOLE,
        [b"\x20" * 160] * WHOLE,
    ],
)
def test_audio_that_is_not_one_whole_turn_is_not_understood(frames: list[bytes]) -> None:
    assert heard(*frames) is None


def test_a_session_ends_with_its_last_turn() -> None:
    session = Session(turns=2)
    prompts = []
    for expected in (1, 2, 3):
        session.expected = expected
        prompts.append((session.prompt, session.state()["dialogAction"]["type"]))
    assert prompts == [("turn 1", "ElicitSlot"), ("turn 2", "ElicitSlot"), ("done", "Close")]


def test_how_many_turns_a_call_takes_follows_from_its_sid() -> None:
    assert {turns_of(f"CA{number:032x}", 5, 15) for number in range(100)} == set(range(5, 16))


def test_connection_overrides_are_read_from_the_fragment() -> None:
    assert read_overrides("") == Overrides(1, frozenset({"ct"}), 5.0, 15.0, 15.0)
    assert read_overrides("rc=2&rp=all") == Overrides(2, frozenset({"all"}), 5.0, 15.0, 15.0)
    assert read_overrides("rc=3&rp=4xx,rt&ct=500&rt=700&tt=900") == Overrides(
        3, frozenset({"4xx", "rt"}), 0.5, 0.7, 0.9
    )


@pytest.mark.parametrize("fragment", ["rc=6", "rp=sometimes", "ct=50", "retries=2", "rc=two"])
def test_connection_overrides_that_twilio_does_not_know_are_an_error(fragment: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_overrides(fragment)


def test_the_smallest_run_finishes_every_call_and_loses_nothing() -> None:
    """In a process of its own, as it is run by hand: it does not go with gevent's patches."""
    arguments = ["--calls", "5", "--turns", "3", "--ramp", "0.5"]
    ran = subprocess.run(
        [sys.executable, "-m", "bench.survival", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    rows = dict(line.split("  ", 1) for line in ran.stdout.splitlines() if "  " in line)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert {name: rows[name].strip() for name in ("calls finished", "turns counted by Lex", "turns counted twice")} == {
        "calls finished": "5 of 5",
        "turns counted by Lex": "15",
        "turns counted twice": "0",
    }
