"""Arithmetic of the stream mode measurement: from the events of a call, and from samples, to figures. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lexbridge.audio.endpointing import Endpointer, EndpointingRules, Listening
from lexbridge.audio.pcm import (
    FRAME_MS,
    FRAME_SAMPLES,
    MULAW_FRAME_BYTES,
    PCM_BYTES_PER_MS,
    PCM_FRAME_BYTES,
    encode_mulaw,
    rms,
)
from lexbridge.audio.vad import AmplitudeDetector
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS
from lexbridge.call.output.prompt import Prompt
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.twilio.events import BotAudible, Event, MediaBegan, MessageSent, SpeechEnded, SpeechStarted

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """Line of the table. Without a `limit` the figure is for information only."""

    name: str
    value: str
    limit: str = ""
    is_missed: bool = False

    @property
    def row(self) -> list[str]:
        """Cells of the line."""
        return [self.name, self.value, self.limit, ("MISSED" if self.is_missed else "ok") if self.limit else ""]


def all_of(name: str, count: int, of: int) -> Figure:
    """Return a figure that is missed unless `count` reaches `of`."""
    return Figure(name, f"{count} of {of}", "all", count < of)


def none_of(name: str, count: int) -> Figure:
    """Return a figure that is missed unless `count` is 0."""
    return Figure(name, str(count), "none", count > 0)


def is_clear(event: object) -> bool:
    """Whether the service has told Twilio to drop the audio that it has not played."""
    return isinstance(event, MessageSent) and event.kind == "clear"


@dataclass(frozen=True, slots=True)
class Answer:
    """One turn: when the caller fell silent, and when the reply came. Times are monotonic."""

    ended_s: float
    """End of the caller's last voiced frame."""
    media_s: float
    """Time at which the first audio of the reply came."""
    lex_s: float
    """Time from the end of the upload to Lex's first byte."""
    lead_s: float | None = None
    """Time from the first audio of the reply to Lex's last byte; None if Lex sends all at once."""
    heard_s: float | None = None
    """Time at which the caller could hear the reply; None if never."""

    @property
    def reply_ms(self) -> float:
        """Time from the caller's last sound to the reply's first sound, ms; infinite if the reply was not heard."""
        return math.inf if self.heard_s is None else (self.heard_s - self.ended_s) * 1000

    def bridge_ms(self, hangover_ms: int) -> float:
        """Return the part of the latency that is the service's, with the network and the sockets of both peers, ms."""
        return (self.media_s - self.ended_s - self.lex_s) * 1000 - hangover_ms


def answers(events: Sequence[Event], requests: Iterable[LexRequest]) -> list[Answer]:
    """Return Lex's answer to each thing that the caller of one call said. `requests`: those of the call.

    Raises ValueError if something was not answered, or has more requests than one.
    """
    spoken = [event.at_s for event in events if isinstance(event, SpeechEnded)]
    media = [event.at_s for event in events if isinstance(event, MediaBegan)]
    audible = [event.at_s for event in events if isinstance(event, BotAudible)]
    uploaded = [request for request in requests if request.ended is not None]
    found = []
    for ended_s, next_s in zip(spoken, [*spoken[1:], math.inf], strict=True):
        media_s = next((at_s for at_s in media if ended_s < at_s < next_s), None)
        asked = [request for request in uploaded if request.ended is not None and ended_s < request.ended < next_s]
        if media_s is None or len(asked) != 1:
            raise ValueError(f"what was said until {ended_s:.2f} has {len(asked)} requests, first media at {media_s}")
        (request,) = asked
        assert request.ended is not None
        assert request.answered is not None
        lead_s = None if request.speech_ended is None else request.speech_ended - media_s
        heard_s = next((at_s for at_s in audible if media_s <= at_s < next_s), None)
        found.append(Answer(ended_s, media_s, request.answered - request.ended, lead_s, heard_s))
    return found


def clear_ms(events: Sequence[Event], started: SpeechStarted) -> float | None:
    """Return the time from the beginning of the caller's first voiced frame to `clear`, or None if there was none."""
    # The event comes when the frame's 20 ms are over.
    began_s = started.at_s - FRAME_MS / 1000
    cleared = (event.at_s for event in events if isinstance(event, MessageSent) and event.kind == "clear")
    at_s = next((at_s for at_s in cleared if at_s > began_s), None)
    return None if at_s is None else (at_s - began_s) * 1000


@dataclass(frozen=True, slots=True)
class UploadedSpeech:
    """Part of the caller's speech that Lex got."""

    lead_ms: float
    """Audio of the line before the speech; if it is negative, that much of the beginning is lost."""
    tail_ms: float
    """Audio of the line after the speech; if it is negative, that much of the end is lost."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is lost."""
        return self.lead_ms >= 0 and self.tail_ms >= 0


def find_speech(line: bytes, said_at: int, said: bytes, upload: bytes) -> UploadedSpeech | None:
    """Return what `upload` holds of the caller's speech, or None if it holds none of it, sample by sample.

    On the caller's `line` the speech `said` is at byte `said_at`; all of them are 16-bit PCM.
    """
    at = -1
    while (at := line.find(upload, at + 1)) >= 0:
        end, said_end = at + len(upload), said_at + len(said)
        if at < said_end and said_at < end:
            return UploadedSpeech((said_at - at) / PCM_BYTES_PER_MS, (end - said_end) / PCM_BYTES_PER_MS)
    return None


