"""Process of the floods measurement that sends WebSocket messages at full speed on a media socket.

    python -m bench.stress.message_flooder PORT NUMBER SECONDS

Its number decides what it floods with. When the server closes the socket, it connects again. It prints how many bytes
it has sent.
"""

import argparse
import time

from bench.harness.call_messages import media_message, start_message, stream_token
from bench.harness.raw_client import RawClient, client_message
from bench.stress.request_flooder import give_way
from lexbridge.net.rfc6455 import CONTINUATION, PING, TEXT

FLOODS = ("media", "pings", "empty fragments", "bad JSON")


def burst(what: str, number: int) -> bytes:
    """Return about 100 KB of a flood. The first message of the socket comes before it."""
    if what == "media":
        return b"".join(client_message(media_message(number, at)) for at in range(300))
    if what == "pings":
        return client_message(b"", PING) * 15000
    if what == "empty fragments":
        return client_message(b"", CONTINUATION, final=False) * 15000
    return client_message("[" * 60000) * 2


def flood(port: int, number: int, seconds: float) -> int:
    """Send messages for `seconds`, and connect again whenever the server closes the socket. Return the bytes sent."""
    what = FLOODS[number % len(FLOODS)]
    first = client_message(start_message(number, stream_token(number)))
    if what == "empty fragments":
        first = client_message("", TEXT, final=False)
    output = burst(what, number)
    end_s = time.monotonic() + seconds
    sent = 0
    while time.monotonic() < end_s:
        with RawClient(("127.0.0.1", port), deadline_s=60) as client:
            if client.upgrade() != 101:
                continue
            client.send(first)
            while time.monotonic() < end_s and client.send(output):
                sent += len(output)
    return sent


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("number", type=int, help="number of the call that floods, and of what it floods with")
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    give_way()
    print(flood(options.port, options.number, options.seconds))


if __name__ == "__main__":
    main()
