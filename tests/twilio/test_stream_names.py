"""Names of streams tell every process how many were lost before."""

from lexbridge.twilio.stream_names import stream_name, streams_lost
from tests.support.twilio_messages import STREAM_SID


def test_the_name_of_a_stream_says_how_many_were_lost_before_it():
    assert stream_name(0) == "lexbridge-0"
    assert stream_name(2, STREAM_SID) == f"lexbridge-2-{STREAM_SID[-8:]}"
    assert [streams_lost(stream_name(lost, of)) for lost, of in ((0, ""), (0, STREAM_SID), (12, STREAM_SID))] == [
        0,
        0,
        12,
    ]
    assert [streams_lost(name) for name in ("", STREAM_SID, "lexbridge-x", "lexbridge-12345", "lexbridge-1x")] == [
        0
    ] * 5
