"""`server.py` whose workers take whatever waits at the listener, without regard to each other: the baseline of
`python -m bench spread`. Not a measurement itself."""

from gevent import monkey

monkey.patch_all()

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from lexbridge import __main__ as command_line
from lexbridge.net.http_server import MediaServer
from lexbridge.server.accepting import Accepting


class Unshared(Accepting):
    """Leaves nothing to others, and does not end connections for their sake."""

    has_others = False

    def defers(self, waiting: int, now_s: float) -> bool:  # noqa: ARG002
        """Leaves no connection to another worker."""
        return False


if __name__ == "__main__":
    share = MediaServer.share
    MediaServer.share = lambda self, accepting: share(self, Unshared(accepting.place))  # type: ignore[method-assign]
    sys.exit(command_line.main(sys.argv[1:]))
