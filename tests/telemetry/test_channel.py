"""The channel: what is told arrives in order, nothing waits for a reader, and what is too much is counted."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lexbridge.telemetry import channel as channel_module
from lexbridge.telemetry.channel import Channel, FactSender, read_facts, write_request
from lexbridge.telemetry.facts import Audio, Event, Fact, Follow


def event(number: int) -> Event:
    return Event(float(number), "CA1", "MZ1", -1, "info", "turn-answered", {"turn": number})


def audio(size: int) -> Audio:
    return Audio(0.0, "CA1", "MZ1", 0, "caller", b"\xff" * size)


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel(2)
    yield channel
    channel.close()


def received(channel: Channel, slot: int) -> list[Fact]:
    facts: list[Fact] = []
    while True:
        try:
            facts += read_facts(channel.observer_ends[slot].recv(1 << 20))
        except BlockingIOError:
            return facts


def test_facts_arrive_in_order_from_the_slot(channel: Channel) -> None:
    sender = channel.sender(1)
    told: list[Fact] = [event(1), audio(160), event(2)]
    for fact in told:
        sender.add(fact)
    sender.flush()
    assert received(channel, 1) == told
    assert received(channel, 0) == received(channel, 2) == []


def test_the_supervisor_has_a_pair_of_its_own(channel: Channel) -> None:
    sender = channel.supervisors_sender()
    sender.add(event(7))
    sender.flush()
    assert received(channel, 2) == [event(7)]


def test_much_is_sent_in_messages_of_a_bounded_size(channel: Channel) -> None:
    sender = channel.sender(0)
    for _ in range(20):
        sender.add(audio(8000))
    sender.flush()
    sizes = []
    while True:
        try:
            sizes.append(len(channel.observer_ends[0].recv(1 << 20)))
        except BlockingIOError:
            break
    assert len(sizes) > 1
    assert max(sizes) < 2 * channel_module.MAX_MESSAGE_BYTES


def fill(sender: FactSender, facts: int) -> None:
    for number in range(facts):
        sender.add(event(number))
        sender.flush()


def test_an_absent_reader_costs_bounded_memory(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "MAX_WAITING_FACTS", 50)
    sender = channel.sender(0)
    fill(sender, 20_000)
    assert sender.dropped > 0
    assert len(sender._waiting) <= 50
    first = received(channel, 0)
    sender.flush()
    later = received(channel, 0)
    assert len(first) + len(later) + sender.dropped == 20_000
    numbers = [fact.fields["turn"] for fact in first + later if isinstance(fact, Event)]
    assert numbers == sorted(numbers)


def test_audio_that_waits_is_bounded_by_its_bytes(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "MAX_WAITING_AUDIO_BYTES", 1000)
    sender = channel.sender(0)
    for _ in range(3):
        sender.add(audio(400))
    assert sender.dropped == 1
    sender.flush()
    sender.add(audio(400))
    assert sender.dropped == 1


def test_the_newest_request_counts(channel: Channel) -> None:
    sender = channel.sender(0)
    assert sender.asked() is None
    channel.observer_ends[0].send(write_request(Follow(["CA1"])))
    channel.observer_ends[0].send(write_request(Follow(["CA2"], all_calls=True)))
    assert sender.asked() == Follow(["CA2"], all_calls=True)
    channel.observer_ends[0].send(b"\xc1")
    assert sender.asked() is None


def test_a_channel_makes_no_hub() -> None:
    made = subprocess.run(
        [
            sys.executable,
            "-c",
            "from gevent import monkey; monkey.patch_all()\n"
            "from gevent._hub_local import get_hub_if_exists\n"
            "from lexbridge.telemetry.channel import Channel\n"
            "Channel(2).supervisors_sender().flush()\n"
            "assert get_hub_if_exists() is None",
        ],
        timeout=60,
        check=False,
    )
    assert made.returncode == 0


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = {"in": value}
    return value


ODD_ANSWERS = {
    "half of a surrogate pair": {"a\ud800": "b\ud800"},
    "a number of 100 bits": {"n": 1 << 100},
    "a number of 5,000 digits": {"n": 10**5000},
    "deep nesting": nested(100_000),
    "an odd type": {"x": object(), "y": [{1}]},
    "2 MB": {"x": "y" * 2_000_000},
    "no number": {"x": float("nan"), "y": float("-inf")},
}


@pytest.mark.parametrize("kind", ODD_ANSWERS)
def test_an_odd_answer_of_lexs_hides_no_event(channel: Channel, kind: str) -> None:
    raw = ODD_ANSWERS[kind]
    sender = channel.sender(0)
    sender.add(event(1))
    words = {"transcript": "roses", "raw": raw}
    sender.add(Event(2.0, "CA1", "MZ1", 20, "debug", "lex-answered", {"turn": 2}, words))
    sender.add(event(3))
    sender.flush()
    found = [fact for fact in received(channel, 0) if isinstance(fact, Event)]
    assert [fact.fields["turn"] for fact in found] == [1, 2, 3]
    assert sender.dropped == 0
    assert found[1].words.get("transcript") == (None if kind == "2 MB" else "roses")


def test_all_events_of_a_message_that_is_lost_are_counted(channel: Channel) -> None:
    sender = channel.sender(0)
    for number in range(3):
        sender.add(event(number))
    channel._tellers[0].close()
    sender.flush()
    assert sender.dropped == 3


def test_audio_that_cannot_be_sent_is_counted(channel: Channel) -> None:
    sender = channel.sender(0)
    sender.add(Audio(0.0, "CA1", "MZ1", 1 << 80, "caller", b"1"))
    sender.add(event(1))
    sender.flush()
    assert received(channel, 0) == [event(1)]
    assert sender.dropped == 1
