"""Conditions of turns, what the caller says or keys on its way to Lex, and of joining two of them."""

from lexbridge.call.conditions.condition import Condition

TURNS: tuple[Condition, ...] = (
    Condition(
        "open turn",
        ("Turns.open",),
        "SpeechStarted",
        "SpeechEnded, a key, Lex's answer, or the end of the call",
        "no filler, and no prompt begins that may be interrupted",
    ),
    Condition(
        "turn in flight",
        ("Turns.in_flight",),
        "the turn is sent to Lex",
        "Lex's answer or failure, a key, a session that is not restored, or the end of the call",
        "no other turn is sent; after FILLER_S the caller hears a filler",
    ),
    Condition(
        "queued turn",
        ("Turns._queue",),
        "a turn while another is in flight",
        "Lex is free for it, a fourth one pushes it out, or the end of the call",
        "the answer to the turn before is spoken, but no silence is waited for after it",
    ),
    Condition(
        "may continue",
        ("Turn.may_continue",),
        "a pause ends the turn, and not its length",
        "nothing",
        "what the caller says next may become its second half",
    ),
    Condition(
        "continuation",
        ("Turn.is_continuation",),
        "speech while the turn before is in flight and may continue",
        "Lex answers or fails on that one, or the two together are too long",
        "the turn is joined with the one before, if `joining.decide` allows it",
    ),
    Condition(
        "joined",
        ("LexAnswers._joined", "Turn.is_joined"),
        "two pieces go to Lex as one turn",
        "Lex answers the turn, cannot restore its session, or a key drops the turn",
        "the outcome of the first piece waits: it holds only if the session is not restored",
    ),
    Condition(
        "overflow",
        ("Turn.is_overflow",),
        "the turn begins with what did not fit into the one before",
        "nothing",
        "it is dropped if it turns out to be only silence",
    ),
    Condition(
        "last answer",
        ("LexAnswers._last_answer",),
        "Lex answers a turn, in stream mode",
        "Lex answers or fails on the next one, or the caller speaks after the answer has begun",
        "the answer may be taken back while nothing of it was sent to the caller",
    ),
)
