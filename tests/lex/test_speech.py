"""The reads of Lex's voice: how much each one waits for."""

import time

import pytest

from lexbridge.lex.speech import Speech

SECOND = 32_000
"""Bytes of a second of audio at 16 kHz."""


class Body:
    """A body of `size` bytes, as botocore gives it. `asked`: what each read asked for."""

    def __init__(self, size: int) -> None:
        self.asked: list[int] = []
        self._left = size

    def read(self, size: int) -> bytes:
        self.asked.append(size)
        size = min(size, self._left)
        self._left -= size
        return bytes(size)

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the monotonic time, which the test sets."""
    now_s = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    return now_s


def test_reads_grow_once_a_second_lies_ahead_of_the_caller(now_s: list[float]) -> None:
    body = Body(3 * SECOND)
    speech = Speech(body, "audio/pcm", 5.0)
    mulaw = b"".join(iter(speech.read, b""))
    assert len(mulaw) == 3 * 8000
    assert now_s == [100.0]
    assert sorted(body.asked) == body.asked
    assert set(body.asked) == {640, 1600, 8000}
    soon = sum(size for size in body.asked if size < 8000)
    assert SECOND < soon <= SECOND + 3200


def test_reads_stay_short_while_the_voice_is_played_as_it_comes(now_s: list[float]) -> None:
    """The caller must not wait for a long read."""
    body = Body(3 * SECOND)
    speech = Speech(body, "audio/pcm", 5.0)
    while mulaw := speech.read():
        now_s[0] += len(mulaw) / 8000
    assert set(body.asked) == {640, 1600}
