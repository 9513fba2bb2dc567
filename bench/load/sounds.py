"""Sound of the callers of the load measurement: the noise of a line, with phrases in it if they talk."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from bench.load.stream_mode.figures import voiced_part
from bench.load.stream_mode.speech import VOICE_THRESHOLD
from lexbridge.audio.pcm import FRAME_MS, RATE_HZ, decode_mulaw, encode_mulaw

FRAME_BYTES = RATE_HZ * FRAME_MS // 1000
NOISE_RMS = 12.0

TURNS_A_MINUTE = 9
PERIOD_FRAMES = 60_000 // TURNS_A_MINUTE // FRAME_MS
PHRASES = ("What time is breakfast?", "Where do I park my car?", "I would like to book a table.")
SILENT_S = 30.0
"""Length of the noise, seconds: longer than a period."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Mu-law frames that a caller's line carries in a loop, and the frames with which a phrase ends."""

    frames: tuple[bytes, ...]
    phrase_ends: tuple[int, ...] = ()


def frames_of(pcm: bytes) -> list[bytes]:
    """Return 16-bit PCM at 8 kHz as whole mu-law frames of 20 ms."""
    mulaw = encode_mulaw(pcm)
    return [mulaw[at : at + FRAME_BYTES] for at in range(0, len(mulaw) - FRAME_BYTES + 1, FRAME_BYTES)]


def noise_frames(seconds: float) -> list[bytes]:
    """Return the white noise of a quiet line, as mu-law frames."""
    samples = np.random.default_rng(7).normal(0, NOISE_RMS, round(seconds * RATE_HZ))
    return frames_of(np.rint(samples).astype("<i2").tobytes())


@cache
def silent() -> Sound:
    """Return the white noise of a quiet line."""
    return Sound(tuple(noise_frames(SILENT_S)))


@cache
def talking() -> Sound:
    """Return a line on which the caller says a phrase nine times a minute. Its synthesis takes a second.

    Each phrase begins and ends with a frame that is voiced by its level.
    """
    from lexbridge.offline.lex.voice import HibariVoice
    from lexbridge.offline.twilio.telephone_audio import for_telephone

    noise, frames, ends = noise_frames(SILENT_S), list[bytes](), list[int]()
    with HibariVoice() as voice:
        for text in PHRASES:
            mulaw = for_telephone(voice.speak(text), voice.rate_hz)
            phrase = frames_of(voiced_part(decode_mulaw(mulaw), VOICE_THRESHOLD))
            ends.append(len(frames) + len(phrase) - 1)
            frames += [*phrase, *noise[: PERIOD_FRAMES - len(phrase)]]
    return Sound(tuple(frames), tuple(ends))
