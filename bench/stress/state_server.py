"""`server.py`, and each of its processes tells on SIGRTMIN what it holds: for the soak. Not a measurement itself.

The handler is set before anything else and so is there in every worker that is forked. It writes to the file named by
BENCH_STATE with the process id after it. Objects that were frozen at the start are not seen: what is counted is what
came since, and only that could grow.
"""

import gc
import json
import os
import runpy
import signal
import sys
from pathlib import Path

import greenlet

ROOT = Path(__file__).parents[2]


def write_state(*_: object) -> None:
    """Counts, and puts the file in its place at once."""
    gc.collect()
    objects = gc.get_objects()
    alive = sum(isinstance(found, greenlet.greenlet) and not found.dead for found in objects)
    path = Path(f"{os.environ['BENCH_STATE']}.{os.getpid()}")
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps({"greenlets": alive, "objects": len(objects)}), encoding="ascii")
    unfinished.replace(path)


if __name__ == "__main__":
    signal.signal(signal.SIGRTMIN, write_state)
    sys.argv[0] = os.environ.get("BENCH_PROGRAM", str(ROOT / "server.py"))
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
