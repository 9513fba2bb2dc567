"""CPU of a media message in the socket layer alone: lexbridge's, and stock gevent-websocket's in turn.

Paced calls send a media message every 20 ms; the application takes the messages and drops them. CPU is user and system
time of the server's process, without what it used before. Exit status 1 when lexbridge's is above a tenth of stock's
(medians).
"""

import statistics
import time
from collections.abc import Sequence

from bench.harness.arguments import add_calls, add_seconds, make_parser
from bench.harness.paced_calls import PacedCalls
from bench.harness.report import table
from bench.harness.socket_server import SocketServer

LIMIT = 0.1
"""Most CPU of lexbridge's layer, as a share of stock's."""
TAKEN_WITHIN_S = 10.0


def measure(kind: str, calls: int, seconds: float, app: str = "drain") -> tuple[float, float]:
    """Return the CPU of a message while all calls are live, microseconds: user and system."""
    with SocketServer(kind, app) as server:
        callers = PacedCalls(server.address, calls, seconds + 1, stamped=False)
        while server.ask("light")["messages"] < 20 * calls:
            time.sleep(0.05)
        before = server.ask("light")
        time.sleep(seconds - 1)
        after = server.ask("light")
        sent = callers.sent()
        came = _messages_once_taken(server, sent + calls) - calls
        if came != sent:
            raise SystemExit(f"{kind}: {sent} messages were sent, {came} arrived")
        messages = after["messages"] - before["messages"]
        user_us, system_us = (1e6 * (after[part] - before[part]) / messages for part in ("user_s", "system_s"))
        return user_us, system_us


def _messages_once_taken(server: SocketServer, expected: int) -> int:
    """Return the number of messages that the server has taken, after it had time for those on their way."""
    deadline_s = time.monotonic() + TAKEN_WITHIN_S
    while (taken := int(server.ask("light")["messages"])) < expected and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return taken


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("socket_cpu", __doc__)
    add_calls(parser, 40, "paced calls")
    add_seconds(parser, 6, "each round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each server (default: %(default)s)")
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
