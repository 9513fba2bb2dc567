"""python -m bench.endpointing.bridge_cost: CPU that the whole service spends on a frame of silence, microseconds.

Not a measurement itself: `cost` starts it, for it patches gevent.
"""

from statistics import median

from bench.load.socket_cpu import measure

CALLS, SECONDS, ROUNDS = 40, 4.0, 3

if __name__ == "__main__":
    print(median(sum(measure("ours", CALLS, SECONDS, "calls")) for _ in range(ROUNDS)))
