"""Noise, loss and coughs on the line between a browser and Twilio."""

import numpy as np
import pytest

from lexbridge.audio.pcm import decode_mulaw, encode_mulaw, frame_levels_dbfs
from lexbridge.offline.phone.line_effects import COUGH_EVERY_FRAMES, HELD_NOISE_DBFS, QUALITIES, LineEffects
from lexbridge.offline.twilio.telephone_audio import SILENT_FRAME, SPEECH_LEVEL_DBFS

FRAMES = 500


def mean_dbfs(frames: list[bytes]) -> float:
    levels = frame_levels_dbfs(decode_mulaw(b"".join(frames)))
    return float(10 * np.log10(np.mean(10 ** (levels / 10))))


def test_a_clean_line_changes_nothing() -> None:
    frame = encode_mulaw((np.arange(160) * 100).astype("<i2").tobytes())
    assert LineEffects().apply(frame) == frame


@pytest.mark.parametrize(("quality", "under_speech_db"), [("noise-20", 20), ("noise-10", 10)])
def test_noise_is_as_far_under_speech_as_its_name_says(quality: str, under_speech_db: int) -> None:
    effects = LineEffects()
    effects.quality = QUALITIES[quality]
    noise = mean_dbfs([effects.apply(SILENT_FRAME) for _ in range(FRAMES)])
    assert noise == pytest.approx(SPEECH_LEVEL_DBFS - under_speech_db, abs=0.5)


def test_a_tenth_of_the_frames_is_lost_in_bursts() -> None:
    effects = LineEffects()
    effects.quality = QUALITIES["loss"]
    frame = encode_mulaw(b"\x00\x20" * 160)
    lost = [effects.apply(frame) == SILENT_FRAME for _ in range(10 * FRAMES)]
    assert 0.07 < sum(lost) / len(lost) < 0.13
    bursts = "".join("x" if one else " " for one in lost).split()
    assert {len(burst) for burst in bursts} >= {1, 2, 3}


def test_a_held_button_is_heard_until_it_is_let_go() -> None:
    effects = LineEffects()
    effects.is_noisy = True
    assert mean_dbfs([effects.apply(SILENT_FRAME) for _ in range(FRAMES)]) == pytest.approx(HELD_NOISE_DBFS, abs=0.5)
    effects.is_noisy = False
    assert effects.apply(SILENT_FRAME) == SILENT_FRAME


def test_coughs_come_again_while_the_button_is_held() -> None:
    effects = LineEffects()
    effects.is_coughing = True
    began = []
    for place in range(2 * COUGH_EVERY_FRAMES + 1):
        effects.apply(SILENT_FRAME)
        if effects.began_cough:
            began.append(place)
    assert began == [0, COUGH_EVERY_FRAMES, 2 * COUGH_EVERY_FRAMES]
    effects.is_coughing = False
    coughing = [effects.apply(SILENT_FRAME) != SILENT_FRAME for _ in range(COUGH_EVERY_FRAMES)]
    assert coughing[0]  # the cough that has begun is coughed to its end
    assert not any(coughing[20:])
