"""What a media message costs the socket layer alone: CPU of the server, ours and stock gevent-websocket's in turn.

Paced calls send a media message every 20 ms; a view takes the messages and drops them. CPU is user and system time of
the server's process, without what it used before. Exit status 1 when ours is above a tenth of stock's (median).
"""

import statistics
import time
from collections.abc import Sequence

from bench.harness.arguments import make_parser
from bench.harness.paced_calls import Callers
from bench.harness.report import table
from bench.harness.socket_server import SocketServer

LIMIT = 0.1


def measure(kind: str, calls: int, seconds: float, app: str = "drain") -> tuple[float, float]:
    """CPU a message, microseconds, user and system, while all the calls are up."""
    with SocketServer(kind, app) as server:
        callers = Callers(server.address, calls, seconds + 1, stamped=False)
        while server.ask("light")["messages"] < 20 * calls:
            time.sleep(0.05)
        before = server.ask("light")
        time.sleep(seconds - 1)
        after = server.ask("light")
        sent, came = callers.sent(), server.ask("light")["messages"] - calls
        if came != sent:
            raise SystemExit(f"{kind}: {sent} messages were sent, {came} came")
        messages = after["messages"] - before["messages"]
        user_us, system_us = (1e6 * (after[part] - before[part]) / messages for part in ("user_s", "system_s"))
        return user_us, system_us


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("socket_cpu", __doc__)
    parser.add_argument("--calls", type=int, default=40, help="paced calls (40)")
    parser.add_argument("--seconds", type=float, default=6, help="length of a round (6)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (3)")
    options = parser.parse_args(arguments)
    costs: dict[str, list[tuple[float, float]]] = {"ours": [], "stock": []}
    for _ in range(options.rounds):
        for kind, cost in costs.items():
            cost.append(measure(kind, options.calls, options.seconds))
    medians = {kind: statistics.median(map(sum, cost)) for kind, cost in costs.items()}
    rows = [["socket layer", "us a message", "rounds, user + system"]]
    for kind, cost in costs.items():
        rounds = ", ".join(f"{user_us:.1f} + {system_us:.1f}" for user_us, system_us in cost)
        rows.append([kind, f"{medians[kind]:.1f}", rounds])
    ratio = medians["ours"] / medians["stock"]
    print(table(rows))
    print(f"ours / stock = {ratio:.3f} (limit {LIMIT})")
    return 1 if ratio > LIMIT else 0
