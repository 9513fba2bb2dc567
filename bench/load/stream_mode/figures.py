"""The arithmetic of `python -m bench stream_mode`: from what happened in a call, and from samples, to figures. Pure.

Not a measurement itself.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lexbridge.audio.endpointing import Endpointer, EndpointingRules, Listening
from lexbridge.audio.pcm import FRAME_MS, FRAME_SAMPLES, MULAW_FRAME_BYTES, PCM_BYTES_PER_MS, PCM_FRAME_BYTES, rms
from lexbridge.audio.vad import AmplitudeDetector
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS
from lexbridge.call.output.prompt import Prompt
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.twilio.events import BotAudible, Event, MediaBegan, MessageSent, SpeechEnded, SpeechStarted

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table. `is_missed`: it is beyond its limit; without a `limit` it is for information."""

    name: str
    value: str
    limit: str = ""
    is_missed: bool = False

    @property
    def row(self) -> list[str]:
        """Its cells."""
        return [self.name, self.value, self.limit, ("MISSED" if self.is_missed else "ok") if self.limit else ""]


@dataclass(frozen=True, slots=True)
class Answer:
    """One turn: the caller's last voiced frame was over at `ended_s`, the first of the reply's audio came at `media_s`;
    monotonic. `lex_s`: from the end of the upload to Lex's first byte. `lead_s`: from the first audio to the last that
    Lex sent; None where it sends all at once. `heard_s`: when the caller could hear it, None if never:
    that is the reply.
    """

    ended_s: float
    media_s: float
    lex_s: float
    lead_s: float | None = None
    heard_s: float | None = None

    @property
    def reply_ms(self) -> float:
        """From the caller's last sound to the first of the reply's; infinite if it was not heard."""
        return math.inf if self.heard_s is None else (self.heard_s - self.ended_s) * 1000

    def bridge_ms(self, hangover_ms: int) -> float:
        """What the bridge took of it, with the network and the neighbours' own sockets."""
        return (self.media_s - self.ended_s - self.lex_s) * 1000 - hangover_ms


def answers(events: Sequence[Event], requests: Iterable[LexRequest]) -> list[Answer]:
    """Each thing that the caller of one call said in silence, and Lex's spoken answer to it; `requests`: that call's.

    Raises ValueError for one that was not answered, or not by just one request.
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
    """From the beginning of the caller's first voiced frame to `clear`; None if the prompt was not stopped."""
    # The event comes when the frame's 20 ms are over.
    began_s = started.at_s - FRAME_MS / 1000
    cleared = (event.at_s for event in events if isinstance(event, MessageSent) and event.kind == "clear")
    at_s = next((at_s for at_s in cleared if at_s > began_s), None)
    return None if at_s is None else (at_s - began_s) * 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """What Lex got of something that the caller said. `lead_ms`: audio of the line before it; less than 0: so much of
    the beginning is lost. `tail_ms`: the same after it."""

    lead_ms: float
    tail_ms: float

    @property
    def is_whole(self) -> bool:
        """Nothing is lost."""
        return self.lead_ms >= 0 and self.tail_ms >= 0


def heard_of(line: bytes, said_at: int, said: bytes, upload: bytes) -> Heard | None:
    """How `upload` lies on the caller's `line`, on which `said` is at byte `said_at`, all of it 16-bit PCM.

    None if it is not on the line, sample by sample, where it holds any of what was said.
    """
    at = -1
    while (at := line.find(upload, at + 1)) >= 0:
        end, said_end = at + len(upload), said_at + len(said)
        if at < said_end and said_at < end:
            return Heard((said_at - at) / PCM_BYTES_PER_MS, (end - said_end) / PCM_BYTES_PER_MS)
    return None


def voiced_part(pcm: bytes, threshold: int) -> bytes:
    """From the first to the last frame of 8 kHz `pcm` whose RMS is above `threshold`: so does the bridge's detector
    count. Raises ValueError if none is."""
    frames = [pcm[start : start + PCM_FRAME_BYTES] for start in range(0, len(pcm), PCM_FRAME_BYTES)]
    voiced = [number for number, frame in enumerate(frames) if rms(frame) > threshold]
    if not voiced:
        raise ValueError("no frame is voiced")
    return b"".join(frames[voiced[0] : voiced[-1] + 1])


