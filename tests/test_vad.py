"""The detectors: is this frame voiced?"""

import math
import struct

import pytest

from lexbridge.audio import decode_mulaw, encode_mulaw
from lexbridge.vad import AmplitudeDetector, Detector, is_key_tone


def frame_of(level):
    return struct.pack("<2h", level, -level) * 80


@pytest.mark.parametrize(("level", "is_voiced"), [(0, False), (499, False), (500, False), (501, True), (32767, True)])
def test_a_frame_is_voiced_above_the_threshold(level, is_voiced):
    detector: Detector = AmplitudeDetector(500)
    assert detector.is_voiced(frame_of(level)) is is_voiced


def test_one_click_does_not_make_a_frame_voiced():
    click = struct.pack("<160h", *[6000] + [0] * 159)
    assert not AmplitudeDetector(500).is_voiced(click)


def test_the_frame_before_makes_no_difference():
    detector = AmplitudeDetector(500)
    assert [detector.is_voiced(frame_of(level)) for level in (9000, 100, 9000, 100)] == [True, False, True, False]


# -- key tones


def tone(*frequencies_hz, ms=20, level=4000):
    """A sum of sines, PCM."""
    times = [n / 8000 for n in range(8 * ms)]
    return b"".join(
        struct.pack("<h", round(sum(level * math.sin(2 * math.pi * hz * at) for hz in frequencies_hz))) for at in times
    )


KEYS = [(low, high) for low in (697, 770, 852, 941) for high in (1209, 1336, 1477, 1633)]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("twist_db", [-4, 0, 4])
def test_each_key_is_known_by_its_tones_at_any_level(key, twist_db):
    for level in (300, 3000, 12000):
        low, high = tone(key[0], level=level), tone(key[1], level=level * 10 ** (twist_db / 20))
        both = struct.pack("<160h", *(a + b for a, b in zip(*map(samples_of, (low, high)), strict=True)))
        assert is_key_tone(decode_mulaw(encode_mulaw(both)))


def samples_of(pcm):
    return struct.unpack(f"<{len(pcm) // 2}h", pcm)


@pytest.mark.parametrize(
    "frame",
    [bytes(320), tone(697), tone(1209), tone(440, 480), tone(350, 440), tone(697, 1000, 1209, 2000), b"\x10\x00" * 160],
    ids=["silence", "low alone", "high alone", "ringing", "dial tone", "a chord", "a steady level"],
)
def test_other_sounds_are_no_keys(frame):
    assert not is_key_tone(frame)
