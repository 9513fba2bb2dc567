"""Lex's speech as Twilio plays it: the accepted types, audio in pieces, fidelity, and no clicks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.pcm import decode_mulaw, encode_mulaw
from lexbridge.audio.resampler import resample
from lexbridge.errors import LexUnavailable
from lexbridge.lex.voice import ReplyAudio
from tests.support.property_tests import examples
from tests.support.sounds import cut

RATES = [8000, 11025, 16000, 22050, 24000, 44100, 48000]


def pcm_of(samples):
    return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()


def samples_of(pcm):
    return np.frombuffer(pcm, dtype="<i2").astype(float)


def sine(hz, rate_hz, ms, level=10000):
    return level * np.sin(2 * np.pi * hz * np.arange(rate_hz * ms // 1000) / rate_hz)


def speech_like(rate_hz, ms=2000, highest_hz=3400):
    """Return voiced syllables (harmonics of a gliding pitch up to `highest_hz`) with pauses, and sines on the band."""
    time = np.arange(rate_hz * ms // 1000) / rate_hz
    phase = 2 * np.pi * np.cumsum(120 + 15 * np.sin(2 * np.pi * 0.7 * time)) / rate_hz
    voiced = sum(np.sin(number * phase + number) / number**0.7 for number in range(1, highest_hz // 140))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, 1) ** 2
    band = sum(np.sin(2 * np.pi * hz * time + hz) for hz in range(300, highest_hz + 1, 100))
    return 2500 * voiced * syllables + 150 * band


def played(content_type, audio, lengths=()):
    """Return the mu-law of a whole reply. Assert that each step returns whole frames."""
    reply = ReplyAudio(content_type)
    pieces = [*(reply.push(piece) for piece in cut(audio, lengths)), reply.flush()]
    assert not [piece for piece in pieces if len(piece) % 160]
    return b"".join(pieces)


def ideal(samples, from_hz, to_hz):
    """Resample ideally, by cutting or filling up the spectrum. `samples` are taken as one period."""
    length = len(samples) * to_hz // from_hz
    spectrum = np.fft.rfft(samples)[: length // 2 + 1]
    return np.fft.irfft(spectrum, length) * length / len(samples)


def snr_db(signal, wanted, rate_hz=8000):
    """Return the signal-to-noise ratio without the first and last 50 ms, where an ideal filter rings."""
    length, edge = min(len(signal), len(wanted)), rate_hz // 20
    signal, wanted = signal[:length][edge:-edge], wanted[:length][edge:-edge]
    return 10 * math.log10(np.sum(wanted**2) / np.sum((signal - wanted) ** 2))


# -- content types


@pytest.mark.parametrize(
    ("content_type", "rate_hz"),
    [
        ("audio/pcm; sample-rate=8000", 8000),
        ("audio/pcm; sample-rate=16000", 16000),
        ("audio/pcm;rate=16000", 16000),
        ("Audio/PCM ; Rate = 16000 ;", 16000),
        ('audio/pcm; rate="22050"', 22050),
        ("audio/l16; rate=16000; channels=1", 16000),
        ("audio/x-l16; sample-rate=16000; channel-count=1", 16000),
        ("audio/lpcm; sample-rate=8000; sample-size-bits=16; channel-count=1; is-big-endian=false", 8000),
        ("audio/pcm; rate=16000; sample-rate=16000; voice=Joanna", 16000),
        ("audio/pcm; rate=48000", 48000),
    ],
)
def test_pcm_comes_at_the_rate_that_it_names(content_type, rate_hz):
    reply = ReplyAudio(content_type)
    assert (reply.rate_hz, reply.is_rate_assumed) == (rate_hz, False)


@pytest.mark.parametrize("content_type", ["audio/pcm", "audio/pcm;", "audio/pcm; channels=1; charset=utf-8"])
def test_pcm_without_a_rate_is_taken_at_16_khz(content_type):
    """PCM without a rate is taken at 16 kHz, and `is_rate_assumed` tells that the answer named none."""
    reply = ReplyAudio(content_type)
    assert (reply.rate_hz, reply.is_rate_assumed) == (16000, True)


@pytest.mark.parametrize(
    "content_type",
    [
        "audio/mpeg",
        "audio/ogg",
        "audio/*",
        "audio/basic",
        "text/plain;charset=utf-8",
        "text/plain; rate=16000",
        "",
        None,
        "audio/l16",
        "audio/x-l16; channel-count=1",
        "audio/lpcm; sample-size-bits=16",
        "audio/pcm; rate=16000; channels=2",
        "audio/l16; rate=16000; channel-count=2",
        "audio/lpcm; sample-rate=8000; sample-size-bits=8",
        "audio/lpcm; sample-rate=8000; is-big-endian=true",
        "audio/pcm; rate=7999",
        "audio/pcm; rate=7975",
        "audio/pcm; rate=48025",
        "audio/pcm; rate=8001",
        "audio/pcm; rate=-16000",
        "audio/pcm; rate=16000.0",
        "audio/pcm; rate=1_6000",
        "audio/pcm; rate=",
        "audio/pcm; rate",
        "audio/pcm; rate=16000; rate=8000",
        "audio/pcm; rate=16000; sample-rate=8000",
        "audio/pcm; rate=" + "9" * 5000,
    ],
)
def test_another_content_type_is_refused_by_name(content_type):
    with pytest.raises(LexUnavailable) as raised:
        ReplyAudio(content_type)
    assert str(raised.value) == f"Lex's answer is not speech that can be played: {str(content_type)[:60]!r}"


# -- frames


@examples(60)
@given(st.sampled_from(RATES), st.binary(max_size=4000), st.lists(st.integers(0, 700), max_size=12))
def test_however_the_speech_is_cut_the_frames_are_the_same(rate_hz, audio, lengths):
    content_type = f"audio/pcm; rate={rate_hz}"
    assert played(content_type, audio, lengths) == played(content_type, audio)


@pytest.mark.parametrize("rate_hz", RATES)
def test_a_second_of_speech_takes_a_second(rate_hz):
    assert len(played(f"audio/pcm; rate={rate_hz}", bytes(2 * rate_hz))) == 8000


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("audio", [b"", b"\1"])
def test_no_speech_is_no_frame(rate_hz, audio):
    assert played(f"audio/pcm; rate={rate_hz}", audio) == b""


def test_the_last_frame_is_filled_up_with_silence():
    reply = ReplyAudio("audio/pcm; rate=8000")
    assert reply.push(b"\x00\x10" * 200 + b"\x10") == encode_mulaw(b"\x00\x10" * 160)
    assert reply.flush() == encode_mulaw(b"\x00\x10" * 40) + b"\xff" * 120


def test_speech_at_8_khz_is_not_filtered():
    audio = pcm_of(np.random.default_rng(1).normal(0, 5000, 1600))
    assert played("audio/pcm; rate=8000", audio) == encode_mulaw(audio)


@pytest.mark.parametrize("rate_hz", RATES)
def test_what_is_played_is_the_mulaw_of_the_resampled_speech(rate_hz):
    audio = pcm_of(speech_like(rate_hz, ms=300))
    wanted = encode_mulaw(resample(audio, rate_hz, 8000))
    mulaw = played(f"audio/pcm; rate={rate_hz}", audio, [1, 640, 641, 3200])
    assert mulaw == wanted + b"\xff" * (len(mulaw) - len(wanted))
    assert len(mulaw) - len(wanted) < 160


# -- fidelity


@pytest.mark.parametrize("rate_hz", RATES[1:])
def test_speech_keeps_all_of_the_telephones_band(rate_hz):
    """Compared with an ideal resampler from 300 to 3400 Hz. The loss by mu-law itself (some 38 dB) is left out."""
    audio = speech_like(rate_hz)
    wanted = ideal(audio, rate_hz, 8000)
    assert snr_db(samples_of(resample(pcm_of(audio), rate_hz, 8000)), wanted) > 60


def test_wideband_speech_loses_only_what_8_khz_cannot_hold():
    """Half of the band is above 4 kHz. An ideal resampler cuts there without a slope; ours needs the last 8 %."""
    noise = np.random.default_rng(5).normal(0, 3000, 32000)
    spectrum = np.fft.rfft(noise)
    slope = np.fft.rfftfreq(32000, 1 / 16000)
    spectrum[(slope > 3680) & (slope < 4000)] = 0
    noise = np.fft.irfft(spectrum)
    assert snr_db(samples_of(resample(pcm_of(noise), 16000, 8000)), ideal(noise, 16000, 8000)) > 35


def test_what_mulaw_costs_is_all_that_is_lost():
    audio = speech_like(16000)
    heard = samples_of(decode_mulaw(played("audio/pcm", pcm_of(audio))))
    direct = samples_of(decode_mulaw(encode_mulaw(pcm_of(ideal(audio, 16000, 8000)))))
    wanted = ideal(audio, 16000, 8000)
    assert snr_db(heard, wanted) > snr_db(direct, wanted) - 0.1 > 35


@pytest.mark.parametrize("hz", [200, 440, 1234])
def test_no_click_is_heard_where_frames_or_pieces_meet(hz):
    """The steps of a sine are no larger there than elsewhere. Pieces of 15 ms have other borders than the frames."""
    audio = pcm_of(sine(hz, 16000, 1000))
    heard = samples_of(decode_mulaw(played("audio/pcm", audio, [480] * 60)))[400:-400]
    steps = np.abs(np.diff(heard))
    largest = 10000 * 2 * np.sin(np.pi * hz / 8000)
    mulaw_step = 512  # between the codes at this level
    at = np.arange(400, 400 + len(steps)) + 1
    for borders in (at % 160 == 0, at % 120 == 0):
        assert borders.sum() > 30
        assert steps[borders].max() <= max(steps[~borders].max(), largest + mulaw_step)


@pytest.mark.parametrize("hz", [200, 440, 1234])
def test_a_sine_is_the_same_sine_all_the_way(hz):
    """No sample before mu-law differs by more than rounding and the filter's ripple, borders included."""
    out = samples_of(resample(pcm_of(sine(hz, 16000, 1000)), 16000, 8000))
    assert np.abs(out - sine(hz, 8000, 1000))[200:-200].max() < 3
