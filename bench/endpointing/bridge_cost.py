"""CPU that the whole service spends on a frame of silence: prints microseconds.

    python -m bench.endpointing.bridge_cost

It is a process of its own, so that the endpointing measurement does not import gevent.
"""

from statistics import median

from bench.load.socket_cpu import measure

CALLS, SECONDS, ROUNDS = 40, 4.0, 3

if __name__ == "__main__":
    print(median(sum(measure("ours", CALLS, SECONDS, "calls")) for _ in range(ROUNDS)))
