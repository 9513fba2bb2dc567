"""Process in Lex's or Twilio's place that answers oddly.

    python -m bench.stress.odd_answers.server lex endless            # every turn of a call is answered so
    python -m bench.stress.odd_answers.server twilio huge --times 2  # the first two requests are

The first line that it prints is its port. In Twilio's place it prints a line for each document that says something: the
time at which the document came, on the clock that all processes share. It has a low priority, as if it were on another
machine.
"""

import argparse
import os
import socket
import struct
import threading
import time
import urllib.parse

from bench.stress.odd_answers.answers import FLOODS_S, LEX, NO_SESSION, TWILIO, Pieces


class Peer:
    """Server on the loopback interface with a thread for each connection."""

    def __init__(self, kind: str, name: str, times: int) -> None:
        self._is_lex = kind == "lex"
        self._odd = (LEX if self._is_lex else TWILIO)[name]
        self._resets = name == "reset"
        self._odd_left = times
        self._lock = threading.Lock()

    def run(self) -> None:
        """Serve until the process is ended."""
        with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
            print(listener.getsockname()[1], flush=True)
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(2 * FLOODS_S)
                while True:
                    line, body = _request(connection)
                    is_odd = self._takes_odd(line)
                    if is_odd and self._resets:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    for piece in self._odd() if is_odd else self._right(line, body):
                        connection.sendall(piece)
                    if is_odd:
                        return
            except (OSError, EOFError):
                return

    def _right(self, line: str, body: bytes) -> Pieces:
        if self._is_lex and line.startswith("GET"):
            return iter([NO_SESSION])
        if self._is_lex:
            return LEX["right"]()
        if "<Say" in urllib.parse.parse_qs(body.decode()).get("Twiml", [""])[0]:
            print(time.monotonic(), flush=True)
        return TWILIO["right"]()

    def _takes_odd(self, line: str) -> bool:
        if self._is_lex and "/utterance" not in line:
            return False
        with self._lock:
            self._odd_left -= 1
            return self._odd_left >= 0


def _request(connection: socket.socket) -> tuple[str, bytes]:
    """Return the request line and the body. Raises EOFError at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    if "transfer-encoding" in headers:
        while not body.endswith(b"0\r\n\r\n"):
            body += _more(connection)
    while len(body) < int(headers.get("content-length", "0")):
        body += _more(connection)
    return line, body


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise EOFError
    return received


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("lex", "twilio"), help="whose place it takes")
    parser.add_argument("name", help="name of the odd answer")
    parser.add_argument(
        "--times", type=int, default=1 << 30, help="number of requests that are answered oddly (default: all)"
    )
    options = parser.parse_args()
    os.nice(19)
    Peer(options.kind, options.name, options.times).run()


if __name__ == "__main__":
    main()
