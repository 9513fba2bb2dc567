"""The log lines that tell how long the caller waited for each reply."""

import pytest

from lexbridge.call.dtmf import KeyRules
from lexbridge.errors import LexUnavailable, SessionNotRestored
from tests.support.fixtures import Logged
from tests.support.logged_calls import PHRASES, QUIET, Told, a_turn, asks, latencies, streaming, told
from tests.support.sounds import tone


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


def test_a_turn_that_waited_for_another_was_not_slow_at_lex(logged: Logged) -> None:
    caller = Told()
    caller.says_something()
    caller.says_something()  # Lex is still at the first
    caller.is_silent(1000)
    caller.lex_says("Which day?", turn=1)
    caller.is_silent(400)
    caller.lex_says("Which hour?", turn=2)
    caller.gets_the_update()
    first, second = latencies(logged)
    assert (first["queue_ms"], second["queue_ms"]) == (0, 1000)
    assert (first["lex_ms"], second["lex_ms"]) == (2700, 400)
    assert second["reply_ms"] == 700 + 1000 + 400


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
    caller.lex_says("Which day?", speaks=True)  # its audio does not arrive
    caller.says_something()
    caller.hangs_up()
    caller.ends()
    assert latencies(logged) == [a_turn()]


def test_a_caller_who_is_asked_again_has_not_heard_the_reply(logged: Logged) -> None:
    caller = asks(streaming())
    caller.lex_says("Which day?", speaks=True)
    caller.lex_speaks(QUIET * 10)
    caller.lex_has_spoken()
    caller.is_silent(11_000)
    assert told(logged, "no-input")
    assert latencies(logged) == [a_turn()]
