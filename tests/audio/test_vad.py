"""The amplitude detector, and the tones of telephones."""

import math
import struct

import pytest

from lexbridge.audio.pcm import decode_mulaw, encode_mulaw
from lexbridge.audio.tones import Tone, find_tone
from lexbridge.audio.vad import AmplitudeDetector, Detector


def frame_of(level):
    return struct.pack("<2h", level, -level) * 80


@pytest.mark.parametrize(("level", "is_voiced"), [(0, False), (499, False), (500, False), (501, True), (32767, True)])
def test_a_frame_is_voiced_above_the_threshold(level, is_voiced):
    detector: Detector = AmplitudeDetector(500)
    assert detector.is_voiced(frame_of(level)) is is_voiced


def test_one_click_does_not_make_a_frame_voiced():
    click = struct.pack("<160h", *[6000] + [0] * 159)
    assert not AmplitudeDetector(500).is_voiced(click)


def voiced(detector, levels):
    return [detector.is_voiced(frame_of(level)) for level in levels]


def test_a_voice_goes_on_just_under_the_threshold():
    assert voiced(AmplitudeDetector(500), [480, 501, 480, 440, 480]) == [False, True, True, False, True]
    assert voiced(AmplitudeDetector(500), [501, 100, 100, 100, 100, 100, 480]) == [True] + [False] * 6


# -- key tones


def tone(*frequencies_hz, ms=20, level=4000):
    """Return a sum of sines as PCM."""
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
        assert find_tone(decode_mulaw(encode_mulaw(both))) is Tone.KEY


def samples_of(pcm):
    return struct.unpack(f"<{len(pcm) // 2}h", pcm)


@pytest.mark.parametrize(
    "frame",
    [bytes(320), tone(697), tone(1209), tone(440, 620), tone(697, 1000, 1209, 2000), b"\x10\x00" * 160],
    ids=["silence", "low alone", "high alone", "not a pair", "a chord", "a steady level"],
)
def test_other_sounds_are_no_tones(frame):
    assert find_tone(frame) is None


PROGRESS = {
    "ringing, North America": (440, 480),
    "busy, North America": (480, 620),
    "dial tone": (350, 440),
    "ringing, United Kingdom": (400, 450),
    "ringing, Europe": (425,),
    "dial tone, United Kingdom": (350, 450),
    "special information, North America, low": (913.8,),
    "special information, North America, high": (985.2,),
    "special information, second, low": (1370.6,),
    "special information, second, high": (1428.5,),
    "special information, third": (1776.7,),
    "special information, first": (950,),
    "special information, as far off as may be": (975,),
    "a calling fax": (1100,),
}


@pytest.mark.parametrize("frequencies_hz", PROGRESS.values(), ids=list(PROGRESS))
def test_the_tones_of_a_calls_progress_are_known(frequencies_hz):
    line = decode_mulaw(encode_mulaw(tone(*frequencies_hz, ms=200)))
    assert {find_tone(line[start : start + 320]) for start in range(0, len(line), 320)} == {Tone.PROGRESS}
