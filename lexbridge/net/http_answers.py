"""The short HTTP answers that the server gives itself, as bytes. All others are Flask's."""

from lexbridge.net.http_request import Head
from lexbridge.net.policies import DirectAnswer, Refusal

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""The answer to a head whose sender waits for it before the body."""


def refusal_bytes(refusal: Refusal) -> bytes:
    """Return the answer to a request that is refused: a status alone, after which the connection ends."""
    return f"HTTP/1.1 {refusal.status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()


def answer_bytes(answer: DirectAnswer, head: Head, *, keeps: bool) -> bytes:
    """Return `answer` to the request of `head`. `keeps`: whether the connection may bring another request."""
    lines = [
        f"HTTP/1.1 {answer.status}",
        "Content-Type: application/json",
        f"Content-Length: {len(answer.body)}",
        f"Connection: {'keep-alive' if keeps else 'close'}",
    ]
    output = "\r\n".join([*lines, "", ""]).encode()
    return output if head.method == "HEAD" else output + answer.body
