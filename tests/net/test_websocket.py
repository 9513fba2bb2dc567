"""The WebSocket and its handler on real connections: what they refuse, how they wait and end."""

import gc
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import gevent
import pytest
from gevent.event import Event
from geventwebsocket.exceptions import WebSocketError

from bench.harness.raw_client import RawClient, client_close, client_message, upgrade_request
from lexbridge.net.http_request import Request
from lexbridge.net.policies import AdmitAll, Admitted
from lexbridge.net.refused import refused
from lexbridge.net.rfc6455 import PING, PONG, TEXT, Limits, Pong
from lexbridge.net.websocket import MediaSocket
from lexbridge.offline.commands.bridge_process import ROOT
from tests.support.fixtures import Logged
from tests.support.socket_server import DEADLINE_S, SHORT, echo, end_of, served


def test_messages_come_in_order_and_pings_are_answered() -> None:
    with served(echo) as address:
        ended = end_of(address, client_message("a") + client_message(b"p", PING) + client_message("b") + client_close())
    assert [message for message in ended.messages if message[0] == PONG] == [(PONG, b"p")]
    assert ended.code == 1000


def test_what_is_received_can_be_sent_back() -> None:
    def first_then_close(websocket: MediaSocket) -> None:
        websocket.send(websocket.receive() or "")
        websocket.close(4000, "enough")
        websocket.close(4001, "twice")
        assert websocket.receive() is None

    with served(first_then_close) as address:
        ended = end_of(address, client_message("\u20ac" * 1000))
    assert ended.messages == ((TEXT, ("\u20ac" * 1000).encode()),)
    assert (ended.code, ended.reason) == (4000, b"enough")


class Recorder:
    """A receiver that notes what it is told, in order, and does with each list of messages what `work` does."""

    def __init__(self, work: Callable[[list[str | bytes | Pong]], object] = list) -> None:
        self._work = work
        self.told: list[str | bytes | Pong | None] = []
        self.over = Event()

    def received(self, messages: list[str | bytes | Pong], now_s: float) -> bool:
        self.told += messages
        self._work(messages)
        return True

    def ended(self) -> None:
        self.told.append(None)
        self.over.set()

    def serve(self, websocket: MediaSocket) -> None:
        """Serve a socket to its end."""
        websocket.deliver_to(self)
        assert self.over.wait(DEADLINE_S)


def test_a_receiver_gets_each_message_in_order_and_then_the_end() -> None:
    recorder = Recorder()
    with served(recorder.serve) as address:
        end_of(address, client_message("a") + client_message(b"p", PING) + client_message("b") + client_close())
    assert recorder.told == ["a", "b", None]


def test_a_pong_follows_the_work_on_what_came_before_its_ping() -> None:
    """A peer that measures how late it is answered sees the work on its messages, and not the reading alone."""
    sockets: list[MediaSocket] = []
    recorder = Recorder(lambda messages: [sockets[0].send(f"worked on {one}") for one in messages])

    def view(websocket: MediaSocket) -> None:
        sockets.append(websocket)
        recorder.serve(websocket)

    with served(view) as address:
        ended = end_of(address, client_message("a") + client_message(b"p", PING) + client_close())
    assert ended.messages == ((TEXT, b"worked on a"), (PONG, b"p"))


def test_a_bug_in_a_receiver_ends_its_socket_and_no_other(logged: Logged) -> None:
    def break_at_b(messages: list[str | bytes | Pong]) -> None:
        if "b" in messages:
            raise RuntimeError("a bug")

    recorder = Recorder(break_at_b)
    with served(recorder.serve) as address, RawClient(address, DEADLINE_S) as good, RawClient(address) as bad:
        for client in (good, bad):
            assert client.upgrade() == 101
        bad.send(client_message("b"))
        assert bad.end().code == 1011
        good.send(client_message("g") + client_close())
        assert good.end().code == 1000
    assert [line["event"] for line in logged() if line["level"] == "error"] == ["reader-broken"]


def test_a_pause_of_the_reading_is_no_silence() -> None:
    paused, sockets = Event(), list[MediaSocket]()

    def pause(_: list[str | bytes | Pong]) -> None:
        if not paused.is_set():
            sockets[0].pause_reading()
            paused.set()

    recorder = Recorder(pause)

    def view(websocket: MediaSocket) -> None:
        sockets.append(websocket)
        recorder.serve(websocket)

    with served(view, timeouts=SHORT) as address, RawClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 101
        client.send(client_message("a"))
        assert paused.wait(DEADLINE_S)
        client.send(client_message("b") + client_close())
        gevent.sleep(1)  # three times `idle_s`
        assert recorder.told == ["a"]
        sockets[0].resume_reading()
        assert client.end().code == 1000
    assert recorder.told == ["a", "b", None]


def test_a_late_receiver_hears_of_the_end() -> None:
    recorder = Recorder()

    def view(websocket: MediaSocket) -> None:
        websocket.close(4000)
        recorder.serve(websocket)
        websocket.resume_reading()  # nothing

    with served(view) as address:
        assert end_of(address, client_message("a")).code == 4000
    assert recorder.told == [None]


def test_a_view_may_leave_its_socket_to_a_receiver() -> None:
    """Nothing of the handshake is kept then: neither the handler, nor the request's environ, nor a greenlet."""

    def greenlets() -> "set[gevent.Greenlet[..., object]]":
        return {found for found in gc.get_objects() if type(found) is gevent.Greenlet and not found.dead}

    class Left:
        """A value of the environ."""

    class Leaving(AdmitAll):
        def check_request(self, request: Request, open_sockets: int) -> Admitted:
            return Admitted(is_trusted=True, environ={"left": Left()})

    recorder = Recorder()
    with served(lambda websocket: websocket.deliver_to(recorder), Leaving()) as address:
        gc.collect()
        before = greenlets()
        with RawClient(address, DEADLINE_S) as client:
            assert client.upgrade() == 101
            gc.collect()
            assert not [found for found in gc.get_objects() if type(found) is Left]
            assert not greenlets() - before
            client.send(client_message("a") + client_close(4321))
            assert client.end().code == 4321
    assert recorder.told == ["a", None]


