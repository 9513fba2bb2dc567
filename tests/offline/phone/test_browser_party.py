"""The caller at a browser: the microphone, phrases that were typed, and coughs."""

from dataclasses import dataclass, field

import pytest

from lexbridge.offline.caller.caller import voiced_phrase
from lexbridge.offline.phone.browser_party import BrowserParty
from lexbridge.offline.phone.line_effects import LineEffects
from lexbridge.offline.phone.waiting_voice import START_FRAMES
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


def test_a_frame_has_20_ms() -> None:
    party, _ = a_party()
    with pytest.raises(ValueError, match="160 bytes"):
        party.hear(b"short")


def test_a_typed_phrase_is_said_instead_of_the_microphone() -> None:
    party, phone = a_party()
    party.say(voiced_phrase("roses", LOUD * 3))
    for number in range(START_FRAMES):
        party.hear(bytes([number]) * 160)
    microphone = [bytes([number]) * 160 for number in range(3, START_FRAMES)]
    assert [party.next_frame() for _ in range(START_FRAMES + 1)] == [*[LOUD] * 3, *microphone, SILENT_FRAME]
    assert [type(event) for event in phone.events] == [SpeechStarted, SpeechEnded]
    assert party.spoken_frames == START_FRAMES


def test_a_cough_is_an_event_of_the_call() -> None:
    party, phone = a_party()
    party.effects.is_coughing = True
    assert party.next_frame() != SILENT_FRAME
    assert [type(event) for event in phone.events] == [Coughed]
