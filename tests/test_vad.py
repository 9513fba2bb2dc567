"""The detectors: is this frame voiced?"""

import struct

import pytest

from lexbridge.vad import AmplitudeDetector, Detector


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
