"""Limits of a call: MAX_CALL_S and MAX_TURNS. These functions decide; `Conversation` ends the call."""

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.config.call_rules import CallRules

OVERDUE_S = 60
"""Time past MAX_CALL_S after which a caller who is still speaking is interrupted, seconds."""


def reached_limit(rules: CallRules, turns_answered: int, age_s: float) -> str | None:
    """Return the name of the setting by which the call has to end now, or None if it may go on."""
    if rules.max_turns is not None and turns_answered >= rules.max_turns:
        return "MAX_TURNS"
    return "MAX_CALL_S" if rules.max_call_s is not None and age_s >= rules.max_call_s else None


def reached_at_ms(rules: CallRules, turns_answered: int, age_before_s: float) -> float | None:
    """Return the media time up to which no limit is reached unless Lex answers another turn; None: no such time.

    It is a frame early. `age_before_s`: age of the call when the stream began.
    """
    if rules.max_turns is not None and turns_answered >= rules.max_turns:
        return 0.0
    return None if rules.max_call_s is None else (rules.max_call_s - age_before_s) * 1000 - FRAME_MS


def limit_before_listening(rules: CallRules, turns_answered: int, age_s: float, *, has_pending: bool) -> str | None:
    """Return the name of the setting by which the call ends instead of hearing the caller again, or None.

    `has_pending`: the caller is speaking already, or has said more than Lex has heard. They are heard first, unless
    the call is overdue.
    """
    limit = reached_limit(rules, turns_answered, age_s)
    if limit == "MAX_CALL_S" and has_pending and age_s < (rules.max_call_s or 0) + OVERDUE_S:
        return None
    return limit
