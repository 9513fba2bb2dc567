"""Live calls that measure how long the bridge lets them wait: media and a ping every 20 ms, until the pong is here.

Not a measurement itself: a process of its own, one line of JSON when its input ends. A pong comes from where the
messages are read, so its delay is what each message waits.
"""

import argparse
import json
import select
import socket
import struct
import sys
import time
from dataclasses import dataclass, field

from bench.harness.call_messages import media_message
from bench.harness.raw_client import client_message, upgrade_request
from lexbridge.net.rfc6455 import PING, PONG

FRAME_S = 0.020


@dataclass(slots=True)
class Call:
    """One call: its socket, what has come, and when each ping left."""

    number: int
    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)
    sent_at_s: dict[bytes, float] = field(default_factory=dict)
    is_over: bool = False


def open_call(port: int, number: int, signature: str, start: str) -> Call:
    """A media socket on which a stream has started. Raises ConnectionError."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(upgrade_request(headers={"X-Twilio-Signature": signature}))
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(1)  # nothing of what follows
        if not piece:
            raise ConnectionError("the call's socket was not accepted")
        answer += piece
    if not answer.startswith(b"HTTP/1.1 101"):
        raise ConnectionError(answer.decode("latin-1"))
    connection.sendall(client_message(start))
    connection.setblocking(False)
    return Call(number, connection)


def hear(call: Call, delays_ms: list[float]) -> None:
    """Takes what has come of one call."""
    try:
        received = call.connection.recv(65536)
    except BlockingIOError:
        return
    except OSError:
        received = b""
    call.is_over |= not received
    call.received += received
    while len(call.received) >= 2 and len(call.received) >= 2 + (length := call.received[1] & 0x7F):
        payload = bytes(call.received[2 : 2 + length])  # what a bridge sends to a silent caller is short
        if call.received[0] & 0x0F == PONG and (sent_s := call.sent_at_s.pop(payload, None)) is not None:
            delays_ms.append((time.monotonic() - sent_s) * 1000)
        del call.received[: 2 + length]


def run(calls: list[Call], poll: select.poll) -> dict[str, object]:
    """Talks until the input ends. Returns the figures."""
    delays_ms: list[float] = []
    by_descriptor = {call.connection.fileno(): call for call in calls}
    began_s, step, is_told = time.monotonic(), 0, False
    while not is_told:
        call, at = calls[step % len(calls)], step // len(calls)
        stamp = struct.pack("!Q", step)
        if not call.is_over:
            try:
                call.sent_at_s[stamp] = time.monotonic()
                call.connection.send(client_message(media_message(call.number, at)) + client_message(stamp, PING))
            except OSError:
                call.is_over = True
        step += 1
        next_s = began_s + step * FRAME_S / len(calls)
        while True:
            left_ms = max(0.0, (next_s - time.monotonic()) * 1000)
            for descriptor, _ in poll.poll(left_ms):
                if descriptor == sys.stdin.fileno():
                    is_told = not sys.stdin.readline()
                else:
                    hear(by_descriptor[descriptor], delays_ms)
            if time.monotonic() >= next_s or is_told:
                break
    now_s = time.monotonic()
    waiting_ms = [(now_s - sent_s) * 1000 for call in calls for sent_s in call.sent_at_s.values()]
    ordered = sorted(delays_ms) or [float("inf")]
    return {
        "messages": step,
        "p50_ms": ordered[len(ordered) // 2],
        "p99_ms": ordered[len(ordered) * 99 // 100],
        "max_ms": max([ordered[-1], *waiting_ms]),
        "over": sum(call.is_over for call in calls),
    }


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("signature", help="of the handshake")
    parser.add_argument("starts", help="a file with the start messages of the calls, as JSON")
    options = parser.parse_args()
    with open(options.starts, encoding="utf-8") as file:  # noqa: PTH123
        starts: list[str] = json.load(file)
    calls = [open_call(options.port, number, options.signature, start) for number, start in enumerate(starts)]
    poll = select.poll()
    poll.register(sys.stdin.fileno(), select.POLLIN)
    for call in calls:
        poll.register(call.connection.fileno(), select.POLLIN)
    print("ready", flush=True)
    print(json.dumps(run(calls, poll)), flush=True)


if __name__ == "__main__":
    main()
