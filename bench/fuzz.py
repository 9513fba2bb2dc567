"""Seeded fuzz: connections whose bytes are right ones, broken at random, to the whole bridge.

What ends in a close must end in a legal one, what ends in HTTP in a 4xx, nothing may hang. Afterwards the server must
be as it was: no traceback, no descriptor, no greenlet, no memory more than after the first tenth. Exit status 1
otherwise. The same seed makes the same bytes.
"""

from gevent import monkey

monkey.patch_all()

import argparse
import random
import sys
import time
from collections import Counter

import gevent
from gevent.pool import Pool

from bench.callers import media_message, start_message
from bench.door import Door, table
from lexbridge.offline.rude_client import MASK, RudeClient, client_close, client_message, upgrade_request
from lexbridge.rfc6455 import is_legal_code

HANG_S = 30
STATUSES = {101, 200, 400, 403, 404, 405, 413, 414, 426, 431}
SPARE_DESCRIPTORS, SPARE_GREENLETS, SPARE_MB = 5, 20, 10


def right_bytes(rng: random.Random) -> list[bytes]:
    """A short call as a client would send it, in pieces."""
    number = rng.randrange(1000)
    pieces = [client_message(start_message(number)), *(client_message(media_message(number, at)) for at in range(4))]
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


def broken_bytes(rng: random.Random) -> bytes:
    """The same, as one text, with up to five mistakes."""
    pieces = right_bytes(rng)
    if rng.random() < 0.2:  # mostly the mistakes are in what follows the handshake
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
    """One connection. Returns how it ended."""
    rng = random.Random(seed)
    output = broken_bytes(rng)
    with RudeClient(address, HANG_S) as client:
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
    """The endings by kind, and what is wrong."""
    endings: Counter[str] = Counter()

    def one(number: int) -> None:
        try:
            endings[connect(door.address, seed * 1_000_003 + number)] += 1
        except TimeoutError:
            endings["HANG"] += 1
        except OSError as error:
            endings[f"cut ({type(error).__name__})"] += 1

    pool = Pool(parallel)
    with Door("ours", "calls") as door:
        states = []
        for first, last in ((0, connections // 10), (connections // 10, connections)):
            for number in range(first, last):
                pool.spawn(one, number)
            pool.join()
            time.sleep(3)  # what lingers has gone
            states.append(door.ask())
        wrong = [
            f"{count} {kind}" for kind, count in endings.items() if kind.split()[0] in ("HANG", "ILLEGAL", "UNEXPECTED")
        ]
        if not door.is_running:
            wrong.append("the server is gone")
        if tracebacks := door.tracebacks():
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


def main() -> int:
    """The program; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=100_000, help="how many (100,000)")
    parser.add_argument("--seed", type=int, default=1, help="of the bytes (1)")
    options = parser.parse_args()
    began_s = time.monotonic()
    endings, wrong = run(options.connections, options.seed)
    print(table([["ending", "connections"], *([kind, str(count)] for kind, count in endings.most_common())]))
    print(f"{options.connections} connections, seed {options.seed}, {time.monotonic() - began_s:.0f} s")
    print("wrong: " + (", ".join(wrong) or "nothing"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
