"""The caller at a browser: frames that come early, late and not at all, and phrases that were typed."""

from dataclasses import dataclass, field

import pytest

from lexbridge.offline.caller.caller import voiced_phrase
from lexbridge.offline.phone.browser_party import LOOK_BACK_FRAMES, MOST_WAITING_FRAMES, SPARE_FRAMES, BrowserParty
from lexbridge.offline.phone.line_effects import LineEffects
from lexbridge.offline.twilio.events import Coughed, Event, SpeechEnded, SpeechStarted
from lexbridge.offline.twilio.line import Phone
from lexbridge.offline.twilio.telephone_audio import SILENT_FRAME

LOUD = b"\x10" * 160


@dataclass
class NotedPhone(Phone):
    """A telephone that keeps the events of its call."""

    events: list[Event] = field(default_factory=list)

    def now_s(self) -> float:
        return 0.0

    def record(self, event: Event) -> None:
        self.events.append(event)

    def press(self, digit: str) -> None:
        raise AssertionError

    def hang_up(self) -> None:
        raise AssertionError


def a_party() -> tuple[BrowserParty, NotedPhone]:
    party, phone = BrowserParty(LineEffects()), NotedPhone()
    party.dials(phone)
    return party, phone


def frame(number: int) -> bytes:
    return bytes([number]) * 160


def test_frames_go_out_in_order_and_silence_fills_holes() -> None:
    party, _ = a_party()
    assert party.next_frame() == SILENT_FRAME
    assert party.starved_frames == 0  # nothing has come yet: the caller may have no microphone
    party.hear(frame(1))
    party.hear(frame(2))
    assert [party.next_frame() for _ in range(3)] == [frame(1), frame(2), SILENT_FRAME]
    assert party.starved_frames == 1


def test_what_waits_is_bounded_and_the_oldest_is_dropped() -> None:
    party, _ = a_party()
    for number in range(MOST_WAITING_FRAMES + 3):
        party.hear(frame(number))
    assert party.dropped_frames == 3
    assert party.next_frame() == frame(3)


def test_a_browser_that_was_late_once_is_not_late_for_ever() -> None:
    """Frames that wait all the time are dropped one by one, until few wait."""
    party, _ = a_party()
    for _ in range(8):
        party.hear(LOUD)
    for _ in range(8 * LOOK_BACK_FRAMES):
        party.hear(LOUD)
        party.next_frame()
    assert party.dropped_frames == 8 - SPARE_FRAMES
    assert party.starved_frames == 0


def test_a_frame_has_20_ms() -> None:
    party, _ = a_party()
    with pytest.raises(ValueError, match="160 bytes"):
        party.hear(b"short")


def test_a_typed_phrase_is_said_instead_of_the_microphone() -> None:
    party, phone = a_party()
    party.say(voiced_phrase("roses", LOUD * 3))
    for number in range(4):
        party.hear(frame(number))
    assert [party.next_frame() for _ in range(4)] == [LOUD, LOUD, LOUD, frame(3)]
    assert [type(event) for event in phone.events] == [SpeechStarted, SpeechEnded]
    assert party.spoken_frames == 4


def test_a_cough_is_an_event_of_the_call() -> None:
    party, phone = a_party()
    party.effects.is_coughing = True
    assert party.next_frame() != SILENT_FRAME
    assert [type(event) for event in phone.events] == [Coughed]
