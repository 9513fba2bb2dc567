"""Live calls beside floods at full speed: ten floods of messages, then floods of unsigned requests.

First half: messages on sockets that were let in; the flooders connect again when they are cut. Beside them are paced
calls. The servers are lexbridge's socket layer and stock gevent-websocket in turn, under the same application. The
delay of a frame counts from before it is sent to the end of the call's work on it. The flooders have a lower priority
than the server, as if they were on other machines.

Second half: requests, against `server.py` with one worker and with four (bench/stress/request_floods.py).

Exit status 1 when, with lexbridge's layer, a frame of a live call waits 40 ms longer than the planned interval of the
visits to a quiet line (60 ms) or is lost, a worker ends, memory grows, or a signed new call is not answered.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence

from bench.harness.arguments import add_calls, add_seconds, make_parser
from bench.harness.paced_calls import PacedCalls
from bench.harness.report import table
from bench.harness.settings import ROOT
from bench.harness.socket_server import SocketServer
from bench.stress import request_floods
from bench.stress.request_floods import LIMIT_MS


def measure(kind: str, calls: int, floods: int, seconds: float) -> list[str]:
    """Return a row of the table: kind of server, frames sent and lost, delays, MB of flood."""
    with SocketServer(kind) as server:
        callers = PacedCalls(server.address, calls, seconds + 3)
        time.sleep(2)
        flooders = [
            subprocess.Popen(  # noqa: S603
                [
                    sys.executable,
                    "-m",
                    "bench.stress.message_flooder",
                    str(server.address[1]),
                    str(1000 + number),
                    str(seconds),
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(floods)
        ]
        flooded = sum(int(flooder.communicate(timeout=240)[0] or 0) for flooder in flooders)
        sent = callers.sent()
        time.sleep(1)
        state = server.ask()
        delays = state["delays_ms"]
        lost = sent - state["frames"]
        p99 = delays[-max(1, state["frames"] // 100)]
        return [kind, str(sent), str(lost), f"{p99:.1f}", f"{delays[-1]:.1f}", f"{flooded / 1e6:.0f}"]


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("floods", __doc__)
    add_calls(parser, 20)
    add_seconds(parser, 5, "the floods of messages")
    parser.add_argument("--half", choices=("messages", "requests", "both"), default="both", help="what to run (both)")
    parser.add_argument("--floods", type=int, default=10, help="messages: processes that flood (default: %(default)s)")
    parser.add_argument("--no-stock", action="store_true", help="messages: leave stock gevent-websocket out")
    _add_requests(parser)
    options = parser.parse_args(arguments)
    is_good = options.half == "requests" or flood_with_messages(options)
    if options.half != "messages":
        kinds = options.kind or list(request_floods.KINDS)
        is_good &= request_floods.run(options.workers, kinds, options.calls, options.request_seconds, options.flooders)
    return 0 if is_good else 1


def _add_requests(parser: argparse.ArgumentParser) -> None:
    workers = "requests: WEB_CONCURRENCY, one or more (default: 1 4)"
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4], help=workers)
    kind = "requests: kind of flood; may be repeated (default: all)"
    parser.add_argument("--kind", action="append", choices=request_floods.KINDS, help=kind)
    seconds = "requests: seconds of each flood (default: %(default)g)"
    parser.add_argument("--request-seconds", type=float, default=10, help=seconds)
    flooders = "requests: processes that flood (default: %(default)s)"
    parser.add_argument("--flooders", "--strangers", type=int, default=2, help=flooders)


def flood_with_messages(options: argparse.Namespace) -> bool:
    """Run the first half. Return whether the limits were kept."""
    rows = [["socket layer", "frames", "lost", "p99 ms", "worst ms", "flood MB"]]
    quiet = measure("ours", options.calls, 0, options.seconds)
    rows.append([f"{quiet[0]}, no flood", *quiet[1:]])
    ours = measure("ours", options.calls, options.floods, options.seconds)
    rows.append(ours)
    if not options.no_stock:
        rows.append(measure("stock", options.calls, options.floods, options.seconds))
    print(table(rows))
    print(f"limits: worst {LIMIT_MS:.0f} ms, lost 0")
    return float(ours[4]) <= LIMIT_MS and ours[2] == "0"
