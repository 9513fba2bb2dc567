"""Telephone audio: mu-law against the tables of G.711, levels, frames, rates."""

import itertools
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.pcm import (
    AUDIBLE_RMS,
    MULAW_FRAME_BYTES,
    MULAW_SILENCE,
    RATE_HZ,
    Framer,
    Resampler,
    decode_mulaw,
    encode_mulaw,
    first_audible_ms,
    frame_levels_dbfs,
    resample,
    rms,
)
from tests.support.property_tests import examples
from tests.support.story import cut

RATES = [8000, 11025, 16000, 22050, 24000, 44100, 48000]


def tone(hz, rate_hz, ms, level=10000):
    time = np.arange(rate_hz * ms // 1000) / rate_hz
    return np.rint(level * np.sin(2 * np.pi * hz * time)).astype("<i2").tobytes()


def level_of(pcm):
    samples = np.frombuffer(pcm, dtype="<i2").astype(float)
    return math.sqrt(np.mean(samples**2))


def test_mulaw_decodes_as_g711_says():
    """The formula of G.711: sign, 3 bits of exponent, 4 of mantissa, all inverted, with a bias of 132."""
    expected = []
    for code in range(256):
        bits = ~code & 0xFF
        size = ((((bits & 0x0F) << 3) + 132) << ((bits & 0x70) >> 4)) - 132
        expected.append(-size if bits & 0x80 else size)
    assert struct.unpack("<256h", decode_mulaw(bytes(range(256)))) == tuple(expected)


def test_silence_is_a_sample_of_zero():
    assert decode_mulaw(MULAW_SILENCE) == b"\0\0"
    assert encode_mulaw(b"\0\0") == MULAW_SILENCE


def test_mulaw_comes_through_pcm_unchanged():
    """All codes but 0x7F, the negative zero."""
    codes = bytes(code for code in range(256) if code != 0x7F)
    assert encode_mulaw(decode_mulaw(codes)) == codes


@pytest.mark.parametrize(
    ("samples", "level"), [([], 0), ([0] * 160, 0), ([500, -500] * 80, 500), ([-32768] * 160, 32768)]
)
def test_rms_is_the_root_of_the_mean_square(samples, level):
    assert rms(struct.pack(f"<{len(samples)}h", *samples)) == level


def test_levels_are_given_for_each_whole_frame():
    frames = [[0] * 160, [-32768] * 160, [3277, -3277] * 80, [1000] * 159]
    pcm = b"".join(struct.pack(f"<{len(frame)}h", *frame) for frame in frames)
    assert frame_levels_dbfs(pcm) == pytest.approx([-96.0, 0.0, -20.0], abs=0.01)


def test_a_reply_is_heard_from_its_first_audible_frame_on():
    quiet, hum = tone(1000, RATE_HZ, 20, level=AUDIBLE_RMS), tone(1000, RATE_HZ, 20, level=2 * AUDIBLE_RMS)
    assert first_audible_ms(b"") is None
    assert first_audible_ms(MULAW_SILENCE * MULAW_FRAME_BYTES * 3) is None
    assert first_audible_ms(encode_mulaw(quiet * 3)) is None
    assert first_audible_ms(encode_mulaw(quiet * 3 + hum + quiet)) == 60
    assert first_audible_ms(encode_mulaw(hum)) == 0


def test_less_than_a_frame_has_no_level():
    assert frame_levels_dbfs(b"\0\0").shape == (0,)


@examples(60)
@given(st.binary(max_size=2000), st.lists(st.integers(0, 400), max_size=12))
def test_however_the_bytes_are_cut_the_frames_are_the_same(audio, lengths):
    framer = Framer()
    frames = [frame for piece in cut(audio, lengths) for frame in framer.push(piece)]
    assert frames == [audio[start : start + 160] for start in range(0, len(audio) - 159, 160)]


def test_a_whole_frame_is_handed_on_as_it_is():
    frame = bytes(160)
    (handed_on,) = Framer().push(frame)
    assert handed_on is frame


def test_a_frame_can_have_another_size():
    framer = Framer(frame_bytes=320)
    assert list(framer.push(b"a" * 500)) == [b"a" * 320]
    assert list(framer.push(b"b" * 140)) == [b"a" * 180 + b"b" * 140]


@examples(60)
@given(
    st.sampled_from(RATES),
    st.sampled_from(RATES),
    st.lists(st.integers(-32768, 32767), max_size=800),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_audio_resampled_in_pieces_is_the_audio_resampled_whole(from_hz, to_hz, samples, lengths):
    pcm = struct.pack(f"<{len(samples)}h", *samples)
    resampler = Resampler(from_hz, to_hz)
    pieces = [resampler.push(piece) for piece in cut(pcm, [2 * length for length in lengths])]
    assert b"".join(pieces) + resampler.flush() == resample(pcm, from_hz, to_hz)


@pytest.mark.parametrize(("from_hz", "to_hz"), list(itertools.permutations(RATES, 2)))
def test_resampled_audio_is_as_long_as_before_to_less_than_a_sample(from_hz, to_hz):
    for samples in (0, 1, 100, from_hz // 10):
        out = len(resample(b"\1\0" * samples, from_hz, to_hz)) // 2
        assert 0 <= out - samples * to_hz / from_hz < 1, f"{samples} samples became {out}"


def test_the_same_rate_changes_nothing():
    assert resample(tone(440, 8000, 100), 8000, 8000) == tone(440, 8000, 100)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(16000, 8000), (22050, 8000), (8000, 16000), (24000, 8000)])
def test_a_tone_stays_that_tone_in_time_and_level(from_hz, to_hz):
    out = np.frombuffer(resample(tone(1000, from_hz, 200), from_hz, to_hz), dtype="<i2").astype(float)
    wanted = np.frombuffer(tone(1000, to_hz, 200), dtype="<i2").astype(float)
    middle = slice(to_hz // 50, -to_hz // 50)  # the filter starts and ends in silence
    assert np.max(np.abs(out[: len(wanted)][middle] - wanted[: len(out)][middle])) < 100


def test_what_the_lower_rate_cannot_hold_is_gone():
    """5 kHz cannot be told at 8 kHz: without a filter it would come back as 3 kHz."""
    assert level_of(resample(tone(5000, 16000, 200), 16000, 8000)[800:-800]) < 10


def test_audio_at_full_scale_does_not_wrap_around():
    loud = np.repeat(np.array([32767, -32768] * 20, dtype="<i2"), 40)
    out = np.frombuffer(resample(loud.tobytes(), 16000, 8000), dtype="<i2")
    assert out.max() == 32767
    assert out.min() == -32768


@pytest.mark.parametrize(("from_hz", "to_hz"), [(0, 8000), (8000, 0), (-1, 8000)])
def test_rates_are_positive(from_hz, to_hz):
    with pytest.raises(ValueError, match=f"^sample rates are positive: {from_hz} Hz to {to_hz} Hz$"):
        Resampler(from_hz, to_hz)
