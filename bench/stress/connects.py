"""New calls beside idle connections: 10,000 that say nothing, 500 that send a byte of a head now and then.

A new call (connected, upgraded) is made every 0.2 s; the same before the idle connections come is the baseline. The
table tells how many descriptors the machine allowed. Exit status 1 if an idle connection is still open 15 s after it
was made, or if a new call waited more than 250 ms.
"""

import subprocess
import sys
import time
from collections.abc import Sequence

from bench.harness.arguments import make_parser
from bench.harness.proc import raise_descriptor_limit
from bench.harness.raw_client import RawClient, client_close
from bench.harness.report import table
from bench.harness.settings import ROOT
from bench.harness.socket_server import SocketServer

GONE_S = 15.0
"""Longest life of an idle connection, seconds."""
ANSWERED_MS = 250.0
"""Longest wait of a new call, ms."""


def answered_ms(address: tuple[str, int]) -> float:
    """Make a new call. Return the time to its upgrade, ms."""
    began_s = time.monotonic()
    with RawClient(address, deadline_s=60) as client:
        if client.upgrade() != 101:
            raise SystemExit("a new call was refused")
        waited_ms = 1000 * (time.monotonic() - began_s)
        client.send(client_close())
    return waited_ms


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("connects", __doc__)
    parser.add_argument(
        "--silent", type=int, default=10_000, help="connections that say nothing (default: %(default)s)"
    )
    parser.add_argument("--slow", type=int, default=500, help="connections with slow heads (default: %(default)s)")
    options = parser.parse_args(arguments)
    allowed = raise_descriptor_limit()
    silent = min(options.silent, allowed - options.slow - 500)
    print(f"descriptors allowed: {allowed}; silent: {silent}; slow: {options.slow}")
    with SocketServer("ours") as server:
        before = [answered_ms(server.address) for _ in range(20)]
        descriptors = server.ask("light")["descriptors"]
        process = subprocess.Popen(  # noqa: S603
            [
                *[sys.executable, "-m", "bench.stress.silent_connections"],
                *[str(server.address[1]), str(silent), str(options.slow)],
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        during, most = [], 0
        while process.poll() is None:
            during.append(answered_ms(server.address))
            most = max(most, server.ask("light")["descriptors"])
            time.sleep(0.2)
        came, left = [*process.communicate()[0].splitlines(), "0 0", "-1 0"][:2]
        time.sleep(3)  # sockets of the new calls that linger close
        rest = server.ask("light")["descriptors"] - descriptors
        resident_mb = server.ask()["resident_mb"]
    rows = [["new calls answered", "count", "median ms", "worst ms"]]
    for name, waits in (("before", before), ("during", during)):
        rows.append([name, str(len(waits)), f"{sorted(waits)[len(waits) // 2]:.1f}", f"{max(waits):.1f}"])
    print(table(rows))
    longest_s, still = float(left.split()[1]), int(left.split()[0])
    print(f"idle connections: {came.split()[0]} within {came.split()[1]} s; most descriptors of the server: {most};")
    print(f"still there: {still}; longest life {longest_s:.1f} s (limit {GONE_S}); descriptors left over: {rest};")
    print(f"resident: {resident_mb:.0f} MB; worst answer {max(during):.1f} ms (limit {ANSWERED_MS})")
    return 1 if still or longest_s > GONE_S or max(during) > ANSWERED_MS or rest > 5 else 0
