"""The service in stream mode between a local Lex and a simulated Twilio, with callers and a bot that say real speech.

Everything spoken is made before the calls, so that nothing here takes time while they are measured. What a caller says
begins and ends with a frame that the bridge's detector counts as voiced, and is on the line sample by sample as it was
made: Lex knows it again by its samples, and understands nothing else.
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import gevent
import numpy as np

from bench.harness.lateness import Lateness
from bench.load.stream_mode.figures import voiced_part
from lexbridge.audio.pcm import FULL_SCALE, RATE_HZ, decode_mulaw, encode_mulaw, frame_levels_dbfs
from lexbridge.audio.resampler import resample
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.commands.bridge_process import BridgeProcess
from lexbridge.offline.lex.bots import Bot, Intent, Message
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import HibariVoice, SilentVoice
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import BotBegan, Event, MarkReturned, SpeechEnded, StreamOpened
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.offline.twilio.telephone_audio import SPEECH_LEVEL_DBFS, VOICED_BELOW_SPEECH_DB, for_telephone

Kind = TypeVar("Kind", bound=Event)

LEX_HZ = 16000
PATIENCE_S = 60.0
HANGOVER_MS = 700
PRE_ROLL_MS = 500
BARGE_IN_MS = 300
VOICE_THRESHOLD = 500
"""The defaults, set all the same: the figures are counted from them."""

PHRASES = (
    "Tell me about the rooms.",
    "What time is breakfast?",
    "Can I bring my dog?",
    "Where do I park my car?",
    "I would like to book a table.",
)
OTHERS = (
    "Stop.",
    "Help.",
    "Operator.",
    "Hold on.",
    "Seventeen.",
    "Yes, please.",
    "Please cancel it.",
    "Two nights from Friday.",
    "Wait a second, please.",
    "Can you say that again?",
    "No, stop, that is wrong.",
    "That's enough, thank you.",
    "Sorry, I do not need that.",
    "Not that one, the other one.",
    "Excuse me, I have a question.",
    "I want to speak to a person.",
)
"""Said in media time only."""

SENTENCES = (
    "Our rooms look out over the garden or the sea, and all of them have a desk, a kettle and a wide, quiet bed.",
    "Breakfast is from half past six until ten, on Sundays until eleven, and you find it on the ground floor.",
    "Dogs are welcome in every room but the suites, and there is a path along the beach that they are fond of.",
    "You can park behind the house; the gate opens with the number that we send you the day before you come.",
    "The restaurant serves dinner from six, and the kitchen closes at nine, so please book a table in good time.",
    "The nearest station is twelve minutes away on foot, and a bus goes there every quarter of an hour.",
    "If you would like to change the day of your stay, please tell me the number of your booking now.",
)
"""Of some six seconds each."""


@dataclass(slots=True)
class Speech:
    """`phrases` and `others`: what callers say, 8 kHz PCM that mu-law leaves as it is, from the first voiced frame to
    the last; `sentences`: what the bot says, 16 kHz PCM. By their texts, at a usual level."""

    phrases: Mapping[str, bytes]
    others: Mapping[str, bytes]
    sentences: Mapping[str, bytes]

    def prompt(self, *numbers: int) -> bytes:
        """Sentences of these numbers, one after the other, as Lex sends them."""
        return b"".join(self.sentences[SENTENCES[number % len(SENTENCES)]] for number in numbers)


def make_speech() -> Speech:
    """Has all of it spoken: some seconds."""
    with HibariVoice() as voice:
        said = {}
        for text in (*PHRASES, *OTHERS):
            mulaw = for_telephone(voice.speak(text), voice.rate_hz)
            said[text] = voiced_part(decode_mulaw(mulaw), VOICE_THRESHOLD)
        sentences = {text: at_level(resample(voice.speak(text), voice.rate_hz, LEX_HZ)) for text in SENTENCES}
    phrases, others = ({text: said[text] for text in texts} for texts in (PHRASES, OTHERS))
    return Speech(phrases, others, sentences)


def at_level(pcm: bytes, level_dbfs: float = SPEECH_LEVEL_DBFS) -> bytes:
    """16-bit PCM whose speech, not its pauses, is at that level: the rule of `for_telephone`."""
    levels_dbfs = frame_levels_dbfs(pcm)
    power = 10 ** (levels_dbfs / 10)
    spoken_dbfs = 10 * math.log10(power[levels_dbfs > levels_dbfs.max() - VOICED_BELOW_SPEECH_DB].mean())
    samples = np.frombuffer(pcm, dtype="<i2") * 10 ** ((level_dbfs - spoken_dbfs) / 20)
    return bytes(np.clip(np.rint(samples), -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes())


class _Recordings:
    """The bot's voice: recordings, by what they say."""

    rate_hz = LEX_HZ

    def __init__(self, recordings: Mapping[str, bytes]) -> None:
        self._recordings = recordings
        self._silent = SilentVoice()

    def speak(self, text: str) -> bytes:
        """See `Voice`. Of what lexbridge says itself there is no recording: as much silence."""
        return self._recordings.get(text) or self._silent.speak(text)


class _ExactRecogniser:
    """Hears a phrase where all of its samples are, and nothing elsewhere."""

    def __init__(self, phrases: Mapping[str, bytes]) -> None:
        self._phrases = phrases

    def recognise(self, pcm: bytes, grammar: str) -> str:  # noqa: ARG002
        """See `Recogniser`."""
        return next((text for text, said in self._phrases.items() if said in pcm), "")


