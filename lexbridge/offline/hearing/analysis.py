"""Analysis of a recording by one detector: utterances, levels, and settings that might hear it better."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lexbridge.audio.endpointing import EndpointingRules
from lexbridge.audio.pcm import FRAME_MS, FULL_SCALE, PCM_FRAME_BYTES, encode_mulaw, frame_levels_dbfs
from lexbridge.audio.replay import FoundUtterance, Replay
from lexbridge.audio.speech_events import EndReason
from lexbridge.audio.vad import Detector

Levels = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

APART_DB = 6.0
"""Least distance between the loudest noise and the median of the speech, in dB, in which a threshold fits."""

SAME_SENTENCE_MS = 1000
"""Longest pause after an utterance, in ms, after which the next one is probably the same sentence."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance: from its first voiced frame to the place where its end was found.

    silent_ms: the unvoiced time at its end. reason: None if the recording ended before the utterance.
    """

    started_ms: int
    ended_ms: int
    silent_ms: int
    reason: EndReason | None
    level_dbov: float


@dataclass(frozen=True, slots=True)
class Heard:
    """The result of one detector for a recording: `levels` in dBov, and whether it is `voiced`, for each frame."""

    detector: str
    levels: Levels = field(repr=False)
    voiced: Flags = field(repr=False)
    utterances: tuple[Utterance, ...]
    noise: Levels = field(repr=False)
    """Levels of the frames outside every utterance and its pre-roll."""

    @property
    def noise_dbov(self) -> float:
        """Median level of the unvoiced frames in dBov, or NaN if there are none."""
        return float(np.median(self.noise)) if len(self.noise) else float("nan")

    @property
    def speech_dbov(self) -> float:
        """Median of the utterances' levels; NaN if there are none."""
        return float(np.median([one.level_dbov for one in self.utterances])) if self.utterances else float("nan")


def listen(pcm: bytes, name: str, detector: Detector, rules: EndpointingRules) -> Heard:
    """Run `detector` over `pcm` (16-bit, 8 kHz) as in a call without prompts, in which every question is open."""
    replay = Replay(detector, rules)
    starts = range(0, len(pcm) - PCM_FRAME_BYTES + 1, PCM_FRAME_BYTES)
    voiced = [replay.push(encode_mulaw(pcm[start : start + PCM_FRAME_BYTES])) for start in starts]
    levels, flags = frame_levels_dbfs(pcm), np.array(voiced, dtype=np.bool_)
    return _heard(name, levels, flags, replay.utterances(), rules.pre_roll_ms)


def _heard(name: str, levels: Levels, voiced: Flags, spans: Sequence[FoundUtterance], before_ms: int) -> Heard:
    """`before_ms`: what comes so soon before an utterance may be its beginning, and is no noise."""
    outside = np.ones(len(levels), dtype=np.bool_)
    utterances = []
    for one in spans:
        outside[max(0, one.started_ms - before_ms) // FRAME_MS : one.ended_ms // FRAME_MS] = False
        inside = slice(one.started_ms // FRAME_MS, one.ended_ms // FRAME_MS)
        level_dbov = float(10 * np.log10(np.mean(10 ** (levels[inside][voiced[inside]] / 10))))
        utterances.append(Utterance(one.started_ms, one.ended_ms, one.silent_ms, one.reason, level_dbov))
    return Heard(name, levels, voiced, tuple(utterances), levels[outside])


def pauses_ms(heard: Heard) -> list[int]:
    """Return the longest pause within each utterance in ms: a run of unvoiced frames between voiced ones."""
    found = []
    for one in heard.utterances:
        voiced = np.flatnonzero(heard.voiced[one.started_ms // FRAME_MS : one.ended_ms // FRAME_MS])
        found.append(int(np.diff(voiced).max(initial=1) - 1) * FRAME_MS)
    return found


def hints(heard: Heard, rules: EndpointingRules) -> Iterator[str]:
    """Sentences: what to try."""
    if not heard.utterances:
        yield "no speech was found: is it the caller's channel (--channel), and loud enough?"
        return
    longest = sum(one.reason is EndReason.MAX_LENGTH for one in heard.utterances)
    if longest:
        yield f"{longest} ran into MAX_UTTERANCE_MS: background is taken for voice. VAD=hybrid, or a higher threshold"
    yield from _on_hangover(heard, rules)


def _on_hangover(heard: Heard, rules: EndpointingRules) -> Iterator[str]:
    gaps_ms = [
        then.started_ms - one.ended_ms + one.silent_ms
        for one, then in zip(heard.utterances, heard.utterances[1:], strict=False)
        if one.reason is EndReason.HANGOVER and then.started_ms - one.ended_ms <= SAME_SENTENCE_MS
    ]
    if gaps_ms:
        yield (
            f"{len(gaps_ms)} went on within {SAME_SENTENCE_MS} ms of an end, after pauses of up to {max(gaps_ms)} ms: "
            "if that was the same sentence, a longer hangover (HANGOVER_MS, HANGOVER_MAX_MS) or JOIN=on keeps it whole"
        )
    longest_ms = max(pauses_ms(heard))
    if longest_ms < rules.hangover_ms // 2:
        yield (f"no pause within an utterance was longer than {longest_ms} ms: a shorter hangover would answer sooner")


def threshold_hint(heard: Heard) -> str:
    """Return advice for VOICE_THRESHOLD, from the levels of speech and noise in `heard`."""
    if not len(heard.noise) or not heard.voiced.any():
        return "VOICE_THRESHOLD: nothing to tell it by"
    speech_dbov = float(np.median(heard.levels[heard.voiced]))
    noise_dbov = float(np.percentile(heard.noise, 99))
    if speech_dbov - noise_dbov < APART_DB:
        return "VOICE_THRESHOLD: the noise is at times as loud as the speech, no threshold parts them. VAD=hybrid"
    between = FULL_SCALE * 10 ** ((speech_dbov + noise_dbov) / 40)
    return f"VOICE_THRESHOLD: {between:.0f} lies between the noise and the speech"
