"""Lex V2 and Twilio's REST API in one process, which note when each request was complete.

    python -m bench.load.stub

The first line that it prints is its ports: one of plain HTTP and, with --certificate, one of TLS. GET /turns returns
the number of updates of calls and, for each utterance, the number of its call and the time (CLOCK_MONOTONIC) at which
the request was complete.
"""

import argparse
import asyncio
import re
import signal
import ssl
import time
from functools import cache
from pathlib import Path

import uvloop

from bench.harness import light_http
from bench.harness.light_http import Request
from bench.load.sounds import noise_frames
from lexbridge.audio.pcm import decode_mulaw
from lexbridge.offline.lex.wire import Json, gzip_json, json_response

THINKING_S = 0.3
REPLY_S = 2.0
"""Length of the bot's audio in stream mode, seconds."""
_SESSION = re.compile(r"/sessions/(?:CA([0-9a-f]{32}))?[^/]*(/utterance)?$")
_INTENT = {"name": "OrderFlowers", "slots": {"FlowerType": None}, "state": "InProgress"}
_STATE = {
    "dialogAction": {"type": "ElicitSlot", "slotToElicit": "FlowerType"},
    "intent": _INTENT,
    "sessionAttributes": {},
}
_CALL = {"sid": "CA", "status": "in-progress", "account_sid": "AC", "to": "+1", "from": "+1"}


class LexAndTwilio:
    """Handler of the requests: each utterance is answered alike after the thinking time, each update at once."""

    def __init__(self) -> None:
        self.turns: list[tuple[int, float]] = []
        self.updates = 0

    def began(self, request: Request) -> None:
        """Do nothing: a request counts when it is complete."""

    def broke_off(self, request: Request) -> None:
        """Do nothing: the service has thought better of it."""

    def finished(self, request: Request) -> None:
        """Answer a request."""
        session = _SESSION.search(request.path)
        if session:
            if session[1] and session[2]:
                self.turns.append((int(session[1], 16), time.monotonic()))
            asked = request.headers.get("response-content-type") or request.headers.get("responsecontenttype", "")
            speaks = asked.startswith("audio")
            asyncio.get_running_loop().call_later(THINKING_S, _answer, request, speaks)
        elif request.path == "/turns":
            _send_json(request, {"updates": self.updates, "turns": self.turns})
        else:
            self.updates += 1
            _send_json(request, _CALL)


def _send_json(request: Request, document: Json) -> None:
    response = json_response(document)
    request.connection.answer(response.status, response.headers, response.body)


def _answer(request: Request, speaks: bool) -> None:
    audio = _reply() if speaks else b""
    request.connection.answer(200, {**_headers(), "Content-Type": "audio/pcm" if speaks else "text/plain"}, audio)


@cache
def _reply() -> bytes:
    """Return the bot's audio at 16 kHz."""
    return decode_mulaw(b"".join(noise_frames(REPLY_S * 2)))


@cache
def _headers() -> dict[str, str]:
    message = {"contentType": "PlainText", "content": "Sure. What kind of flowers would you like to have?"}
    return {
        "x-amzn-RequestId": "bench",
        "x-amz-lex-session-id": "bench",
        "x-amz-lex-input-mode": "Speech",
        "x-amz-lex-messages": gzip_json([message]),
        "x-amz-lex-interpretations": gzip_json([{"intent": _INTENT}]),
        "x-amz-lex-session-state": gzip_json(_STATE),
        "x-amz-lex-input-transcript": gzip_json("hello"),
    }


async def serve(certificate: Path | None) -> None:
    """Print the ports, and serve until SIGTERM."""
    site = LexAndTwilio()
    servers = [await light_http.serve(site)]
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        servers.append(await light_http.serve(site, tls=tls))
    stop_requested = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop_requested.set)
    # Listened for by now: whoever reads the line may end the program at once.
    print(*map(light_http.port_of, servers), flush=True)
    await stop_requested.wait()
    for server in servers:
        server.close()


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--certificate", type=Path, help="PEM file with the key and the certificate of the port of TLS")
    options = parser.parse_args()
    uvloop.run(serve(options.certificate))


if __name__ == "__main__":
    main()
