"""The arithmetic of `python -m bench stream_mode`: no calls."""

import math

import numpy as np
import pytest

from bench.load.stream_mode.calls import bot_of
from bench.load.stream_mode.figures import (
    Answer,
    Figure,
    UploadedSpeech,
    answers,
    clear_ms,
    echo_guards,
    find_speech,
    ideal,
    interruption_ms,
    largest_steps,
    low_passed,
    samples_of,
    snr_db,
    voiced_part,
    voiced_runs,
)
from bench.load.stream_mode.speech import at_level
from lexbridge.audio.pcm import encode_mulaw, frame_levels_dbfs
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.twilio.events import BotAudible, MediaBegan, MessageSent, SpeechEnded, SpeechStarted


def frames_of_level(*levels: int) -> bytes:
    """Return a frame of PCM of each RMS level."""
    return b"".join(np.tile([level, -level], 80).astype("<i2").tobytes() for level in levels)


def asked(ended: float, answered: float, speech_ended: float | None = None) -> LexRequest:
    return LexRequest(
        "v2", "RecognizeUtterance", "Bot", "CA1", 0.0, ended=ended, answered=answered, speech_ended=speech_ended
    )


def test_the_bridges_part_is_without_hangover_and_lex() -> None:
    events = [
        SpeechStarted(1.0, "a"),
        SpeechEnded(2.0, "a"),
        MediaBegan(3.02, "MZ1"),
        MediaBegan(3.03, "MZ1"),  # after its first mark
        BotAudible(3.3),
        SpeechStarted(5.0, "b"),
        SpeechEnded(6.0, "b"),
        MediaBegan(7.0, "MZ1"),
    ]
    found = answers(events, [asked(2.705, 3.005, 4.02), asked(6.71, 6.9)])
    assert [answer.media_s for answer in found] == [3.02, 7.0]
    assert [answer.bridge_ms(700) for answer in found] == pytest.approx([20, 110])
    assert [answer.reply_ms for answer in found] == [pytest.approx(1300), math.inf]
    assert [answer.lead_s for answer in found] == [pytest.approx(1.0), None]


@pytest.mark.parametrize(
    ("media_s", "requests"),
    [([], [asked(2.7, 3.0)]), ([3.0], []), ([3.0], [asked(2.7, 3.0), asked(2.8, 3.0)]), ([1.0], [asked(2.7, 3.0)])],
    ids=["no audio", "no request", "two requests", "audio before it"],
)
def test_what_is_not_answered_once_has_no_figure(media_s: list[float], requests: list[LexRequest]) -> None:
    with pytest.raises(ValueError, match="what was said until"):
        answers([SpeechEnded(2.0, "a"), *(MediaBegan(at_s, "MZ1") for at_s in media_s)], requests)


def test_an_interruption_counts_from_its_first_frame() -> None:
    started = SpeechStarted(10.0, "stop")  # told at the end of that frame
    events = [
        MessageSent(9.0, "clear"),
        started,
        MessageSent(10.1, "mark", "turn-1.1:500"),
        MessageSent(10.29, "clear"),
    ]
    assert clear_ms(events, started) == pytest.approx(310)
    assert clear_ms(events[:-1], started) is None


def test_what_lex_got_is_found_on_the_line_sample_by_sample() -> None:
    noise = np.random.default_rng(1).integers(-8000, 8000, 8000).astype("<i2").tobytes()
    said_at, said = 16 * 400, noise[16 * 400 : 16 * 600]
    assert find_speech(noise, said_at, said, noise[16 * 300 : 16 * 900]) == UploadedSpeech(100, 300)
    assert find_speech(noise, said_at, said, said) == UploadedSpeech(0, 0)
    late = find_speech(noise, said_at, said, noise[16 * 420 : 16 * 900])
    assert late == UploadedSpeech(-20, 300)
    assert not late.is_whole
    cut = find_speech(noise, said_at, said, noise[16 * 300 : 16 * 580])
    assert cut is not None
    assert not cut.is_whole
    assert find_speech(noise, said_at, said, noise[: 16 * 300]) is None  # somewhere else on the line
    changed = bytearray(noise[16 * 300 : 16 * 900])
    changed[100] ^= 1
    assert find_speech(noise, said_at, said, bytes(changed)) is None


