"""A `server.py` whose workers leave a connection to another one for longer: `python tests/support/patient_server.py`.

A busy machine needs more than DEFER_S to wake the worker that is to accept it. The settings are in the environment.
"""

from gevent import monkey

monkey.patch_all()

import sys

from lexbridge import __main__ as command_line
from lexbridge.server import accepting

accepting.DEFER_S = 0.4
accepting.MAX_DEFER_S = 1.0

if __name__ == "__main__":
    sys.exit(command_line.main([]))
