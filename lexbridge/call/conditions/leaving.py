"""Conditions of a call that ends, or moves to another stream or bot."""

from lexbridge.call.conditions.condition import Condition

LEAVING: tuple[Condition, ...] = (
    Condition(
        "limit announced",
        ("Conversation._is_limit_announced",),
        "MAX_CALL_S or MAX_TURNS ends a quiet call",
        "nothing",
        "silence alone does not announce it again; the next prompt does",
    ),
    Condition(
        "leaving",
        ("CallContext.is_leaving",),
        "LeaveRequested",
        "nothing",
        "the call moves to another stream with the next answer (call-update mode) or silence (stream mode)",
    ),
    Condition(
        "next stream",
        ("CallContext.next_stream",),
        "NextStreamOpened, which also renews it",
        "NextStreamOpened(None)",
        "without it the call cannot move to another stream",
    ),
    Condition(
        "hand-over allowed",
        ("HandOver._is_allowed",),
        "the stream begins, or the caller has heard a prompt",
        "a document hands the call over",
        "without it no other document tries to",
    ),
    Condition(
        "bot not told",
        ("CallContext.switches",),
        "the stream begins because another bot handed the call over, or takes over from one that did (`origin`)",
        "the bot answers, or its session shows that it has",
        "if the stream is lost, the attributes of the other bot are fetched again, and the bot begins again",
    ),
    Condition(
        "returned",
        ("CallContext.returned",),
        "the stream begins because a transfer came back, or takes over from one that did",
        "Lex answers",
        "if the stream is lost, the transfer is not tried again",
    ),
)
