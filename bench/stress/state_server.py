"""`server.py` whose processes tell on SIGRTMIN what they hold: program of the soak measurement.

    BENCH_STATE=FILE python bench/stress/state_server.py

The signal handler is set before anything else, so every forked worker has it. It writes to the file named by
BENCH_STATE, with the process id appended. It does not count objects that were frozen at the start, because only what
was made since could grow.
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
    """Count greenlets and objects, and replace the file at once."""
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
