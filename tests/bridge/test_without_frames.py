"""Phones that send nothing while the caller is silent, and networks that only stall.

All over real sockets, in real time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent import socket
from gevent.server import StreamServer

from lexbridge.audio.pcm import PCM_BYTES_PER_MS, decode_mulaw
from lexbridge.net.rfc6455 import Pong
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.twilio.events import BOT_HUNG_UP, StreamOpened
from lexbridge.offline.twilio.stream_handshake import StreamConnection
from tests.support.fixtures import Logged
from tests.support.rehearsal import SILENCE, VOICE, Rehearsal, RehearsedControl, RehearsedLex, says, wait_until
from tests.support.rig import PATIENCE_S, HummingVoice, Rig, running
from tests.support.rig import says as a_caller_who_says
from tests.support.twilio_messages import media_text, stop_text

MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])
PHRASE = "I would like to order flowers"


def turns_of(rig: Rig) -> list[LexRequest]:
    """Return the caller's turns at Lex."""
    return [request for request in rig.lex.requests if request.operation == "PostContent"]


def lines(logged: Logged, event: str) -> list[dict[str, object]]:
    """Return the log lines of `event`."""
    return [line for line in logged() if line["event"] == event]


@MODES
def test_a_caller_without_frames_is_answered_like_any_other(mode: str, logged: Logged) -> None:
    lengths = []
    for sends_silence in (True, False):
        with running([PHRASE], pace=1, lex_voice=HummingVoice(), REPLY_MODE=mode, GREETING="Hi.") as rig:
            caller = a_caller_who_says()
            call = rig.place_call(caller, sends_silence=sends_silence)
            call.wait_for(StreamOpened, PATIENCE_S)
            gevent.sleep(0.5)
            caller.say(PHRASE)
            wait_until(lambda rig=rig: [request for request in turns_of(rig) if request.status])
            call.hang_up()
            rig.ended(call)
        (turn,) = turns_of(rig)
        assert not turn.aborted
        lengths.append(len(turn.audio))
    with_frames, without = lines(logged, "stream-ended")
    assert with_frames["silent_ms"] == 0
    assert int(str(without["silent_ms"])) > 500  # most of the hangover's 700
    # Lex receives the same audio: the missing silence is filled in to the frame.
    assert abs(lengths[0] - lengths[1]) <= 600 * PCM_BYTES_PER_MS  # pings and pongs take their time on a busy machine


@MODES
def test_a_caller_without_frames_is_asked_again_and_left(mode: str, logged: Logged) -> None:
    variables = {"REPLY_MODE": mode, "NO_INPUT_S": "1", "NO_INPUT_LIMIT": "1", "GREETING": "Hi."}
    with running(pace=1, lex_voice=HummingVoice(), **variables) as rig:
        call = rig.place_call(a_caller_who_says(), sends_silence=False)
        assert rig.ended(call).reason in BOT_HUNG_UP
    assert [line["ends_call"] for line in lines(logged, "no-input")] == [False, True]
    assert len([event for event in call.events if isinstance(event, StreamOpened)]) == 1
    assert not [line for line in logged() if line["level"] in ("warning", "error")]


def test_a_silent_caller_without_pongs_is_asked_again_too(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamConnection, "pong", lambda *_: None)
    with running(pace=1, NO_INPUT_S="1", NO_INPUT_LIMIT="0", GREETING="Hi.") as rig:
        rig.ended(rig.place_call(a_caller_who_says(), sends_silence=False))
    assert [line["ends_call"] for line in lines(logged, "no-input")] == [True]


class Network:
    """A TCP proxy in front of `target` that can hold back the data of both directions."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._flows = gevent.event.Event()
        self._flows.set()
        self._server = StreamServer(("127.0.0.1", 0), self._carry_both_ways)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stall(self, seconds: float) -> None:
        """Hold all data back for `seconds`."""
        self._flows.clear()
        gevent.sleep(seconds)
        self._flows.set()

    def close(self) -> None:
        """End every connection."""
        self._server.stop(timeout=0)

    def _carry_both_ways(self, near: socket.socket, _: object) -> None:
        far = socket.create_connection(self._target)
        there = gevent.spawn(self._carry, near, far)
        self._carry(far, near)
        there.kill()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while received := source.recv(65536):
                self._flows.wait()
                sink.sendall(received)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            sink.close()


@contextmanager
def network_to(rig: Rig) -> Iterator[Network]:
    """Yield a network between Twilio and the bridge."""
    host, port = rig.base.removeprefix("http://").split(":")
    network = Network((host, int(port)))
    try:
        yield network
    finally:
        network.close()


@MODES
@pytest.mark.parametrize("stall_s", [0.8, 1.5, 3])
def test_a_network_that_stalls_in_mid_sentence_costs_no_word(stall_s: float, mode: str) -> None:
    with (
        running([PHRASE], pace=1, lex_voice=HummingVoice(), REPLY_MODE=mode, GREETING="Hi.") as rig,
        network_to(rig) as network,
    ):
        caller = a_caller_who_says()
        call = rig.place_call(caller, connect_to=network.url)
        call.wait_for(StreamOpened, PATIENCE_S)
        gevent.sleep(0.5)
        caller.say(PHRASE)
        gevent.sleep(0.6)
        network.stall(stall_s)
        wait_until(lambda: [request for request in turns_of(rig) if request.status])
        gevent.sleep(1)
        call.hang_up()
        rig.ended(call)
    (turn,) = turns_of(rig)
    assert len(turn.audio) >= (len(PHRASE) * 40 + 700) * PCM_BYTES_PER_MS
    assert turn.audio in decode_mulaw(bytes(call.line.caller_mulaw))


# -- with doubles: the order of media and pongs


def a_call(lex: RehearsedLex, pong: Callable[[bytes], bytes | None]) -> Rehearsal:
    """Return a call whose peer answers each ping with what `pong` returns for it, if anything."""
    call = Rehearsal(lex, RehearsedControl())
    call.socket.pong = pong
    return call


def test_an_utterance_ends_by_pongs_alone() -> None:
    lex = RehearsedLex(says("Which flowers?"))
    control = RehearsedControl()
    call = Rehearsal(lex, control)
    call.socket.pong = lambda payload: payload
    call.socket.sends([media_text(at_ms, VOICE) for at_ms in range(0, 600, 20)])
    wait_until(lambda: control.documents)
    assert "Which flowers?" in control.documents[0]
    call.socket.sends([stop_text()])
    assert call.ended() == 1000
    assert call.socket.pings


def test_media_that_comes_before_the_pong_is_heard_before_it(logged: Logged) -> None:
    call = a_call(RehearsedLex(), lambda _: None)
    call.socket.sends([media_text(0, SILENCE)])
    wait_until(lambda: len(call.socket.pings) > 3)
    ping = call.socket.pings[-1]
    call.socket.sends([media_text(20, SILENCE), Pong(ping), Pong(ping), Pong(b"nonsense"), stop_text()])
    assert call.ended() == 1000
    (ended,) = lines(logged, "stream-ended")
    assert (ended["media_ms"], ended["silent_ms"]) == (40, 0)


def test_no_ping_before_the_stream_or_after_its_end() -> None:
    """The socket is not pinged before the stream starts, and not after the last message."""
    call = a_call(RehearsedLex(), lambda payload: payload)
    call.socket.sends([media_text(0, SILENCE), stop_text()])
    assert call.ended() == 1000
    pings = len(call.socket.pings)
    gevent.sleep(0.8)
    assert len(call.socket.pings) == pings
