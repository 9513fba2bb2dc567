"""Calls in which something goes otherwise than usual, as facts: what all who watch calls have to understand alike."""

from collections.abc import Callable, Mapping

from lexbridge.observer.watched.call_turns import STREAM_ENDED
from lexbridge.telemetry.facts import Event
from tests.support.facts_of_calls import OTHER_PID, CallOfFacts, bad_call, of_service, usual_call

SECOND = "MZ" + "02" * 16


def _begun(turns: int = 1) -> CallOfFacts:
    call = CallOfFacts()
    call.is_answered()
    for number in range(1, turns + 1):
        call.has_turn(number)
    return call


def _drops_all(call: CallOfFacts, *turns: int) -> None:
    """Let the worker drop what is under way, as it does when a stream is over. The first turn is with Lex."""
    call.tells("utterance-cancelled", turn=turns[0])
    for turn in turns:
        call.tells("utterance-dropped", level="warning", turn=turn, why=STREAM_ENDED, started_ms=0)


def stream_lost() -> CallOfFacts:
    """Return a call whose stream breaks with one turn at Lex and one spoken, and that goes on and ends well."""
    call = _begun()
    call.asks(2)
    call.tells("utterance-ended", turn=3, started_ms=9000, ended_ms=9900, silent_ms=700)
    _drops_all(call, 2, 3)
    call.tells("stream-ended", how="lost", turns=3)
    call.tells("call-left", why="stream lost")
    call.now_s += 2
    call.begins(SECOND, pid=OTHER_PID, resumed="lost")
    call.has_turn(1)
    call.tells("stream-ended", how="stopped", turns=1)
    call.tells("call-ended", ended_by="bot", why=None)
    return call


def hung_up_while_lex_worked() -> CallOfFacts:
    """Return a call whose caller does not wait for the answer."""
    call = _begun()
    call.asks(2)
    _drops_all(call, 2)
    call.hangs_up(2)
    return call


def hung_up_in_a_word() -> CallOfFacts:
    """Return a call whose caller hangs up while a document asks for keys, in the middle of a word."""
    call = _begun()
    call.now_s += 1
    call.tells("utterance-opened", turn=2, started_ms=8000)
    _drops_all(call, 2)
    call.tells("stream-ended", how="stopped", turns=2)
    call.tells("call-left", why="stopped by Twilio")
    return call


def keys_and_silence() -> CallOfFacts:
    """Return a call with a welcome, keys over another stream, and a silence that ends it."""
    call = CallOfFacts()
    call.is_answered()
    call.tells("lex-asked", turn=1, how="welcome")
    call.is_answered_by_lex(1)
    call.is_told(1, number=1, lex_ms=300)
    call.tells("utterance-opened", turn=2, started_ms=900)
    _drops_all(call, 2)
    call.tells("stream-ended", how="stopped", turns=2)
    call.tells("call-left", why="keys")
    call.now_s += 1
    call.begins(SECOND, resumed="keyed")
    call.tells("keys-complete", turn=1, keys=4, silent_ms=0)
    call.tells("lex-asked", {"keys": "4711"}, turn=1, how="keys")
    call.is_answered_by_lex(1)
    call.is_told(1, number=1, lex_ms=300)
    for times, ends_call in ((1, False), (2, True)):
        call.now_s += 8
        call.tells("no-input", times=times, ends_call=ends_call, by_document=False)
    call.tells("stream-ended", how="stopped", turns=1)
    call.tells("call-ended", ended_by="lexbridge", why="no-input")
    return call


