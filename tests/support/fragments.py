"""Messages of a WebSocket client in fragments."""

from bench.harness.raw_client import client_message
from lexbridge.net.rfc6455 import CONTINUATION


def part(payload: bytes | str, opcode: int = CONTINUATION) -> bytes:
    """Return a fragment of a message that is not its last one."""
    return client_message(payload, opcode, final=False)


def rest(payload: bytes | str) -> bytes:
    """Return the last fragment of a message."""
    return client_message(payload, CONTINUATION)
