"""Parts of the benchmarks' harness: marked audio, the counting Lex, the lightweight Twilio; and survival's figures."""

import dataclasses
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from bench.harness.counting_caller import Notes
from bench.harness.counting_lex import Session, turns_of
from bench.harness.marked_audio import (
    FRAME_BYTES,
    FRAME_MS,
    MOST_TURNS,
    SILENCE,
    SPEECH_MS,
    frame_of,
    murmur,
    turn_in,
    words_in,
)
from bench.harness.twilio.party import End
from bench.harness.twilio.playback import Playback
from bench.harness.twilio.webhooks import Overrides, read_overrides
from bench.stress.survival.figures import Figures
from bench.stress.survival.scenarios import Outcome
from lexbridge.audio.pcm import decode_mulaw, rms
from lexbridge.lex.voice import ReplyAudio
from lexbridge.phrases.catalogue import phrases_for

WHOLE = SPEECH_MS // FRAME_MS


def heard(*frames: bytes) -> int | None:
    return turn_in(decode_mulaw(b"".join(frames)))


def test_every_turn_is_recognised_and_far_above_the_threshold() -> None:
    for turn in range(1, MOST_TURNS + 1):
        assert heard(SILENCE, *[frame_of(turn)] * WHOLE, SILENCE) == turn
        assert rms(decode_mulaw(frame_of(turn))) > 1000


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [SILENCE] * 3,
        [frame_of(3)] * (WHOLE - 1),
        [frame_of(3)] * (WHOLE + 1),
        [frame_of(3)] * 5 + [SILENCE] + [frame_of(3)] * (WHOLE - 5),
        [frame_of(3)] * (WHOLE - 1) + [frame_of(4)],
        [frame_of(3)] * WHOLE + [SILENCE] + [frame_of(3)] * WHOLE,
        [b"\x20" * 160] * WHOLE,
    ],
)
def test_audio_that_is_not_one_whole_turn_is_not_understood(frames: list[bytes]) -> None:
    assert heard(*frames) is None


def test_a_session_ends_with_its_last_turn() -> None:
    session = Session(turns=2)
    prompts = []
    for expected in (1, 2, 3):
        session.expected = expected
        prompts.append((session.prompt, session.state()["dialogAction"]["type"]))
    assert prompts == [("turn 1", "ElicitSlot"), ("turn 2", "ElicitSlot"), ("done", "Close")]


def test_how_many_turns_a_call_takes_follows_from_its_sid() -> None:
    assert {turns_of(f"CA{number:032x}", 5, 15) for number in range(100)} == set(range(5, 16))


def test_connection_overrides_are_read_from_the_fragment() -> None:
    assert read_overrides("") == Overrides(1, frozenset({"ct"}), 5.0, 15.0, 15.0)
    assert read_overrides("rc=2&rp=all") == Overrides(2, frozenset({"all"}), 5.0, 15.0, 15.0)
    assert read_overrides("rc=3&rp=4xx,rt&ct=500&rt=700&tt=900") == Overrides(
        3, frozenset({"4xx", "rt"}), 0.5, 0.7, 0.9
    )


