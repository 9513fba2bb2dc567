"""Much media in little time, through the Bridge: no call waits long for its turn, and too much media is refused."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import gevent
import pytest

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.audio.vad.base import Detector
from lexbridge.bridge.media_count import MEDIA_BURST_S
from lexbridge.call.events import CallEvent, LexReplied
from lexbridge.call.hearing import SLICE_MS
from lexbridge.call.inbound_audio import MAX_FILL_MS
from lexbridge.call.session import CallSession
from lexbridge.lex.runtime import LexRequest, LexResponse
from lexbridge.logs import Log
from lexbridge.net.refused import refused
from lexbridge.net.rfc6455 import Limits
from lexbridge.net.token_bucket import TokenBucket
from tests.support.fixtures import Logged
from tests.support.rehearsal import SILENCE, Rehearsal, RehearsedControl, RehearsedLex, says, wait_until
from tests.support.rig import PATIENCE_S
from tests.support.sounds import tone
from tests.support.twilio_messages import CALL_SID, media_text, stop_text

MINUTE_MS = 60_000


class CountingDetector(Detector):
    """A detector that finds no voice, and counts the frames."""

    frames = 0

    def is_voiced(self, frame: bytes) -> bool:
        CountingDetector.frames += 1
        return False


@pytest.fixture
def heard_ms(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return a function that tells how much media all calls have heard so far."""
    monkeypatch.setattr("lexbridge.bridge.lines.load_detector", lambda *_: CountingDetector)
    CountingDetector.frames = 0
    return lambda: CountingDetector.frames * FRAME_MS


def a_frame(at_ms: int) -> str:
    return media_text(at_ms, SILENCE)


FLOODS = {
    "time that was skipped": [a_frame(n * 6000) for n in range(6)],
    "long messages": [media_text(at_ms, SILENCE * 300) for at_ms in range(0, MINUTE_MS, 6000)],
    "many messages": [a_frame(at_ms) for at_ms in range(0, 19_000, FRAME_MS)],
    "messages behind time that was skipped": [
        *[a_frame(at_ms) for at_ms in range(0, 480, FRAME_MS)],
        *[a_frame(at_ms) for at_ms in range(6480, 6480 + 15_000, FRAME_MS)],
    ],
}


@pytest.mark.parametrize("messages", FLOODS.values(), ids=FLOODS.keys())
def test_no_turn_of_the_loop_hears_more_than_a_second(messages: list[str], heard_ms: Callable[[], int]) -> None:
    turns = []

    def takes_turns() -> None:
        while True:
            turns.append(heard_ms())
            gevent.sleep(0)

    neighbour = gevent.spawn(takes_turns)
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    call.socket.sends([*messages, stop_text()])
    assert call.ended() == 1000
    neighbour.kill()
    turns.append(heard_ms())
    each_ms = [after - before for before, after in pairwise(turns)]
    assert sum(each_ms) == heard_ms() >= 19_000
    assert max(each_ms) <= 1000


def test_a_stop_waits_until_a_call_has_caught_up(logged: Logged) -> None:
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    call.socket.sends([media_text(0, tone(6000)), stop_text()])
    assert call.ended() == 1000
    (ended,) = [line for line in logged() if line["event"] == "stream-ended"]
    assert (ended["how"], ended["media_ms"]) == ("stopped", 6000)


def test_an_answer_waits_until_a_call_has_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the bot's question would be asked in the middle of media that is past already."""
    sessions: list[Any] = []

    class WatchedSession(CallSession):
        replied_at_ms = 0

        def __init__(self, *values: Any) -> None:
            super().__init__(*values)
            sessions.append(self)

        def receive(self, event: CallEvent) -> None:
            if isinstance(event, LexReplied):
                self.replied_at_ms = self.heard_ms
            super().receive(event)

    class LateLex(RehearsedLex):
        def ask(self, request: LexRequest, log: Log) -> LexResponse:
            answer = super().ask(request, log)
            while sessions[0].heard_ms == sessions[0].media_ms:
                gevent.sleep(0)
            return answer

    monkeypatch.setattr("lexbridge.bridge.bridge.CallSession", WatchedSession)
    call = Rehearsal(LateLex(says("Which flowers?")), RehearsedControl())
    call.speaks(voice_ms=1000, silence_ms=700)
    call.socket.sends([a_frame(1700 + 6000 - FRAME_MS)])
    wait_until(lambda: sessions and sessions[0].replied_at_ms)
    assert sessions[0].replied_at_ms == 1700 + 6000
    call.socket.sends([stop_text()])
    assert call.ended() == 1000


# -- media time counts


def skips(times: int) -> list[str]:
    """Return a frame, and another one after each hole of MAX_FILL_MS."""
    return [a_frame(n * (MAX_FILL_MS + FRAME_MS)) for n in range(times + 1)]


def test_more_media_than_two_minutes_at_once_is_too_much(heard_ms: Callable[[], int], logged: Logged) -> None:
    before = refused.totals["too much media"]
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    call.socket.sends(skips(100))
    assert call.ended() == 1008
    assert refused.totals["too much media"] == before + 1
    assert heard_ms() <= 1000 * (MEDIA_BURST_S + PATIENCE_S * 8)
    lines = [line for line in logged() if line["level"] == "warning" and line["event"] != "peer-refused"]
    assert [(line["event"], line["why"], line["call_sid"]) for line in lines] == [
        ("stream-refused", "too much media", CALL_SID)
    ]


def test_media_that_is_too_much_is_not_heard(heard_ms: Callable[[], int]) -> None:
    call = Rehearsal(RehearsedLex(), RehearsedControl(), Limits(rate_hz=0))
    call.socket.sends(skips(100))
    assert call.ended() == 1008
    # The first frame, nineteen holes and the frame after each, and a slice of the media that was too much.
    assert heard_ms() == FRAME_MS + 19 * (MAX_FILL_MS + FRAME_MS) + SLICE_MS


def test_a_socket_with_higher_bounds_brings_more_media() -> None:
    call = Rehearsal(RehearsedLex(), RehearsedControl(), Limits(rate_hz=1e9))
    call.socket.sends([*skips(100), stop_text()])
    assert call.ended() == 1000


def test_a_minute_that_is_skipped_each_minute_is_never_too_much() -> None:
    """Holes of a minute are accepted at the start, and repeatedly while media arrives at its usual pace."""
    media_s, now_s = TokenBucket(Limits().rate_hz * FRAME_MS / 1000, MEDIA_BURST_S), 1000.0
    for _ in range(10):
        assert media_s.take(now_s, 60)
        for _ in range(60 * 50):
            now_s += FRAME_MS / 1000
            assert media_s.take(now_s, FRAME_MS / 1000)


def test_media_time_that_keeps_jumping_is_served_quickly(logged: Logged) -> None:
    """Media time that jumps repeatedly is served: the skipped silence is not heard frame by frame."""
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    call.socket.sends([*[a_frame(at_ms) for at_ms in (0, MINUTE_MS, 10 * MINUTE_MS, 0, 10**9)], stop_text()])
    assert call.ended() == 1000
    (ended,) = [line for line in logged() if line["event"] == "stream-ended"]
    assert ended["media_ms"] == 5 * FRAME_MS + 3 * MAX_FILL_MS