def voiced_part(pcm: bytes, threshold: int) -> bytes:
    """Return 8 kHz `pcm` from the first to the last frame whose RMS is above `threshold`.

    The service's detector counts in the same way. Raises ValueError if no frame is that loud.
    """
    frames = [pcm[start : start + PCM_FRAME_BYTES] for start in range(0, len(pcm), PCM_FRAME_BYTES)]
    voiced = [number for number, frame in enumerate(frames) if rms(frame) > threshold]
    if not voiced:
        raise ValueError("no frame is voiced")
    return b"".join(frames[voiced[0] : voiced[-1] + 1])


def voiced_runs(levels: Sequence[int], threshold: int, run_ms: int, gap_ms: int) -> int:
    """Return how often frames of these RMS levels are voiced for `run_ms`, with pauses of up to `gap_ms`.

    So often would a fixed threshold take them for a caller who interrupts. A run counts once.
    """
    count = run = unvoiced = 0
    for level in levels:
        voiced = level > threshold
        unvoiced = 0 if voiced else unvoiced + FRAME_MS
        if voiced or (run and unvoiced <= gap_ms):
            before, run = run, run + FRAME_MS
            count += before < run_ms <= run
        else:
            run = 0
    return count


def echo_guards(mulaw: bytes) -> list[int]:
    """Return the RMS of the echo of this prompt that the service expects, for each whole frame."""
    prompt = Prompt(1)
    prompt.push(mulaw[: len(mulaw) // MULAW_FRAME_BYTES * MULAW_FRAME_BYTES])
    prompt.complete()
    guards = []
    for now_ms in range(0, prompt.arrived_ms, FRAME_MS):
        list(prompt.send(now_ms))
        guards.append(prompt.echo_rms(now_ms))
    return guards


def interruption_ms(said: bytes, guards: Sequence[int], barge_in_ms: int, threshold: int) -> int | None:
    """Return the media time from the beginning of `said` until it interrupts a prompt, or None if it does not.

    `said`: 8 kHz PCM. `guards`: expected echo of each frame of the prompt from there on.
    """
    detector = AmplitudeDetector(threshold)
    endpointer = Endpointer(EndpointingRules(longest_onset_ms=barge_in_ms + PAUSE_WITHIN_ONSET_MS))
    after_ms = PAUSE_WITHIN_ONSET_MS + FRAME_MS
    pcm = said + bytes(after_ms * PCM_BYTES_PER_MS)
    for start, guard in zip(range(0, len(pcm), PCM_FRAME_BYTES), guards, strict=False):
        listening = Listening(barge_in_ms, PAUSE_WITHIN_ONSET_MS, guard)
        frame = pcm[start : start + PCM_FRAME_BYTES]
        if endpointer.push(encode_mulaw(frame), detector.is_voiced(frame), listening):
            return endpointer.now_ms
    return None


# -- samples


def samples_of(pcm: bytes) -> Samples:
    """Return 16-bit PCM as numbers."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float64)


def ideal(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Return the samples resampled by their whole spectrum: only what is above the lower Nyquist frequency goes.

    Silence is put on both sides first, because the spectrum takes the samples for one period.
    """
    pad = from_hz // 4
    padded = np.concatenate([np.zeros(pad), samples, np.zeros(pad + (-len(samples) - 2 * pad) % from_hz)])
    length = len(padded) * to_hz // from_hz
    spectrum = np.fft.rfft(padded)[: length // 2 + 1]
    whole = np.fft.irfft(spectrum, length) * length / len(padded)
    start = pad * to_hz // from_hz
    return whole[start : start + len(samples) * to_hz // from_hz]


def snr_db(signal: Samples, reference: Samples) -> float:
    """Return the power of `reference` over the power of what `signal` has besides, dB.

    Raises ValueError if their lengths differ.
    """
    if len(signal) != len(reference):
        raise ValueError(f"{len(signal)} samples and {len(reference)}")
    noise = float(np.sum((signal - reference) ** 2))
    return 10 * math.log10(float(np.sum(reference**2)) / noise) if noise else math.inf


def low_passed(samples: Samples, rate_hz: int, band_hz: float) -> Samples:
    """Return the part of `samples` below `band_hz`, cut off as in `ideal`."""
    pad = rate_hz // 4
    spectrum = np.fft.rfft(np.pad(samples, pad))
    spectrum[np.fft.rfftfreq(len(samples) + 2 * pad, 1 / rate_hz) > band_hz] = 0
    return np.fft.irfft(spectrum, len(samples) + 2 * pad)[pad : pad + len(samples)]


def largest_steps(samples: Samples) -> tuple[float, float]:
    """Return the largest differences of neighbouring samples: at the borders of frames, and inside frames."""
    steps = np.abs(np.diff(samples))
    at_border = np.arange(1, len(samples)) % FRAME_SAMPLES == 0
    return float(steps[at_border].max(initial=0.0)), float(steps[~at_border].max(initial=0.0))
