"""`python -m lexbridge.offline hear`: what detectors make of a recording."""

import struct
from pathlib import Path

import numpy as np
import pytest

from lexbridge.audio.endpointing import EndpointingRules
from lexbridge.audio.pcm import FRAME_SAMPLES, encode_mulaw, frame_levels_dbfs
from lexbridge.audio.speech_events import EndReason
from lexbridge.audio.vad import AmplitudeDetector
from lexbridge.offline.__main__ import main
from lexbridge.offline.hearing.analysis import hints, listen, threshold_hint
from lexbridge.offline.hearing.sound_file import SoundFileError, read_channel

RULES = EndpointingRules()


def loud_and_quiet(*parts: tuple[int, int]) -> bytes:
    """Return white noise, 16-bit PCM at 8 kHz. `parts`: its milliseconds and RMS, one after the other."""
    rng = np.random.default_rng(1)
    noise = [rng.standard_normal(ms * 8) * rms for ms, rms in parts]
    return np.rint(np.concatenate(noise)).astype("<i2").tobytes()


CALL = loud_and_quiet((1000, 50), (800, 3000), (1500, 50), (400, 3000), (900, 50), (400, 3000), (2000, 50))


def wav(code: int, bits: int, rate_hz: int, *channels: bytes, extensible: bool = False) -> bytes:
    """A wav file with a part before its sound that nobody knows."""
    width = bits // 8
    frames = zip(*([side[at : at + width] for at in range(0, len(side), width)] for side in channels), strict=True)
    samples = b"".join(b"".join(frame) for frame in frames)
    count = len(channels)
    known = struct.pack("<HHIIHH", 0xFFFE if extensible else code, count, rate_hz, rate_hz * width, count * width, bits)
    if extensible:
        known += struct.pack("<HHIH14s", 22, bits, 0, code, bytes(14))
    parts = [(b"fmt ", known), (b"LIST", b"odd"), (b"data", samples)]
    body = b"".join(name + struct.pack("<I", len(inside)) + inside + bytes(len(inside) % 2) for name, inside in parts)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def levels_of(path: Path, content: bytes, channel: int = 1) -> list[int]:
    path.write_bytes(content)
    return [round(level) for level in frame_levels_dbfs(read_channel(path, channel))[::10]]


def tone(rate_hz: int, seconds: float = 0.2) -> np.ndarray:
    """Return a tone of 1 kHz at -9 dB."""
    return np.sin(2 * np.pi * 1000 * np.arange(round(rate_hz * seconds)) / rate_hz) / 2


def coded(samples: np.ndarray) -> dict[tuple[int, int], bytes]:
    """The same sound in each coding that is known."""
    whole = np.rint(samples * 32767).astype("<i2")
    return {
        (1, 8): (np.rint(samples * 127) + 128).astype("u1").tobytes(),
        (1, 16): whole.tobytes(),
        (1, 24): (np.rint(samples * (2**23 - 1)).astype("<i4")).view("u1").reshape(-1, 4)[:, :3].tobytes(),
        (1, 32): np.rint(samples * (2**31 - 1)).astype("<i4").tobytes(),
        (3, 32): samples.astype("<f4").tobytes(),
        (7, 8): encode_mulaw(whole.tobytes()),
    }


@pytest.mark.parametrize("coding", [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (7, 8)])
def test_each_coding_is_read(tmp_path: Path, coding: tuple[int, int]) -> None:
    assert levels_of(tmp_path / "a.wav", wav(*coding, 8000, coded(tone(8000))[coding])) == [-9]


def test_a_law_is_read(tmp_path: Path) -> None:
    assert (
        levels_of(tmp_path / "a.wav", wav(6, 8, 8000, b"\x80" * 1600))[0] == -15
    )  # the sixth of A-law's eight segments


def test_another_rate_and_the_extensible_head_are_read(tmp_path: Path) -> None:
    content = wav(1, 16, 44100, coded(tone(44100))[1, 16], extensible=True)
    assert levels_of(tmp_path / "a.wav", content) == [-9]


def test_a_channel_of_two_is_read(tmp_path: Path) -> None:
    one, other = coded(tone(8000))[1, 16], bytes(3200)
    assert levels_of(tmp_path / "a.wav", wav(1, 16, 8000, other, one), channel=2) == [-9]
    assert levels_of(tmp_path / "a.wav", wav(1, 16, 8000, other, one), channel=1) == [-96]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no wav file: it does not begin with RIFF and WAVE"),
        (b"RIFF\0\0\0\0WAVEfmt \2\0\0\0..", "is no wav file: unpack requires a buffer of 16 bytes"),
        (b"RIFF\0\0\0\0WAVE", "is no wav file: it has no sound in it"),
        (wav(1, 16, 0, bytes(320)), "is no wav file: it has 1 channels at 0 Hz"),
        (wav(85, 16, 8000, bytes(320)), "is coded in a way that is not known here (format 85, 16 bits)"),
        (wav(1, 16, 8000, bytes(320)), "has no channel 2, but 1 to 1"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(SoundFileError) as raised:
        read_channel(path, 2 if "channel 2" in why else 1)
    assert str(raised.value) == f"{path} {why}"


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SoundFileError, match=r"cannot be read: No such file"):
        read_channel(tmp_path / "none.wav", 1)


