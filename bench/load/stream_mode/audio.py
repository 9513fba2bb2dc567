"""Audio of the stream mode measurement: the bot's voice at 8 kHz, compared with an ideal resampler and `audioop`."""

import audioop
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bench.load.stream_mode.figures import Figure, Samples, ideal, largest_steps, low_passed, samples_of, snr_db
from bench.load.stream_mode.speech import LEX_HZ, Speech
from lexbridge.audio.pcm import FRAME_MS, RATE_HZ, decode_mulaw, encode_mulaw
from lexbridge.audio.resampler import Resampler
from lexbridge.call.output.prompt import Prompt
from lexbridge.lex.voice import ReplyAudio

SNR_LIMIT_DB = 35.0
BAND_HZ = 3600
"""End of the band that is compared, Hz.

The telephone's band ends at 3.4 kHz (ITU-T G.712), and the resampler lets less through from 3.7 kHz on.
"""


def audio(speech: Speech, lateness: object) -> Iterator[Figure]:  # noqa: ARG001 - this part makes no calls
    """Compare the bot's voice, and measure what it costs."""
    pcm = speech.prompt(*range(10))
    pieces = _pieces(pcm)
    resampler = Resampler(LEX_HZ, RATE_HZ)
    ours = b"".join([*(resampler.push(piece) for piece in pieces), resampler.flush()])
    mulaw = _voice(pieces)
    assert mulaw.startswith(encode_mulaw(ours))  # the service's own way gives these samples
    seconds = len(pcm) / 2 / LEX_HZ
    yield Figure("speech, in pieces as they are read", f"{seconds:.0f} s")
    whole = ideal(samples_of(pcm), LEX_HZ, RATE_HZ)
    reference = low_passed(whole, RATE_HZ, BAND_HZ)

    def in_band(pcm: bytes) -> Samples:
        return low_passed(samples_of(pcm)[: len(whole)], RATE_HZ, BAND_HZ)

    snr = snr_db(in_band(ours), reference)
    name = f"SNR before mu-law, up to {BAND_HZ / 1000:g} kHz"
    yield Figure(name, f"{snr:.1f} dB", f">= {SNR_LIMIT_DB:g} dB", snr < SNR_LIMIT_DB)
    plain, _ = audioop.ratecv(pcm, 2, 1, LEX_HZ, RATE_HZ, None)
    yield Figure("the same of audioop.ratecv", f"{max(_delayed_snr_db(in_band(plain), reference)):.1f} dB")
    yield Figure("SNR before mu-law, up to 4 kHz, where its slope is", f"{snr_db(samples_of(ours), whole):.1f} dB")
    ideal_mulaw = encode_mulaw(np.rint(np.clip(whole, -32768, 32767)).astype("<i2").tobytes())
    after = [f"{snr_db(in_band(decode_mulaw(each)), reference):.1f} dB" for each in (mulaw, ideal_mulaw)]
    yield Figure("SNR after mu-law; of an ideal resampler", "; ".join(after))
    border, inside = largest_steps(in_band(ours) - reference)
    yield Figure("largest step of the error inside frames", f"{inside:.1f}")
    yield Figure("largest step of the error at their borders", f"{border:.1f}", f"<= {inside:.1f}", border > inside)
    border, inside = largest_steps(in_band(_frame_by_frame(pcm)) - reference)
    yield Figure("the same, each frame resampled by itself", f"{border:.1f}, {inside:.1f} inside")
    yield from _cost(pcm, pieces)


def _cost(pcm: bytes, pieces: Sequence[bytes]) -> Iterator[Figure]:
    minutes = len(pcm) / 2 / LEX_HZ / 60
    ours_s = _cpu_s(lambda: _voice(pieces))
    yield Figure("CPU a minute of prompt: resampled, mu-law", f"{ours_s / minutes * 1000:.0f} ms")
    sent_s = _cpu_s(lambda: _sent(pieces))
    yield Figure("CPU a minute of prompt: with levels and messages", f"{sent_s / minutes * 1000:.0f} ms")

    def plain() -> None:
        state = None
        for piece in pieces:
            narrow, state = audioop.ratecv(piece, 2, 1, LEX_HZ, RATE_HZ, state)
            audioop.lin2ulaw(narrow, 2)

    yield Figure("CPU a minute of prompt: audioop.ratecv, mu-law", f"{_cpu_s(plain) / minutes * 1000:.0f} ms")


def _pieces(pcm: bytes) -> list[bytes]:
    """Return the pieces as the service reads them: one frame, then 50 ms at a time."""
    starts = [0, *range(640, len(pcm), 1600)]
    return [pcm[start:end] for start, end in zip(starts, [*starts[1:], len(pcm)], strict=True)]


def _voice(pieces: Sequence[bytes]) -> bytes:
    voice = ReplyAudio("audio/pcm")
    return b"".join([*(voice.push(piece) for piece in pieces), voice.flush()])


def _sent(pieces: Sequence[bytes]) -> int:
    """Do all that the service does with a prompt. Return the number of messages."""
    voice, prompt = ReplyAudio("audio/pcm"), Prompt(1)
    count = now_ms = 0
    for piece in pieces:
        if mulaw := voice.push(piece):
            prompt.push(mulaw)
        now_ms += 2 * FRAME_MS  # audio comes faster than it plays
        count += len(list(prompt.send(now_ms)))
    return count


def _frame_by_frame(pcm: bytes) -> bytes:
    """Resample each frame by itself, without the state of the frame before."""
    frames = []
    for start in range(0, len(pcm), 640):
        resampler = Resampler(LEX_HZ, RATE_HZ)
        frames.append(resampler.push(pcm[start : start + 640]) + resampler.flush())
    return b"".join(frames)


def _delayed_snr_db(samples: Samples, reference: Samples) -> Iterator[float]:
    """Yield the SNR for each delay of up to three samples: a baseline may have a delay of its own."""
    for delay in range(4):
        yield snr_db(samples[delay:], reference[: len(samples) - delay])


def _cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU time of `work`: the least of three runs."""
    taken = []
    for _ in range(3):
        began_s = time.process_time()
        work()
        taken.append(time.process_time() - began_s)
    return min(taken)
