"""The caller's track in order, whatever is lost, late, repeated or skipped on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.call.events import Media
from lexbridge.call.inbound_audio import MAX_FILL_MS, InboundAudio
from tests.support.property_tests import examples
from tests.support.sounds import cut


def frames_of(audio, *messages):
    return [frame for message in messages for frame in audio.push(message)]


def inbound(timestamp_ms, mulaw):
    return Media(timestamp_ms, True, mulaw)


def speech(ms):
    """`ms` of mu-law in which no two 8 ms are the same."""
    return bytes((sample // 64 * 7 + sample) % 251 for sample in range(ms * 8))


@examples(80)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 100), max_size=10))
def test_however_the_payloads_are_cut_the_frames_are_the_same(first_ms, lengths_ms):
    audio, mulaw, at_ms = InboundAudio(), speech(300), first_ms
    frames = []
    for piece in cut(mulaw, [8 * length for length in lengths_ms]):
        frames += audio.push(inbound(at_ms, piece))
        at_ms += len(piece) // 8
    assert b"".join(frames) == mulaw[: len(mulaw) // 160 * 160]
    assert {len(frame) for frame in frames} <= {160}
    assert audio.filled_ms == 0


def test_the_first_message_sets_the_time():
    audio = InboundAudio()
    assert frames_of(audio, inbound(5000, speech(20))) == [speech(20)]
    assert audio.filled_ms == 0


def test_another_track_than_the_callers_yields_nothing():
    audio = InboundAudio()
    assert frames_of(audio, Media(0, False, speech(20)), Media(20, False, speech(20))) == []
    assert audio.late_messages == 0


def test_skipped_time_is_silence():
    audio = InboundAudio()
    frames = frames_of(audio, inbound(0, speech(20)), inbound(60, speech(20)))
    assert frames == [speech(20), b"\xff" * 160, b"\xff" * 160, speech(20)]
    assert audio.filled_ms == 40


def test_skipped_time_leaves_less_than_a_frame_for_later():
    audio = InboundAudio()
    frames = frames_of(audio, inbound(0, speech(20)), inbound(50, speech(20)), inbound(70, speech(20)))
    assert frames == [speech(20), b"\xff" * 160, speech(20), speech(20)]
    assert frames_of(audio, inbound(100, speech(20))) == [b"\xff" * 160, speech(20)]
    assert audio.filled_ms == 40


@pytest.mark.parametrize("off_ms", [-19, -1, 1, 19])
def test_a_difference_under_a_frame_is_let_be(off_ms):
    audio = InboundAudio()
    frames = frames_of(audio, inbound(100, speech(20)), inbound(120 + off_ms, speech(20)), inbound(140, speech(20)))
    assert frames == [speech(20)] * 3
    assert (audio.filled_ms, audio.late_messages) == (0, 0)


@pytest.mark.parametrize("at_ms", [0, 60, 80])
def test_a_late_or_repeated_message_is_dropped_and_counted(at_ms):
    audio = InboundAudio()
    frames = frames_of(audio, inbound(60, speech(20)), inbound(80, speech(20)), inbound(at_ms, b"\0" * 160))
    assert frames == [speech(20)] * 2
    assert audio.late_messages == 1
    assert frames_of(audio, inbound(100, speech(20))) == [speech(20)]


def test_of_a_message_partly_heard_only_the_rest_is_taken():
    audio = InboundAudio()
    frames = frames_of(audio, inbound(0, speech(100)), inbound(60, speech(160)[480:]), inbound(160, speech(20)))
    assert b"".join(frames) == speech(160) + speech(20)


def test_audio_without_a_time_follows_what_came_before():
    audio = InboundAudio()
    messages = inbound(None, speech(20)), inbound(20, speech(20)), inbound(None, speech(20)), inbound(60, speech(20))
    assert frames_of(audio, *messages) == [speech(20)] * 4
    assert (audio.filled_ms, audio.late_messages) == (0, 0)


@pytest.mark.parametrize("jump_ms", [6000, 6019, 59_000, 61_000, 10**10])
def test_a_jump_is_filled_long_enough_to_end_an_utterance(jump_ms):
    """A jump is filled with silence that ends any utterance, and media time goes on behind it."""
    audio = InboundAudio()
    frames = frames_of(
        audio, inbound(0, speech(20)), inbound(20 + jump_ms, speech(20)), inbound(jump_ms + 60, speech(20))
    )
    assert frames == [speech(20), *[b"\xff" * 160] * 300, speech(20), b"\xff" * 160, speech(20)]
    assert audio.filled_ms == MAX_FILL_MS + 20


@pytest.mark.parametrize("again_ms", [0, 1000, 17_979])
def test_a_time_line_that_jumps_far_back_is_taken_as_it_comes(again_ms):
    audio = InboundAudio()
    frames_of(audio, inbound(0, speech(20_000)))
    assert frames_of(audio, inbound(again_ms, speech(20)), inbound(again_ms + 20, speech(20))) == [speech(20)] * 2
    assert (audio.filled_ms, audio.late_messages) == (0, 0)


def test_a_time_line_that_jumps_back_is_taken_once_certain():
    audio = InboundAudio()
    frames_of(audio, inbound(0, speech(2000)))
    frames = frames_of(audio, *(inbound(20 * number, speech(20)) for number in range(50)))
    assert frames == [speech(20)] * 25
    assert (audio.filled_ms, audio.late_messages) == (0, 25)


def test_late_audio_with_holes_is_no_new_time_line():
    """Late audio with holes, or with new audio between, does not start a new time line."""
    audio = InboundAudio()
    frames_of(audio, inbound(0, speech(2000)))
    with_holes = [inbound(40 * number, speech(20)) for number in range(45)]
    assert frames_of(audio, *with_holes) == []
    with_new = [inbound(at_ms, speech(20)) for n in range(30) for at_ms in (20 * n, 2000 + 20 * n)]
    assert frames_of(audio, *with_new) == [speech(20)] * 30
    assert audio.late_messages == 75


def test_where_no_message_came_silence_stands_in_whole_frames():
    audio = InboundAudio()
    assert list(audio.silence(59)) == [b"\xff" * 160] * 2
    assert (audio.silent_ms, audio.filled_ms) == (40, 0)


@pytest.mark.parametrize(
    ("silent_ms", "skipped_ms", "filled_ms"),
    [(300, 400, 100), (400, 400, 0), (440, 400, 0), (400, 0, 0), (400, 10_000, 6000), (9000, 10_000, 1000), (20, 0, 0)],
)
def test_silence_is_not_heard_twice_and_costs_no_word(silent_ms, skipped_ms, filled_ms):
    audio = InboundAudio()
    frames_of(audio, inbound(0, speech(20)))
    list(audio.silence(silent_ms))
    after = inbound(20 + skipped_ms, speech(20)), inbound(40 + skipped_ms, speech(20)), inbound(100 + skipped_ms, b"")
    silent = b"\xff" * 160
    assert frames_of(audio, *after) == [*[silent] * (filled_ms // 20), speech(20), speech(20), silent, silent]
    assert (audio.silent_ms, audio.filled_ms) == (silent_ms, filled_ms + 40)


def test_a_late_message_is_no_end_of_the_silence():
    audio = InboundAudio()
    frames_of(audio, inbound(0, speech(20)), inbound(20, speech(20)))
    list(audio.silence(100))
    assert frames_of(audio, inbound(20, speech(20)), inbound(140, speech(20))) == [speech(20)]
    assert audio.late_messages == 1


@examples(80)
@given(st.lists(st.integers(0, 24), min_size=1, max_size=24))
def test_each_frame_is_where_its_time_says(order):
    """Messages of one frame, any of them, in any order: the newest time wins, holes are silence."""
    frames = [bytes([number]) * 160 for number in range(25)]
    audio = InboundAudio()
    heard = frames_of(audio, *(inbound(20 * number, frames[number]) for number in order))
    first, taken = order[0], []
    for number in order:
        if not taken or number > taken[-1]:
            taken.append(number)
    assert heard == [frames[number] if number in taken else b"\xff" * 160 for number in range(first, taken[-1] + 1)]
    assert audio.late_messages == len(order) - len(taken)