def test_the_utterances_of_a_recording_and_their_levels() -> None:
    heard = listen(CALL, "amplitude", AmplitudeDetector(500), RULES)
    assert [(one.started_ms, one.ended_ms, one.silent_ms) for one in heard.utterances] == [
        (1000, 2500, 700),
        (3300, 4400, 700),
        (4600, 5700, 700),
    ]
    assert {one.reason for one in heard.utterances} == {EndReason.HANGOVER}
    assert [round(one.level_dbov) for one in heard.utterances] == [-21, -21, -21]
    assert round(heard.noise_dbov) == -56
    assert round(heard.speech_dbov) == -21


def test_a_recording_may_end_within_an_utterance() -> None:
    pcm = loud_and_quiet((500, 3000))
    (one,) = listen(pcm, "amplitude", AmplitudeDetector(500), RULES).utterances
    assert (one.started_ms, one.ended_ms, one.reason) == (0, 500, None)


def test_a_recording_without_speech_has_no_levels_of_it() -> None:
    heard = listen(bytes(FRAME_SAMPLES * 20), "amplitude", AmplitudeDetector(500), RULES)
    assert np.isnan(heard.speech_dbov)
    assert list(hints(heard, RULES)) == [
        "no speech was found: is it the caller's channel (--channel), and loud enough?"
    ]
    assert threshold_hint(heard) == "VOICE_THRESHOLD: nothing to tell it by"


def test_speech_soon_after_an_end_may_need_a_longer_hangover() -> None:
    found = list(hints(listen(CALL, "amplitude", AmplitudeDetector(500), RULES), RULES))
    assert found[0].startswith("2 went on within 1000 ms of an end, after pauses of up to 1500 ms: if that was")
    assert found[1] == "no pause within an utterance was longer than 0 ms: a shorter hangover would answer sooner"


def test_a_background_that_is_taken_for_voice_is_told() -> None:
    loud = loud_and_quiet((16000, 3000))
    found = list(hints(listen(loud, "amplitude", AmplitudeDetector(500), RULES), RULES))
    assert found[0].startswith("1 ran into MAX_UTTERANCE_MS")


def test_a_threshold_lies_between_noise_and_speech_if_it_can() -> None:
    heard = listen(CALL, "amplitude", AmplitudeDetector(500), RULES)
    threshold = int(threshold_hint(heard).split()[1])
    assert 60 < threshold < 3000
    both = loud_and_quiet((2000, 400), (500, 600), (2000, 400))
    assert "no threshold parts them" in threshold_hint(listen(both, "amplitude", AmplitudeDetector(480), RULES))


def test_the_command_tells_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording, picture = tmp_path / "call.wav", tmp_path / "call.png"
    recording.write_bytes(wav(1, 16, 8000, CALL))
    assert main(["hear", str(recording), "--vad", "amplitude", "--picture", str(picture), "--hangover", "300"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "amplitude: 3 utterances, 1.6 s voiced, speech -21 dBov, noise -56 dBov"
    assert told[1] == "      1.00 s to     2.10 s  hangover              -21 dBov,  35 dB over the noise"
    assert told[-1] == f"drawn: {picture}"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_settings_are_the_environments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = tmp_path / "call.wav"
    recording.write_bytes(wav(1, 16, 8000, CALL))
    monkeypatch.setenv("VOICE_THRESHOLD", "20000")
    assert main(["hear", str(recording), "--vad", "amplitude"]) == 0
    assert capsys.readouterr().out.startswith("amplitude: 0 utterances")
    monkeypatch.setenv("VOICE_THRESHOLD", "loud")
    assert main(["hear", str(recording)]) == 2
    assert "VOICE_THRESHOLD: is 'loud'; must be a whole number from 1 to 32767" in capsys.readouterr().err


def test_what_cannot_be_heard_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hear", str(tmp_path / "none.wav")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_detector_without_its_packages_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = tmp_path / "call.wav"
    recording.write_bytes(wav(1, 16, 8000, CALL))
    monkeypatch.setattr("lexbridge.config.reading.find_spec", lambda _: None)
    assert main(["hear", str(recording)]) == 0
    told = capsys.readouterr()
    assert [line.split(":")[0] for line in told.out.splitlines() if "utterances" in line] == ["amplitude", "adaptive"]
    assert told.err.count("pip install -r requirements-") == 3
    assert main(["hear", str(recording), "--vad", "webrtc"]) == 2
