"""The lines that tell a call's story: what each reply took, and how the stream ended. The clock is media time here."""

from collections.abc import Mapping

import pytest

from lexbridge.bridge.call_story import KEYS, CallStory
from lexbridge.call.actions import Action, BeginDialog, Note, OpenUtterance, SendKeys, UpdateCall
from lexbridge.call.dtmf import KeyRules
from lexbridge.errors import LexUnavailable, SessionNotRestored
from lexbridge.lex.model import DialogState
from lexbridge.logs import Log
from tests.support.caller import NEXT_STREAM, Caller
from tests.support.fixtures import Logged
from tests.support.settings import make_settings
from tests.support.sounds import tone

PHRASES = make_settings().phrases
FULFILLED = DialogState.FULFILLED
GOODBYE = {"intent": "GoodbyeIntent", "dialog_state": FULFILLED}
QUIET = b"\xff" * 160


class Told(Caller):
    """A caller whose call is told to a CallStory, as the bridge tells it."""

    def __init__(self, voiced: Mapping[str, bytes] | None = None, **variables: str) -> None:
        self.story = CallStory(is_two_way=variables.get("REPLY_MODE") == "stream")
        super().__init__(voiced, **variables)
        self.dials()

    def _carry_out(self, action: Action) -> None:
        super()._carry_out(action)
        if isinstance(action, Note):
            self.story.log.write(action.level, action.event, action.fields)
            self.story.line_logged(action, self.now_s)
        elif isinstance(action, UpdateCall):
            self.story.update_made(action.number, self.now_s, asks_for_keys=action.asks_for_keys)
        elif isinstance(action, BeginDialog):
            self.story.welcome_asked(action.turn, self.now_s)
        elif isinstance(action, OpenUtterance | SendKeys):
            self.story.caller_began()

    @property
    def now_s(self) -> float:
        return self.session.heard_ms / 1000

    def gets_the_update(self, number: int | None = None) -> None:
        """Twilio takes the update `number`, or the newest."""
        self.story.update_taken(number or self.session._call.updates, self.now_s)

    def does_not_get_the_update(self, ago: int = 0) -> None:
        self.story.update_failed(self.session._call.updates - ago)
        super().does_not_get_the_update(ago)

    def ends(self, why: str | None = None) -> None:
        self.story.stream_ended(self.now_s, why)


def streaming(voiced: Mapping[str, bytes] | None = None, **variables: str) -> Told:
    return Told(voiced, REPLY_MODE="stream", **variables)


def told(logged: Logged, event: str) -> list[dict[str, object]]:
    """The fields of each line of `event`."""
    about = ("event", "level", "timestamp")
    return [
        {name: value for name, value in line.items() if name not in about}
        for line in logged()
        if line["event"] == event
    ]


def latencies(logged: Logged) -> list[dict[str, object]]:
    return told(logged, "turn-latency")


def a_turn(number: int = 1, **changes: object) -> dict[str, object]:
    """The line of a turn that Lex answered 500 ms after its end, and was not heard."""
    usual = {"outcome": "answered", "end_ms": 700, "lex_ms": 500, "update_ms": None, "reply_ms": None, "filler": False}
    return {"turn": number, **usual, **changes}


def asks(caller: Told, lex_ms: int = 500) -> Told:
    """They say something, and Lex thinks."""
    caller.says_something()
    caller.is_silent(lex_ms)
    return caller


# -- turns


