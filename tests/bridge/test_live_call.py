"""Whole calls through the bridge in this process: the real protocols, clients and sockets, faults on demand.

The rows of the contract's fault table have a test each.
"""

import time
from dataclasses import replace
from typing import Literal
from xml.etree import ElementTree

import gevent
import pytest
import websocket
from gevent.event import Event

from lexbridge.audio.pcm import decode_mulaw
from lexbridge.bridge import live_call as bridge
from lexbridge.bridge.live_call import INBOX_SIZE
from lexbridge.errors import CallGone
from lexbridge.lex.model import DialogState
from lexbridge.lex.runtime import Deadlines, LexRequest, LexResponse
from lexbridge.lex.voice import ReplyAudio
from lexbridge.logs import Log
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.twilio.events import (
    EndReason,
    StreamClosed,
    StreamOpened,
    Transferred,
    UpdateReceived,
    UpdateRefused,
)
from lexbridge.offline.twilio.rest_api import RestFault
from lexbridge.twilio.signatures import make_stream_token
from tests.support import rehearsal
from tests.support.boto import boto3_client
from tests.support.fixtures import Logged
from tests.support.flower_order import KINDS, NOT_AVAILABLE, ORDER, SAY_IT_AGAIN
from tests.support.live_calls import live_stream
from tests.support.rehearsal import Rehearsal, RehearsedControl, RehearsedLex, wait_until
from tests.support.rig import PATIENCE_S, SIGNED, TOKEN, HummingVoice, Rig, flowers, running, says, v2_bot
from tests.support.story import ACCOUNT_SID, CALL_SID, STREAM_SID, media_text, start_text, stop_text

SLOW = Deadlines(answer_s=20)


def spoken(update: UpdateReceived) -> str:
    return " ".join(say.text or "" for say in ElementTree.fromstring(update.twiml).iter("Say"))


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
    """A caller whose line is recorded: `line` holds every frame Twilio was given, mu-law."""

    def __init__(self) -> None:
        super().__init__(HummingVoice())
        self.line = bytearray()

    def next_frame(self) -> bytes:
        frame = super().next_frame()
        self.line += frame
        return frame


def test_lex_gets_each_utterance_sample_for_sample_with_its_pre_roll() -> None:
    with running(["I would like to order flowers"]) as rig:
        caller = RecordedCaller()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        wait_until(lambda: len(caller.line) > 8 * 1000)  # a second of line, for the pre-roll
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


def hears_after_lex_fault(rig: Rig, *texts: str) -> None:
    """One utterance, and the documents that have to come of it, in order."""
    caller = says("some roses please")
    call = rig.place_call(caller)
    for count, text in enumerate(texts, start=1):
        update = call.wait_for(UpdateReceived, PATIENCE_S, count=count)
        assert text in spoken(update)
    call.hang_up()
    rig.ended(call)


PASSING = [
    pytest.param(LexFault(status=500, when="start"), id="500 at the start"),
    pytest.param(LexFault(status=500, when="middle"), id="500 in the middle"),
    pytest.param(LexFault(status=500, when="end"), id="500 at the end"),
    pytest.param(LexFault(status=502), id="502"),
    pytest.param(LexFault(status=424), id="424"),
    pytest.param(LexFault(status=429), id="429"),
    pytest.param(LexFault(status=409), id="409"),
    pytest.param(LexFault(kind="reset", when="start"), id="reset at the start"),
    pytest.param(LexFault(kind="reset", when="middle"), id="reset in the middle of the upload"),
    pytest.param(LexFault(kind="reset", when="end"), id="reset at the end"),
]


