"""A process that tells: its log lines, its steps, and the audio of the calls that are followed."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lexbridge import logs
from lexbridge.logs import Log
from lexbridge.telemetry.channel import Channel, read_facts, write_request
from lexbridge.telemetry.facts import Audio, Event, Fact, Follow
from lexbridge.telemetry.teller import Teller


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel(1)
    yield channel
    logs.listen(None)
    channel.close()


def told(channel: Channel) -> list[Fact]:
    facts: list[Fact] = []
    while True:
        try:
            facts += read_facts(channel.observer_ends[0].recv(1 << 20))
        except BlockingIOError:
            return facts


@dataclass(eq=False)
class Stream:
    teller: Teller
    call_sid: str
    is_followed: bool = False
    media_ms: int = 340

    @property
    def stream_sid(self) -> str:
        return f"MZ of {self.call_sid}"

    def tell_audio(self) -> None:
        if self.is_followed:
            self.teller.tell_audio(self.call_sid, "MZ1", 20, "caller", b"\xff" * 160)


def test_lines_of_every_level_are_told_with_the_call(channel: Channel) -> None:
    teller = Teller(channel.sender(0))
    logs.listen(teller.line_logged)
    log = Log(call_sid="CA1").bind(stream_sid="MZ1")
    log.write("debug", "prompt-audible", {"in_ms": 80})
    log.warning("filler-said", turn=2)
    try:
        raise ValueError("secret")
    except ValueError:
        Log().exception("call-broken")
    teller.flush()
    first, second, third = [fact for fact in told(channel) if isinstance(fact, Event)]
    assert (first.level, first.name, first.fields) == ("debug", "prompt-audible", {"in_ms": 80})
    assert (second.call_sid, second.stream_sid, second.fields) == ("CA1", "MZ1", {"turn": 2})
    assert (third.call_sid, third.name, third.fields) == ("", "call-broken", {})


def test_a_line_of_a_served_stream_has_its_media_time(channel: Channel) -> None:
    teller = Teller(channel.sender(0))
    stream = Stream(teller, "CA1")
    teller.add_stream(stream)
    teller.line_logged("info", "no-input", {"call_sid": "CA1", "stream_sid": stream.stream_sid})
    teller.remove_stream(stream)
    teller.line_logged("info", "call-ended", {"call_sid": "CA1", "stream_sid": stream.stream_sid})
    teller.flush()
    assert [fact.media_ms for fact in told(channel) if isinstance(fact, Event)] == [340, -1]


def test_a_listener_that_fails_costs_no_line(channel: Channel) -> None:
    def fail(*_: object) -> None:
        raise ValueError

    logs.listen(fail)
    Log().info("serving")


def test_audio_is_told_of_followed_calls_alone(channel: Channel) -> None:
    teller = Teller(channel.sender(0))
    first, second = Stream(teller, "CA1"), Stream(teller, "CA2")
    for stream in (first, second):
        teller.add_stream(stream)
    teller.flush()
    assert told(channel) == []
    channel.observer_ends[0].send(write_request(Follow(["CA2"])))
    teller.flush()
    assert [fact.call_sid for fact in told(channel) if isinstance(fact, Audio)] == ["CA2"]
    channel.observer_ends[0].send(write_request(Follow([], all_calls=True)))
    teller.flush()
    assert {fact.call_sid for fact in told(channel)} == {"CA1", "CA2"}
    teller.remove_stream(second)
    assert not second.is_followed
    later = Stream(teller, "CA3")
    teller.add_stream(later)
    assert later.is_followed
