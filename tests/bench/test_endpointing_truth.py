"""Parts of `python -m bench endpointing`: the truth of its lines, its signals and troubles, its scores."""

import io
import tarfile
from itertools import pairwise

import numpy as np
import pytest

from bench.endpointing.line import Condition, Line, Lines, Spoken, Truth, Voice, comfort_noise, level, line_of
from bench.endpointing.recordings import Recording, _files
from bench.endpointing.run import decisions
from bench.endpointing.scoring import FoundUtterance, Score, find_utterances
from bench.endpointing.signals import CADENCES, cadence, keys
from bench.endpointing.troubles import ECHO, LINES, SOUNDS, lost_frames, no_hiss, sounding, steps_of_hiss
from lexbridge.audio.endpointing import EndpointingRules
from lexbridge.audio.hangover import Expected
from lexbridge.audio.pcm import FRAME_MS, FRAME_SAMPLES, PCM_FRAME_BYTES, RATE_HZ, frame_levels_dbfs
from lexbridge.audio.speech_events import EndReason
from lexbridge.audio.tones import Tone, find_tone
from lexbridge.audio.vad import AmplitudeDetector

QUIET = Condition("quiet", hiss=no_hiss)
HANGOVER, LONGEST = EndReason.HANGOVER, EndReason.MAX_LENGTH


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def buzz(seconds: float) -> np.ndarray:
    """Return a steady sound with silence around it, as a recording has it."""
    samples = np.sign(np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)) * 3000
    return np.concatenate([np.zeros(RATE_HZ // 10), samples, np.zeros(RATE_HZ // 10)])


@pytest.fixture(scope="module")
def lines() -> Lines:
    recordings = [Recording("buzz", "yes", buzz(0.3)), Recording("buzz", "a-sentence", buzz(1.5))]
    recordings += [Recording("buzz", f"digits/{n}", buzz(0.25)) for n in range(10)]
    music = np.sin(2 * np.pi * 440 * np.arange(60 * RATE_HZ) / RATE_HZ)
    return Lines([Voice(recordings)], [music])


def frames_of(line: Line) -> list[bytes]:
    return [line.pcm[at : at + PCM_FRAME_BYTES] for at in range(0, len(line.pcm), PCM_FRAME_BYTES)]


def test_the_truth_is_where_the_energy_is(lines: Lines) -> None:
    line = lines.spoken_on(QUIET, ["short", "fluent", "short"], rng())
    loud = np.flatnonzero(frame_levels_dbfs(line.pcm) > -60)
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > 1) + 1)
    assert len(runs) == len(line.truth.spoken) == 3
    for run, spoken in zip(runs, line.truth.spoken, strict=True):
        assert abs(run[0] * FRAME_MS - spoken.start_ms) <= FRAME_MS
        assert abs((run[-1] + 1) * FRAME_MS - spoken.end_ms) <= FRAME_MS


def test_what_is_said_tells_what_was_asked(lines: Lines) -> None:
    spoken = lines.spoken_on(QUIET, ["short", "digits", "hesitant"], rng()).truth.spoken
    assert [one.asked for one in spoken] == [Expected.CLOSED, Expected.DIGITS, spoken[2].asked]
    assert spoken[2].asked in (Expected.OPEN, Expected.PHRASE)
    assert all(then.start_ms - one.end_ms >= 2600 for one, then in pairwise(spoken))


def test_one_who_hesitates_pauses_and_one_who_does_not_does_not(lines: Lines) -> None:
    for kind, pauses in (("fluent", False), ("hesitant", True)):
        line = lines.spoken_on(QUIET, [kind], rng())
        (spoken,) = line.truth.spoken
        inside = frame_levels_dbfs(line.pcm)[spoken.start_ms // FRAME_MS + 1 : spoken.end_ms // FRAME_MS - 1]
        assert (inside.min() < -60) == pauses


@pytest.mark.parametrize("name", ["white", "babble", "music", "car", "hum"])
def test_a_background_is_so_far_under_the_speech(lines: Lines, name: str) -> None:
    line = lines.without_speech(Condition(name, name, 20), 20.0, rng())
    power = np.mean(np.frombuffer(line.pcm, "<i2").astype(float) ** 2)
    assert 10 * np.log10(power) == pytest.approx(20 * np.log10(level(-46.0)), abs=0.7)


def test_the_same_seed_gives_the_same_line(lines: Lines) -> None:
    noisy = Condition("babble", "babble", 10)
    assert lines.spoken_on(noisy, ["short"], rng()) == lines.spoken_on(noisy, ["short"], rng())


def test_lost_frames_are_a_twentieth_and_silent_or_repeated() -> None:
    samples = comfort_noise(FRAME_SAMPLES * 20000, rng()) + 1000
    silent = lost_frames(repeat=False)(samples, rng()).reshape(-1, FRAME_SAMPLES)
    assert 0.03 < np.mean(~silent.any(axis=1)) < 0.07
    repeated = lost_frames(repeat=True)(samples, rng()).reshape(-1, FRAME_SAMPLES)
    assert 0.03 < np.mean([np.array_equal(one, then) for one, then in pairwise(repeated)]) < 0.07


def test_comfort_noise_has_steps() -> None:
    levels = frame_levels_dbfs(steps_of_hiss(60 * RATE_HZ, rng()).astype("<i2").tobytes())
    assert levels.min() == -96
    assert levels.max() > -52


def test_keys_are_tones_of_keys() -> None:
    line = line_of(keys(20.0, rng()), QUIET)
    frames = [frame for frame in frames_of(line) if frame_levels_dbfs(frame)[0] > -30]
    assert len(frames) > 50
    assert np.mean([find_tone(frame) is Tone.KEY for frame in frames]) > 0.8  # a key begins and ends within one


@pytest.mark.parametrize("name", CADENCES)
def test_tones_of_the_network_are_tones(name: str) -> None:
    samples = cadence(name, 20.0, rng())
    assert len(samples) == 20 * RATE_HZ
    spectrum = np.sort(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2)
    assert spectrum[-4000:].sum() / spectrum.sum() > 0.95


@pytest.mark.parametrize("name", [*SOUNDS, ECHO])
def test_where_nobody_speaks_nothing_is_spoken(lines: Lines, name: str) -> None:
    truth = sounding(name, lines, 20.0, rng()).truth
    assert (truth.condition, truth.length_s, truth.spoken) == (name, 20.0, ())


def test_an_echo_is_listened_to_as_the_service_does(lines: Lines) -> None:
    line = sounding(ECHO, lines, 20.0, rng())
    levels = frame_levels_dbfs(line.pcm)
    heard = [n for n in range(len(levels)) if levels[n] > -55]
    assert len(heard) > 100
    guarded = [n for n in heard if n in line.listening and line.listening[n].echo_rms > 32768 * 10 ** (levels[n] / 20)]
    assert len(guarded) / len(heard) > 0.95


def test_troubles_change_what_is_on_the_line(lines: Lines) -> None:
    means = {
        one.name: np.frombuffer(lines.without_speech(one, 5.0, rng()).pcm, "<i2").astype(float).mean() for one in LINES
    }
    assert means["DC offset"] == pytest.approx(800, rel=0.05)
    assert abs(means["digital silence"]) < 10


# Scores

SPOKEN = (
    Spoken("short", 1000, 1400, Expected.CLOSED),
    Spoken("hesitant", 4000, 7000, Expected.OPEN),
    Spoken("fluent", 10000, 12000, Expected.PHRASE),
)
TRUTH = Truth("quiet", None, 15.0, SPOKEN)


def scored(*heard: tuple[int, int, int, EndReason | None]) -> Score:
    score = Score()
    score.add(TRUTH, [FoundUtterance(*one) for one in heard])
    return score


def test_all_that_is_right() -> None:
    of = scored((500, 1020, 2100, HANGOVER), (3500, 4000, 7700, HANGOVER), (9500, 10000, 12900, HANGOVER))
    assert (of.share_missed, of.share_missed_shorts, of.share_onset_lost, of.share_run_on) == (0, 0, 0, 0)
    assert of.share_split(["fluent", "hesitant"]) == 0
    assert of.share_not_whole == 0
    assert [of.delay_ms(0.5, [one.asked]) for one in SPOKEN] == [700, 700, 900]
    assert of.delay_ms(0.5) == 700
    assert of.onset_lost_ms(0.95) == 0


def test_what_nothing_touches_is_missed() -> None:
    of = scored((1400, 1500, 2300, HANGOVER), (4000, 4000, 7700, HANGOVER), (10000, 10000, 12700, HANGOVER))
    assert of.share_missed == pytest.approx(100 / 3)
    assert of.share_missed_shorts == 100
    assert of.share_not_whole == 50


def test_an_onset_is_lost_by_more_than_a_frame() -> None:
    of = scored((1020, 1020, 2100, HANGOVER), (4021, 4021, 7700, HANGOVER), (10000, 10000, 12700, HANGOVER))
    assert of.share_onset_lost == pytest.approx(100 / 3)
    assert of.onset_lost_ms(1.0) == 21
    assert of.share_not_whole == 0  # it was one that hesitates


def test_joining_may_mend_an_utterance_split_by_an_early_end() -> None:
    short, fluent = (900, 1000, 2100, HANGOVER), (9500, 10000, 12700, HANGOVER)
    mended = scored(short, (3900, 4000, 5500, HANGOVER), (5800, 6000, 7700, HANGOVER), fluent)
    apart = scored(short, (3900, 4000, 5500, HANGOVER), (5800, 6001, 7700, HANGOVER), fluent)
    cut = scored(short, (3900, 4000, 5500, HANGOVER), fluent)
    assert [of.share_split(["hesitant"]) for of in (mended, apart, cut)] == [100, 100, 100]
    assert [of.share_split(["hesitant"], joined=True) for of in (mended, apart, cut)] == [0, 100, 100]
    assert mended.delay_ms(0.5, [Expected.OPEN]) == 700


@pytest.mark.parametrize("end", [(10000, HANGOVER), (9000, LONGEST), (15000, None)])
def test_an_end_that_is_not_found_in_time_runs_on(end: tuple[int, EndReason | None]) -> None:
    of = scored((900, 1000, 2100, HANGOVER), (3900, 4000, *end))
    assert of.run_on >= 1
    assert Expected.OPEN not in of.delays_ms


def test_false_triggers_are_those_of_lines_without_speech() -> None:
    of = Score()
    of.add(Truth("white", 10, 1800.0), [FoundUtterance(0, 0, 1000, HANGOVER)] * 3)
    assert of.false_triggers_an_hour == 6
    assert np.isnan(of.share_missed)
    assert np.isnan(of.share_run_on)
    assert np.isnan(of.share_not_whole)
    assert np.isnan(of.onset_lost_ms(0.5))
    assert np.isnan(of.delay_ms(0.5))


def test_an_endpointer_hears_a_line(lines: Lines) -> None:
    line = lines.spoken_on(QUIET, ["fluent", "short"], rng())
    heard = find_utterances(line, decisions(line, AmplitudeDetector(500)), EndpointingRules())
    for one, spoken in zip(heard, line.truth.spoken, strict=True):
        assert abs(one.started_ms - spoken.start_ms) <= FRAME_MS
        assert one.audio_ms == one.started_ms - 500
        assert abs(one.ended_ms - spoken.end_ms - 700) <= FRAME_MS
        assert one.reason is HANGOVER


def test_what_is_still_open_when_the_line_ends_has_no_reason(lines: Lines) -> None:
    line = line_of(np.full(RATE_HZ, 5000.0), QUIET)
    assert [
        one.reason for one in find_utterances(line, decisions(line, AmplitudeDetector(500)), EndpointingRules())
    ] == [None]


# Recordings


def debian_package(members: dict[bytes, bytes]) -> bytes:
    """Return an ar archive, as in deb(5)."""
    deb = b"!<arch>\n"
    for name, content in members.items():
        deb += b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, 0, 0, 0, b"100644", len(content)) + content
        deb += b"\n" * (len(content) % 2)
    return deb


def test_a_debian_package_is_an_archive_of_archives() -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as files:
        for name, content in (("./usr/share/sounds/en/digits/7.wav", b"seven"), ("./usr/share/doc/readme", b"no")):
            found = tarfile.TarInfo(name)
            found.size = len(content)
            files.addfile(found, io.BytesIO(content))
    deb = debian_package({b"debian-binary": b"2.0\n", b"control.tar.xz": b"odd", b"data.tar.xz": inner.getvalue()})
    assert list(_files(deb, "usr/share/sounds/en")) == [("digits/7.wav", b"seven")]


def test_a_package_without_files_is_told() -> None:
    with pytest.raises(ValueError, match=r"no data\.tar in it"):
        list(_files(debian_package({b"debian-binary": b"2.0\n"}), "usr"))
