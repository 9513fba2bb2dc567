"""The count of a stream's media: messages in which nothing happened are taken in later, and as of when they came."""

from typing import Any

import pytest

from lexbridge.bridge.media_count import MEDIA_BURST_S, MediaCount
from lexbridge.bridge.media_watch import LOOK_AGAIN_S
from lexbridge.bridge.stream_check import StreamRefused
from lexbridge.call.events import SilencePassed
from lexbridge.logs import Log
from tests.support.rehearsal import RehearsedSocket


class Counted:
    """A session as the count sees it. `passed_ms`: the silence that it was told of."""

    def __init__(self) -> None:
        self.media_ms = 0
        self.passed_ms = 0

    def receive(self, event: SilencePassed) -> None:
        self.media_ms += event.ms
        self.passed_ms += event.ms


@pytest.fixture
def session() -> Counted:
    return Counted()


@pytest.fixture
def media(session: Any) -> MediaCount:
    """Return the count of a stream that began at 100 s, and whose peer was pinged at once."""
    count = MediaCount(session, RehearsedSocket())
    count.watch.start(100.0)
    count.pulse(100.0, Log())
    return count


def brings_quiet(media: MediaCount, session: Counted, messages: int, now_s: float) -> None:
    """Bring messages in which nothing happens, as a live call takes them."""
    session.media_ms += messages * 20
    media.quiet_messages += messages
    media.quiet_s = now_s


def test_the_clock_looks_away_while_quiet_messages_come(media: MediaCount, session: Counted) -> None:
    for now_s in (100.1, 100.2, 100.3):
        brings_quiet(media, session, 5, now_s)
    media.pulse(100.35, Log())
    assert media.watch.look_from_s == 100.3 + LOOK_AGAIN_S
    assert media.quiet_messages == session.passed_ms == 0


def test_silence_counts_from_the_last_quiet_message_on(media: MediaCount, session: Counted) -> None:
    brings_quiet(media, session, 10, 100.2)
    media.pong_arrived(b"100000", 100.25)  # to the first ping, so this peer answers pings
    media.watch._clock._pinged_ms = 101_000  # type: ignore[union-attr]
    media.pong_arrived(b"101000", 101.1)
    assert session.passed_ms == 800
    media.look(101.1)
    assert media.watch.look_from_s == 100.2 + LOOK_AGAIN_S  # silence that passed is no media


def test_quiet_messages_and_other_media_share_one_bound(media: MediaCount, session: Counted) -> None:
    brings_quiet(media, session, 50, 200.0)
    session.media_ms += int(MEDIA_BURST_S * 1000) - 1000
    media.look(200.0)
    brings_quiet(media, session, 1, 200.0)
    with pytest.raises(StreamRefused, match="too much media"):
        media.pulse(200.0, Log())
