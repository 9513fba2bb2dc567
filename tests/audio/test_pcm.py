"""Telephone audio: mu-law against the tables of G.711, levels, frames."""

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
    decode_mulaw,
    encode_mulaw,
    first_audible_ms,
    frame_levels_dbfs,
    rms,
)
from tests.support.property_tests import examples
from tests.support.sounds import cut


def tone(hz, ms, level):
    time = np.arange(RATE_HZ * ms // 1000) / RATE_HZ
    return np.rint(level * np.sin(2 * np.pi * hz * time)).astype("<i2").tobytes()


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
    quiet, hum = tone(1000, 20, level=AUDIBLE_RMS), tone(1000, 20, level=2 * AUDIBLE_RMS)
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