TOO_LONG = [
    pytest.param(LexFault(kind="hang", when="start"), id="hangs from the start"),
    pytest.param(LexFault(kind="hang", when="end"), id="hangs at the end"),
    pytest.param(LexFault(kind="drip"), id="drips"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_one_lex_fault_is_not_heard(fault: LexFault) -> None:
    with running(["I would like to order flowers"] * 2) as rig:
        rig.lex.faults.append(fault)
        hears_after_lex_fault(rig, KINDS)
        first, second = rig.lex.requests
        assert second.audio.startswith(first.audio)
        assert len(second.audio) > 320


@pytest.mark.parametrize("fault", [*PASSING, *TOO_LONG])
def test_a_lex_fault_that_stays_is_heard_as_one_apology(fault: LexFault) -> None:
    with running(["I would like to order flowers"] * 4, pace=0.1) as rig:
        times = 1 if fault.kind in ("hang", "drip") else 2  # there is no time for a second request
        rig.lex.faults.append(LexFault(status=fault.status, when=fault.when, times=times, kind=fault.kind))
        caller = says("some roses please", "some roses please")
        call = rig.place_call(caller)
        assert SAY_IT_AGAIN in spoken(call.wait_for(UpdateReceived, PATIENCE_S, count=1))
        assert KINDS in spoken(call.wait_for(UpdateReceived, PATIENCE_S, count=2))  # and then another chance
        call.hang_up()
        rig.ended(call)


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize("when", ["start", "middle", "end"])
@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_a_refusal_by_lex_ends_the_call_in_words(status: int, when: str, generation: str, logged: Logged) -> None:
    bot = v2_bot(flowers()) if generation == "v2" else {}
    with running(**bot) as rig:
        rig.lex.faults.append(LexFault(status=status, when=when, times=None))  # type: ignore[arg-type]
        call = rig.place_call(says("some roses please"))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        (update,) = [event for event in call.events if isinstance(event, UpdateReceived)]
        assert spoken(update) == NOT_AVAILABLE
    named = "ACCESS_KEY_ID" if status == 403 else "LEX_BOT_ID" if generation == "v2" else "LEX_BOT_NAME"
    assert [named in line["error"] for line in logged() if line["level"] == "error"] == [True]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(RestFault(status=429, code=20429), id="20429"),
        pytest.param(RestFault(status=500, code=20500), id="500"),
        pytest.param(RestFault(kind="hang"), id="hang"),
        pytest.param(RestFault(kind="drip"), id="drip"),
        pytest.param(RestFault(kind="reset"), id="reset"),
    ],
)
def test_two_faults_of_twilio_are_not_heard_and_three_cost_one_reply(fault: RestFault) -> None:
    with running(["I would like to order flowers", "roses", "tomorrow"], NO_INPUT_S="120") as rig:
        rig.twilio.rest_faults.extend([fault, fault])
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        rig.hears(call, KINDS)
        rig.twilio.rest_faults.extend([fault, fault, fault])
        caller.say("roses please")
        call.wait_for(UpdateRefused, PATIENCE_S, count=5)
        caller.say("tomorrow please")  # the reply before was lost; the next turn goes on
        rig.hears(call, "what time")
        assert len([event for event in call.events if isinstance(event, UpdateReceived)]) == 2
        call.hang_up()
        rig.ended(call)


@pytest.mark.parametrize(("status", "code"), [(400, 21220), (404, 20404)])
def test_a_call_that_is_over_for_twilio_ends_quietly(status: int, code: int, logged: Logged) -> None:
    with running(["I would like to order flowers"]) as rig:
        rig.twilio.rest_faults.append(RestFault(status=status, code=code, always=True))
        call = rig.place_call(says("some flowers"))
        call.wait_for(UpdateRefused, PATIENCE_S)
        closed = call.wait_for(StreamClosed, PATIENCE_S)
        assert closed.code in (0, 31921)
        wait_until(lambda: rig.calls.live_calls == 0)
    assert not [line for line in logged() if line["level"] == "error" and line["event"] != "stream-status"]


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_a_transfer_that_twilio_answers_late_is_asked_for_once(kind: Literal["hang", "drip"]) -> None:
    """The stream's `stop` comes while the answer does not: a second request would tear the two apart."""
    flags = {"HANGUP_INTENTS": "NoSuchIntent", "TRANSFER_NUMBERS": "+12065550155"}
    # The two talk far longer than both deadlines and the pause between them take.
    with running(
        ["I would like to order flowers", "goodbye"], attempt_deadlines_s=(0.2, 0.2, 0.2), dial_ms=30_000, **flags
    ) as rig:
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        rig.hears(call, KINDS)
        asked = {"lexbridge:action": "transfer", "lexbridge:transfer-to": "+12065550155"}
        boto3_client(rig).post_text(
            botName="OrderFlowers", botAlias="prod", userId=call.sid, inputText="roses", sessionAttributes=asked
        )
        rig.twilio.rest_faults.append(RestFault(kind=kind, carried_out=True))
        caller.say("goodbye")
        assert call.wait_for(Transferred, PATIENCE_S).number == "+12065550155"
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert len([event for event in call.events if isinstance(event, UpdateReceived)]) == 2
        assert not [event for event in call.events if isinstance(event, UpdateRefused)]


