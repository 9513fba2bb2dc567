"""Speech of the callers and of the bot in the stream mode measurement.

All of it is synthesised before the calls, so that no time is spent on it while they are measured. What a caller says
begins and ends with a frame that the service's detector counts as voiced, and is on the line sample by sample as it was
made: so Lex recognises it by its samples, and understands nothing else.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.load.stream_mode.figures import voiced_part
from lexbridge.audio.pcm import FULL_SCALE, RATE_HZ, decode_mulaw, encode_mulaw, frame_levels_dbfs
from lexbridge.audio.resampler import resample
from lexbridge.offline.lex.voice import HibariVoice
from lexbridge.offline.twilio.telephone_audio import SPEECH_LEVEL_DBFS, VOICED_BELOW_SPEECH_DB, for_telephone

LEX_HZ = 16000
HANGOVER_MS = 700
PRE_ROLL_MS = 500
BARGE_IN_MS = 300
VOICE_THRESHOLD = 500
"""The service's defaults. They are set all the same, because the figures are counted from them."""

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
"""More phrases of callers, used in media time only."""

SENTENCES = (
    "Our rooms look out over the garden or the sea, and all of them have a desk, a kettle and a wide, quiet bed.",
    "Breakfast is from half past six until ten, on Sundays until eleven, and you find it on the ground floor.",
    "Dogs are welcome in every room but the suites, and there is a path along the beach that they are fond of.",
    "You can park behind the house; the gate opens with the number that we send you the day before you come.",
    "The restaurant serves dinner from six, and the kitchen closes at nine, so please book a table in good time.",
    "The nearest station is twelve minutes away on foot, and a bus goes there every quarter of an hour.",
    "If you would like to change the day of your stay, please tell me the number of your booking now.",
)
"""Sentences of the bot: some six seconds each."""


@dataclass(slots=True)
class Speech:
    """Recordings of what callers and the bot say, by their texts, at a usual level."""

    phrases: Mapping[str, bytes]
    """Phrases of callers: 8 kHz PCM that mu-law does not change, from the first voiced frame to the last."""
    others: Mapping[str, bytes]
    """More of what callers say, in the same form, used in media time only."""
    sentences: Mapping[str, bytes]
    """Sentences of the bot: 16 kHz PCM."""

    def prompt(self, *numbers: int) -> bytes:
        """Return the sentences of these numbers, one after the other, as Lex sends them."""
        return b"".join(self.sentences[SENTENCES[number % len(SENTENCES)]] for number in numbers)


def make_speech() -> Speech:
    """Synthesise everything that is said. It takes some seconds."""
    with HibariVoice() as voice:
        said = {}
        for text in (*PHRASES, *OTHERS):
            mulaw = for_telephone(voice.speak(text), voice.rate_hz)
            said[text] = voiced_part(decode_mulaw(mulaw), VOICE_THRESHOLD)
        sentences = {text: at_level(resample(voice.speak(text), voice.rate_hz, LEX_HZ)) for text in SENTENCES}
    phrases, others = ({text: said[text] for text in texts} for texts in (PHRASES, OTHERS))
    return Speech(phrases, others, sentences)


def at_level(pcm: bytes, level_dbfs: float = SPEECH_LEVEL_DBFS) -> bytes:
    """Return 16-bit PCM whose speech, without the pauses, is at that level: the rule of `for_telephone`."""
    levels_dbfs = frame_levels_dbfs(pcm)
    power = 10 ** (levels_dbfs / 10)
    spoken_dbfs = 10 * math.log10(power[levels_dbfs > levels_dbfs.max() - VOICED_BELOW_SPEECH_DB].mean())
    samples = np.frombuffer(pcm, dtype="<i2") * 10 ** ((level_dbfs - spoken_dbfs) / 20)
    return bytes(np.clip(np.rint(samples), -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes())


def telephone(pcm: bytes) -> bytes:
    """Return Lex's `pcm` as the mu-law that the caller hears."""
    return encode_mulaw(resample(pcm, LEX_HZ, RATE_HZ))
