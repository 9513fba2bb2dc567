"""Fuzz of the whole service: connections whose correct bytes are broken at random.

Three of four connections are calls on a media socket; the others are HTTP requests with odd targets, lengths, chunks
and hosts. A connection that ends with a close frame must have a legal code, one that ends with an HTTP answer an
expected status, and none may hang. Afterwards the server must be as before: no traceback, and no more descriptors,
greenlets or memory than after the first tenth. Exit status 1 otherwise. The same seed makes the same bytes.
"""

import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import gevent
from gevent.pool import Pool

from bench.harness.arguments import add_seed, make_parser
from bench.harness.call_messages import media_message, start_message, stream_token
from bench.harness.raw_client import MASK, RawClient, client_close, client_message, upgrade_request
from bench.harness.report import table
from bench.harness.socket_server import SocketServer
from lexbridge.net.close_codes import is_legal_code

Part = TypeVar("Part")

HANG_S = 30
STATUSES = {100, 101, 200, 400, 403, 404, 405, 411, 413, 414, 426, 431}
SPARE_DESCRIPTORS, SPARE_GREENLETS, SPARE_MB = 5, 20, 10


def right_bytes(rng: random.Random) -> list[bytes]:
    """Return a short call as a client would send it, in pieces."""
    number = rng.randrange(1000)
    pieces = [
        client_message(start_message(number, stream_token(number, f"{rng.getrandbits(64):016x}"))),
        *(client_message(media_message(number, at)) for at in range(4)),
    ]
    more = [
        client_message(rng.randbytes(rng.randrange(200)), rng.randrange(16), final=rng.random() < 0.7),
        client_message(b"p", 9),
        client_message('{"event":"mark","mark":{"name":"m"}}'),
        client_message(b'{"event":', 1, final=False) + client_message(b'"x"}', 0),
        client_message(length=rng.getrandbits(rng.randrange(1, 64)), reserved=rng.choice((0, 0, 0x40))),
        client_message(rng.choice(("[" * 5000, "{}", "null", '{"event":"media"}', "\u20ac" * 50))),
        client_message(b"x", mask=rng.choice((None, MASK, b"\0\0\0\0"))),
    ]
    pieces += rng.sample(more, rng.randrange(4))
    rng.shuffle(pieces)
    return [upgrade_request(), *pieces, client_close(rng.choice((1000, 1001, 4000, rng.randrange(65536))))]


# Parts of a request: correct ones, and others.
METHODS = ("GET", "POST"), ("HEAD", "OPTIONS", "get", "CONNECT", "G\t", "")
TARGETS = (
    ("/", "/ping", "/ready", "/twiml", "/twiml/keys?of=x", "/nothing", "/%2f", "/../ping", "/;x"),
    ("", "?", "?x=1", "*", "ping", "//", "//x/ping", "http://evil.example/", "x:80", "/#x", "/\\x", "/\x80", "#", "."),
)
VERSIONS = ("HTTP/1.1",), ("HTTP/1.0", "HTTP/0.9", "HTTP/1.10", "HTTP/2.0", "http/1.1", "")
HOSTS: tuple[Sequence[tuple[str, ...]], Sequence[tuple[str, ...]]] = (
    (("Host: x",),),
    ((), ("Host: a", "Host: b"), ("Host: [::1",), ("Host: x/y",), ("host:",)),
)
LENGTHS = (
    ("0", "3", "5", "8192"),
    ("05", "+5", "-1", "1_0", "0x5", "5,5", "5, 6", "\xb2", "", " ", "8193", "9" * 30, "1e3", "5 5"),
)
ENCODINGS = ("chunked", "Chunked", "identity", "gzip, chunked", "xchunked", "", "chunked;x", "\tchunked")
EXTRAS = (
    *("Expect: 100-continue", "Connection: close", "Connection: keep-alive, Upgrade", "Upgrade: websocket", "X_Y: 1"),
    *("X: a\rb", " folded", "X : 1", "Content-Type: application/x-www-form-urlencoded", "Transfer_Encoding: chunked"),
    *("X-Twilio-Signature: " + "A" * 27 + "=", "X-Twilio-Signature: \xff", "Sec-WebSocket-Version: 13", ": x"),
)