def test_last_words_that_twilio_does_not_carry_out_leave_the_call_alive() -> None:
    with running(["goodbye", "goodbye"]) as rig:
        rig.twilio.rest_faults.extend([RestFault()] * 3)
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("goodbye then")
        call.wait_for(UpdateRefused, PATIENCE_S, count=3)
        wait_until(lambda: not caller.is_speaking)
        caller.say("goodbye I said")
        assert rig.ended(call).reason is EndReason.HANGUP_VERB


def test_a_silent_caller_is_asked_again_and_then_let_go() -> None:
    with running(NO_INPUT_S="1", NO_INPUT_LIMIT="2", GREETING="Hello.") as rig:
        call = rig.place_call(SimulatedCaller(HummingVoice(), None))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        updates = [spoken(event) for event in call.events if isinstance(event, UpdateReceived)]
        again = "Sorry, I did not hear anything."
        assert updates == [again, again, f"{again} Goodbye."]
        assert rig.lex.requests == []


def test_what_is_said_while_lex_thinks_is_kept_and_sent_after_it() -> None:
    with running(["I would like to order flowers", "roses"], deadlines=SLOW) as rig:
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
    with running(["I would like to order flowers"] * 2, deadlines=SLOW) as rig:
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


def test_a_hang_up_in_the_middle_of_an_utterance_breaks_its_request_off() -> None:
    with running() as rig:
        call = rig.place_call(says("a very long order indeed " * 4))
        wait_until(lambda: len(rig.lex.requests) == 1)
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: rig.lex.requests[0].aborted)
        wait_until(lambda: rig.calls.live_calls == 0)


def closed_with(client: websocket.WebSocket) -> int:
    """The code of the close that the bridge sends."""
    opcode, payload = client.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    client.shutdown()
    return int.from_bytes(payload[:2], "big")


def connected(rig: Rig) -> websocket.WebSocket:
    """A socket to the bridge, past Twilio."""
    return websocket.create_connection(rig.base.replace("http", "ws") + "/", timeout=PATIENCE_S, header=SIGNED)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (None, "no token"),
        ("", "no token"),
        ("nonsense", "malformed token"),
        (make_stream_token(TOKEN, CALL_SID, ACCOUNT_SID, now_s=time.time() - 61), "token expired"),
        (make_stream_token(TOKEN, "CA" + "9" * 32, ACCOUNT_SID, now_s=time.time()), "token of another call"),
        (make_stream_token(TOKEN, CALL_SID, "AC" + "9" * 32, now_s=time.time()), "token of another call"),
        (make_stream_token("another token", CALL_SID, ACCOUNT_SID, now_s=time.time()), "token of another call"),
    ],
    ids=["none", "empty", "nonsense", "expired", "another call's", "another account's", "forged"],
)
def test_a_stream_without_the_token_of_our_document_is_not_served(token: str | None, why: str, logged: Logged) -> None:
    with running() as rig:
        client = connected(rig)
        client.send(start_text({} if token is None else {"lexbridge:token": token}))
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


def test_every_line_of_a_call_names_it_and_those_about_lex_name_the_turn(logged: Logged) -> None:
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


# What only a bug, or bad luck in timing, brings about


def spoken_in(documents: list[str]) -> list[str]:
    return [" ".join(say.text or "" for say in ElementTree.fromstring(twiml).iter("Say")) for twiml in documents]


