"""Calls of the stream mode measurement: through `server.py`, between a local Lex and a simulated Twilio."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import gevent

from bench.harness.lateness import Lateness
from bench.harness.settings import service_settings, v2_bot
from bench.load.stream_mode.speech import (
    BARGE_IN_MS,
    HANGOVER_MS,
    LEX_HZ,
    PHRASES,
    PRE_ROLL_MS,
    VOICE_THRESHOLD,
    Speech,
)
from lexbridge.audio.pcm import decode_mulaw, encode_mulaw
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.commands.bridge_process import BridgeProcess
from lexbridge.offline.lex.bots import Bot, Intent, Message
from lexbridge.offline.lex.recognition import Recogniser
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice, Voice
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import BotBegan, Event, MarkReturned, SpeechEnded, StreamOpened
from lexbridge.offline.twilio.simulator import SimulatedTwilio

Kind = TypeVar("Kind", bound=Event)

PATIENCE_S = 60.0


class _Recordings(Voice):
    """Voice of the bot: recordings by their texts; silence for lexbridge's own phrases, which have no recording."""

    rate_hz = LEX_HZ

    def __init__(self, recordings: Mapping[str, bytes]) -> None:
        self._recordings = recordings
        self._silent = SilentVoice()

    def speak(self, text: str) -> bytes:
        return self._recordings.get(text) or self._silent.speak(text)


class _ExactRecogniser(Recogniser):
    """Recogniser that hears a phrase if all of its samples are there, and nothing otherwise."""

    def __init__(self, phrases: Mapping[str, bytes]) -> None:
        self._phrases = phrases

    def recognise(self, pcm: bytes, grammar: str) -> str:  # noqa: ARG002
        return next((text for text, said in self._phrases.items() if said in pcm), "")


def bot_of(prompts: Sequence[bytes]) -> tuple[Bot, dict[str, bytes]]:
    """Return a bot that answers each of PHRASES with one of `prompts`, and its recordings."""
    texts = [f"prompt {number}" for number in range(len(PHRASES))]
    intents = tuple(
        Intent(f"Ask{'ABCDE'[number]}", utterances=(phrase,), closing=(Message(texts[number]),))
        for number, phrase in enumerate(PHRASES)
    )
    recordings = {text: prompts[number % len(prompts)] for number, text in enumerate(texts)}
    return Bot("Hotel", intents), recordings


def _no_options(number: int) -> Mapping[str, float]:  # noqa: ARG001
    return {}


@dataclass(slots=True)
class Setup:
    """Running service with its Lex and its Twilio, and the calls made so far."""

    speech: Speech
    prompts: Sequence[bytes]
    lex: LocalLex
    twilio: SimulatedTwilio
    bridge: BridgeProcess
    lateness: Lateness
    calls: list["ScriptedCall"] = field(default_factory=list)

    def together(
        self,
        count: int,
        story: Callable[["ScriptedCall", int], None],
        options: Callable[[int], Mapping[str, float]] = _no_options,
    ) -> None:
        """Make `count` calls side by side, begun one after the other. `story` is what each caller does.

        `options`: of `SimulatedTwilio.place_call`, for the call of that number.
        """

        def one(number: int) -> None:
            gevent.sleep(number * 0.2)
            call = ScriptedCall(self, options(number))
            self.calls.append(call)
            try:
                story(call, number)
            finally:
                call.hang_up()

        with self.lateness:
            gevent.joinall([gevent.spawn(one, number) for number in range(count)], raise_error=True)


