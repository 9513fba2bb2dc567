"""Messages of Twilio Media Streams: those in tests/data/media_stream, and anything a peer may send."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lexbridge.call.actions import ClearAudio, SendAudio, SendMark
from lexbridge.call.events import Connected, Dtmf, Mark, Media, OddMessage, Started, Stopped, UnknownMessage
from lexbridge.errors import MediaStreamError
from lexbridge.twilio.media_messages import encode, parse
from tests.support.property_tests import examples
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, STREAM_SID

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
    "mark": Mark("prompt 7"),
    "stop": Stopped(),
    "unknown_event": UnknownMessage("a-very-new-event-" + "x" * 33),
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
def test_an_odd_message_says_why_it_is_odd(name):
    assert parse((DATA / f"{name}.json").read_text(encoding="utf-8")) == OddMessage(ODD[name])


@pytest.mark.parametrize("name", INVALID)
def test_what_twilio_would_not_send_is_refused_with_a_sentence(name):
    with pytest.raises(MediaStreamError) as raised:
        parse((DATA / f"{name}.json").read_text(encoding="utf-8"))
    assert str(raised.value) == INVALID[name]


def test_a_printed_event_shows_no_audio_parameters_or_keys():
    events = [Started(STREAM_SID, CALL_SID, ACCOUNT_SID, {"pin": "4711"}), Media(0, True, b"4711"), Dtmf("7")]
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


@examples(50)
@given(st.sampled_from(EVENTS), JSON_VALUES | INNER, INNER)
def test_only_a_media_stream_error_comes_out_of_any_json(event, inside, beside):
    for message in ({**beside, "event": event, event: inside}, {"event": inside}, inside):
        try:
            parse(json.dumps(message))
        except MediaStreamError as error:
            assert len(str(error)) < 80  # noqa: PT017 - either way is right


@examples(50)
@given(st.text(st.characters(), max_size=60))
def test_only_a_media_stream_error_comes_out_of_any_text(text):
    assume(not text.strip().startswith("{"))
    with pytest.raises(MediaStreamError, match=r"^the message is not (JSON|a JSON object)$"):
        parse(text)


@pytest.mark.parametrize("depth", [10, 300, 900, 950, 970, 980, 990, 1000, 5000, 9990, 100_000])
def test_a_deeply_nested_message_raises_a_media_stream_error(depth):
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


# -- what lexbridge sends


def test_audio_for_the_caller_is_a_media_message():
    mulaw = bytes(range(256))
    message = json.loads(encode(SendAudio(mulaw), STREAM_SID))
    payload = message["media"].pop("payload")
    assert message == {"event": "media", "streamSid": STREAM_SID, "media": {}}
    assert base64.b64decode(payload, validate=True) == mulaw


def test_a_mark_and_a_clear_name_their_stream():
    mark = {"event": "mark", "streamSid": STREAM_SID, "mark": {"name": 'a "name"'}}
    assert json.loads(encode(SendMark('a "name"'), STREAM_SID)) == mark
    assert parse(encode(SendMark('a "name"'), STREAM_SID)) == Mark('a "name"')  # Twilio sends a mark back unchanged
    assert json.loads(encode(ClearAudio(), STREAM_SID)) == {"event": "clear", "streamSid": STREAM_SID}
