"""Settings that decide on what happens in a call: all that `lexbridge.call` knows of the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lexbridge.phrases import Phrases

NO_INPUT_BOUNDS_S = 1, 120
HANGOVER_BOUNDS_MS = 100, 5000
MAX_UTTERANCE_BOUNDS_MS = 4000, 14800
"""Least and greatest value, also of what a bot asks for in its session attributes."""


@dataclass(frozen=True, slots=True)
class CallRules:
    """Settings of one call. Units are in the names; the README's table says what each one does."""

    reply_mode: str
    barge_in: bool
    barge_in_ms: int
    onset_ms: int
    pre_roll_ms: int
    hangover_ms: int
    hangover_min_ms: int
    hangover_max_ms: int
    slot_kinds: Mapping[str, str]
    join: bool
    max_utterance_ms: int
    no_input_s: float
    no_input_limit: int
    hangup_intents: frozenset[str]
    welcome: str
    welcome_intent: str | None
    greeting: str
    phrases: Phrases
    transfer_numbers: frozenset[str] = field(repr=False)
    transfer_caller_id: str | None = field(repr=False)
    lex_timeout_s: float
    filler_s: float
    max_call_s: float | None
    max_turns: int | None
