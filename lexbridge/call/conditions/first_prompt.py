"""Conditions of the first prompt: what it waits for, and what protects it."""

from lexbridge.call.conditions.condition import Condition

FIRST_PROMPT: tuple[Condition, ...] = (
    Condition(
        "first prompt awaited",
        ("CallContext.is_first_awaited",),
        "the stream of an outbound call begins, whose callee is to speak first, or which a machine has answered",
        "the callee's first word is over or a key is pressed, 2 s without one; a machine has been silent for 2 s",
        "nothing that is said or keyed is input; the call neither moves to another stream nor ends by its limits",
    ),
    Condition(
        "first word over",
        ("FirstPrompt._has_spoken",),
        "the callee's first utterance ends, a key; or Twilio has heard the callee, or a machine's beep, before",
        "nothing",
        "the first prompt is said at once",
    ),
    Condition(
        "heard before",
        ("FirstPrompt._was_heard_before",),
        "Twilio has heard the callee before the stream began",
        "nothing",
        "the greeting is protected with PROTECT_FIRST alone",
    ),
    Condition(
        "machine",
        ("CallContext.is_for_machine",),
        "the stream begins for a call that a machine has answered",
        "nothing",
        "nothing is input, there is no filler and no apology, and the bot's answer is the last",
    ),
    Condition(
        "first prompt protected",
        ("CallContext.deaf_until_ms",),
        "the greeting of an outbound call, any first prompt with PROTECT_FIRST, or what a machine is told begins",
        "the prompt is heard, or its estimated time is over",
        "no utterance opens, and neither speech nor a key stops the prompt; there is no filler",
    ),
)
