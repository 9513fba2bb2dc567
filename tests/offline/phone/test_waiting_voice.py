"""The caller's voice on its way to the line: frames that come early, late and not at all."""

import random

import pytest

from lexbridge.audio.pcm import encode_mulaw
from lexbridge.offline.phone.waiting_voice import (
    BREAK_FRAMES,
    LONGEST_FRAMES,
    LOOK_BACK_FRAMES,
    MOST_FRAMES,
    PAUSE_FRAMES,
    SPARE_FRAMES,
    START_FRAMES,
    WaitingVoice,
)


def frame(level: int) -> bytes:
    return encode_mulaw(level.to_bytes(2, "little", signed=True)) * 160


QUIET = frame(0)
WORD = [frame(1000 + 100 * place) for place in range(40)]
"""A word of 0.8 s, whose frames are all different."""


def taken(voice: WaitingVoice, count: int) -> list[bytes]:
    """Return what the line gets in as many frames of its time: only the frames that were there."""
    return [mulaw for mulaw in (voice.next() for _ in range(count)) if mulaw is not None]


def speak(voice: WaitingVoice, frames: list[bytes]) -> list[bytes]:
    """Let the line take a frame for each that comes, and return what it gets."""
    heard = []
    for mulaw in frames:
        voice.add(mulaw)
        heard += taken(voice, 1)
    return heard


def test_a_voice_begins_once_some_of_it_waits() -> None:
    voice = WaitingVoice()
    assert taken(voice, 5) == []
    for mulaw in WORD[: START_FRAMES - 1]:
        voice.add(mulaw)
    assert taken(voice, 5) == []
    voice.add(WORD[START_FRAMES - 1])
    assert taken(voice, START_FRAMES + 1) == WORD[:START_FRAMES]
    assert voice.starved_frames == 1  # what is missing before the first words is not: nobody has spoken yet


@pytest.mark.parametrize("late", ["browser", "line"])
def test_a_word_is_whole_whoever_stops_for_a_second(late: str) -> None:
    voice = WaitingVoice()
    heard = speak(voice, [QUIET] * 50 + WORD[:10])
    if late == "line":
        for mulaw in [*WORD[10:], *[QUIET] * 20]:
            voice.add(mulaw)
        heard += taken(voice, 50)
    else:
        heard += taken(voice, 50)
        for mulaw in [*WORD[10:], *[QUIET] * 20]:
            voice.add(mulaw)
    heard += speak(voice, [QUIET] * 100)
    assert [mulaw for mulaw in heard if mulaw != QUIET] == WORD


def test_a_pause_makes_up_for_what_was_late() -> None:
    """A pause goes out at twice its pace until few frames wait. It does not vanish."""
    voice = WaitingVoice()
    for mulaw in [*[QUIET] * 30, *WORD, *[QUIET] * 60, *WORD]:
        voice.add(mulaw)
    heard = taken(voice, 30 + len(WORD) + 60 + len(WORD))
    loud = [place for place, mulaw in enumerate(heard) if mulaw != QUIET]
    assert [heard[place] for place in loud] == [*WORD, *WORD]
    assert 30 <= loud[len(WORD)] - loud[len(WORD) - 1] - 1 <= 40  # of 60
    assert voice.dropped_frames > 20


def test_a_late_voice_is_not_late_for_ever() -> None:
    voice = WaitingVoice()
    for _ in range(MOST_FRAMES):
        voice.add(QUIET)
    speak(voice, [QUIET, *[QUIET] * 2 * LOOK_BACK_FRAMES])
    assert voice.dropped_frames == MOST_FRAMES - SPARE_FRAMES
    assert len(taken(voice, MOST_FRAMES)) == SPARE_FRAMES
    assert voice.starved_frames == MOST_FRAMES - SPARE_FRAMES


def test_the_pauses_of_a_loud_room_are_pauses_too() -> None:
    voice, draw = WaitingVoice(), random.Random(1)
    room = [frame(draw.randint(800, 1200)) for _ in range(4 * LOOK_BACK_FRAMES)]
    speech = [frame(6000 + 10 * place) for place in range(300)]
    spoken = [each for place in range(0, 300, 40) for each in (*speech[place : place + 40], *room[:5])]
    speak(voice, 4 * room)
    for mulaw in room[:MOST_FRAMES]:
        voice.add(mulaw)
    heard = speak(voice, [*spoken, *room])
    assert [mulaw for mulaw in heard if mulaw in speech] == speech
    assert voice.dropped_frames >= MOST_FRAMES - SPARE_FRAMES


def test_what_waits_is_bounded_and_the_oldest_is_dropped() -> None:
    voice = WaitingVoice()
    for _ in range(7):
        voice.add(QUIET)
    for place in range(LONGEST_FRAMES):
        voice.add(WORD[place % len(WORD)])
    assert voice.dropped_frames == 7
    assert taken(voice, 1) == [WORD[0]]


def test_a_muted_microphone_is_no_late_one() -> None:
    voice = WaitingVoice()
    for mulaw in WORD:
        voice.add(mulaw)
    assert taken(voice, len(WORD) + 10 * BREAK_FRAMES) == WORD
    assert voice.starved_frames == 0
    voice.add(WORD[0])
    assert taken(voice, 1) == []  # it begins anew
    for mulaw in WORD[1:START_FRAMES]:
        voice.add(mulaw)
    assert taken(voice, START_FRAMES) == WORD[:START_FRAMES]


def test_a_gap_within_a_word_keeps_its_length() -> None:
    voice = WaitingVoice()
    words = 3 * [*WORD[:20], *[QUIET] * (PAUSE_FRAMES - 1), *WORD[20:]]
    for mulaw in words:
        voice.add(mulaw)
    assert taken(voice, len(words)) == words
