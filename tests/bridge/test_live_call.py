"""Whole calls through the bridge in this process: the real protocols, clients and sockets."""

import time
from collections.abc import Callable

import pytest
import websocket

from lexbridge.audio.pcm import decode_mulaw
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.twilio.events import EndReason, StreamOpened, UpdateReceived
from lexbridge.offline.twilio.rest_api import RestFault
from lexbridge.twilio.stream_token import make_stream_token
from tests.support.boto import boto3_client
from tests.support.fixtures import Logged
from tests.support.flower_order import KINDS, ORDER
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, SIGNED, TOKEN, HummingVoice, Rig, flowers, running, says, spoken, v2_bot
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, start_text


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_an_order_is_fulfilled_and_the_bot_hangs_up(generation: str) -> None:
    bot = v2_bot(flowers()) if generation == "v2" else {}
    with running(ORDER, **bot) as rig:
        call = rig.place_call(says(*ORDER))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert [request.transcript for request in rig.lex.requests] == list(ORDER)
        assert {request.api for request in rig.lex.requests} == {generation}
        assert {request.session_id for request in rig.lex.requests} == {call.sid}
        assert [request.dialog_state for request in rig.lex.requests][-2:] == ["Fulfilled", "Fulfilled"]


class RecordedCaller(SimulatedCaller):
    """A caller whose line is recorded: `line` holds every mu-law frame that Twilio received."""

    def __init__(self) -> None:
        super().__init__(HummingVoice())
        self.line = bytearray()

    def next_frame(self) -> bytes:
        frame = super().next_frame()
        self.line += frame
        return frame


def test_lex_gets_each_sample_of_an_utterance_and_its_pre_roll() -> None:
    with running(["I would like to order flowers"]) as rig:
        caller = RecordedCaller()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        wait_until(lambda: len(caller.line) > 8 * 1000)  # a second of the line, for the pre-roll
        caller.say("flowers please")
        rig.hears(call, KINDS)
        (request,) = rig.lex.requests
        pcm = decode_mulaw(bytes(caller.line))
        hum_ms = 40 * len("flowers please")
        voiced = HummingVoice().speak("flowers please")
        assert request.audio in pcm
        assert len(request.audio) // 16 >= 500 + hum_ms + 680  # pre-roll, speech, hangover
        assert len(voiced) // 16 == hum_ms
        call.hang_up()
        rig.ended(call)


def test_lex_is_asked_while_the_caller_still_speaks() -> None:
    with running(["I would like to order flowers"]) as rig:
        caller = RecordedCaller()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("a very long order indeed " * 10)
        wait_until(lambda: bool(rig.lex.requests) and rig.lex.requests[0].first_audio is not None)
        assert caller.is_speaking
        call.hang_up()
        rig.ended(call)


def test_a_silent_caller_is_asked_again_and_then_let_go() -> None:
    with running(NO_INPUT_S="1", NO_INPUT_LIMIT="2", GREETING="Hello.") as rig:
        call = rig.place_call(SimulatedCaller(HummingVoice(), None))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        updates = [spoken(event.twiml) for event in call.events if isinstance(event, UpdateReceived)]
        again = "Sorry, I did not hear anything."
        assert updates == [again, again, f"{again} Goodbye."]
        assert rig.lex.requests == []


def test_what_is_said_while_lex_thinks_is_kept_and_sent_after_it() -> None:
    with running(["I would like to order flowers", "roses"]) as rig:
        rig.lex.think_s = 1.5
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        wait_until(lambda: any(request.ended for request in rig.lex.requests))
        caller.say("roses please")
        rig.hears(call, "day")
        first, second = rig.lex.requests
        assert first.answered <= second.began
        call.hang_up()
        rig.ended(call)


def test_a_slow_lex_of_one_call_does_not_delay_another() -> None:
    with running(["I would like to order flowers"] * 2) as rig:
        slow, quick = says("some flowers"), says("some flowers")
        slow_call = rig.place_call(slow)
        rig.lex.faults.append(LexFault(kind="hang", session=slow_call.sid, times=None))
        slow_call.wait_for(StreamOpened, PATIENCE_S)
        wait_until(lambda: any(request.ended for request in rig.lex.requests))
        quick_call = rig.place_call(quick)
        rig.hears(quick_call, KINDS)
        assert not [event for event in slow_call.events if isinstance(event, UpdateReceived)]
        for call in (slow_call, quick_call):
            call.hang_up()
            rig.ended(call)


