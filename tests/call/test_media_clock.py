"""Time that passes while no media comes: what a pong tells, what a stall does not, and what is left without pongs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.call.media_clock import CALM_AFTER_S, NO_PONG_SILENT_S, PULSE_S, QUIET_S, MediaClock
from tests.support.property_tests import examples


class Peer:
    """A peer of the clock at the other end of a network: `one_way_s` each way. What it sends comes in order."""

    def __init__(self, one_way_s=0.0, answers=True):
        self.clock, self.now_s, self.silent_ms = MediaClock(100.0), 100.0, 0
        self.one_way_s, self.answers = one_way_s, answers
        self.pings = []
        self.stalls_until_s = 0.0
        self._coming = []  # (when, what), in order

    def sends(self, what):
        """Media (None), or the pong of a ping."""
        at_s = max(self.now_s + self.one_way_s, self.stalls_until_s, *(at_s for at_s, _ in self._coming[-1:]))
        self._coming.append((at_s, what))

    def passes(self, seconds, media=False):
        """Time, in steps of a frame; each brings `media` if it is so said."""
        until_s, pulse_s = self.now_s + seconds, self.now_s
        while self.now_s < until_s - 0.001:
            self.now_s += 0.02
            if media:
                self.sends(None)
            while self._coming and self._coming[0][0] <= self.now_s:
                _, what = self._coming.pop(0)
                if what is None:
                    self.clock.media_arrived(self.now_s)
                else:
                    self.silent_ms += self.clock.pong_arrived(what)
            if self.now_s >= pulse_s:
                pulse_s += PULSE_S
                ping, silence_ms = self.clock.pulse(self.now_s)
                self.silent_ms += silence_ms
                if ping is not None:
                    self.pings.append(self.now_s)
                    if self.answers:
                        self.sends(ping)


def test_no_ping_is_sent_while_media_comes():
    peer = Peer()
    peer.passes(0.1, media=True)
    assert len(peer.pings) == 1  # only to know whether it answers
    peer.passes(60, media=True)
    assert (len(peer.pings), peer.silent_ms) == (1, 0)


def test_a_short_hole_is_no_silence():
    peer = Peer()
    peer.passes(1, media=True)
    peer.passes(0.26)
    peer.passes(1, media=True)
    assert (len(peer.pings), peer.silent_ms) == (1, 0)


@pytest.mark.parametrize("one_way_s", [0, 0.02, 0.1, 0.4])
def test_a_peer_that_only_pongs_is_silent_up_to_its_last_ping(one_way_s):
    peer = Peer(one_way_s)
    peer.passes(1, media=True)
    came_s = peer.now_s
    peer.passes(QUIET_S + PULSE_S + 2 * one_way_s + 0.04)
    assert peer.silent_ms >= QUIET_S * 1000
    for _ in range(40):
        peer.passes(0.1)
        behind_ms = (peer.now_s - came_s) * 1000 - peer.silent_ms
        assert 0 <= behind_ms <= PULSE_S * 1000 + 2 * one_way_s * 1000 + 60


def test_a_peer_silent_for_long_is_pinged_less_often():
    peer = Peer()
    peer.passes(CALM_AFTER_S + 0.5)
    peer.pings.clear()
    peer.passes(12)
    assert 40 <= len(peer.pings) <= 51
    assert 0 <= (peer.now_s - 100) * 1000 - peer.silent_ms <= 340


@pytest.mark.parametrize("stall_s", [0.8, 1.5, 3, 14])
@pytest.mark.parametrize("answers", [True, False])
def test_a_stalled_network_is_no_silence(stall_s, answers):
    """A network that stalls while media is on its way tells of no silence."""
    peer = Peer(answers=answers)
    peer.passes(1.2, media=True)
    peer.stalls_until_s = peer.now_s + stall_s
    peer.passes(stall_s, media=True)
    peer.passes(1, media=True)
    if answers or stall_s < NO_PONG_SILENT_S:
        assert peer.silent_ms == 0
    else:  # nothing else is known
        assert 0 < peer.silent_ms <= stall_s * 1000


def test_a_peer_silent_during_a_stall_was_silent_throughout():
    peer = Peer()
    peer.passes(1)
    peer.stalls_until_s = peer.now_s + 5
    peer.passes(5.5)
    assert 6200 <= peer.silent_ms <= 6500


def test_a_peer_without_pongs_is_silent_after_a_while():
    peer = Peer(answers=False)
    peer.passes(1, media=True)
    peer.passes(2.4)
    assert peer.silent_ms == 0
    peer.passes(0.6)
    assert 2500 <= peer.silent_ms <= 3000
    peer.passes(20)
    assert 22_500 <= peer.silent_ms <= 23_000
    peer.passes(0.1, media=True)
    silent_ms = peer.silent_ms
    peer.passes(2.4)
    assert peer.silent_ms == silent_ms


def test_time_while_the_process_hung_is_no_silence():
    """The messages that came meanwhile wait behind the pulse."""
    clock = MediaClock(0.0)
    for second in range(1, 10):
        clock.media_arrived(second * 5.0)
        assert clock.pulse(second * 5.0 + 4.9)[1] == 0


def test_after_its_first_pong_only_pongs_tell_of_silence():
    peer = Peer()
    peer.passes(1)
    peer.answers = False
    silent_ms = peer.silent_ms
    peer.passes(30)
    assert peer.silent_ms == silent_ms


@pytest.mark.parametrize("payload", [b"", b"x", b"-5", b"1e3", b"99999999999", b"9" * 100, "٤٠".encode(), b"100401"])
def test_a_pong_that_answers_none_of_our_pings_tells_nothing(payload):
    clock = MediaClock(100.0)
    assert clock.pulse(100.4) == (b"100400", 0)
    assert clock.pong_arrived(payload) == 0
    assert not clock.answers_pings
    assert clock.pong_arrived(b"100400") == 400


def test_a_pong_that_comes_again_or_late_tells_nothing_more():
    clock = MediaClock(100.0)
    pings = [clock.pulse(100.4 + n / 10)[0] for n in range(3)]
    assert [clock.pong_arrived(ping) for ping in (pings[1], pings[0], pings[1], pings[2], b"0")] == [500, 0, 0, 100, 0]


@examples(60)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 200), st.integers(0, 20)), max_size=12), st.booleans())
def test_silence_is_never_more_than_the_time_without_media(story, answers):
    peer = Peer(answers=answers)
    without_ms = 0
    for media, frames, delay in story:
        peer.one_way_s = delay / 100
        peer.passes(frames * 0.02, media=media)
        without_ms += 0 if media else frames * 20 + delay * 10
    assert 0 <= peer.silent_ms <= without_ms + 60
    assert peer.silent_ms % 20 == 0