def test_a_bug_in_a_lex_request_is_heard_as_an_apology_and_the_call_goes_on(logged: Logged) -> None:
    lex, control = RehearsedLex(RuntimeError("a bug"), rehearsal.says("Which flowers?")), RehearsedControl()
    call = Rehearsal(lex, control)
    call.speaks()
    wait_until(lambda: len(control.documents) == 1)
    call.speaks()
    wait_until(lambda: len(control.documents) == 2)
    assert spoken_in(control.documents) == [SAY_IT_AGAIN, "Which flowers?"]
    call.socket.sends([stop_text()])
    assert call.ended() == 1000
    (line,) = [line for line in logged() if line["level"] == "error"]
    assert (line["event"], line["turn"]) == ("lex-request-broken", 1)
    assert (line["call_sid"], line["stream_sid"]) == (CALL_SID, STREAM_SID)


class EagerSpeech:
    """Speech of a minute that is all there: no `read` ever waits."""

    audio = ReplyAudio("audio/pcm; rate=8000")

    def __init__(self) -> None:
        self.reads = 0

    def read(self) -> bytes:
        """See Speech."""
        self.reads += 1
        return rehearsal.VOICE if self.reads <= 3000 else b""

    def close(self) -> None:
        """See Speech."""


def test_a_reply_whose_audio_is_all_there_is_heard_at_once_and_holds_up_nobody() -> None:
    speech = EagerSpeech()

    class EagerLex(RehearsedLex):
        def ask(self, request: LexRequest, log: Log) -> LexResponse:
            return replace(super().ask(request, log), speech=speech)  # type: ignore[arg-type]

    call = Rehearsal(EagerLex(rehearsal.says("Which flowers?")), RehearsedControl(), REPLY_MODE="stream")
    call.speaks()
    turns = 0
    with gevent.Timeout(PATIENCE_S):
        while not call.socket.sent:
            gevent.sleep(0)
        assert speech.reads < 10
        while speech.reads <= 3000:
            gevent.sleep(0)
            turns += 1
    assert turns >= 1000
    call.socket.sends([stop_text()])
    assert call.ended() == 1000


def test_a_bug_in_an_update_leaves_the_call_alive_even_after_last_words(logged: Logged) -> None:
    goodbye = rehearsal.says("Goodbye.", state=DialogState.FULFILLED, intent="GoodbyeIntent")
    lex, control = RehearsedLex(goodbye, rehearsal.says("Which flowers?")), RehearsedControl(RuntimeError("a bug"))
    call = Rehearsal(lex, control)
    call.speaks()
    wait_until(lambda: [line for line in logged() if line["event"] == "call-update-broken"])
    call.speaks()
    wait_until(lambda: len(control.documents) == 2)
    assert spoken_in(control.documents) == ["Goodbye.", "Which flowers?"]
    call.socket.sends([stop_text()])
    assert call.ended() == 1000
    (line,) = [line for line in logged() if line["level"] == "error"]
    assert (line["call_sid"], line["stream_sid"]) == (CALL_SID, STREAM_SID)


class BrokenDetector:
    """Breaks in the middle of what the caller says: after a second of the stream."""

    def __init__(self) -> None:
        self._frames = 0

    def is_voiced(self, frame: bytes) -> bool:
        """See Detector."""
        self._frames += 1
        if self._frames > 50:
            raise RuntimeError("a bug")
        return True


def test_a_call_that_breaks_by_a_bug_is_closed_with_1011_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setattr("lexbridge.bridge.live_call.load_detector", lambda *_: BrokenDetector)
    lex = RehearsedLex()
    call = Rehearsal(lex, RehearsedControl())
    call.speaks(voice_ms=900, silence_ms=0)
    wait_until(lambda: lex.busy == 1)
    call.speaks(voice_ms=900, silence_ms=0)
    assert call.ended() == 1011
    wait_until(lambda: lex.busy == 0)
    assert call.calls.live_calls == 0
    wait_until(lambda: not call.left())
    assert [line["event"] for line in logged() if line["level"] == "error"] == ["call-broken"]


def test_a_socket_that_breaks_by_a_bug_in_the_middle_of_an_utterance_ends_its_request(logged: Logged) -> None:
    lex = RehearsedLex()
    call = Rehearsal(lex, RehearsedControl())
    call.speaks(voice_ms=900, silence_ms=0)
    wait_until(lambda: lex.busy == 1)
    call.socket.sends([RuntimeError("a bug")])
    assert call.ended() == 1000
    wait_until(lambda: not call.left())
    assert lex.busy == 0
    assert [line["event"] for line in logged() if line["level"] == "error"] == ["reader-broken"]


