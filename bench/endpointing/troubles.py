"""Troubles of lines: levels, clipping, offsets, comfort noise, lost frames, tones, hold music, echo of prompts."""

from collections import deque
from collections.abc import Callable, Mapping

import numpy as np

from bench.endpointing.line import SPEECH_DBOV, Condition, Line, Lines, comfort_noise, level, line_of
from bench.endpointing.recordings import Samples
from bench.endpointing.signals import CADENCES, cadence, keys
from lexbridge.audio.endpointing import Listening
from lexbridge.audio.pcm import FRAME_MS, FRAME_SAMPLES, FULL_SCALE, RATE_HZ, encode_mulaw
from lexbridge.call.output.prompt import ECHO_DELAY_MS, Prompt

DC_OFFSET = 800.0
LOSS_SHARE, LOSS_BURST_FRAMES = 0.05, 2.0
HOLD_MUSIC_DBOV = -26.0
ECHO_DB, ECHO_DELAYS_MS = -20.0, (150, 300)
BARGE_IN_MS, BARGE_IN_GAP_MS = 300, 120
"""Voice that the service requires of a caller who interrupts a prompt, ms, and the longest gap within it."""


def offset(samples: Samples, _: np.random.Generator) -> Samples:
    """Add a constant: a converter that is not balanced."""
    return samples + DC_OFFSET


def lost_frames(repeat: bool) -> Callable[[Samples, np.random.Generator], Samples]:
    """Return a change that loses frames in bursts. `repeat`: the last frame is heard again, instead of silence."""

    def change(samples: Samples, rng: np.random.Generator) -> Samples:
        frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES).copy()
        is_lost = False
        for n in range(1, len(frames)):
            leave = 1 / LOSS_BURST_FRAMES
            is_lost = rng.random() >= leave if is_lost else rng.random() < leave * LOSS_SHARE / (1 - LOSS_SHARE)
            if is_lost:
                frames[n] = frames[n - 1] if repeat else 0
        return frames.ravel()

    return change


def no_hiss(length: int, _: np.random.Generator) -> Samples:
    """Return digital silence."""
    return np.zeros(length)


def steps_of_hiss(length: int, rng: np.random.Generator) -> Samples:
    """Return comfort noise whose level jumps every few seconds, now and then to digital silence."""
    pieces: list[Samples] = []
    while sum(map(len, pieces)) < length:
        dbov = float(rng.choice([-np.inf, -66.0, -56.0, -50.0]))
        pieces.append(rng.standard_normal(round(rng.uniform(1, 5) * RATE_HZ)) * level(dbov))
    return np.concatenate(pieces)[:length]


LEVELS = (
    Condition("speech at -35 dBov", speech_dbov=-35.0),
    Condition("speech at -15 dBov", speech_dbov=-15.0),
    Condition("clipped", speech_dbov=-6.0),
)
"""Troubles that only speech shows."""

LINES = (
    Condition("DC offset", change=offset),
    Condition("mains hum as loud as speech", "hum", 0),
    Condition("digital silence", hiss=no_hiss),
    Condition("comfort noise in steps", hiss=steps_of_hiss),
    Condition("lost frames are silent", "car", 20, change=lost_frames(repeat=False)),
    Condition("lost frames are repeated", "car", 20, change=lost_frames(repeat=True)),
)
"""Troubles with speech, and without."""


def music(lines: Lines, seconds: float, rng: np.random.Generator) -> Samples:
    """Return the music of a caller's switchboard that has put the bot on hold."""
    return lines.backgrounds.make("music", seconds, rng) * level(HOLD_MUSIC_DBOV)


Sound = Callable[[Lines, float, np.random.Generator], Samples]


def _cadence(name: str) -> Sound:
    return lambda _, seconds, rng: cadence(name, seconds, rng)


SOUNDS: Mapping[str, Sound] = {
    "keys (DTMF)": lambda _, seconds, rng: keys(seconds, rng),
    **{name: _cadence(name) for name in CADENCES},
    "hold music": music,
}
"""Sounds of lines on which nobody speaks."""

ECHO = "echo of our prompts"


def sounding(name: str, lines: Lines, seconds: float, rng: np.random.Generator) -> Line:
    """Return a line on which one of SOUNDS is heard, or ECHO."""
    if name == ECHO:
        return _echoing(lines, seconds, rng)
    samples = SOUNDS[name](lines, seconds, rng)
    return line_of(samples + comfort_noise(len(samples), rng), Condition(name))


def _echoing(lines: Lines, seconds: float, rng: np.random.Generator) -> Line:
    """Return a line of stream mode: prompts come back weaker and later, and the service listens while they play."""
    samples = comfort_noise(round(seconds * RATE_HZ), rng)
    listening: dict[int, Listening] = {}
    voice, at = lines.voice(rng), RATE_HZ
    while (length := round(rng.uniform(3, 8) * RATE_HZ) // FRAME_SAMPLES * FRAME_SAMPLES) < len(samples) - at:
        prompt = voice.talk(length / RATE_HZ, rng) * 10 ** (SPEECH_DBOV / 20)
        echo_at = at + int(rng.integers(*ECHO_DELAYS_MS)) * RATE_HZ // 1000
        echo = prompt[: len(samples) - echo_at] * 10 ** (ECHO_DB / 20)
        samples[echo_at : echo_at + len(echo)] += echo
        listening |= _guarded(prompt, at // FRAME_SAMPLES)
        at += length + round(rng.uniform(2, 4) * RATE_HZ) // FRAME_SAMPLES * FRAME_SAMPLES
    return line_of(samples, Condition(ECHO), listening=listening)


def _guarded(prompt: Samples, first: int) -> dict[int, Listening]:
    """Return how the service listens to the frames from `first` on, while `prompt` plays and its echo may come."""
    played = Prompt(0)
    played.push(encode_mulaw(np.clip(np.rint(prompt), -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()))
    played.complete()
    deque(played.send(0), maxlen=0)  # the prompt begins
    frames = range(len(prompt) // FRAME_SAMPLES + ECHO_DELAY_MS // FRAME_MS)
    levels = [played.echo_rms(n * FRAME_MS) for n in frames]
    return {first + n: Listening(BARGE_IN_MS, BARGE_IN_GAP_MS, rms) for n, rms in enumerate(levels)}