def odd_request(rng: random.Random) -> bytes:
    """Return an HTTP request of which any part may be wrong."""

    def part(choices: tuple[Sequence[Part], Sequence[Part]]) -> Part:
        right, others = choices
        return rng.choice(right if rng.random() < 0.85 else others)

    lines = [f"{part(METHODS)} {part(TARGETS)} {part(VERSIONS)}", *part(HOSTS)]
    lines += [f"Content-Length: {part(LENGTHS)}" for _ in range(rng.choice((0, 0, 1, 1, 1, 2)))]
    lines += [f"Transfer-Encoding: {rng.choice(ENCODINGS)}" for _ in range(rng.choice((0, 0, 0, 0, 0, 1, 2)))]
    lines += rng.sample(EXTRAS, rng.choice((0, 0, 1, 2)))
    end = "\r\n" if rng.random() < 0.9 else rng.choice(("\n", "\r"))
    head = end.join([*lines, "", ""]).encode("latin-1")
    chunk = b"%b%b\r\na\r\n" % (rng.choice((b"1", b"01", b"+1", b"fffffffff", b"g")), rng.choice((b"", b";x=y")))
    chunks = chunk * rng.randrange(40) + b"0\r\n\r\n"
    return head + rng.choice((b"", b"a=b&c", rng.randbytes(rng.randrange(9000)), chunks))


def broken_bytes(rng: random.Random) -> bytes:
    """Return the bytes of a call, or of requests, with up to five mistakes."""
    is_call = rng.random() < 0.75
    pieces = right_bytes(rng) if is_call else [odd_request(rng) for _ in range(rng.randrange(1, 4))]
    if rng.random() < 0.2:  # otherwise the mistakes are after the handshake
        output = bytearray(b"".join(pieces))
        first = 0
    else:
        output = bytearray(b"".join(pieces))
        first = len(pieces[0])
    for _ in range(rng.randrange(6)):
        at = rng.randrange(first, len(output)) if first < len(output) else 0
        mistake = rng.randrange(4)
        if mistake == 0 and output:
            output[at % len(output)] ^= 1 << rng.randrange(8)
        elif mistake == 1:
            del output[at : at + rng.randrange(20)]
        elif mistake == 2:
            output[at:at] = rng.randbytes(rng.randrange(20))
        else:
            del output[at + rng.randrange(1, 400) :]
    return bytes(output)


def connect(address: tuple[str, int], seed: int) -> str:
    """Make one connection. Return how it ended."""
    rng = random.Random(seed)
    output = broken_bytes(rng)
    with RawClient(address, HANG_S) as client:
        cuts = sorted(rng.randrange(len(output) + 1) for _ in range(rng.randrange(4)))
        for start, end in zip([0, *cuts], [*cuts, len(output)], strict=True):
            client.send(output[start:end])
            if rng.random() < 0.3:
                gevent.sleep(0.001)
        if rng.random() < 0.1:
            client.reset()
            return "reset by us"
        try:
            client.half_close()
        except OSError:
            return "cut"
        ended = client.end(upgraded=False)
    if ended.code is not None:
        return f"close {ended.code}" if is_legal_code(ended.code) else f"ILLEGAL close {ended.code}"
    if ended.status is None:
        return "cut"
    return f"HTTP {ended.status}" if ended.status in STATUSES else f"UNEXPECTED HTTP {ended.status}"


def run(connections: int, seed: int, parallel: int = 20) -> tuple[Counter[str], list[str]]:
    """Make the connections. Return the number of each ending, and what is wrong."""
    endings: Counter[str] = Counter()

    def one(number: int) -> None:
        try:
            endings[connect(server.address, seed * 1_000_003 + number)] += 1
        except TimeoutError:
            endings["HANG"] += 1
        except OSError as error:
            endings[f"cut ({type(error).__name__})"] += 1

    pool = Pool(parallel)
    with SocketServer("ours") as server:
        states = []
        for first, last in ((0, connections // 10), (connections // 10, connections)):
            for number in range(first, last):
                pool.spawn(one, number)
            pool.join()
            time.sleep(3)  # sockets that linger have closed by then
            states.append(server.ask())
        wrong = [
            f"{count} {kind}" for kind, count in endings.items() if kind.split()[0] in ("HANG", "ILLEGAL", "UNEXPECTED")
        ]
        if not server.is_running:
            wrong.append("the server is gone")
        if tracebacks := server.tracebacks():
            wrong.append(f"{tracebacks} tracebacks")
    before, after = states
    for what, spare in (
        ("descriptors", SPARE_DESCRIPTORS),
        ("greenlets", SPARE_GREENLETS),
        ("resident_mb", SPARE_MB),
    ):
        print(f"{what}: {before[what]:.0f} after a tenth, {after[what]:.0f} at the end")
        if after[what] > before[what] + spare:
            wrong.append(f"{what} leak")
    return endings, wrong


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("fuzz", __doc__)
    parser.add_argument("--connections", type=int, default=100_000, help="number of connections (default: %(default)s)")
    add_seed(parser, 1, "the bytes")
    options = parser.parse_args(arguments)
    began_s = time.monotonic()
    endings, wrong = run(options.connections, options.seed)
    print(table([["ending", "connections"], *([kind, str(count)] for kind, count in endings.most_common())]))
    print(f"{options.connections} connections, seed {options.seed}, {time.monotonic() - began_s:.0f} s")
    print("wrong: " + (", ".join(wrong) or "nothing"))
    return 1 if wrong else 0
