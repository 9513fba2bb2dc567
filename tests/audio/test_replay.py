"""Audio that was heard before, heard once more; and the levels that a detector goes by."""

import math
import struct

import pytest

from lexbridge.audio.endpointing import EndpointingRules, Listening
from lexbridge.audio.hangover import Expected
from lexbridge.audio.pcm import encode_mulaw
from lexbridge.audio.replay import FoundUtterance, Replay
from lexbridge.audio.speech_events import EndReason
from lexbridge.audio.vad import AdaptiveDetector, AmplitudeDetector, Gauge, Gauged, WebrtcDetector


def frame(level: int) -> bytes:
    return struct.pack("<2h", level, -level) * 80


LOUD, STILL = encode_mulaw(frame(4000)), encode_mulaw(frame(0))
RULES = EndpointingRules(hangover_ms=400, hangover_min_ms=200, hangover_max_ms=600, max_utterance_ms=5000)


def heard(replay: Replay, *parts: tuple[bytes, int]) -> list[FoundUtterance]:
    for mulaw, ms in parts:
        for _ in range(ms // 20):
            assert replay.push(mulaw) is (mulaw is LOUD)
    return replay.utterances()


def test_utterances_are_found_as_in_a_call() -> None:
    found = heard(Replay(AmplitudeDetector(500), RULES), (STILL, 1000), (LOUD, 2000), (STILL, 1000), (LOUD, 100))
    assert found == [FoundUtterance(1000, 3400, 400, EndReason.HANGOVER), FoundUtterance(4000, 4100, 0, None)]


def test_an_utterance_that_does_not_end_is_cut() -> None:
    (first, _) = heard(Replay(AmplitudeDetector(500), RULES), (LOUD, 6000))
    assert (first.started_ms, first.ended_ms, first.reason) == (0, 5000, EndReason.MAX_LENGTH)


def test_the_question_decides_on_the_hangover() -> None:
    replay = Replay(AmplitudeDetector(500), RULES)
    replay.expect(Expected.CLOSED)
    (found,) = heard(replay, (LOUD, 300), (STILL, 1000))
    assert found.silent_ms == 200


def test_while_a_prompt_plays_nothing_short_opens_an_utterance() -> None:
    replay = Replay(AmplitudeDetector(500), RULES)
    for _ in range(10):
        replay.push(LOUD, Listening(onset_ms=300))
    assert replay.utterances() == []
    assert replay.now_ms == 200


def test_the_amplitude_detector_tells_its_threshold() -> None:
    detector = AmplitudeDetector(500)
    assert detector.gauge() == Gauge(500, None)
    detector.is_voiced(frame(4000))
    assert detector.gauge() == Gauge(450, None)


def test_the_adaptive_detector_tells_its_floor_and_threshold() -> None:
    detector = AdaptiveDetector(9.0)
    assert detector.gauge() == Gauge(None, None)
    for _ in range(60):
        detector.is_voiced(frame(100))
    before = detector.gauge()
    assert before.floor_rms == pytest.approx(100, rel=0.05)
    assert before.threshold_rms is not None
    assert before.floor_rms is not None
    assert 20 * math.log10(before.threshold_rms / before.floor_rms) == pytest.approx(9)
    assert detector.is_voiced(frame(4000))
    assert (detector.gauge().threshold_rms or 0) < before.threshold_rms


def test_a_detector_without_levels_tells_none() -> None:
    pytest.importorskip("webrtcvad")
    assert not isinstance(WebrtcDetector(), Gauged)
    assert isinstance(AmplitudeDetector(500), Gauged)
