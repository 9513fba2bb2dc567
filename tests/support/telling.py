"""Facts that the calls of a test tell: received over a real channel, as the observer receives them."""

from collections.abc import Iterator
from contextlib import contextmanager

import gevent

from lexbridge import logs
from lexbridge.telemetry.channel import Channel, read_facts, write_request
from lexbridge.telemetry.facts import Audio, Event, Fact, Follow
from lexbridge.telemetry.teller import Teller
from tests.support.rig import PATIENCE_S


class Told:
    """The facts so far, and the teller for the bridge."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.facts: list[Fact] = []
        self.teller = Teller(channel.sender(0))

    def follow(self, *call_sids: str, all_calls: bool = False) -> None:
        """Ask for the audio of calls."""
        self._channel.observer_ends[0].send(write_request(Follow(list(call_sids), all_calls)))
        self.teller.flush()

    def read(self) -> None:
        """Read what was told."""
        self.teller.flush()
        while True:
            try:
                self.facts += read_facts(self._channel.observer_ends[0].recv(1 << 20))
            except OSError:  # nothing more yet, or the channel is closed
                return

    def events(self, *names: str) -> list[Event]:
        """Return the events of these names, or all of them."""
        self.read()
        return [fact for fact in self.facts if isinstance(fact, Event) and (not names or fact.name in names)]

    def wait_for(self, name: str, count: int = 1) -> Event:
        """Wait for the event `name`, and return the one that makes `count`."""
        with gevent.Timeout(PATIENCE_S):
            while len(found := self.events(name)) < count:
                gevent.sleep(0.02)
        return found[count - 1]

    def audio(self, track: str) -> list[Audio]:
        """Return the pieces of audio of one track."""
        self.read()
        return [fact for fact in self.facts if isinstance(fact, Audio) and fact.track == track]


@contextmanager
def telling() -> Iterator[Told]:
    """Take what this process tells."""
    channel = Channel(1)
    told = Told(channel)
    logs.listen(told.teller.line_logged)

    def flush() -> None:
        while True:
            told.read()
            gevent.sleep(0.05)

    flushing = gevent.spawn(flush)
    try:
        yield told
    finally:
        flushing.kill()
        told.read()
        logs.listen(None)
        channel.close()
