"""Hearing with a detector whose model is asked elsewhere: the audio waits for the answer."""

from lexbridge.audio.endpointing import Endpointer, EndpointingRules
from lexbridge.audio.pcm import MULAW_SILENCE
from lexbridge.audio.speech_events import SpeechContinued, SpeechStarted
from lexbridge.call.events import Media
from lexbridge.call.hearing import SLICE_MS, Hearing
from tests.support.slow_model import Loudness, LoudnessDetector, judge
from tests.support.sounds import tone

SILENCE = MULAW_SILENCE * 160
VOICE, HUM, SHOUT = tone(20, 8000), tone(20, 1000), tone(20, 30_000)
LEVEL = 7932  # what mu-law makes of 8000


def a_hearing():
    return Hearing(LoudnessDetector(), Endpointer(EndpointingRules(onset_ms=40)))


def heard(hearing, mulaw=b""):
    """Return the events of the next slice, after `mulaw` has come."""
    if mulaw:
        hearing.push(Media(None, True, mulaw))
    events = []
    hearing.hear(lambda: None, events.append)
    return [type(event) for event in events]


def test_frames_that_need_no_model_are_heard_at_once():
    hearing = a_hearing()
    assert heard(hearing, SILENCE + SHOUT * 2 + SILENCE) == [SpeechStarted, SpeechContinued]
    assert (hearing.heard_ms, hearing.window, hearing.is_behind) == (80, None, False)


def test_a_frame_waits_for_the_models_answer():
    hearing = a_hearing()
    assert heard(hearing, SILENCE + VOICE * 2) == []
    assert (hearing.heard_ms, hearing.arrived_ms, hearing.window) == (20, 60, Loudness(LEVEL))
    assert heard(hearing) == []
    assert hearing.heard_ms == 20  # nothing is heard without the answer
    hearing.take_probability(1.0)
    assert hearing.window is None
    assert heard(hearing) == []
    assert (hearing.heard_ms, hearing.window) == (40, Loudness(LEVEL))
    hearing.take_probability(1.0)
    assert heard(hearing) == [SpeechStarted]
    assert (hearing.heard_ms, hearing.is_behind) == (60, False)


def test_the_models_answer_decides():
    hearing = a_hearing()
    for _ in range(4):
        assert heard(hearing, HUM) == []
        hearing.take_probability(judge(hearing.window))
        assert heard(hearing) == []
    assert hearing.heard_ms == 80


def test_an_answer_nobody_waits_for_changes_nothing():
    hearing = a_hearing()
    hearing.take_probability(1.0)
    assert heard(hearing, SILENCE * 3) == []
    assert heard(hearing, VOICE) == []
    hearing.drop()
    hearing.take_probability(1.0)
    assert (hearing.window, hearing.is_behind) == (None, False)
    assert heard(hearing, SILENCE * 3) == []


def test_a_detector_that_was_asked_is_not_asked_again():
    hearing = a_hearing()
    for answer in (True, True):
        hearing.push(Media(None, True, SILENCE), answer)
        events = heard(hearing)
    assert events == [SpeechStarted]
    hearing.push(Media(None, True, SILENCE), Loudness(5))
    assert heard(hearing) == []
    assert hearing.window == Loudness(5)


def test_a_slice_is_heard_at_a_time():
    hearing = a_hearing()
    assert heard(hearing, SILENCE * 30) == []
    assert (hearing.heard_ms, hearing.is_behind) == (SLICE_MS, True)
