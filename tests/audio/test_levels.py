"""Levels of audio, frame by frame, against the same in numpy's floating point."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.levels import frame_levels, level_percentile_dbfs
from lexbridge.audio.pcm import MULAW_SILENCE, decode_mulaw, frame_levels_dbfs

CODES = st.binary(min_size=160, max_size=160)
FRAMES = st.lists(
    st.one_of(CODES, st.integers(0, 255).map(lambda code: bytes([code]) * 160)), min_size=1, max_size=30
).map(b"".join)


@given(FRAMES)
def test_percentiles_are_those_of_numpy(mulaw):
    exact = frame_levels_dbfs(decode_mulaw(mulaw))
    for percent, level in zip((0, 10, 50, 90, 100), level_percentile_dbfs(mulaw, 0, 10, 50, 90, 100), strict=True):
        assert math.isclose(level, np.percentile(exact, percent), abs_tol=0.001)


@given(FRAMES)
def test_levels_are_those_of_numpy_as_whole_numbers(mulaw):
    samples = np.frombuffer(decode_mulaw(mulaw), "<i2").astype(np.float64).reshape(-1, 160)
    assert frame_levels(mulaw) == np.sqrt(np.mean(samples**2, axis=1)).astype(int).tolist()


def test_a_level_between_two_frames_is_interpolated():
    silence, loud = MULAW_SILENCE * 160, bytes([0x80]) * 160
    assert level_percentile_dbfs(silence + loud, 25) == pytest.approx([-96 + 0.25 * (96 - 0.173)], abs=0.01)
    assert level_percentile_dbfs(silence, 10, 90) == [-96, -96]


def test_what_is_less_than_a_frame_has_no_level():
    silence, loud = MULAW_SILENCE * 160, bytes([0x80]) * 159
    assert level_percentile_dbfs(silence + loud, 100) == [-96]