def interrupted() -> CallOfFacts:
    """Return a call in stream mode: a reply is cut off, another withheld and joined, and one sound is no word."""
    call = CallOfFacts(mode="stream")
    call.is_answered()
    call.asks(1)
    call.is_answered_by_lex(1)
    call.tells("turn-latency", turn=1, outcome="answered", end_ms=700, lex_ms=300, reply_ms=1100)
    call.now_s += 1
    call.tells("barged-in", heard_ms=900)
    call.tells("audio-cleared")
    call.asks(2)
    call.is_answered_by_lex(2)
    call.tells("joined", turn=3, with_turn=2)
    call.tells("utterance-cancelled", turn=2)
    call.asks(3)
    call.is_answered_by_lex(3)
    call.tells("turn-latency", turn=2, outcome="joined", end_ms=700, lex_ms=300)
    call.tells("turn-latency", turn=3, outcome="answered", end_ms=700, lex_ms=300, reply_ms=1200)
    call.asks(4)
    call.is_answered_by_lex(4)
    call.tells("false-alarm", turn=4)
    call.tells("turn-latency", turn=4, outcome="false-alarm", end_ms=700, lex_ms=300)
    call.tells("lex-asked", {"messages": ["One moment please."]}, turn=-2, how="speech")
    call.asks(5)
    call.tells("turn-failed", level="warning", turn=5, error="LexThrottled", ends_call=True)
    call.tells("turn-latency", turn=5, outcome="failed", end_ms=700, lex_ms=300, reply_ms=1300)
    call.tells("stream-ended", how="stopped", turns=5)
    call.tells("call-ended", ended_by="lexbridge", why="turn-failed")
    return call


def given_up() -> CallOfFacts:
    """Return a call that a webhook gives up after its streams were lost."""
    call = _begun()
    call.tells("stream-ended", how="lost", turns=1)
    call.tells("call-left", why="stream lost")
    call.now_s += 3
    call.stream_sid = ""
    call.tells("call-resumed", level="warning", streams_lost=61, ran_out=False)
    call.tells("call-given-up", level="error", streams_lost=61)
    return call


def silent_to_the_end() -> CallOfFacts:
    """Return a call that a webhook ends because no keys were pressed. Its stream is stopped after that."""
    call = _begun()
    stream_sid, call.stream_sid = call.stream_sid, ""
    call.now_s += 20
    call.tells("silent-caller-left")
    call.stream_sid = stream_sid
    call.now_s += 3
    call.tells("stream-ended", how="stopped", turns=1)
    call.tells("call-left", why="stopped by Twilio")
    return call


def taken_over() -> CallOfFacts:
    """Return a call that another worker has taken over before the first one tells how its stream ended."""
    call = _begun()
    first, call.now_s = call.stream_sid, call.now_s + 1
    call.begins(SECOND, pid=OTHER_PID, resumed="keyed")
    call.stream_sid = first
    call.tells("stream-ended", how="stopped", turns=1)
    call.tells("call-ended", ended_by="caller", why=None)
    call.stream_sid = SECOND
    call.has_turn(1)
    call.tells("stream-ended", how="stopped", turns=1)
    call.tells("call-ended", ended_by="transfer", why=None)
    return call


def worker_died() -> CallOfFacts:
    """Return a call that ends with its worker, in the middle of a word."""
    call = _begun()
    call.asks(2)
    call.now_s += 1
    call.tells("utterance-opened", turn=3, started_ms=9000)
    call.loses_worker()
    return call


def never_ended() -> CallOfFacts:
    """Return a call of which the facts break off."""
    call = _begun()
    call.facts.append(of_service(call.now_s, "worker-started"))
    return call


def without_a_stream() -> CallOfFacts:
    """Return a call to which Twilio opens no stream."""
    call = CallOfFacts(stream_sid="")
    call.tells("call-answered")
    call.tells("call-described", caller="...471", called="...255")
    call.tells("stream-status", level="error", error="31921")
    return call


def from_the_middle() -> CallOfFacts:
    """Return what a new observer hears of a call: nothing of its beginning, and of one turn the rest."""
    call = _begun(2)
    call.hangs_up(2)
    asked = next(number for number, fact in enumerate(call.facts) if isinstance(fact, Event) and "closed" in fact.name)
    del call.facts[: asked + 1]
    return call


STORIES: Mapping[str, Callable[[], CallOfFacts]] = {
    one.__name__: one
    for one in (
        usual_call,
        bad_call,
        stream_lost,
        hung_up_while_lex_worked,
        hung_up_in_a_word,
        keys_and_silence,
        interrupted,
        given_up,
        silent_to_the_end,
        taken_over,
        worker_died,
        never_ended,
        without_a_stream,
        from_the_middle,
    )
}
"""All of them, by name."""
