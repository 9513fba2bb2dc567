"""`server.py` whose workers accept whatever they can, without regard to each other: baseline of the spread measurement.

python bench/load/any_worker_server.py
"""

from gevent import monkey

monkey.patch_all()

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from lexbridge import __main__ as command_line
from lexbridge.server.accepting import FewestSocketsFirst


def take_any() -> None:
    """Make each worker accept every connection, and keep connections whichever worker has fewer calls."""
    for name in ("defers", "has_others"):
        assert hasattr(FewestSocketsFirst, name)
    FewestSocketsFirst.defers = lambda *_: False  # type: ignore[method-assign]
    FewestSocketsFirst.has_others = property(lambda _: False)  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    take_any()
    sys.exit(command_line.main(sys.argv[1:]))
