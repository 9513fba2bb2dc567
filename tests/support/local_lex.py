"""A local Lex with doubles for recognition and voice, which boto3 asks."""

import base64
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import boto3
import gevent
from botocore.config import Config

from lexbridge.offline.lex.bot_files import ORDER_COFFEE, ORDER_FLOWERS, load_bot
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.lex.wire import LPCM_8KHZ
from tests.support.rig import PATIENCE_S

SUNDAY = date(2026, 11, 22)
FLOWERS, COFFEE = load_bot(ORDER_FLOWERS), load_bot(ORDER_COFFEE)
SECOND = bytes(16000)
FRAME = bytes(320)
TEXT = "text/plain; charset=utf-8"
V1_ADDRESS = {"botName": "OrderFlowers", "botAlias": "prod", "userId": "caller"}
V2_ADDRESS = {"botId": "C0FFEEBOT1", "botAliasId": "TSTALIASID", "localeId": "en_US", "sessionId": "caller"}


class Upload:
    """Audio that is sent as fast as the test provides it."""

    def __init__(self) -> None:
        self._pieces: gevent.queue.Queue[bytes] = gevent.queue.Queue()

    def send(self, pcm: bytes) -> None:
        """Provide more audio."""
        self._pieces.put(pcm)

    def end(self) -> None:
        """End the audio."""
        self._pieces.put(b"")

    def read(self, _: int = -1) -> bytes:
        """Return the next piece of audio, once there is one. b"" is the end."""
        return self._pieces.get()


class LexClients:
    """boto3's clients of both generations for a local Lex, with doubles for recognition and voice."""

    def __init__(self, lex: LocalLex, recogniser: ScriptedRecogniser) -> None:
        self.lex, self.recogniser = lex, recogniser
        self.now_s = 0.0
        access: dict[str, Any] = {
            "region_name": "us-east-1",
            "aws_access_key_id": "offline",
            "aws_secret_access_key": "offline",
            "config": Config(retries={"total_max_attempts": 1}, read_timeout=120),
        }
        self.v1 = boto3.client("lex-runtime", endpoint_url=lex.url, **access)
        self.v2 = boto3.client("lexv2-runtime", endpoint_url=lex.url, **access)

    def close(self) -> None:
        """Close both clients."""
        self.v1.close()
        self.v2.close()

    def post_content(self, body: Any, **more: Any) -> dict[str, Any]:
        """Send a turn to Lex V1: text, or audio. Return the answer."""
        text = isinstance(body, str)
        address = {"botName": "OrderFlowers", "botAlias": "prod", "userId": "caller", "accept": TEXT}
        content = {"contentType": TEXT if text else LPCM_8KHZ, "inputStream": body.encode() if text else body}
        answer: dict[str, Any] = self.v1.post_content(**{**address, **content, **more})
        return {**answer, "audioStream": answer["audioStream"].read()}

    def recognize(self, body: Any, **more: Any) -> dict[str, Any]:
        """Send a turn to Lex V2: text, or audio. Return the answer with its fields unpacked."""
        text = isinstance(body, str)
        content = {"requestContentType": TEXT if text else LPCM_8KHZ, "inputStream": body.encode() if text else body}
        answer: dict[str, Any] = self.v2.recognize_utterance(
            **{**V2_ADDRESS, "responseContentType": TEXT, **content, **more}
        )
        packed = ("messages", "interpretations", "sessionState", "requestAttributes", "inputTranscript")
        opened = {name: unpack(answer[name]) for name in packed}
        return {**answer, **opened, "audioStream": answer["audioStream"].read()}

    @property
    def request(self) -> LexRequest:
        """The newest request that Lex has noted."""
        return self.lex.requests[-1]


def unpack(header: str) -> Any:
    """Return the value of a field that Lex V2 packs."""
    return json.loads(gzip.decompress(base64.b64decode(header)))


def pack(value: Any) -> str:
    """Return a value as Lex V2 packs it into a field."""
    return base64.b64encode(gzip.compress(json.dumps(value).encode())).decode()


@contextmanager
def lex_clients(*lines: str, **more: Any) -> Iterator[LexClients]:
    """Run a local Lex that hears `lines`, and make its clients."""
    recogniser = ScriptedRecogniser(list(lines))
    clock: list[LexClients] = []
    lex = LocalLex(
        bots=more.pop("bots", [FLOWERS, COFFEE]),
        recogniser=recogniser,
        voice=SilentVoice(),
        today=lambda: SUNDAY,
        clock=lambda: clock[0].now_s,
        **more,
    )
    with lex:
        clients = LexClients(lex, recogniser)
        clock.append(clients)
        try:
            yield clients
        finally:
            clients.close()


def until(condition: Any) -> None:
    """Wait until `condition()` is true. The test fails after PATIENCE_S."""
    with gevent.Timeout(PATIENCE_S):
        while not condition():
            gevent.sleep(0.001)
