"""Levels of a caller's audio, and a call heard once more with other settings."""

import sys

import pytest

from lexbridge.observer.admin import what_if as what_if_module
from lexbridge.observer.admin.stream_levels import StreamLevels, measure_all, peaks
from lexbridge.observer.admin.what_if import WhatIfRefused, detector_for, utterances, what_if
from lexbridge.observer.calls.call_record import CallRecord
from tests.support.settings import make_settings
from tests.support.told_facts import BEGAN_S, FRAME, LOUD_FRAME, ToldCall

SETTINGS = make_settings(HANGOVER_MS="700", HANGOVER_MAX_MS="1000").line


def spoken(*seconds: float) -> bytes:
    """Return loud and silent audio in turn, beginning with silence."""
    return b"".join((LOUD_FRAME if at % 2 else FRAME) * round(one * 50) for at, one in enumerate(seconds))


def recorded(call: ToldCall) -> CallRecord:
    record = call.book.find(call.call_sid)
    assert record is not None
    return record


def call_with(audio: bytes) -> ToldCall:
    call = ToldCall().begin()
    call.audio(audio, media_ms=0)
    return call


class Waits:
    """A count of how often the code gave way."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def test_levels_are_those_of_the_calls_own_detector() -> None:
    call = call_with(spoken(0.5, 0.5, 1))
    call.at = 0.7
    call.audio(LOUD_FRAME * 10, "bot")
    record = recorded(call)
    levels = StreamLevels(detector_for(SETTINGS)())
    measure_all(levels, record.track("MZ1", "caller"), Waits())
    (seen,) = levels.view("MZ1", BEGAN_S, record.track("MZ1", "bot"), 0, 10_000)
    assert (seen["stream_sid"], seen["began_s"], seen["from_ms"], seen["frame_ms"]) == ("MZ1", BEGAN_S, 0, 20)
    assert seen["voiced"] == [0] * 25 + [1] * 25 + [0] * 50
    assert seen["level_dbfs"][0] == -96.0
    assert seen["level_dbfs"][30] > -20
    assert seen["threshold_dbfs"][0] == -36.3
    assert seen["threshold_dbfs"][30] == -37.2  # a voice that has begun goes on a little below
    assert seen["floor_dbfs"] is None
    assert [peak > 0 for peak in seen["bot_peak"]] == [35 <= at < 45 for at in range(100)]


def test_levels_of_an_adaptive_detector_have_a_floor() -> None:
    levels = StreamLevels(detector_for(make_settings(VAD="adaptive").line)())
    track = recorded(call_with(spoken(1, 1))).track("MZ1", "caller")
    measure_all(levels, track, Waits())
    (seen,) = levels.view("MZ1", BEGAN_S, track, 0, 10_000)
    assert seen["threshold_dbfs"][0] is seen["floor_dbfs"][0] is None  # nothing was heard yet
    assert seen["threshold_dbfs"][10] > seen["floor_dbfs"][10]


def test_levels_grow_with_the_audio_and_are_told_from_a_place_on() -> None:
    call = call_with(spoken(1))
    record = recorded(call)
    track = record.track("MZ1", "caller")
    levels, waits = StreamLevels(detector_for(SETTINGS)()), Waits()
    assert levels.measure(track, 30)
    assert levels.parts[0].end_ms == 600
    assert not levels.measure(track, 30)
    call.audio(spoken(0, 9.7), media_ms=1000)
    call.audio(spoken(0.02), media_ms=100_000)
    measure_all(levels, track, waits)
    assert waits.times == 1
    first, second = levels.view("MZ1", BEGAN_S, record.track("MZ1", "bot"), 10_650, 1_000_000)
    assert (first["from_ms"], len(first["level_dbfs"])) == (10_660, 2)
    assert (second["from_ms"], second["voiced"], second["bot_peak"]) == (100_000, [0], [0.0])
    assert list(levels.view("MZ1", BEGAN_S, track, 200_000, 300_000)) == []


def test_levels_begin_anew_when_the_audio_was_forgotten() -> None:
    call = call_with(spoken(1))
    record = recorded(call)
    track = record.track("MZ1", "caller")
    levels = StreamLevels(detector_for(SETTINGS)())
    measure_all(levels, track, Waits())
    record.forget_audio()
    call.audio(spoken(0, 0.1), media_ms=5000)
    measure_all(levels, track, Waits())
    (seen,) = levels.view("MZ1", BEGAN_S, record.track("MZ1", "bot"), 0, 10_000)
    assert (seen["from_ms"], seen["voiced"]) == (5000, [1] * 5)


def test_peaks_of_a_track_are_placed_by_frame() -> None:
    track = recorded(call_with(LOUD_FRAME)).track("MZ1", "caller")
    (loud, silent) = peaks(track, 0, 2)
    assert (loud > 0.1, silent) == (True, 0.0)


def test_peaks_of_minutes_are_found_slice_by_slice() -> None:
    track = recorded(call_with(spoken(70, 0.02, 60))).track("MZ1", "caller")
    found = peaks(track, 0, 7000)
    assert len(found) == 7000
    assert [at for at, peak in enumerate(found) if peak] == [3500]


# -- what if


def reasons(found: list[dict[str, object]]) -> list[tuple[object, object, object]]:
    return [(one["started_ms"], one["ended_ms"], one["reason"]) for one in found]


def test_a_shorter_hangover_parts_what_a_longer_one_keeps_whole() -> None:
    record = recorded(call_with(spoken(1, 2, 0.5, 1, 2)))
    seen = what_if(record, SETTINGS, {"hangover_ms": 400}, Waits())
    assert reasons(seen["now"]) == [(1000, 5360, "hangover")]
    assert reasons(seen["then"]) == [(1000, 3400, "hangover"), (3500, 5500, "hangover")]
    (levels,) = seen["then_levels"]["streams"]
    assert len(levels["level_dbfs"]) == 325


def test_another_detector_and_threshold_are_tried() -> None:
    record = recorded(call_with(spoken(1, 2, 2)))
    seen = what_if(record, SETTINGS, {"vad": "amplitude", "voice_threshold": 32767}, Waits())
    assert (len(seen["now"]), seen["then"]) == (1, [])
    assert not any(seen["then_levels"]["streams"][0]["voiced"])


def test_the_question_that_was_asked_decides_on_the_hangover() -> None:
    call = ToldCall().begin()
    call.audio(spoken(0, 2, 2.5, 0.4, 3), media_ms=0)
    call.tell("utterance-ended", turn=1, started_ms=0, ended_ms=2700, silent_ms=700)
    call.tell("turn-answered", turn=1, dialog_state="ConfirmIntent", intent="OrderFlowers")
    seen = what_if(recorded(call), SETTINGS, {"hangover_min_ms": 200}, Waits())
    assert [ended for _, ended, _ in reasons(seen["now"])] == [2700, 5600]
    assert [ended for _, ended, _ in reasons(seen["then"])] == [2700, 5100]


def test_a_short_word_over_the_bots_audio_opens_nothing() -> None:
    call = call_with(spoken(3, 0.1, 2))
    call.audio(FRAME * 500, "bot")
    assert what_if(recorded(call), SETTINGS, {}, Waits())["now"] == []
    assert what_if(recorded(call), SETTINGS, {"barge_in_ms": 100}, Waits())["then"] != []
    assert what_if(recorded(call), SETTINGS, {"barge_in_ms": 100, "barge_in": False}, Waits())["then"] == []


def test_a_call_still_open_at_the_end_has_no_reason() -> None:
    (found,) = what_if(recorded(call_with(spoken(1, 1))), SETTINGS, {}, Waits())["now"]
    assert (found["stream_sid"], found["ended_ms"], found["reason"]) == ("MZ1", 2000, None)


def test_long_calls_give_way_to_others() -> None:
    waits = Waits()
    what_if(recorded(call_with(spoken(60))), SETTINGS, {}, waits)
    assert waits.times == 35  # each 5 s of the levels, and of both runs; none after the last of the levels


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"hangover_ms": 405}, "hangover_ms must be"),
        ({"hangover_ms": [1]}, "hangover_ms must be"),
        ({"vad": "ear"}, "vad must be"),
        ({"twilio_auth_token": "x"}, "twilio_auth_token is none of vad, "),
        ({"hangover_ms": 1500}, "hangover_min_ms <= hangover_ms <= hangover_max_ms < max_utterance_ms must hold"),
    ],
)
def test_settings_that_are_wrong_are_refused(wanted: dict[str, object], told: str) -> None:
    with pytest.raises(WhatIfRefused, match="^" + told):
        what_if(recorded(call_with(spoken(1))), SETTINGS, wanted, Waits())


def test_a_detector_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webrtcvad", None)
    with pytest.raises(WhatIfRefused, match="vad webrtc is not installed here"):
        what_if(recorded(call_with(spoken(1))), SETTINGS, {"vad": "webrtc"}, Waits())


def test_more_audio_than_an_hour_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(what_if_module, "MAX_MS", 500)
    with pytest.raises(WhatIfRefused, match="minutes of audio were kept"):
        what_if(recorded(call_with(spoken(1))), SETTINGS, {}, Waits())


def test_the_utterances_of_todays_settings_are_told_alone() -> None:
    found = utterances(recorded(call_with(spoken(1, 1, 1))), SETTINGS, Waits())
    assert reasons(found) == [(1000, 3000, "hangover")]  # it has only just begun: the longest hangover


def test_a_slot_of_digits_has_the_longest_hangover() -> None:
    call = ToldCall().begin()
    call.audio(spoken(0, 2, 2.5, 1.6, 3), media_ms=0)
    call.tell("utterance-ended", turn=1, started_ms=0, ended_ms=2700, silent_ms=700)
    call.tell("turn-answered", turn=1, dialog_state="ElicitSlot", intent="Pay", slot_to_elicit="Account")
    settings = make_settings(HANGOVER_MAX_MS="1000", SLOT_KINDS="Account=digits").line
    assert [ended for _, ended, _ in reasons(utterances(recorded(call), settings, Waits()))] == [2700, 7100]
    assert [ended for _, ended, _ in reasons(utterances(recorded(call), SETTINGS, Waits()))] == [2700, 6800]


def test_a_call_without_audio_is_refused() -> None:
    with pytest.raises(WhatIfRefused, match="none of the caller's audio"):
        what_if(recorded(ToldCall().begin()), SETTINGS, {}, Waits())
