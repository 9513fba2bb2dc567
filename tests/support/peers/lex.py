"""A peer that is Amazon Lex: it answers each utterance at once, or behaves as one that is down, slow or throttled.

https://docs.aws.amazon.com/lexv2/latest/APIReference/API_runtime_RecognizeUtterance.html
https://docs.aws.amazon.com/lex/latest/dg/API_runtime_PostContent.html
"""

import base64
import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote

from tests.support.peers.http import Answer, Asked, answering

_V1 = re.compile(r"/bot/([^/]+)/alias/([^/]+)/user/([^/]+)/content")
_V2 = re.compile(r"/bots/([^/]+)/botAliases/([^/]+)/botLocales/([^/]+)/sessions/([^/]+)/utterance")

SLOW_S = 60.0


@dataclass(frozen=True)
class Utterance:
    """An utterance that Lex was asked about. `bot`: the names in the path: bot, alias, and with V2 the locale."""

    bot: tuple[str, ...]
    session: str
    audio: bytes
    attributes: str
    was_answered: bool


class LexPeer:
    """Lex with one bot. `says`: what it answers. `voice`: the level of all samples of its voice, 16 bits.

    `mood`: "well", "down", "throttled" or "slow".
    """

    def __init__(self, says: str, voice: int) -> None:
        self.says = says
        self.mood = "well"
        self.heard: list[Utterance] = []
        self.odd: list[str] = []
        self.url = ""
        self._voice = voice.to_bytes(2, "little", signed=True) * 16000
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator["LexPeer"]:
        """Serve until the block ends."""
        with answering(self._answer) as self.url:
            yield self
            self._over.set()

    def _answer(self, asked: Asked) -> Answer:
        path = unquote(asked.path)
        if (found := _V1.fullmatch(path)) or (found := _V2.fullmatch(path)):
            *bot, session = found.groups()
        else:
            if path.rpartition("/")[2] != "session" and "/sessions/" not in path:
                self.odd.append(path)
            return Answer.of_json(404, {"message": "none"}, **{"x-amzn-ErrorType": "NotFoundException"})
        mood = self.mood
        attributes = asked.headers.get("x-amz-lex-session-attributes", "") + asked.headers.get(
            "x-amz-lex-session-state", ""
        )
        self.heard.append(Utterance(tuple(bot), session, asked.body, attributes, mood == "well"))
        if mood == "down":
            return Answer(None, {})
        if mood == "throttled":
            return Answer.of_json(429, {"message": "slow down"}, **{"x-amzn-ErrorType": "LimitExceededException"})
        if mood == "slow":
            self._over.wait(SLOW_S)
        speaks = "audio/pcm" in (asked.headers.get("accept", ""), asked.headers.get("response-content-type", "")) or (
            "audio/pcm" in asked.headers.get("accept", "") + asked.headers.get("response-content-type", "")
        )
        head = self._v1(session) if len(bot) == 2 else self._v2(session)
        return Answer(200, {**head, "Content-Type": "audio/pcm"}, self._voice if speaks else b"")

    def _v1(self, session: str) -> dict[str, str]:
        return {
            "x-amz-lex-dialog-state": "ElicitSlot",
            "x-amz-lex-intent-name": "OrderFlowers",
            "x-amz-lex-slot-to-elicit": "FlowerType",
            "x-amz-lex-message-format": "PlainText",
            "x-amz-lex-encoded-message": base64.b64encode(self._words(session).encode()).decode(),
        }

    def _v2(self, session: str) -> dict[str, str]:
        intent = {"name": "OrderFlowers", "slots": {}, "state": "InProgress"}
        return {
            "x-amz-lex-session-id": session,
            "x-amz-lex-input-mode": "Speech",
            "x-amz-lex-messages": _packed([{"contentType": "PlainText", "content": self._words(session)}]),
            "x-amz-lex-interpretations": _packed([{"intent": intent}]),
            "x-amz-lex-session-state": _packed(
                {"dialogAction": {"type": "ElicitSlot", "slotToElicit": "FlowerType"}, "intent": intent}
            ),
            "x-amz-lex-input-transcript": _packed("roses"),
        }

    def _words(self, session: str) -> str:
        return f"{self.says} {session[-8:]}"


def _packed(content: object) -> str:
    """Return a value as Lex V2 puts it into a header."""
    return base64.b64encode(gzip.compress(json.dumps(content).encode())).decode()