def test_of_what_is_said_the_voiced_part_is_kept() -> None:
    pcm = frames_of_level(0, 400, 600, 400, 600, 0)
    assert voiced_part(pcm, 500) == frames_of_level(600, 400, 600)
    with pytest.raises(ValueError, match="no frame is voiced"):
        voiced_part(pcm, 600)


@pytest.mark.parametrize(
    ("levels", "count"),
    [
        ([], 0),
        ([9] * 4, 0),
        ([9] * 5, 1),
        ([9] * 50, 1),
        ([9, 9, 0, 9, 9], 1),
        ([9, 9, 0, 0, 9, 9], 0),
        ([9] * 5 + [0] * 2 + [9] * 5, 2),
    ],
)
def test_runs_of_voiced_frames_are_counted_once(levels: list[int], count: int) -> None:
    assert voiced_runs(levels, threshold=5, run_ms=100, gap_ms=20) == count


def test_speech_louder_than_the_echo_interrupts() -> None:
    guards = echo_guards(encode_mulaw(frames_of_level(*[8000] * 50)))
    assert len(guards) == 50
    assert guards[0] == pytest.approx(8000 * 10 ** (-16 / 20), rel=0.02)  # what the bridge takes an echo to lose
    assert interruption_ms(frames_of_level(*[2000] * 20), guards, 300, 500) == 300
    assert interruption_ms(frames_of_level(*[1000] * 20), guards, 300, 500) is None
    assert interruption_ms(frames_of_level(*[2000] * 7), guards, 300, 500) is None  # a cough


def test_only_a_figure_with_a_limit_has_a_verdict() -> None:
    assert Figure("a", "1").row == ["a", "1", "", ""]
    assert Figure("a", "1", "<= 2").row == ["a", "1", "<= 2", "ok"]
    assert Figure("a", "3", "<= 2", is_missed=True).row == ["a", "3", "<= 2", "MISSED"]
    assert Answer(0, 1, 0).lead_s is None


# -- samples


def sine(hz: float, rate_hz: int, level: float = 8000) -> np.ndarray:  # type: ignore[type-arg]
    return level * np.sin(2 * np.pi * hz * np.arange(rate_hz) / rate_hz) * np.hanning(rate_hz)


def test_the_ideal_resampler_keeps_what_fits_and_drops_the_rest() -> None:
    wanted = sine(1000, 8000)
    found = ideal(sine(1000, 16000) + sine(5000, 16000), 16000, 8000)
    assert len(found) == len(wanted)
    assert snr_db(found, wanted) > 60


def test_a_band_is_cut_off_where_it_ends() -> None:
    both = sine(1000, 8000) + sine(3900, 8000)
    assert snr_db(low_passed(both, 8000, 3600), sine(1000, 8000)) > 60


def test_snr_is_power_over_power() -> None:
    reference = np.full(100, 1000.0)
    assert snr_db(reference + 10, reference) == pytest.approx(40)
    assert snr_db(reference, reference) == math.inf
    with pytest.raises(ValueError, match="99 samples and 100"):
        snr_db(reference[1:], reference)


def test_steps_at_borders_are_told_from_those_inside() -> None:
    samples = np.zeros(480)
    samples[100:160] = 5.0
    samples[160:] = 12.0
    assert largest_steps(samples) == (7.0, 5.0)


def test_speech_is_brought_to_its_level_without_its_pauses() -> None:
    pcm = at_level(frames_of_level(*[600] * 50, *[0] * 50))
    assert frame_levels_dbfs(pcm)[:50] == pytest.approx(np.full(50, -20), abs=0.1)
    assert not samples_of(pcm)[-160 * 50 :].any()


def test_the_bot_has_a_recording_for_each_answer() -> None:
    bot, recordings = bot_of([b"first", b"second"])
    said = [recordings[intent.closing[0].text] for intent in bot.intents]
    assert said[:3] == [b"first", b"second", b"first"]