def voiced_runs(levels: Sequence[int], threshold: int, run_ms: int, gap_ms: int) -> int:
    """How often frames of these RMS levels are voiced for `run_ms`, with pauses of up to `gap_ms`: how often a fixed
    threshold would take them for somebody who interrupts. A run is counted once."""
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
    """How loud the bridge takes an echo of this prompt to be, RMS, in each of its whole frames."""
    prompt = Prompt(1)
    prompt.push(mulaw[: len(mulaw) // MULAW_FRAME_BYTES * MULAW_FRAME_BYTES])
    prompt.complete()
    guards = []
    for now_ms in range(0, prompt.arrived_ms, FRAME_MS):
        list(prompt.send(now_ms))
        guards.append(prompt.echo_rms(now_ms))
    return guards


def interruption_ms(said: bytes, guards: Sequence[int], barge_in_ms: int, threshold: int) -> int | None:
    """From the beginning of `said`, 8 kHz PCM, to the end of the frame by which it interrupts a prompt, in media time;
    `guards`: of the prompt's frames from there on. None: it does not interrupt it."""
    endpointer = Endpointer(
        AmplitudeDetector(threshold), EndpointingRules(longest_onset_ms=barge_in_ms + PAUSE_WITHIN_ONSET_MS)
    )
    after_ms = PAUSE_WITHIN_ONSET_MS + FRAME_MS
    pcm = said + bytes(after_ms * PCM_BYTES_PER_MS)
    for start, guard in zip(range(0, len(pcm), PCM_FRAME_BYTES), guards, strict=False):
        listening = Listening(barge_in_ms, PAUSE_WITHIN_ONSET_MS, guard)
        if endpointer.push(pcm[start : start + PCM_FRAME_BYTES], listening):
            return endpointer.now_ms
    return None


# -- samples


def samples_of(pcm: bytes) -> Samples:
    """16-bit PCM as numbers."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float64)


def ideal(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Resampled by the whole spectrum at once: all below the lower Nyquist frequency stays, all above it goes.

    Silence is put on both sides first, for the spectrum takes the samples for one period.
    """
    pad = from_hz // 4
    padded = np.concatenate([np.zeros(pad), samples, np.zeros(pad + (-len(samples) - 2 * pad) % from_hz)])
    length = len(padded) * to_hz // from_hz
    spectrum = np.fft.rfft(padded)[: length // 2 + 1]
    whole = np.fft.irfft(spectrum, length) * length / len(padded)
    start = pad * to_hz // from_hz
    return whole[start : start + len(samples) * to_hz // from_hz]


def snr_db(signal: Samples, reference: Samples) -> float:
    """Power of `reference` over that of what `signal` has besides, dB. Raises ValueError if their lengths differ."""
    if len(signal) != len(reference):
        raise ValueError(f"{len(signal)} samples and {len(reference)}")
    noise = float(np.sum((signal - reference) ** 2))
    return 10 * math.log10(float(np.sum(reference**2)) / noise) if noise else math.inf


def low_passed(samples: Samples, rate_hz: int, band_hz: float) -> Samples:
    """What of `samples` is below `band_hz`, as `ideal` has it."""
    pad = rate_hz // 4
    spectrum = np.fft.rfft(np.pad(samples, pad))
    spectrum[np.fft.rfftfreq(len(samples) + 2 * pad, 1 / rate_hz) > band_hz] = 0
    return np.fft.irfft(spectrum, len(samples) + 2 * pad)[pad : pad + len(samples)]


def largest_steps(samples: Samples) -> tuple[float, float]:
    """(at the borders of frames, inside frames): the largest difference of two samples next to each other."""
    steps = np.abs(np.diff(samples))
    at_border = np.arange(1, len(samples)) % FRAME_SAMPLES == 0
    return float(steps[at_border].max(initial=0.0)), float(steps[~at_border].max(initial=0.0))
