"""The receiver of facts: each sink gets all of them, and a broken one costs the others nothing."""

from collections.abc import Iterator

import gevent
import msgspec
import pytest

from lexbridge.observer.process import Observer
from lexbridge.telemetry.channel import Channel
from lexbridge.telemetry.facts import Event, Fact, Follow


class Collected:
    """A sink that keeps what it takes."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def take(self, fact: Fact) -> None:
        self.facts.append(fact)

    def close(self, deadline_s: float) -> None:
        pass


class Broken(Collected):
    """A sink that fails at each fact."""

    def take(self, fact: Fact) -> None:
        raise ValueError("secret")


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel(2)
    yield channel
    channel.close()


def tell(channel: Channel, slot: int, name: str) -> None:
    sender = channel.sender(slot)
    sender.add(Event(1.0, "CA1", "MZ1", -1, "info", name, {}))
    sender.flush()


def names(sink: Collected) -> list[str]:
    return [fact.name for fact in sink.facts if isinstance(fact, Event)]


def test_every_sink_gets_the_facts_of_all_workers(channel: Channel) -> None:
    first, second = Collected(), Collected()
    observer = Observer(channel.observer_ends, [first, Broken(), second], follows_all=False)
    observer.start()
    tell(channel, 0, "stream-started")
    tell(channel, 1, "turn-answered")
    with gevent.Timeout(30):
        while len(second.facts) < 2:
            gevent.sleep(0.01)
    assert sorted(names(first)) == sorted(names(second)) == ["stream-started", "turn-answered"]
    observer.stop()


EVENT = msgspec.msgpack.encode([Event(1.0, "CA1", "MZ1", -1, "info", "name", {"a": 1})])


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",
        EVENT.replace(b"name", b"\xff\xff\xff\xff"),
        EVENT.replace(b"\x81\xa1a\x01", b"\x81\xa1a" + b"\x91" * 5000),
    ],
    ids=["empty", "no MessagePack", "no UTF-8", "deep"],
)
def test_an_unreadable_message_costs_itself_alone(channel: Channel, message: bytes) -> None:
    sink = Collected()
    observer = Observer(channel.observer_ends, [sink], follows_all=False)
    channel._tellers[0].send(message)
    tell(channel, 0, "turn-answered")
    observer.take_rest()
    assert names(sink) == ["turn-answered"]


def test_workers_are_asked_for_the_audio_of_calls(channel: Channel) -> None:
    observer = Observer(channel.observer_ends, [], follows_all=False)
    observer.follow(frozenset({"CA2", "CA1"}))
    assert channel.sender(0).asked() == channel.sender(1).asked() == Follow(["CA1", "CA2"])
    observer.follow(frozenset({"CA1", "CA2"}))
    assert channel.sender(0).asked() is None


def test_a_new_worker_is_asked_too(channel: Channel) -> None:
    observer = Observer(channel.observer_ends, [], follows_all=True)
    observer.start()
    gevent.sleep(0)
    assert channel.sender(1).asked() == Follow([], all_calls=True)
    observer.stop()