def test_a_hang_up_breaks_off_the_request_of_an_utterance() -> None:
    with running() as rig:
        call = rig.place_call(says("a very long order indeed " * 4))
        wait_until(lambda: len(rig.lex.requests) == 1)
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: rig.lex.requests[0].aborted)
        wait_until(lambda: rig.calls.live_calls == 0)


def closed_with(client: websocket.WebSocket) -> int:
    """Return the close code that the bridge sends."""
    opcode, payload = client.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    client.shutdown()
    return int.from_bytes(payload[:2], "big")


def connected(rig: Rig) -> websocket.WebSocket:
    """Return a socket that is connected to the bridge directly, without Twilio."""
    return websocket.create_connection(rig.base.replace("http", "ws") + "/", timeout=PATIENCE_S, header=SIGNED)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        # what makes a token: from the time at which the test runs
        (lambda _: None, "no token"),
        (lambda _: "", "no token"),
        (lambda _: "nonsense", "malformed token"),
        (lambda now_s: make_stream_token(TOKEN, CALL_SID, ACCOUNT_SID, now_s - 61), "token expired"),
        (lambda now_s: make_stream_token(TOKEN, "CA" + "9" * 32, ACCOUNT_SID, now_s), "token of another call"),
        (lambda now_s: make_stream_token(TOKEN, CALL_SID, "AC" + "9" * 32, now_s), "token of another call"),
        (lambda now_s: make_stream_token("another token", CALL_SID, ACCOUNT_SID, now_s), "token of another call"),
    ],
    ids=["none", "empty", "nonsense", "expired", "another call's", "another account's", "forged"],
)
def test_a_stream_without_its_documents_token_is_refused(
    token: Callable[[float], str | None], why: str, logged: Logged
) -> None:
    with running() as rig:
        client = connected(rig)
        made = token(time.time())
        client.send(start_text({} if made is None else {"lexbridge:token": made}))
        assert closed_with(client) == 1008
        assert rig.calls.live_calls == 0
        assert rig.lex.requests == []
    (line,) = [line for line in logged() if line["event"] == "stream-refused"]
    assert line["why"] == why
    assert "/twiml" in line["remedy"]


def test_a_socket_on_which_no_stream_starts_is_closed(logged: Logged) -> None:
    with running(start_deadline_s=0.3) as rig:
        client = connected(rig)
        client.send('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        assert closed_with(client) == 1008
    assert [line["why"] for line in logged() if line["event"] == "stream-refused"] == ["no start"]


def test_the_token_never_reaches_lex() -> None:
    with running(["I would like to order flowers"]) as rig:
        call = rig.place_call(says("some flowers"))
        rig.hears(call, KINDS)
        client = boto3_client(rig)
        session = client.get_session(botName="OrderFlowers", botAlias="prod", userId=call.sid)
        assert session["sessionAttributes"]["lexbridge:call-sid"] == call.sid
        assert not [name for name in session["sessionAttributes"] if "token" in name]
        call.hang_up()
        rig.ended(call)


def test_garbage_on_a_socket_closes_that_stream_only() -> None:
    with running(["I would like to order flowers"]) as rig:
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        for garbage in ("not JSON", "[]", '{"event":"media"}', '{"event":"media","media":{}}'):
            intruder = connected(rig)
            intruder.send(garbage)
            assert closed_with(intruder) == 1007
        caller.say("some flowers")
        rig.hears(call, KINDS)
        call.hang_up()
        rig.ended(call)


def test_every_line_of_a_call_names_it_and_its_turn(logged: Logged) -> None:
    """Every log line of a call names the call and its stream; a line about Lex names the turn too."""
    with running(["I would like to order flowers"] * 2) as rig:
        rig.lex.faults.append(LexFault(status=500))
        rig.twilio.rest_faults.append(RestFault(status=503))
        call = rig.place_call(says("some flowers"))
        sid = call.wait_for(StreamOpened, PATIENCE_S).stream_sid
        rig.hears(call, KINDS)
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: rig.calls.live_calls == 0)
    webhooks = ("call-answered", "stream-status")
    lines = [line for line in logged() if "logger" not in line and line["event"] not in webhooks]
    events = {line["event"] for line in lines}
    assert {"stream-started", "lex-request-failed", "turn-answered", "call-update-failed", "stream-ended"} <= events
    assert {(line.get("call_sid"), line.get("stream_sid")) for line in lines} == {(call.sid, sid)}
    assert [line.get("turn") for line in lines if line["event"] == "lex-request-failed"] == [1]
