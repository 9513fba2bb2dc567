"""Twilio Media Streams: every message of tests/data/media_stream, and whatever else a peer may send."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lexbridge.errors import MediaStreamError
from lexbridge.twilio.media_messages import (
    MAX_FILL_MS,
    Connected,
    Dtmf,
    InboundAudio,
    Marked,
    Media,
    Odd,
    Started,
    Stopped,
    Unknown,
    clear_text,
    mark_text,
    media_text,
    parse,
)
from tests.support.story import ACCOUNT_SID, CALL_SID, STREAM_SID, cut

DATA = Path(__file__).parents[1] / "data" / "media_stream"

SOUND = b"\xff\xff\x7f\x7f"
GOOD = {
    "connected": Connected(),
    "start": Started(STREAM_SID, CALL_SID, ACCOUNT_SID, {"lexbridge:direction": "inbound", "shop": "Bloemen & Zoon"}),
    "start_without_parameters": Started(STREAM_SID, CALL_SID, ACCOUNT_SID, {}),
    "media": Media(40, True, SOUND),
    "media_with_numbers": Media(40, True, SOUND),
    "media_outbound": Media(40, False, b""),
    "dtmf": Dtmf("#"),
    "mark": Marked("prompt 7"),
    "stop": Stopped(),
    "unknown_event": Unknown("a-very-new-event-" + "x" * 33),
}
TOLERATED = {
    "connected_without_version": Connected(),
    "start_tracks_text": GOOD["start"],
    "start_tracks_numbers": GOOD["start"],
    "start_parameters_nested": GOOD["start_without_parameters"],
    "start_parameters_list": GOOD["start_without_parameters"],
    "media_timestamp_negative": Media(-20, True, SOUND),
    "media_timestamp_fraction": Media(40.5, True, SOUND),
    "media_timestamp_true": Media(None, True, SOUND),
    "media_timestamp_missing": Media(None, True, SOUND),
    "media_timestamp_huge": Media(None, True, SOUND),
    "media_timestamp_not_a_number": Media(None, True, b""),
    "media_timestamp_arabic_digits": Media(40, True, SOUND),
    "media_track_missing": Media(40, True, SOUND),
    "dtmf_lower_case": Dtmf("A"),
    "stop_sid_of_a_stream": Stopped(),
    "stop_alone": Stopped(),
}
ODD = {
    "event_missing_odd": "event is not a text",
    "event_number_odd": "event is not a text",
    "dtmf_missing_odd": "dtmf.digit is not a key",
    "dtmf_two_keys_odd": "dtmf.digit is not a key",
    "dtmf_line_feed_odd": "dtmf.digit is not a key",
    "mark_list_odd": "mark.name is not a text",
    "mark_without_name_odd": "mark.name is not a text",
}
INVALID = {
    "cut_short_invalid": "the message is not JSON",
    "empty_invalid": "the message is not JSON",
    "words_invalid": "the message is not JSON",
    "number_of_5000_digits_invalid": "the message is not JSON",
    "list_invalid": "the message is not a JSON object",
    "null_invalid": "the message is not a JSON object",
    "start_without_start_invalid": "start is not an object",
    "start_other_call_sid_invalid": "callSid is not a SID (CA...)",
    "start_account_sid_path_invalid": "accountSid is not a SID (AC...)",
    "start_stream_sid_number_invalid": "streamSid is not a text",
    "media_without_media_invalid": "media is not an object",
    "media_payload_missing_invalid": "payload is not a text",
    "media_payload_not_base64_invalid": "media.payload is not base64",
    "media_payload_cut_short_invalid": "media.payload is not base64",
    "media_payload_beyond_ascii_invalid": "media.payload is not base64",
}


def frames_of(audio, *messages):
    return [frame for message in messages for frame in audio.push(message)]


def inbound(timestamp_ms, mulaw):
    return Media(timestamp_ms, True, mulaw)


def speech(ms):
    """`ms` of mu-law in which no two 8 ms are the same."""
    return bytes((sample // 64 * 7 + sample) % 251 for sample in range(ms * 8))


# -- messages


def test_each_file_is_in_a_table():
    assert {path.stem for path in DATA.glob("*.json")} == {*GOOD, *TOLERATED, *ODD, *INVALID}


@pytest.mark.parametrize("name", GOOD)
def test_a_message_of_twilio_becomes_an_event(name):
    assert parse((DATA / f"{name}.json").read_text(encoding="utf-8")) == GOOD[name]


@pytest.mark.parametrize("name", TOLERATED)
def test_of_a_field_that_is_not_needed_nothing_is_asked(name):
    assert parse((DATA / f"{name}.json").read_text(encoding="utf-8")) == TOLERATED[name]


@pytest.mark.parametrize("name", ODD)
def test_a_message_that_nobody_needs_is_odd_and_says_why(name):
    assert parse((DATA / f"{name}.json").read_text(encoding="utf-8")) == Odd(ODD[name])


@pytest.mark.parametrize("name", INVALID)
def test_what_twilio_would_not_send_is_refused_with_a_sentence(name):
    with pytest.raises(MediaStreamError) as raised:
        parse((DATA / f"{name}.json").read_text(encoding="utf-8"))
    assert str(raised.value) == INVALID[name]


def test_audio_parameters_and_keys_do_not_show_when_an_event_is_printed():
    events = [Started(STREAM_SID, CALL_SID, ACCOUNT_SID, {"pin": "4711"}), inbound(0, b"4711"), Dtmf("7")]
    assert "7" not in repr(events).replace(STREAM_SID, "").replace(CALL_SID, "").replace(ACCOUNT_SID, "")


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**18, 10**30)
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["inbound", STREAM_SID, CALL_SID, ACCOUNT_SID, "//8=", "40", "Call", "1.0.0", "#"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=8), values, max_size=3),
    max_leaves=6,
)
FIELDS = ("protocol", "version", "streamSid", "callSid", "accountSid", "tracks", "customParameters", "timestamp")
INNER = st.dictionaries(st.sampled_from([*FIELDS, "track", "payload", "digit", "name"]), JSON_VALUES, max_size=6)
EVENTS = ["connected", "start", "media", "dtmf", "mark", "stop"]


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.sampled_from(EVENTS), JSON_VALUES | INNER, INNER)
def test_only_a_media_stream_error_comes_out_of_any_json(event, inside, beside):
    for message in ({**beside, "event": event, event: inside}, {"event": inside}, inside):
        try:
            parse(json.dumps(message))
        except MediaStreamError as error:
            assert len(str(error)) < 80  # noqa: PT017 - either way is right


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.text(st.characters(), max_size=60))
def test_only_a_media_stream_error_comes_out_of_any_text(text):
    assume(not text.strip().startswith("{"))
    with pytest.raises(MediaStreamError, match=r"^the message is not (JSON|a JSON object)$"):
        parse(text)


@pytest.mark.parametrize("depth", [10, 300, 900, 950, 970, 980, 990, 1000, 5000, 9990, 100_000])
def test_however_deep_a_message_is_nested_only_a_media_stream_error_comes_out(depth):
    with pytest.raises(MediaStreamError):
        parse('{"event": "media", "media": {"track": "inbound", "payload": ' + "[" * depth + "]" * depth + "}}")


@pytest.mark.parametrize(
    "text",
    [
        '\ufeff{"event": "connected"}',
        "\ud800",
        '{"event": "\x00"}',
        '{"event": "media", "media": {"track": "inbound", "payload": "\ud800", "timestamp": "1"}}',
        '{"event": "media", "media": {"track": "inbound", "payload": "\\ud800", "timestamp": "1"}}',
    ],
)
def test_broken_text_is_refused(text):
    with pytest.raises(MediaStreamError):
        parse(text)


@pytest.mark.parametrize(
    "timestamp", ["-Infinity", "1e999", "1" * 400, "[]", "{}", "null", '"x"', '""', "-1000000000001"]
)
def test_a_timestamp_that_tells_nothing_is_none(timestamp):
    message = '{"event": "media", "media": {"track": "inbound", "payload": "", "timestamp": ' + timestamp + "}}"
    assert parse(message) == Media(None, True, b"")


# -- what we send


def test_audio_for_the_caller_is_a_media_message():
    mulaw = bytes(range(256))
    message = json.loads(media_text(STREAM_SID, mulaw))
    payload = message["media"].pop("payload")
    assert message == {"event": "media", "streamSid": STREAM_SID, "media": {}}
    assert base64.b64decode(payload, validate=True) == mulaw


def test_a_mark_and_a_clear_name_their_stream():
    mark = {"event": "mark", "streamSid": STREAM_SID, "mark": {"name": 'a "name"'}}
    assert json.loads(mark_text(STREAM_SID, 'a "name"')) == mark
    assert parse(mark_text(STREAM_SID, 'a "name"')) == Marked('a "name"')  # it comes back as it went
    assert json.loads(clear_text(STREAM_SID)) == {"event": "clear", "streamSid": STREAM_SID}


# -- the inbound track in order


@settings(derandomize=True, deadline=None, max_examples=80)
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


def test_skipped_time_that_is_no_whole_frame_leaves_its_rest_for_later():
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


def test_of_a_message_whose_time_was_partly_heard_only_the_rest_is_taken():
    audio = InboundAudio()
    frames = frames_of(audio, inbound(0, speech(100)), inbound(60, speech(160)[480:]), inbound(160, speech(20)))
    assert b"".join(frames) == speech(160) + speech(20)


def test_audio_that_does_not_tell_its_time_follows_what_came_before_it():
    audio = InboundAudio()
    messages = inbound(None, speech(20)), inbound(20, speech(20)), inbound(None, speech(20)), inbound(60, speech(20))
    assert frames_of(audio, *messages) == [speech(20)] * 4
    assert (audio.filled_ms, audio.late_messages) == (0, 0)


@pytest.mark.parametrize("jump_ms", [6000, 6019, 59_000, 61_000, 10**10])
def test_a_jump_is_filled_for_as_long_as_ends_any_utterance_and_media_time_goes_on_behind_it(jump_ms):
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


def test_a_time_line_that_jumps_a_little_back_is_taken_once_there_is_no_doubt():
    audio = InboundAudio()
    frames_of(audio, inbound(0, speech(2000)))
    frames = frames_of(audio, *(inbound(20 * number, speech(20)) for number in range(50)))
    assert frames == [speech(20)] * 25
    assert (audio.filled_ms, audio.late_messages) == (0, 25)


def test_late_audio_with_holes_or_with_new_audio_between_is_no_new_time_line():
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
def test_the_same_silence_is_not_heard_twice_and_no_word_is_lost_to_it(silent_ms, skipped_ms, filled_ms):
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


@settings(derandomize=True, deadline=None, max_examples=80)
@given(st.lists(st.integers(0, 24), min_size=1, max_size=24))
def test_whatever_is_lost_late_or_repeated_each_frame_is_where_its_time_says(order):
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
