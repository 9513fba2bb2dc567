"""`server.py` with a look at LINES_FILE each second, instead of each minute, for tests that change the file."""

from gevent import monkey

monkey.patch_all()

import sys

from lexbridge.__main__ import main
from lexbridge.server import lines_keeper

if __name__ == "__main__":
    lines_keeper.LOOK_EVERY_S = 1.0
    sys.exit(main([]))
