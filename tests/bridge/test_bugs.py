"""Bugs, and bad luck in timing, in one call: the caller hears an apology, and nothing is left behind."""

from dataclasses import replace

import gevent
import pytest
from gevent.event import Event

from lexbridge.audio.vad.base import Detector
from lexbridge.bridge import stream_stop
from lexbridge.errors import CallGone
from lexbridge.lex.model import DialogState
from lexbridge.lex.runtime import LexRequest, LexResponse
from lexbridge.lex.voice import ReplyAudio
from lexbridge.logs import Log
from tests.support import rehearsal
from tests.support.fixtures import Logged
from tests.support.live_calls import live_stream
from tests.support.phrases import SAY_AGAIN
from tests.support.rehearsal import Rehearsal, RehearsedControl, RehearsedLex, wait_until
from tests.support.rig import PATIENCE_S, spoken
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, STREAM_SID, media_text, stop_text


def spoken_in(documents: list[str]) -> list[str]:
    return [spoken(twiml) for twiml in documents]


def test_a_bug_in_a_lex_request_is_heard_as_an_apology(logged: Logged) -> None:
    """A bug in a request to Lex is heard as an apology, and the call goes on."""
    lex, control = RehearsedLex(RuntimeError("a bug"), rehearsal.says("Which flowers?")), RehearsedControl()
    call = Rehearsal(lex, control)
    call.speaks()
    wait_until(lambda: len(control.documents) == 1)
    call.speaks()
    wait_until(lambda: len(control.documents) == 2)
    assert spoken_in(control.documents) == [SAY_AGAIN, "Which flowers?"]
    call.socket.sends([stop_text()])
    assert call.ended() == 1000
    (line,) = [line for line in logged() if line["level"] == "error"]
    assert (line["event"], line["turn"]) == ("lex-request-broken", 1)
    assert (line["call_sid"], line["stream_sid"]) == (CALL_SID, STREAM_SID)


class EagerSpeech:
    """A minute of speech that has arrived completely: no `read` ever waits."""

    audio = ReplyAudio("audio/pcm; rate=8000")

    def __init__(self) -> None:
        self.reads = 0

    def read(self) -> bytes:
        self.reads += 1
        return rehearsal.VOICE if self.reads <= 3000 else b""

    def close(self) -> None:
        pass


def test_audio_that_is_all_there_is_heard_at_once() -> None:
    """A reply whose audio has arrived completely is heard at once, and holds up no other greenlet."""
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


def test_a_bug_in_an_update_leaves_the_call_alive(logged: Logged) -> None:
    """A bug in a call update leaves the call alive, even if the update was to say the last words."""
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


class BrokenDetector(Detector):
    """A detector that raises an error after a second of the stream, in the middle of an utterance."""

    def __init__(self) -> None:
        self._frames = 0

    def is_voiced(self, frame: bytes) -> bool:
        self._frames += 1
        if self._frames > 50:
            raise RuntimeError("a bug")
        return True


def test_a_call_broken_by_a_bug_is_closed_with_1011(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """A call that a bug breaks is closed with 1011, and leaves no request and no greenlet behind."""
    monkeypatch.setattr("lexbridge.bridge.lines.load_detector", lambda *_: BrokenDetector)
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


def test_a_bug_at_the_end_of_a_call_closes_its_socket(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """The socket is closed and the call forgotten even if what is under way cannot be broken off."""
    monkeypatch.setattr("lexbridge.bridge.lex_requests.LexRequests.cancel_all", lambda _: 1 / 0)
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    call.socket.sends([stop_text()])
    assert call.ended() == 1000
    assert call.calls.live_calls == 0
    assert [line["event"] for line in logged() if line["level"] == "error"] == ["call-broken"]


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
    """A late update could replace the document by which the call goes on."""
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
    call.calls.add(live_stream(CALL_SID, account_sid=ACCOUNT_SID))
    assert call.ended() == 1000
    wait_until(lambda: control.busy == 0)  # a second attempt would replace the document of the newer stream
    assert call.calls.live_calls == 1
    wait_until(lambda: not call.left())


def test_after_an_update_finds_the_call_gone_no_other_is_tried() -> None:
    answer = Event()
    control = RehearsedControl(answer, CallGone("gone"))
    lex = RehearsedLex(rehearsal.says("Which flowers?"), rehearsal.says("Which day?"))
    call = Rehearsal(lex, control)
    call.speaks()
    wait_until(lambda: control.busy == 1)
    call.speaks()  # its document waits until the one before it was sent
    wait_until(lambda: lex.asked == 2 and not lex.busy)
    answer.set()
    assert call.ended() == 1000
    wait_until(lambda: not call.left())
    assert spoken_in(control.documents) == ["Which flowers?"]


def test_the_newest_of_several_waiting_updates_is_sent() -> None:
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


def test_a_bug_while_a_stream_is_stopped_is_logged_once(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug while a stream is stopped is one line of the log, and ends the stream."""
    monkeypatch.setattr(stream_stop, "STOP_DEADLINE_S", 10 * PATIENCE_S)
    control = RehearsedControl()
    monkeypatch.setattr(control, "stop_stream", lambda *_: 1 / 0)
    call = Rehearsal(RehearsedLex(), control)
    wait_until(lambda: call.calls.live_calls == 1)
    call.calls.add(live_stream(CALL_SID, account_sid=ACCOUNT_SID))
    assert call.ended() == 1000
    assert [line["event"] for line in logged()].count("stream-stop-broken") == 1
    wait_until(lambda: not call.left())


def test_what_comes_past_the_calls_end_is_dropped() -> None:
    """A newer stream takes the call over while its `stop` and more media are on their way."""
    call = Rehearsal(RehearsedLex(), RehearsedControl())
    wait_until(lambda: call.calls.live_calls == 1)
    call.socket.sends([stop_text(), *(media_text(20 * number, rehearsal.SILENCE) for number in range(3000))])
    call.calls.add(live_stream(CALL_SID, account_sid=ACCOUNT_SID))
    assert call.ended() == 1000
    wait_until(lambda: not call.left())
