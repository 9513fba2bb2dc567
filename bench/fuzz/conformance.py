"""Conformance of the socket layer to RFC 6455, by the cases of the Autobahn testsuite.

The server is an echo over the real handler. It takes binary messages, and its limits of size, rate and output are
raised, because the cases of group 9 send up to 16 MiB. The testsuite is a Python 2 program, set up with

    python2.7 -m pip install --target autobahn autobahntestsuite==25.10.1 && touch autobahn/zope/__init__.py

`--python2` names that interpreter and `--path` the folder. Prints how many cases ended how, and writes Autobahn's own
report. Exit status 1 if a case failed or was not closed cleanly, or if not all 301 ran.
"""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from flask import Flask
from gevent import subprocess
from geventwebsocket.exceptions import WebSocketError

from bench.harness.arguments import make_parser
from lexbridge.net.flask_sockets_compat import Sockets
from lexbridge.net.http_handler import MediaSocketHandler
from lexbridge.net.http_server import MediaServer
from lexbridge.net.rfc6455 import Limits, Pong
from lexbridge.net.websocket import MediaSocket

CASES = 301
GROUPS = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"]  # 12 and 13 are compression, not offered
PASSED = ("OK", "NON-STRICT", "INFORMATIONAL")


class RoomyHandler(MediaSocketHandler):
    """Handler of media sockets that takes messages of any size."""

    limits = Limits(
        message_bytes=1 << 25, fragments=1 << 20, rate_hz=1e9, burst=10**9, binary=True, output_bytes=1 << 26
    )
    read_bytes = 1 << 20


def echo_server() -> MediaServer:
    """Return a server that sends each message back."""
    app = Flask("echo")

    @Sockets(app).route("/")  # type: ignore[untyped-decorator]
    def echo(websocket: MediaSocket) -> None:
        with suppress(WebSocketError):  # some cases close before they have read what they are owed
            while (message := websocket.receive()) is not None:
                assert not isinstance(message, Pong)  # the server sends no pings here
                websocket.send(message)

    server = MediaServer(("127.0.0.1", 0), app)
    server.handler_class = RoomyHandler
    return server


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("conformance", __doc__)
    parser.add_argument("--python2", default="python2.7", help="a Python 2 interpreter (default: python2.7)")
    parser.add_argument("--path", type=Path, required=True, help="where autobahntestsuite is installed")
    parser.add_argument("--report", type=Path, help="keep Autobahn's report in this folder")
    options = parser.parse_args(arguments)
    server = echo_server()
    server.start()
    with tempfile.TemporaryDirectory() as folder:
        report = options.report or Path(folder) / "report"
        agent = {"agent": "lexbridge", "url": f"ws://127.0.0.1:{server.server_port}"}
        spec = {"outdir": str(report.absolute()), "servers": [agent], "cases": GROUPS, "exclude-cases": []}
        (Path(folder) / "spec.json").write_text(json.dumps({**spec, "exclude-agent-cases": {}}), encoding="utf-8")
        start = "import sys; sys.argv[0] = 'wstest'; from autobahntestsuite.wstest import run; run()"
        ran = subprocess.run(
            [options.python2, "-c", start, "-m", "fuzzingclient", "-s", str(Path(folder) / "spec.json")],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(options.path.absolute())},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        server.stop(timeout=1)
        if not (report / "index.json").exists():
            print(ran.stdout.decode("utf-8", "replace")[-2000:])
            return 1
        cases = json.loads((report / "index.json").read_text(encoding="utf-8"))["lexbridge"]
    counts = Counter((case["behavior"], case["behaviorClose"]) for case in cases.values())
    print(f"{len(cases)} of {CASES} cases:")
    for (behavior, close), count in counts.most_common():
        print(f"  {count:4}  {behavior}, closed {close}")
    failed = [name for name, case in cases.items() if not {case["behavior"], case["behaviorClose"]} <= set(PASSED)]
    print("failed or closed uncleanly: " + (", ".join(sorted(failed)) or "none"))
    return 1 if failed or len(cases) != CASES else 0