@pytest.mark.parametrize("fragment", ["rc=6", "rp=sometimes", "ct=50", "retries=2", "rc=two"])
def test_unknown_connection_overrides_are_an_error(fragment: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_overrides(fragment)


PHRASES = ["turn 1", "done", *dataclasses.asdict(phrases_for("en_US")).values(), "Ça va ?"]


def through_the_bridge(mulaw: bytes) -> bytes:
    """Return what Twilio gets of audio that comes from Lex as PCM."""
    audio = ReplyAudio("audio/pcm; rate=8000")
    return audio.push(decode_mulaw(mulaw)) + audio.flush()


@pytest.mark.parametrize("text", PHRASES)
def test_each_frame_of_the_bots_words_tells_them(text: str) -> None:
    """Each frame of the bot's words tells them, and none could be taken for a caller's."""
    mulaw = through_the_bridge(murmur(text, 0.020 * len(text)))
    assert len(mulaw) == 160 * len(text)
    frames = [mulaw[at : at + FRAME_BYTES] for at in range(0, len(mulaw), FRAME_BYTES)]
    told = [words_in(frame) for frame in frames]
    assert {words.text for words in told if words} == {text.encode()[:79].decode()}
    assert [(words.is_first, words.is_last) for words in told if words] == [
        (at == 0, at == len(frames) - 1) for at in range(len(frames))
    ]
    assert max(rms(decode_mulaw(frame)) for frame in frames) < 300
    assert heard(*frames) is None


@pytest.mark.parametrize("frame", [SILENCE, frame_of(3), b"", murmur("turn 1", 0)[:-1], b"\x60" * 2 + b"\x70" * 158])
def test_other_audio_is_no_words(frame: bytes) -> None:
    assert words_in(frame) is None


class RecordingListener:
    """Listener, server and clock of a playback. It records what was heard, sent back and complained of, with times."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str]] = []
        self._now_s = 100.0
        self._timers: list[RecordingTimer] = []
        self.playback = Playback(self, self, lambda mark: self._note(mark), lambda _, complaint: self._note(complaint))

    def time(self) -> float:
        return self._now_s

    def call_at(self, when: float, callback: Callable[[], object]) -> "RecordingTimer":
        timer = RecordingTimer(self._timers, when, callback)
        self._timers.append(timer)
        return timer

    def bot_begins(self, text: str) -> None:
        self._note(f"begins: {text}")

    def bot_ends(self, *, whole: bool) -> None:
        self._note("ends" if whole else "is cut")

    def wait(self, ms: int) -> None:
        until_s = self._now_s + ms / 1000
        while due := [timer for timer in self._timers if timer.when <= until_s + 1e-6]:
            timer = min(due, key=lambda timer: timer.when)
            self._timers.remove(timer)
            self._now_s = max(self._now_s, timer.when)
            timer.callback()
        self._now_s = until_s

    def send(self, mulaw: bytes) -> None:
        self.playback.take({"event": "media", "media": {"payload": b64encode(mulaw).decode()}})

    def send_mark(self, name: str) -> None:
        self.playback.take({"event": "mark", "mark": {"name": name}})

    def take(self) -> list[tuple[int, str]]:
        events, self.events = self.events, []
        return events

    def _note(self, what: str) -> None:
        self.events.append((round((self._now_s - 100) * 1000), what))


@dataclass(eq=False)
class RecordingTimer:
    """Timer of a RecordingListener."""

    timers: list["RecordingTimer"]
    when: float
    callback: Callable[[], object]

    def cancel(self) -> None:
        self.timers.remove(self)


def test_words_are_heard_in_order_and_marks_return_after_them() -> None:
    listener = RecordingListener()
    listener.send_mark("at once")
    words = murmur("turn 1", 0.1)
    listener.wait(10)
    listener.send(words[:160])
    listener.send(words[160:])
    listener.send_mark("first")
    listener.send(murmur("turn 1", 0.04))
    listener.send_mark("second")
    listener.wait(500)
    assert listener.take() == [
        (0, "at once"),
        (10, "begins: turn 1"),
        (110, "ends"),
        (110, "first"),
        (110, "begins: turn 1"),
        (150, "ends"),
        (150, "second"),
    ]
    listener.send(murmur("done", 0.02))
    listener.wait(500)
    assert listener.take() == [(510, "begins: done"), (530, "ends")]


def test_a_clear_drops_unheard_audio_and_returns_its_marks() -> None:
    listener = RecordingListener()
    words = murmur("turn 1", 0.1)
    listener.send(words)
    listener.send_mark("end")
    listener.wait(50)
    listener.playback.take({"event": "clear"})
    listener.wait(500)
    assert listener.take() == [(0, "begins: turn 1"), (50, "is cut"), (50, "end")]
    listener.send(words[320:])  # it goes on after a false alarm
    listener.wait(500)
    assert listener.take() == [(550, "begins: turn 1"), (610, "ends")]


def test_audio_lost_with_its_stream_returns_no_mark() -> None:
    listener = RecordingListener()
    listener.send(murmur("turn 1", 0.1))
    listener.send_mark("end")
    listener.wait(50)
    listener.playback.stop()
    listener.wait(500)
    assert listener.take() == [(0, "begins: turn 1"), (50, "is cut")]


def test_foreign_audio_and_messages_are_complained_of() -> None:
    listener = RecordingListener()
    listener.send(SILENCE)
    listener.send(murmur("done", 0.02)[:80])
    listener.playback.take({"event": "new"})
    listener.wait(100)
    assert [what for _, what in listener.take()] == [
        "the caller heard something that nobody said",
        "a piece of audio is no whole number of frames",
        "the caller heard something that nobody said",
        "Stream: no message of Twilio's: 'new'",
    ]


@pytest.mark.parametrize(
    ("handed_over", "repeats", "is_missed"), [(0, 0, False), (0, 1, True), (100, 3, False), (100, 4, True)]
)
def test_only_a_stream_mode_hand_over_may_cost_a_repetition(handed_over: int, repeats: int, is_missed: bool) -> None:
    notes = Notes("CA1", 1, 0.0, ended=End.HANGUP, has_finished=True, repeats=repeats)
    lex = {"lost": 0, "turns": 1, "duplicates": 0}
    figures = Figures("restart", [notes], lex, Outcome(), [], handed_over)
    assert figures.missed() == ([f"repeats: {repeats}"] if is_missed else [])
