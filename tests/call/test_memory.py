"""Memory that the rules of a call take, which is about half of what a live call takes."""

import gc
import tracemalloc

import pytest

from lexbridge.audio.pcm import FRAME_MS, MULAW_FRAME_BYTES, MULAW_SILENCE
from lexbridge.audio.utterance_audio import UtteranceAudio
from lexbridge.audio.vad import AmplitudeDetector
from lexbridge.call.events import LexReplied, LexSpeechEnded, LexSpoke, Media, Started
from lexbridge.call.session import CallSession
from lexbridge.lex.model import DialogState, Message, Reply
from lexbridge.twilio.twiml import TwimlDocuments
from tests.support.settings import make_settings
from tests.support.sounds import tone
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, STREAM_SID

MODES = ["call-update", "stream"]
SILENCE = MULAW_SILENCE * MULAW_FRAME_BYTES
SILENT_KB = 18
TALKING_KB = 24
SESSIONS = 20


def shared(mode):
    """Return what all calls of a process share: rules and documents."""
    settings = make_settings(REPLY_MODE=mode)
    documents = TwimlDocuments(
        settings.service.url, settings.service.stream_url, hold_s=60, is_two_way=mode == "stream"
    )
    return settings.line.call_rules, documents


SHARED = {mode: shared(mode) for mode in MODES}


class Line:
    """A call whose actions nobody keeps."""

    def __init__(self, mode: str) -> None:
        self.session = CallSession(*SHARED[mode], AmplitudeDetector(500))
        self.tell(Started(STREAM_SID, CALL_SID, ACCOUNT_SID, {}))
        self.hear(SILENCE, 3000)

    def tell(self, event):
        self.session.receive(event)
        self.session.actions()

    def hear(self, frame, ms):
        for _ in range(ms // FRAME_MS):
            # A message brings bytes of its own.
            self.tell(Media(self.session.media_ms, True, bytes(bytearray(frame))))

    def say(self):
        """Say something of a second, and get an answer."""
        self.hear(tone(FRAME_MS), 1000)
        self.hear(SILENCE, 1000)
        turn = self.session.turn_count
        self.tell(
            LexReplied(turn, Reply(DialogState.ELICIT_SLOT, (Message("Which day?"),), transcript="hi"), speaks=True)
        )
        self.tell(LexSpoke(turn, tone(400)))
        self.tell(LexSpeechEnded(turn))


def utterances():
    gc.collect()
    return sum(isinstance(found, UtteranceAudio) for found in gc.get_objects())


@pytest.mark.parametrize("mode", MODES)
def test_an_answered_turns_audio_goes_when_the_caller_speaks(mode):
    line = Line(mode)
    before = utterances()
    line.say()
    line.hear(tone(FRAME_MS), 1000)
    assert utterances() - before == 1  # what is said now


def test_an_answer_that_twilio_speaks_keeps_no_audio():
    line = Line("call-update")
    before = utterances()
    line.say()
    assert utterances() == before


def kb_of(make):
    """Return the memory of what `make` returns, in kB."""
    make()  # what all of them share
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = [make() for _ in range(SESSIONS)]
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / len(kept) / 1000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("mode", MODES)
def test_a_silent_call_takes_little_memory(mode):
    assert kb_of(lambda: Line(mode)) <= SILENT_KB


def test_a_talking_call_takes_hardly_more_than_what_is_said():
    def talking():
        line = Line("call-update")
        for _ in range(3):
            line.say()
        line.hear(tone(FRAME_MS), 1000)
        return line

    assert kb_of(talking) <= TALKING_KB
