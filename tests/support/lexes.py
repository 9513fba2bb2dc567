"""A local Lex that boto3 finds by its environment, and clients that ask it without a call."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from lexbridge.audio.pcm import decode_mulaw, encode_mulaw
from lexbridge.audio.resampler import resample
from lexbridge.audio.utterance_audio import UtteranceAudio
from lexbridge.lex.boto import make_lex_runtime
from lexbridge.lex.client import LexClient
from lexbridge.lex.runtime import LexRequest
from lexbridge.lex.speech import Speech
from lexbridge.lex.utterance import Utterance
from lexbridge.lex.v1 import LexV1
from lexbridge.lex.voice import ReplyAudio
from lexbridge.logs import Log
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from tests.support.fixtures import Logged
from tests.support.rig import PATIENT, HummingVoice, flowers, settings, v2_bot

FRAME = decode_mulaw(bytes(range(160)))

GENERATIONS = pytest.mark.parametrize("generation", ["v1", "v2"])


@contextmanager
def local_lex(monkeypatch: pytest.MonkeyPatch, *heard: str) -> Iterator[LocalLex]:
    """Run a local Lex that boto3 finds by its environment. It hears the lines of `heard`, whatever is said."""
    with LocalLex(bots=[flowers()], recogniser=ScriptedRecogniser(list(heard)), voice=HummingVoice()) as local:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", local.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", local.url)
        yield local


def lex_of(generation: str, mode: str = "call-update", **deadlines: float) -> LexClient:
    """Return a client for the flower shop's bot."""
    bot = v2_bot(flowers()) if generation == "v2" else {}
    return make_lex_runtime(settings(REPLY_MODE=mode, **bot), replace(PATIENT, **deadlines))


class SpokenUtterance(Utterance):
    """An utterance that a test speaks, frame by frame. Each frame goes out at once."""

    def __init__(self) -> None:
        self._spoken = UtteranceAudio()
        super().__init__(self._spoken)

    def speaks(self, frames: int = 1) -> None:
        """Say `frames` times the same FRAME."""
        self._spoken.append(encode_mulaw(FRAME) * frames)
        self.flush()


def spoken(frames: int = 20) -> Utterance:
    """Return a complete utterance."""
    utterance = SpokenUtterance()
    utterance.speaks(frames)
    utterance.close()
    return utterance


def asked() -> LexRequest:
    """Return the request of a turn."""
    return LexRequest("CA-session", None, spoken())


def voice_of(lex: LexClient, request: LexRequest) -> Speech:
    """Send a request. Return the speech of its answer."""
    speech = lex.ask(request, Log()).speech
    assert speech is not None
    return speech


def lines_of_lex(logged: Logged) -> list[dict[str, Any]]:
    """Return the log lines of requests to Lex, because an earlier test may have left a line of another kind."""
    return [line for line in logged() if line["event"].startswith("lex-")]


def heard_of(speech: Speech) -> bytes:
    """Return all audio of a speech, mu-law."""
    return b"".join(iter(speech.read, b""))


@cache
def hum_of(text: str) -> bytes:
    """Return the hum that the caller hears for `text`, mu-law."""
    audio = ReplyAudio("audio/pcm")
    return audio.push(resample(HummingVoice().speak(text), 8000, 16000)) + audio.flush()


def state_of(lex: LexClient, session_id: str) -> dict[str, Any]:
    """Return all that GetSession tells, without the names that no two sessions share."""
    if isinstance(lex._api, LexV1):
        told = lex._api.client.get_session(botName="OrderFlowers", botAlias="prod", userId=session_id)
    else:
        told = lex._api.client.get_session(
            botId=flowers().v2_id, botAliasId="TSTALIASID", localeId="en_US", sessionId=session_id
        )
        del told["sessionState"]["originatingRequestId"]
        del told["interpretations"]  # how sure Lex is of the last utterance
    return {name: value for name, value in told.items() if name not in ("ResponseMetadata", "sessionId")}