@contextmanager
def running(speech: Speech, prompts: Sequence[bytes], lateness: Lateness, think_s: float = 0.0) -> Iterator[Setup]:
    """Run the service for real-time calls. `prompts`: what the bot answers to each of PHRASES, in turn.

    `lateness`: watches this process during the calls.
    """
    bot, recordings = bot_of(prompts)
    with (
        TemporaryDirectory() as folder,
        LocalLex(
            bots=[bot],
            recogniser=_ExactRecogniser(speech.phrases),
            voice=_Recordings(recordings),
            think_s=think_s,
        ) as lex,
        SimulatedTwilio(voice=SilentVoice()) as twilio,
        BridgeProcess(_settings(bot, lex, twilio), Path(folder) / "bridge.log") as bridge,
    ):
        yield Setup(speech, prompts, lex, twilio, bridge, lateness)


def _settings(bot: Bot, lex: LocalLex, twilio: SimulatedTwilio) -> dict[str, str]:
    return service_settings(
        v2_bot(bot.v2_id),
        lex_url=lex.url,
        twilio_url=twilio.url,
        auth_token=twilio.auth_token,
        GREETING="Hi.",
        REPLY_MODE="stream",
        HANGOVER_MS=str(HANGOVER_MS),
        PRE_ROLL_MS=str(PRE_ROLL_MS),
        BARGE_IN_MS=str(BARGE_IN_MS),
        VOICE_THRESHOLD=str(VOICE_THRESHOLD),
    )


class ScriptedCall:
    """One call, and what its caller does."""

    def __init__(self, setup: Setup, options: Mapping[str, float]) -> None:
        self.setup = setup
        self.caller = SimulatedCaller(SilentVoice(), seed=random.randrange(1 << 30))
        self.phone_call: PhoneCall = setup.twilio.place_call(f"{setup.bridge.url}/twiml", self.caller, **options)  # type: ignore[arg-type]
        self.said: list[tuple[str, int]] = []
        """Phrases that the caller has said, and the byte of the caller's line, as PCM, at which each begins."""
        self._heard_whole = 0
        self.phone_call.wait_for(StreamOpened, PATIENCE_S)
        gevent.sleep(0.3)

    @property
    def requests(self) -> list[LexRequest]:
        """Requests of this call that Lex has received."""
        return [request for request in self.setup.lex.requests if request.session_id == self.phone_call.sid]

    @property
    def line(self) -> bytes:
        """Audio that the caller has sent, as PCM."""
        return decode_mulaw(bytes(self.phone_call.line.caller_mulaw))

    def say(self, number: int) -> None:
        """Say one of PHRASES, and wait for its end."""
        text = PHRASES[number % len(PHRASES)]
        # The line's next frame is the phrase's first.
        self.said.append((text, 2 * len(self.phone_call.line.caller_mulaw)))
        self.caller.play(encode_mulaw(self.setup.speech.phrases[text]), text)
        self.phone_call.wait_for(SpeechEnded, PATIENCE_S, len(self.said))

    def hear_out(self, within_s: float = PATIENCE_S) -> None:
        """Wait until a prompt has been heard to its end. Raises TimeoutError."""
        self._heard_whole += 1
        self.phone_call.wait_for(MarkReturned, within_s, self._heard_whole, _is_end)

    def hear_begin(self) -> float:
        """Wait until the bot begins to answer what was said last. Return that time (monotonic)."""
        after_s = self.last(SpeechEnded).at_s
        began = self.phone_call.wait_for(BotBegan, PATIENCE_S, where=lambda event: event.at_s > after_s)
        return began.at_s

    def last(self, kind: type[Kind]) -> Kind:
        """Return the last event of that kind. Raises IndexError if there is none."""
        return [event for event in self.phone_call.events if isinstance(event, kind)][-1]

    def hang_up(self) -> None:
        """Hang up, and wait until the call is over."""
        self.phone_call.hang_up()
        self.phone_call.wait(PATIENCE_S)
        assert not self.phone_call.complaints, self.phone_call.complaints


def _is_end(event: MarkReturned) -> bool:
    return event.name.endswith(":end") and not event.cleared


def until(at_s: float) -> None:
    """Wait until that time (monotonic)."""
    gevent.sleep(max(0.0, at_s - time.monotonic()))
