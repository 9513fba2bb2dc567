"""The opening of a media stream's WebSocket by Twilio, and its failures with Twilio's error codes."""

import contextlib
import ssl
from pathlib import Path

import websocket

CONNECT_LIMIT_S = 10.0


class StreamFailed(Exception):
    """A stream that did not open, or broke. `code`: Twilio's error code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class StreamConnection(websocket.WebSocket):
    """A WebSocket that tells of the peer's close even when the peer waits for no answer to it."""

    def send_close(self, status: int = websocket.STATUS_NORMAL, reason: str | bytes = b"") -> None:
        """Send a close, unless the connection is gone."""
        with contextlib.suppress(OSError, websocket.WebSocketException):
            super().send_close(status, reason)


def connect(address: str, host: str, signature: str, ca_file: Path | None) -> websocket.WebSocket:
    """Open the WebSocket as Twilio does. Raises an exception that `stream_failure` can tell.

    ca_file: PEM file of the CA certificates for wss, or None for the public ones.
    """
    return websocket.create_connection(
        address,
        timeout=CONNECT_LIMIT_S,
        # Lower case, as Twilio sends it on the handshake.
        header=[f"x-twilio-signature: {signature}", "User-Agent: Twilio.TmeWs/1.0"],
        host=host,
        sslopt={"ca_certs": str(ca_file)} if ca_file else {},
        suppress_origin=True,
        http_no_proxy=["*"],
        enable_multithread=True,
        skip_utf8_validation=True,  # byte by byte, in Python: whoever reads the messages does it
        class_=StreamConnection,
    )


def stream_failure(error: Exception) -> StreamFailed:
    """Return a failed connection as Twilio's error: https://www.twilio.com/docs/api/errors/31901 and the next ones."""
    kinds: list[tuple[type[Exception] | tuple[type[Exception], ...], int, str]] = [
        (websocket.WebSocketBadStatusException, 31920, "Stream: the handshake was not answered with 101"),
        ((TimeoutError, websocket.WebSocketTimeoutException), 31901, "Stream: connection timeout"),
        (ConnectionRefusedError, 31902, "Stream: connection refused"),
        (ssl.SSLError, 31910, "Stream: TLS error"),
        (OSError, 31901, "Stream: no connection"),
    ]
    for kind, code, words in kinds:
        if isinstance(error, kind):
            return StreamFailed(code, f"{words}: {error}")
    return StreamFailed(31924, f"Stream: WebSocket protocol error: {type(error).__name__}: {error}")