def test_a_call_update_is_heard_once_twilio_has_taken_it(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Which day?")
    caller.is_silent(80)
    assert latencies(logged) == []
    caller.gets_the_update()
    assert latencies(logged) == [a_turn(update_ms=80, reply_ms=700 + 500 + 80)]


def test_a_reply_in_lexs_voice_is_heard_from_its_first_sound_on(logged: Logged) -> None:
    caller = asks(streaming())
    caller.lex_says("Which day?", speaks=True)
    caller.is_silent(40)
    caller.lex_speaks(QUIET * 15 + tone(100))
    assert latencies(logged) == [a_turn(reply_ms=700 + 500 + 40 + 300)]
    caller.lex_speaks(tone(1000))
    caller.is_silent(2000)
    assert len(latencies(logged)) == 1


def test_silence_that_arrives_first_is_no_reply_yet(logged: Logged) -> None:
    caller = asks(streaming())
    caller.lex_says("Which day?", speaks=True)
    caller.lex_speaks(QUIET * 10)
    caller.is_silent(100)
    assert latencies(logged) == []
    caller.lex_speaks(QUIET * 5 + tone(100))
    assert latencies(logged) == [a_turn(reply_ms=700 + 500 + 300)]


@pytest.mark.parametrize("reply_mode", ["call-update", "stream"])
def test_a_filler_is_told_and_is_no_reply(logged: Logged, reply_mode: str) -> None:
    caller = Told({PHRASES.one_moment: tone(600)}, REPLY_MODE=reply_mode, FILLER_S="1")
    caller.is_silent(10_000 - 20)  # the greeting is over
    asks(caller, 1500)
    caller.gets_the_update()
    assert told(logged, "filler-said") == [{"turn": 1}]
    assert latencies(logged) == []
    caller.lex_says_aloud("Which day?")
    caller.gets_the_update()
    caller.is_silent(1000)
    (line,) = latencies(logged)
    assert (line["lex_ms"], line["filler"]) == (1500, True)
    assert line["reply_ms"] in range(2200, 3000)


def test_keys_are_waited_for_since_the_last_one(logged: Logged) -> None:
    caller = streaming()
    caller.presses("12")
    caller.is_silent(3000)
    caller.lex_says_aloud("Thank you.")
    (line,) = latencies(logged)
    assert line["end_ms"] == KeyRules().end_timeout_ms
    assert line["reply_ms"] == line["end_ms"] + line["lex_ms"]  # type: ignore[operator]


def test_a_welcome_is_awaited_since_it_was_asked_for(logged: Logged) -> None:
    caller = Told(WELCOME="bot", WELCOME_INTENT="Welcome")
    caller.is_silent(600)
    caller.lex_says("Hello.")
    caller.gets_the_update()
    assert latencies(logged) == [a_turn(end_ms=None, lex_ms=600, update_ms=0, reply_ms=600)]


def test_an_apology_is_the_reply_to_a_turn_that_failed(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_fails(LexUnavailable("503"))
    caller.gets_the_update()
    caller = asks(streaming({PHRASES.say_it_again: tone(400)}))
    caller.lex_fails(LexUnavailable("503"))
    first, second = latencies(logged)
    assert first == a_turn(outcome="failed", update_ms=0, reply_ms=1200)
    assert second == a_turn(outcome="failed", reply_ms=1200)


def test_an_update_that_gave_way_to_a_newer_one_was_not_heard(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Which day?")
    asks(caller)
    caller.lex_says("Which hour?")
    caller.gets_the_update()
    assert latencies(logged) == [a_turn(), a_turn(2, update_ms=0, reply_ms=1200)]


def test_an_update_that_twilio_refused_was_not_heard(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Which day?")
    caller.does_not_get_the_update()
    assert latencies(logged) == [a_turn()]


def test_what_was_joined_has_one_reply(logged: Logged) -> None:
    caller = streaming(JOIN="on")
    caller.says_something()
    caller.speaks(500)
    caller.lex_says("Which day?", turn=1, speaks=True)
    caller.is_silent(700)
    assert latencies(logged) == []
    caller.lex_says_aloud("Which hour?", turn=2)
    first, second = latencies(logged)
    assert (first["turn"], first["outcome"], first["reply_ms"]) == (1, "joined", None)
    assert second == a_turn(2, lex_ms=0, reply_ms=700)


def test_what_could_not_be_joined_is_answered_after_all(logged: Logged) -> None:
    caller = streaming(JOIN="on")
    caller.says_something()
    caller.speaks(500)
    caller.lex_says("Which day?", turn=1, speaks=True)
    caller.is_silent(700)
    caller.lex_fails(SessionNotRestored("no"), turn=2)
    caller.lex_speaks(tone(500), turn=1)
    (line,) = latencies(logged)
    assert (line["turn"], line["outcome"]) == (1, "answered")
    assert line["reply_ms"] == 700 + 500 + 700


def test_a_false_alarm_is_no_reply(logged: Logged) -> None:
    caller = asks(streaming(BARGE_IN="on"))
    caller.lex_says_aloud("A long story.", ms=8000)
    caller.is_silent(1000)
    caller.speaks(400)
    caller.is_silent(700)
    caller.lex_says("Sorry?", turn=2, transcript="")
    first, second = latencies(logged)
    assert first["reply_ms"] == 1200
    assert second == a_turn(2, outcome="false-alarm", lex_ms=0)


def test_a_dropped_turn_has_no_line_but_an_unheard_one_has(logged: Logged) -> None:
    caller = asks(streaming())
    caller.lex_says("Which day?", speaks=True)  # its voice does not come
    caller.says_something()
    caller.hangs_up()
    caller.ends()
    assert latencies(logged) == [a_turn()]


def test_who_is_asked_again_has_not_heard_what_was_said_before(logged: Logged) -> None:
    caller = asks(streaming())
    caller.lex_says("Which day?", speaks=True)
    caller.lex_speaks(QUIET * 10)
    caller.lex_has_spoken()
    caller.is_silent(11_000)
    assert told(logged, "no-input")
    assert latencies(logged) == [a_turn()]


# -- the end


def end_of(logged: Logged, caller: Told, why: str | None = None) -> tuple[str, object, object]:
    """Ends the story. Returns which line tells of the end, who ended the call, and why."""
    caller.ends(why)
    (line,) = [line for line in logged() if line["event"] in ("call-ended", "call-left")]
    return line["event"], line.get("ended_by"), line["why"]


CALLER = "call-ended", "caller", None
NOBODY_KNOWS = "call-left", None, "stopped by Twilio"
NO_INPUT = "call-ended", "lexbridge", "no-input"


def test_the_end_has_the_calls_figures(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Which day?")
    caller.gets_the_update()
    asks(caller, 900)
    caller.lex_fails(LexUnavailable("503"))
    caller.gets_the_update()
    caller.is_gone()
    caller.ends()
    figures = {"duration_s": 4.8, "turns": 2, "faults": 1, "worst_reply_ms": 1600}
    assert told(logged, "call-ended") == [{"ended_by": "caller", "why": None, **figures}]
    assert told(logged, "call-left") == []


def test_the_caller_ended_a_two_way_stream_we_did_not_end(logged: Logged) -> None:
    caller = asks(streaming())
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


def test_the_caller_ended_a_one_way_stream_we_did_not_end(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Which day?")
    caller.gets_the_update()
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


def test_the_end_of_a_one_way_stream_is_unknown_with_keys(logged: Logged) -> None:
    """Where keys were asked for, a one-way stream may have been stopped for them: why it ended is not known."""
    caller = asks(Told())
    caller.story.update_made(1, 1.0, asks_for_keys=True)
    caller.hangs_up()  # or another process answers the webhook of keys
    assert end_of(logged, caller) == NOBODY_KNOWS


def test_keys_that_this_process_was_told_of_leave_the_call(logged: Logged) -> None:
    caller = asks(Told())
    caller.story.note_reason(KEYS)
    caller.hangs_up()
    assert end_of(logged, caller) == ("call-left", None, "keys")


def test_a_document_that_follows_the_keys_may_have_come_first(logged: Logged) -> None:
    caller = asks(Told())
    caller.story.note_reason(KEYS)
    caller.lex_says("Which day?")
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


def test_an_update_that_failed_does_not_take_the_keys_back(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Which day?")
    caller.story.note_reason(KEYS)
    caller.does_not_get_the_update()
    caller.hangs_up()
    assert end_of(logged, caller) == ("call-left", None, "keys")


def test_it_says_who_ended_the_call(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Goodbye.", **GOODBYE)
    caller.gets_the_update()
    caller.hangs_up()
    assert end_of(logged, caller) == ("call-ended", "bot", None)


def is_transferred(caller: Told) -> Told:
    """The bot has the call transferred, in words."""
    asked = {"lexbridge:action": "transfer", "lexbridge:transfer-to": "+12065550199"}
    caller.lex_says("One moment.", speaks=True, dialog_state=FULFILLED, session_attributes=asked)
    return caller


def test_it_says_that_the_call_was_transferred(logged: Logged) -> None:
    caller = is_transferred(asks(Told(TRANSFER_NUMBERS="+12065550199")))
    caller.hangs_up()
    assert end_of(logged, caller) == ("call-ended", "transfer", None)


@pytest.mark.parametrize(
    ("is_heard", "end"), [(False, CALLER), (True, ("call-ended", "transfer", None))], ids=["hangs up", "hears it"]
)
def test_a_transfer_stands_once_the_words_before_it_were_heard(
    logged: Logged, is_heard: bool, end: tuple[str, object, object]
) -> None:
    caller = is_transferred(asks(streaming(TRANSFER_NUMBERS="+12065550199")))
    caller.lex_speaks(tone(2000))
    caller.lex_has_spoken()
    caller.is_silent(3000 if is_heard else 1000)
    caller.hangs_up()
    assert end_of(logged, caller) == end


def test_who_hangs_up_during_the_last_words_ended_the_call(logged: Logged) -> None:
    caller = asks(streaming())
    caller.lex_says_aloud("Goodbye.", ms=2000, **GOODBYE)
    caller.is_silent(1000)
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


def test_a_stream_lost_during_the_last_words_leaves_the_call(logged: Logged) -> None:
    caller = asks(streaming())
    caller.lex_says_aloud("Goodbye.", ms=2000, **GOODBYE)
    caller.is_cut_off()
    assert end_of(logged, caller) == ("call-left", None, "stream lost")


def test_it_says_why_lexbridge_ended_the_call(logged: Logged) -> None:
    caller = Told(NO_INPUT_LIMIT="1")
    caller.is_silent(60_000)
    caller.hangs_up()
    assert end_of(logged, caller) == NO_INPUT


def is_asked_for_keys() -> Told:
    """A caller whose document asks again by itself, once, and leaves them then. They are silent for so long."""
    caller = asks(Told(NO_INPUT_LIMIT="1", SLOT_KINDS="Account=digits"))
    caller.lex_says("Your number?", slot_to_elicit="Account")
    caller.gets_the_update()
    caller.is_silent(30_000)
    return caller


def test_a_document_leaves_a_silent_caller_by_an_estimate(logged: Logged) -> None:
    caller = is_asked_for_keys()
    assert [(line["ends_call"], line["by_document"]) for line in told(logged, "no-input")] == [
        (False, True),
        (True, True),
    ]
    caller.hangs_up()
    assert end_of(logged, caller) == NO_INPUT


def test_a_stream_that_is_lost_then_is_not_the_end(logged: Logged) -> None:
    caller = is_asked_for_keys()
    caller.is_cut_off()
    assert end_of(logged, caller) == ("call-left", None, "stream lost")


def test_a_caller_who_speaks_was_not_left_by_the_document(logged: Logged) -> None:
    caller = is_asked_for_keys()
    caller.speaks(1000)
    caller.hangs_up()
    assert end_of(logged, caller) == NOBODY_KNOWS


def test_a_caller_who_keys_was_not_left_by_the_document(logged: Logged) -> None:
    caller = is_asked_for_keys()
    caller.story.note_reason(KEYS)
    caller.hangs_up()
    assert end_of(logged, caller) == ("call-left", None, "keys")


def test_a_caller_who_is_answered_once_more_was_not_left(logged: Logged) -> None:
    caller = asks(is_asked_for_keys())
    caller.lex_says("Thank you.")
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


def test_it_says_that_a_limit_ended_the_call(logged: Logged) -> None:
    caller = asks(Told(MAX_TURNS="1"))
    caller.lex_says("Which day?")
    caller.hangs_up()
    assert end_of(logged, caller) == ("call-ended", "lexbridge", "call-limit")


def test_last_words_that_were_not_carried_out_end_nothing(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Goodbye.", **GOODBYE)
    caller.does_not_get_the_update()
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


def test_a_stream_that_twilio_reports_lost_does_not_end_the_call(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Goodbye.", **GOODBYE)
    caller.story.note_reason("stream lost")
    caller.is_cut_off()
    assert end_of(logged, caller, "service stopped") == ("call-left", None, "stream lost")


def test_the_caller_ended_a_call_that_twilio_does_not_know(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Goodbye.", **GOODBYE)
    caller.is_gone()
    assert end_of(logged, caller) == CALLER


def test_a_failed_hand_over_leaves_the_call_with_its_stream(logged: Logged) -> None:
    caller = Told()
    caller.session.next_stream = NEXT_STREAM
    caller.session.is_leaving = True
    asks(caller)
    caller.lex_says("Which day?")
    caller.does_not_get_the_update()
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


@pytest.mark.parametrize(("why", "told_why"), [(None, "stream lost"), ("bad message", "bad message")])
def test_a_stream_that_is_lost_leaves_the_call(logged: Logged, why: str | None, told_why: str) -> None:
    caller = Told()
    caller.is_silent(2000)
    caller.is_cut_off()
    caller.ends(why)
    assert told(logged, "call-left") == [
        {"why": told_why, "duration_s": 2.0, "turns": 0, "faults": 0, "worst_reply_ms": None}
    ]
    assert told(logged, "call-ended") == []


def test_a_stream_that_hands_the_call_over_leaves_it(logged: Logged) -> None:
    caller = Told()
    caller.session.next_stream = NEXT_STREAM
    caller.session.is_leaving = True
    asks(caller)
    caller.lex_says("Which day?")
    caller.gets_the_update()
    caller.hangs_up()  # the document stops the stream
    assert end_of(logged, caller, "service stopped") == ("call-left", None, "handed over")


def test_a_stream_that_never_began_has_no_end(logged: Logged) -> None:
    CallStory(is_two_way=True).stream_ended(1.0, "bug")
    assert logged() == []


def test_faults_are_all_warnings_and_errors_of_the_call(logged: Logged) -> None:
    log = Log().bind(call_sid="CA1")
    log.bind(turn=1).warning("lex-request-failed")
    log.error("call-update-failed")
    log.info("turn-answered")
    log.bind(turn=2).exception("lex-request-broken")
    assert log.faults == 3
    assert Log().faults == 0
