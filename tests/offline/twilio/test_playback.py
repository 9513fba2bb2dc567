"""The playback of a two-way stream's audio, on a line whose time the test moves itself."""

from lexbridge.audio.pcm import FRAME_MS, MULAW_FRAME_BYTES
from lexbridge.offline.twilio.events import Event, MediaBegan
from lexbridge.offline.twilio.line import STARVED_MS, Line, Phone
from lexbridge.offline.twilio.playback import Playback, SentAudio
from lexbridge.offline.twilio.telephone_audio import SILENT_FRAME

AUDIO = bytes(number % 100 for number in range(5 * MULAW_FRAME_BYTES))  # 100 ms


class Ear:
    """A silent party that keeps when the bot's voice began and finished, in milliseconds of the line."""

    def __init__(self) -> None:
        self.line = Line(self)
        self.voice: list[tuple[str, int]] = []

    def dials(self, phone: Phone) -> None:
        raise AssertionError("this line is open already")

    def next_frame(self) -> bytes:
        return SILENT_FRAME

    def bot_began(self, text: str) -> None:
        self.voice.append(("began", self.line.now_ms))

    def bot_finished(self, text: str) -> None:
        self.voice.append(("finished", self.line.now_ms))


def test_only_a_long_gap_in_the_audio_ends_the_prompt() -> None:
    ear = Ear()
    events: list[Event] = []
    sent: list[SentAudio] = []
    returned: list[str] = []
    playback = Playback(ear.line, "MZ1", sent, events.append, lambda: ear.line.now_ms / 1000, returned.append)
    short_ms, long_ms = STARVED_MS - FRAME_MS, STARVED_MS
    for gap_ms in (short_ms, long_ms, 0):
        playback.media(AUDIO)
        for _ in range((100 + gap_ms) // FRAME_MS):
            ear.line.carry()
    second_ms = 100 + short_ms
    third_ms = second_ms + 100 + long_ms
    # The voice is known to be over as the last frame of a long gap begins.
    assert ear.voice == [("began", 0), ("finished", third_ms - FRAME_MS), ("began", third_ms)]
    (audio,) = sent  # no mark came
    assert returned == []
    assert (audio.heard_ms, audio.mark_sent_s) == (300, None)
    assert (audio.heard_from_ms, audio.heard_to_ms) == (0, third_ms + 100)
    assert [type(event) for event in events] == [MediaBegan]
    line = bytes(ear.line.bot_mulaw)
    assert [line.find(AUDIO, start * 8) for start in (0, second_ms, third_ms)] == [0, second_ms * 8, third_ms * 8]
