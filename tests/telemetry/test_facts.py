"""Facts as they go through the channel: as bytes, and back."""

import msgspec

from lexbridge.telemetry.facts import Audio, Event, Fact


def test_facts_are_the_same_after_the_channel() -> None:
    event = Event(1.5, "CA1", "MZ1", 20, "info", "lex-answered", {"turn": 1}, {"messages": ["Which flowers?"]})
    audio = Audio(1.5, "CA1", "MZ1", 40, "caller", b"\xff" * 160)
    sent = msgspec.msgpack.encode([event, audio])
    assert msgspec.msgpack.decode(sent, type=list[Fact]) == [event, audio]
