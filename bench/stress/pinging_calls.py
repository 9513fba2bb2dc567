"""Live calls that measure how long their messages wait: media and a ping every 20 ms, and the time to the pong.

    python -m bench.stress.pinging_calls PORT SIGNATURE STARTS

It prints one line of JSON when its input ends. The server answers a ping once it has worked on the messages before it,
so the delay of the pong is the time that each message waits.
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
    """One call: its socket, the bytes received, and the times at which pings were sent."""

    number: int
    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)
    sent_at_s: dict[bytes, float] = field(default_factory=dict)
    is_over: bool = False


def open_call(port: int, number: int, signature: str, start: str) -> Call:
    """Return a call whose stream has started. Raises ConnectionError."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(upgrade_request(headers={"X-Twilio-Signature": signature}))
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(1)  # not a byte more than the answer
        if not piece:
            raise ConnectionError("the call's socket was not accepted")
        answer += piece
    if not answer.startswith(b"HTTP/1.1 101"):
        raise ConnectionError(answer.decode("latin-1"))
    connection.sendall(client_message(start))
    connection.setblocking(False)
    return Call(number, connection)


def take_received(call: Call, delays_ms: list[float]) -> None:
    """Take what one call has received."""
    try:
        received = call.connection.recv(65536)
    except BlockingIOError:
        return
    except OSError:
        received = b""
    call.is_over |= not received
    call.received += received
    while len(call.received) >= 2 and len(call.received) >= 2 + (length := call.received[1] & 0x7F):
        payload = bytes(call.received[2 : 2 + length])  # the service sends only short messages to a silent caller
        if call.received[0] & 0x0F == PONG and (sent_s := call.sent_at_s.pop(payload, None)) is not None:
            delays_ms.append((time.monotonic() - sent_s) * 1000)
        del call.received[: 2 + length]


def run(calls: list[Call], poll: select.poll) -> dict[str, object]:
    """Send until the input ends. Return the figures."""
    delays_ms: list[float] = []
    by_descriptor = {call.connection.fileno(): call for call in calls}
    began_s, step, has_ended = time.monotonic(), 0, False
    while not has_ended:
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
                    has_ended = not sys.stdin.readline()
                else:
                    take_received(by_descriptor[descriptor], delays_ms)
            if time.monotonic() >= next_s or has_ended:
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
    """Run the process."""
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
