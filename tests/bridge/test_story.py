"""The log of whole calls: the latencies of each reply, and how the call and its streams ended."""

from typing import Any

from lexbridge.config.settings import Settings
from lexbridge.errors import CallControlUnavailable
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason, StreamOpened
from lexbridge.offline.twilio.rest_api import RestFault
from tests.support import rehearsal
from tests.support.fixtures import Logged
from tests.support.flower_order import ORDER
from tests.support.rehearsal import Rehearsal, RehearsedControl, RehearsedLex, wait_until
from tests.support.rig import PATIENCE_S, running, says
from tests.support.streaming import streaming
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, STREAM_SID, start_text, stop_text


def lines_of(logged: Logged, event: str, of: PhoneCall | None = None) -> list[dict[str, Any]]:
    """Return the log lines of an event. `of`: only those of this call; an earlier test's may end meanwhile."""
    return [line for line in logged() if line["event"] == event and (of is None or line["call_sid"] == of.sid)]


def check_turns(lines: list[dict[str, Any]], settings: Settings) -> None:
    """Assert that every turn of ORDER has a line with plausible latencies."""
    assert [(line["turn"], line["outcome"], line["end_ms"]) for line in lines] == [
        (turn, "answered", settings.line.hangover_ms) for turn in range(1, len(ORDER) + 1)
    ]
    for line in lines[:-1]:
        assert 0 <= line["lex_ms"] <= line["reply_ms"] - line["end_ms"]


def test_the_log_tells_latencies_and_who_ended_the_call(logged: Logged) -> None:
    with running(ORDER) as rig:
        rig.twilio.rest_faults.append(RestFault(status=503))
        call = rig.place_call(says(*ORDER))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        wait_until(lambda: bool(lines_of(logged, "call-ended", call)))
    told = lines_of(logged, "turn-latency", call)
    check_turns(told, rig.settings)
    # The last update hangs up. At this pace the call may be over before Twilio's answer to the update arrives.
    assert all(0 <= line["update_ms"] <= line["reply_ms"] - line["end_ms"] for line in told[:-1])
    assert told[0]["update_ms"] >= 100  # the pause before the second attempt
    (ended,) = lines_of(logged, "call-ended", call)
    assert (ended["ended_by"], ended["why"], ended["turns"], ended["faults"]) == ("bot", None, len(ORDER), 1)
    assert ended["worst_reply_ms"] == max(line["reply_ms"] or 0 for line in told)
    assert ended["call_sid"] == call.sid
    assert [line["number"] for line in lines_of(logged, "call-updated", call)][: len(ORDER) - 1] == [
        *range(1, len(ORDER))
    ]
    assert lines_of(logged, "call-left", call) == []


def test_in_stream_mode_a_reply_is_heard_without_an_update(logged: Logged) -> None:
    with streaming(*ORDER) as rig:
        call = rig.place_call(says(*ORDER))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        wait_until(lambda: bool(lines_of(logged, "call-ended", call)))
    told = lines_of(logged, "turn-latency", call)
    check_turns(told, rig.settings)
    assert {line["update_ms"] for line in told} == {None}
    (ended,) = lines_of(logged, "call-ended", call)
    assert (ended["ended_by"], ended["faults"]) == ("bot", 0)


def test_the_log_tells_that_the_caller_hung_up(logged: Logged) -> None:
    with streaming() as rig:
        call = rig.place_call(says())
        call.wait_for(StreamOpened, PATIENCE_S)
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: bool(lines_of(logged, "call-ended", call)))
    (ended,) = lines_of(logged, "call-ended", call)
    assert (ended["ended_by"], ended["turns"], ended["worst_reply_ms"]) == ("caller", 0, None)


def test_a_stream_leaves_for_keys_and_the_next_ends_the_call(logged: Logged) -> None:
    """A one-way stream makes way for keys, and the stream after it ends with the call."""
    with running() as rig:
        call = rig.place_call(says())
        wait_until(lambda: bool(lines_of(logged, "stream-started", call)))
        for key in "12#":
            call.press(key)
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        wait_until(lambda: bool(lines_of(logged, "call-left", call)))
        wait_until(lambda: bool(lines_of(logged, "call-updated", call)))  # Twilio is to receive nothing more
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: bool(lines_of(logged, "call-ended", call)))
    assert [line["why"] for line in lines_of(logged, "call-left", call)] == ["keys"]
    assert [line["ended_by"] for line in lines_of(logged, "call-ended", call)] == ["caller"]


def test_a_stream_that_twilio_reports_lost_leaves_the_call(logged: Logged) -> None:
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    wait_until(lambda: call.calls.live_calls)
    assert call.calls.stream_lost(ACCOUNT_SID, CALL_SID, STREAM_SID)
    assert call.ended() == 1001
    (left,) = lines_of(logged, "call-left")
    assert left["why"] == "stream lost"


def test_a_stream_whose_service_stops_says_so(logged: Logged) -> None:
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    wait_until(lambda: call.calls.live_calls)
    call.calls.close()
    assert call.ended() == 1001
    (left,) = lines_of(logged, "call-left")
    assert left["why"] == "service stopped"


def test_a_message_against_the_protocol_ends_only_its_stream(logged: Logged) -> None:
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    call.socket.sends([start_text()])
    assert call.ended() == 1007
    (left,) = lines_of(logged, "call-left")
    assert (left["why"], left["faults"]) == ("bad message", 1)


def test_an_update_that_fails_is_no_reply(logged: Logged) -> None:
    error = CallControlUnavailable("no answer")
    error.host, error.check = "api.example.com", "TWILIO_API_URL"
    answers = [rehearsal.says("Which flowers?")] * 2
    call = Rehearsal(RehearsedLex(*answers), RehearsedControl(error))
    call.speaks()
    wait_until(lambda: bool(lines_of(logged, "turn-latency")))
    call.speaks()
    wait_until(lambda: len(lines_of(logged, "turn-latency")) == 2)
    call.socket.sends([stop_text()])
    assert call.ended() == 1000
    first, second = lines_of(logged, "turn-latency")
    assert (first["update_ms"], first["reply_ms"]) == (None, None)
    assert second["reply_ms"] >= second["end_ms"]
    (failed,) = lines_of(logged, "call-update-failed")
    assert (failed["host"], failed["check"]) == ("api.example.com", "TWILIO_API_URL")
