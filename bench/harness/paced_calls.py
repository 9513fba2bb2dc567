"""Calls that send a media message every 20 ms, on many sockets, in a process of their own.

    python -m bench.harness.paced_calls PORT CALLS SECONDS --stamped

Stamped messages carry the time at which they were sent, on the clock that all processes share.
"""

import argparse
import socket
import subprocess
import sys
import time

from bench.harness.call_messages import media_message, start_message, stream_token
from bench.harness.raw_client import RawClient, client_close, client_message
from bench.harness.settings import ROOT

FRAME_S = 0.020


def run(address: tuple[str, int], calls: int, seconds: float, stamped: bool) -> int:
    """Send the messages of the calls at their pace, evenly spread. Return the number of media messages sent."""
    clients = []
    for number in range(calls):
        client = RawClient(address)
        if client.upgrade() != 101:
            raise ConnectionError("the call was not accepted")
        client._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(client_message(start_message(number, stream_token(number))))
        clients.append(client)
    began_s = time.monotonic()
    sent = 0
    for step in range(round(seconds / FRAME_S) * calls):
        number, at = step % calls, step // calls
        ahead_s = began_s + step * FRAME_S / calls - time.monotonic()
        if ahead_s > 0:
            time.sleep(ahead_s)
        clients[number].send(client_message(media_message(number, at, time.monotonic_ns() if stamped else None)))
        sent += 1
    for client in clients:
        client.send(client_close())
        client.drop()
    return sent


class PacedCalls:
    """Process of `calls` paced calls that last `seconds`."""

    def __init__(self, address: tuple[str, int], calls: int, seconds: float, stamped: bool = True) -> None:
        arguments = [str(address[1]), str(calls), str(seconds), *(["--stamped"] if stamped else [])]
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "bench.harness.paced_calls", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        self._seconds = seconds

    def sent(self) -> int:
        """Wait for the end of the calls. Return how many media messages they have sent, or -1 if they broke off."""
        output, _ = self._process.communicate(timeout=self._seconds + 120)
        return int(output or -1)


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind in (("port", int), ("calls", int), ("seconds", float)):
        parser.add_argument(name, type=kind)
    parser.add_argument("--stamped", action="store_true")
    options = parser.parse_args()
    print(run(("127.0.0.1", options.port), options.calls, options.seconds, options.stamped))


if __name__ == "__main__":
    main()
