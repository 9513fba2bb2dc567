"""Sample rates: audio in pieces and as a whole, its length, its tones, and what a rate cannot hold."""

import itertools
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.resampler import Resampler, resample
from tests.support.property_tests import examples
from tests.support.sounds import cut

RATES = [8000, 11025, 16000, 22050, 24000, 44100, 48000]


def tone(hz, rate_hz, ms, level=10000):
    time = np.arange(rate_hz * ms // 1000) / rate_hz
    return np.rint(level * np.sin(2 * np.pi * hz * time)).astype("<i2").tobytes()


def level_of(pcm):
    samples = np.frombuffer(pcm, dtype="<i2").astype(float)
    return math.sqrt(np.mean(samples**2))


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
def test_resampled_audio_keeps_its_length_to_a_sample(from_hz, to_hz):
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
    """A tone of 5 kHz does not fit into 8 kHz. Without the filter it would come back as 3 kHz."""
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