def bot_of(prompts: Sequence[bytes]) -> tuple[Bot, dict[str, bytes]]:
    """A bot that answers each of PHRASES with one of `prompts`, and its recordings."""
    texts = [f"prompt {number}" for number in range(len(PHRASES))]
    intents = tuple(
        Intent(f"Ask{'ABCDE'[number]}", utterances=(phrase,), closing=(Message(texts[number]),))
        for number, phrase in enumerate(PHRASES)
    )
    recordings = {text: prompts[number % len(prompts)] for number, text in enumerate(texts)}
    return Bot("Hotel", intents), recordings


def _none(number: int) -> Mapping[str, float]:  # noqa: ARG001
    return {}


@dataclass(slots=True)
class World:
    """The bridge and both its neighbours."""

    speech: Speech
    prompts: Sequence[bytes]
    lex: LocalLex
    twilio: SimulatedTwilio
    bridge: BridgeProcess
    lateness: Lateness
    talks: list["Talk"] = field(default_factory=list)

    def together(
        self, count: int, story: Callable[["Talk", int], None], options: Callable[[int], Mapping[str, float]] = _none
    ) -> None:
        """`count` calls at once, each as `story` has it, begun one after the other. `options`: of
        `SimulatedTwilio.place_call`, for the call of that number."""

        def one(number: int) -> None:
            gevent.sleep(number * 0.2)
            talk = Talk(self, options(number))
            self.talks.append(talk)
            try:
                story(talk, number)
            finally:
                talk.hang_up()

        with self.lateness:
            gevent.joinall([gevent.spawn(one, number) for number in range(count)], raise_error=True)


@contextmanager
def world(
    speech: Speech, prompts: Sequence[bytes], lateness: Lateness, think_s: float = 0.0, **settings: str
) -> Iterator[World]:
    """All of it, at the telephone's own pace. `prompts`: what the bot says to each of PHRASES, in turn. `lateness`: of
    this process, watched during calls."""
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
        BridgeProcess({**_settings(bot, lex, twilio), **settings}, Path(folder) / "bridge.log") as bridge,
    ):
        yield World(speech, prompts, lex, twilio, bridge, lateness)


def _settings(bot: Bot, lex: LocalLex, twilio: SimulatedTwilio) -> dict[str, str]:
    return {
        "LEX_BOT_ID": bot.v2_id,
        "LEX_BOT_ALIAS_ID": "TSTALIASID",
        "AWS_REGION": "us-east-1",
        "ACCESS_KEY_ID": "offline",
        "SECRET_ACCESS_KEY": "offline",
        "TWILIO_AUTH_TOKEN": twilio.auth_token,
        "TWILIO_API_URL": twilio.url,
        "AWS_ENDPOINT_URL_LEX_RUNTIME_V2": lex.url,
        "GREETING": "Hi.",
        "REPLY_MODE": "stream",
        "HANGOVER_MS": str(HANGOVER_MS),
        "PRE_ROLL_MS": str(PRE_ROLL_MS),
        "BARGE_IN_MS": str(BARGE_IN_MS),
        "VOICE_THRESHOLD": str(VOICE_THRESHOLD),
    }


class Talk:
    """One call, and what its caller does."""

    def __init__(self, world: World, options: Mapping[str, float]) -> None:
        self.world = world
        self.caller = SimulatedCaller(SilentVoice(), seed=random.randrange(1 << 30))
        self.call: PhoneCall = world.twilio.place_call(f"{world.bridge.url}/twiml", self.caller, **options)  # type: ignore[arg-type]
        self.said: list[tuple[str, int]] = []
        """The phrases, and at which byte of the caller's line, as PCM, each begins."""
        self._heard_whole = 0
        self.call.wait_for(StreamOpened, PATIENCE_S)
        gevent.sleep(0.3)

    @property
    def requests(self) -> list[LexRequest]:
        """What Lex got of this call."""
        return [request for request in self.world.lex.requests if request.session_id == self.call.sid]

    @property
    def line(self) -> bytes:
        """What the caller sent, as PCM."""
        return decode_mulaw(bytes(self.call.line.caller_mulaw))

    def say(self, number: int) -> None:
        """Says one of PHRASES, and returns at the end of it."""
        text = PHRASES[number % len(PHRASES)]
        # The line's next frame is the phrase's first.
        self.said.append((text, 2 * len(self.call.line.caller_mulaw)))
        self.caller.play(encode_mulaw(self.world.speech.phrases[text]), text)
        self.call.wait_for(SpeechEnded, PATIENCE_S, len(self.said))

    def hear_out(self, within_s: float = PATIENCE_S) -> None:
        """Returns when a prompt has been heard to its end. Raises TimeoutError."""
        self._heard_whole += 1
        self.call.wait_for(MarkReturned, within_s, self._heard_whole, _is_end)

    def hear_begin(self) -> float:
        """Returns when the bot has begun to answer what was said last: since when, monotonic."""
        after_s = self.last(SpeechEnded).at_s
        began = self.call.wait_for(BotBegan, PATIENCE_S, where=lambda event: event.at_s > after_s)
        return began.at_s

    def last(self, kind: type[Kind]) -> Kind:
        """The last event of that kind. Raises IndexError if there was none."""
        return [event for event in self.call.events if isinstance(event, kind)][-1]

    def hang_up(self) -> None:
        """Returns when the call is over."""
        self.call.hang_up()
        self.call.wait(PATIENCE_S)
        assert not self.call.complaints, self.call.complaints


def _is_end(event: MarkReturned) -> bool:
    return event.name.endswith(":end") and not event.cleared


def telephone(pcm: bytes) -> bytes:
    """Lex's `pcm` as the caller hears it."""
    return encode_mulaw(resample(pcm, LEX_HZ, RATE_HZ))


def until(at_s: float) -> None:
    """Returns at that monotonic time."""
    gevent.sleep(max(0.0, at_s - time.monotonic()))