def test_a_stream_that_stops_leaves_no_update_under_way() -> None:
    control = RehearsedControl(Event())
    call = Rehearsal(RehearsedLex(rehearsal.says("Which flowers?")), control)
    call.speaks()
    wait_until(lambda: control.busy == 1)
    call.socket.sends([stop_text()])
    assert call.ended() == 1000
    wait_until(lambda: control.busy == 0)
    wait_until(lambda: not call.left())


def test_a_stream_that_is_lost_leaves_no_update_under_way() -> None:
    """It could come after the document by which the call goes on, and undo it."""
    control = RehearsedControl(Event())
    call = Rehearsal(RehearsedLex(rehearsal.says("Which flowers?")), control)
    call.speaks()
    wait_until(lambda: control.busy == 1)
    call.socket.sends([None])
    assert call.ended() == 1000
    wait_until(lambda: control.busy == 0)
    wait_until(lambda: not call.left())


def test_a_stream_that_was_taken_over_leaves_no_update_under_way() -> None:
    control = RehearsedControl(Event())
    call = Rehearsal(RehearsedLex(rehearsal.says("Which flowers?")), control)
    call.speaks()
    wait_until(lambda: control.busy == 1)
    call.calls.began(live_stream(CALL_SID))
    assert call.ended() == 1000
    wait_until(lambda: control.busy == 0)  # a second attempt would replace what the newer stream has the caller hear
    assert call.calls.live_calls == 1
    wait_until(lambda: not call.left())


def test_after_an_update_finds_the_call_gone_no_other_is_tried() -> None:
    answer = Event()
    control = RehearsedControl(answer, CallGone("gone"))
    lex = RehearsedLex(rehearsal.says("Which flowers?"), rehearsal.says("Which day?"))
    call = Rehearsal(lex, control)
    call.speaks()
    wait_until(lambda: control.busy == 1)
    call.speaks()  # its document waits for the one before it
    wait_until(lambda: lex.asked == 2 and not lex.busy)
    answer.set()
    assert call.ended() == 1000
    wait_until(lambda: not call.left())
    assert spoken_in(control.documents) == ["Which flowers?"]


def test_of_several_updates_that_wait_the_newest_is_carried_out() -> None:
    answer = Event()
    control = RehearsedControl(answer)
    lex = RehearsedLex(*(rehearsal.says(text) for text in ("Which flowers?", "Which day?", "What time?")))
    call = Rehearsal(lex, control)
    for asked in (1, 2, 3):
        call.speaks()
        wait_until(lambda asked=asked: lex.asked == asked and not lex.busy)
    answer.set()
    wait_until(lambda: len(control.documents) == 2)
    assert spoken_in(control.documents) == ["Which flowers?", "What time?"]
    call.socket.sends([stop_text()])
    assert call.ended() == 1000


def test_a_bug_while_a_stream_is_stopped_is_a_line_of_the_log_and_ends_it(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge, "STOP_DEADLINE_S", 10 * PATIENCE_S)
    control = RehearsedControl()
    monkeypatch.setattr(control, "stop_stream", lambda *_: 1 / 0)
    call = Rehearsal(RehearsedLex(), control)
    wait_until(lambda: call.calls.live_calls == 1)
    call.calls.began(live_stream(CALL_SID))
    assert call.ended() == 1000
    assert [line["event"] for line in logged()].count("stream-stop-broken") == 1
    wait_until(lambda: not call.left())


def test_whoever_has_something_for_a_call_with_a_full_inbox_does_not_wait_past_its_end() -> None:
    """The reader, and the newer stream that takes over: one waits behind the other."""
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    wait_until(lambda: call.calls.live_calls == 1)
    call.socket.sends([stop_text(), *(media_text(20 * number, rehearsal.SILENCE) for number in range(3 * INBOX_SIZE))])
    call.calls.began(live_stream(CALL_SID))
    assert call.ended() == 1000
    wait_until(lambda: not call.left())