def test_a_view_that_returns_closes_normally() -> None:
    with served(lambda _: None) as address:
        assert end_of(address).code == 1000


def test_a_view_that_breaks_closes_with_1011_and_is_logged(logged: Logged) -> None:
    def broken(websocket: MediaSocket) -> None:
        raise RuntimeError("a bug")

    with served(broken) as address:
        assert end_of(address).code == 1011
    assert [line["event"] for line in logged() if line["level"] == "error"] == ["socket-broken"]


def test_silence_is_closed_with_1001() -> None:
    with served(echo, timeouts=SHORT) as address:
        ended = end_of(address)
        assert (ended.code, ended.reason) == (1001, b"silent")


@pytest.mark.parametrize(
    "output", [client_message("half")[:7], client_message("x", final=False)], ids=["bytes", "part"]
)
def test_half_a_message_is_silence(output: bytes) -> None:
    with served(echo, timeouts=SHORT) as address:
        assert end_of(address, output).code == 1001


def test_a_peer_that_pings_is_not_silent() -> None:
    with served(echo, timeouts=replace(SHORT, idle_s=2.5)) as address, RawClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 101
        for _ in range(30):
            client.send(client_message(b"", PING))
            gevent.sleep(0.1)  # longer than `idle_s` in all: the test is about real time
        client.send(client_close(4321))
        assert client.end().code == 4321


def test_a_socket_that_is_not_read_waits_and_is_not_silent() -> None:
    taken = Event()

    def late(websocket: MediaSocket) -> None:
        first = websocket.receive()  # which starts the reading
        assert first is not None
        taken.wait(DEADLINE_S)
        websocket.send(first)
        echo(websocket)

    with served(late, timeouts=SHORT) as address, RawClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 101
        client.send(client_message("x") * 400)
        gevent.sleep(1)  # three times `idle_s`
        taken.set()
        client.send(client_close(4321))
        ended = client.end()
        assert (ended.code, len(ended.messages)) == (4321, 400)


def test_a_peer_that_does_not_read_is_cut_off() -> None:
    ended = Event()
    before = refused.totals["output queue full"]

    def flood(websocket: MediaSocket) -> None:
        with suppress(WebSocketError):
            while True:
                websocket.send("x" * 100_000)
        assert websocket.receive() is None
        ended.set()

    with served(flood, timeouts=SHORT) as address, RawClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 101
        assert ended.wait(DEADLINE_S)
    assert refused.totals["output queue full"] == before + 1


def test_a_peer_that_takes_nothing_for_too_long_is_cut_off() -> None:
    ended = Event()
    before = refused.totals["output stalled"]

    def one_speech(websocket: MediaSocket) -> None:
        for _ in range(30):
            websocket.send("x" * 100_000)
        while websocket.receive() is not None:
            pass
        ended.set()

    options = {"timeouts": replace(SHORT, idle_s=60), "limits": Limits(output_bytes=100_000_000)}
    with served(one_speech, **options) as address, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(address)
        client.sendall(upgrade_request())
        assert ended.wait(DEADLINE_S)
    assert refused.totals["output stalled"] == before + 1


def test_what_the_peer_takes_slowly_arrives_whole() -> None:
    def one_speech(websocket: MediaSocket) -> None:
        for _ in range(100):
            websocket.send("x" * 30_000)

    with served(one_speech, timeouts=replace(SHORT, linger_s=DEADLINE_S)) as address:
        ended = end_of(address)
    assert (ended.code, len(ended.messages)) == (1000, 100)


def test_sending_on_a_closed_socket_raises() -> None:
    outcome: list[str] = []

    def after_the_end(websocket: MediaSocket) -> None:
        while websocket.receive() is not None:
            pass
        try:
            websocket.send("late")
        except WebSocketError as error:
            outcome.append(str(error))

    with served(after_the_end) as address:
        end_of(address, client_close())
        assert outcome == ["the socket is closed"]


def test_binary_goes_both_ways_where_it_is_wanted() -> None:
    with served(echo, limits=Limits(binary=True)) as address, RawClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 101
        client.send(client_message(b"\xff", 2) + client_message(b"", 9))
        gevent.sleep(0)
        client.half_close()
        assert (2, b"\xff") in client.end().messages


def test_a_flood_does_not_hold_the_others() -> None:
    turns: list[str] = []

    def noting(websocket: MediaSocket) -> None:
        while (message := websocket.receive()) is not None:
            turns.append(str(message)[:1])

    limits = Limits(rate_hz=1e9, burst=10**9)
    with served(noting, limits=limits) as address, RawClient(address) as flood, RawClient(address) as other:
        for client in (flood, other):
            assert client.upgrade() == 101
        both = (
            gevent.spawn(flood.send, client_message("f" * 100) * 5000),
            gevent.spawn(other.send, client_message("o" * 100) * 50),
        )
        gevent.joinall(both, timeout=DEADLINE_S, raise_error=True)
        with gevent.Timeout(DEADLINE_S):
            while turns.count("o") < 50:
                gevent.sleep(0.01)
    assert turns.index("o") < 2000  # the message arrived long before the flood was over


def test_a_short_fuzz_finds_nothing() -> None:
    """Fuzz the server for a moment. `python -m bench fuzz` does so for long."""
    command = [sys.executable, "-m", "bench", "fuzz", "--connections", "200"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
