"""Peer of the load measurement: stock gevent-websocket below flask-sockets, as most examples have it.

python -m bench.load.peers.stock PORT
"""

from gevent import monkey

monkey.patch_all()

import base64
import json
import sys
from typing import Any

from flask import Flask
from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler

from bench.harness import proc
from bench.load.peers.voice import Voice
from lexbridge.net.flask_sockets_compat import Sockets


def app() -> Flask:
    """Return the application: one greenlet a call, which waits for the next message."""
    flask = Flask("stock")

    @Sockets(flask).route("/")  # type: ignore[untyped-decorator]
    def media(websocket: Any) -> None:
        voice = Voice()
        while not websocket.closed:
            text = websocket.receive()
            if text is None:
                return
            message = json.loads(text)
            if message["event"] == "media":
                voice.take(base64.b64decode(message["media"]["payload"]))

    return flask


if __name__ == "__main__":
    proc.raise_descriptor_limit()
    WSGIServer(("127.0.0.1", int(sys.argv[1])), app(), handler_class=WebSocketHandler, log=None).serve_forever()
