"""flask-sockets on today's Werkzeug: WebSocket routes beside Flask's own, on the real server."""

from collections.abc import Iterator

import pytest
import requests
import websocket
from flask import Flask

from lexbridge.bridge.web_socket import WebSocket
from lexbridge.net.flask_sockets_compat import Sockets
from lexbridge.net.http_server import MediaServer

DEADLINE_S = 120


@pytest.fixture
def address() -> Iterator[str]:
    """Address of a server with WebSockets at / and /echo/<name>, and a page at /page."""
    app = Flask("test")
    sockets = Sockets(app)

    @app.get("/page")
    def page() -> str:
        return "a page"

    @sockets.route("/")
    def close(websocket: WebSocket) -> None:
        websocket.receive()
        websocket.close(1008, b"told to")

    @sockets.route("/echo/<name>")
    def echo(websocket: WebSocket, name: str) -> None:
        while (message := websocket.receive()) is not None:
            websocket.send(f"{name}: {message}")  # type: ignore[attr-defined]

    sockets.add_url_rule("/read-only", None, close, methods=["GET"])

    server = MediaServer(("127.0.0.1", 0), app)
    server.start()
    yield f"127.0.0.1:{server.server_port}"
    server.stop(timeout=1)


def test_an_upgrade_on_a_socket_route_is_served(address: str) -> None:
    client = websocket.create_connection(f"ws://{address}/echo/line", timeout=DEADLINE_S)
    client.send("hello")
    assert client.recv() == "line: hello"
    client.close()


def test_a_close_says_its_code_and_reason(address: str) -> None:
    client = websocket.create_connection(f"ws://{address}/", timeout=DEADLINE_S)
    client.send("hello")
    opcode, payload = client.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    assert payload == (1008).to_bytes(2, "big") + b"told to"
    client.shutdown()


def test_a_peers_close_is_answered_with_its_own_code(address: str) -> None:
    client = websocket.create_connection(f"ws://{address}/echo/line", timeout=DEADLINE_S)
    client.send_close(1000, b"bye")
    assert client.recv_data()[1] == (1000).to_bytes(2, "big") + b"bye"
    client.shutdown()


@pytest.mark.parametrize("path", ["/", "/echo/line"])
def test_a_plain_get_on_a_socket_route_is_a_426(address: str, path: str) -> None:
    response = requests.get(f"http://{address}{path}", timeout=DEADLINE_S)
    assert response.status_code == 426
    assert response.headers["Upgrade"] == "websocket"


def test_other_routes_are_flasks_own(address: str) -> None:
    assert requests.get(f"http://{address}/page", timeout=DEADLINE_S).text == "a page"
    assert requests.get(f"http://{address}/nothing", timeout=DEADLINE_S).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Upgrade": "websocket", "Connection": "Upgrade"}], ids=["plain", "upgrade"])
def test_a_method_that_the_routing_refuses_is_a_405(address: str, headers: dict[str, str]) -> None:
    response = requests.put(f"http://{address}/read-only", headers=headers, timeout=DEADLINE_S)
    assert response.status_code == 405
