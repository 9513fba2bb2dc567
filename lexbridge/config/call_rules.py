"""Settings that decide on what happens in a call: all that `lexbridge.call` knows of the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lexbridge.config.parsers import (
    after_attributes,
    after_url,
    attribute_names,
    intent_names,
    matching,
    one_of,
    phone_number,
    seconds,
    slot_kinds,
    spoken,
    switch,
    whole_number,
)
from lexbridge.config.setting import Group, Setting, composed_of, setting
from lexbridge.config.transfer_targets import TransferTargets, transfer_targets
from lexbridge.phrases.catalogue import greeting_for, phrases_for
from lexbridge.phrases.model import PhraseName, Phrases

NO_INPUT_BOUNDS_S = 1, 120
HANGOVER_BOUNDS_MS = 100, 5000
MAX_UTTERANCE_BOUNDS_MS = 4000, 14800
"""Least and greatest value, also of what a bot asks for in its session attributes."""


def _phrase(variable: str, name: PhraseName, when: str) -> Setting:
    """Return the setting that replaces the phrase called `name`, which is said at the time that `when` tells."""
    unset = f"Unset: in the bot's language; in English `{phrases_for('en_US').named(name)}`"
    return Setting(variable, spoken, Group.WORDS, f"{when}. {unset}")


PHRASE_SETTINGS: Mapping[PhraseName, Setting] = {
    "goodbye": _phrase("GOODBYE_TEXT", "goodbye", "Said when the call ends and the bot itself says nothing"),
    "not_heard": _phrase(
        "NOT_HEARD_TEXT",
        "not_heard",
        "Said when the caller says nothing after a prompt; the prompt or a goodbye follows",
    ),
    "say_it_again": _phrase(
        "SAY_IT_AGAIN_TEXT", "say_it_again", "Said when Lex did not answer in time, but may answer the next time"
    ),
    "not_available": _phrase(
        "NOT_AVAILABLE_TEXT", "not_available", "Said when the bot cannot be reached at all; the call then ends"
    ),
    "one_moment": _phrase("ONE_MOMENT_TEXT", "one_moment", "Said while the bot thinks"),
    "busy": _phrase("BUSY_TEXT", "busy", "Said when the service takes no more calls; the call then ends"),
    "call_limit": _phrase(
        "CALL_LIMIT_TEXT",
        "call_limit",
        "Said when `MAX_CALL_S` or `MAX_TURNS` is reached; a goodbye follows, and the call ends",
    ),
    "done": _phrase("DONE_TEXT", "done", "Said when the bot has done what was asked and says nothing"),
    "transfer_failed": _phrase(
        "TRANSFER_FAILED_TEXT",
        "transfer_failed",
        "Said when a transfer failed and the call is back; then the caller is heard again",
    ),
}
"""The setting that replaces each phrase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """Settings of one call. Units are in the names."""

    reply_mode: Literal["call-update", "stream"] = setting(
        "REPLY_MODE",
        one_of("call-update", "stream"),
        Group.CALL,
        "How replies are spoken. `call-update`: Twilio speaks them, from TwiML sent through its REST API; `stream`: "
        "Lex's own voice, over the call's media stream",
        default="call-update",
    )
    barge_in: bool = setting(
        "BARGE_IN",
        switch,
        Group.CALL,
        "`on`: a caller who speaks during a prompt interrupts it; `off`: the prompt goes on",
        default="on",
    )
    barge_in_ms: int = setting(
        "BARGE_IN_MS",
        whole_number(100, 2000, 20),
        Group.CALL,
        "How long the caller has to speak, in milliseconds, to interrupt a prompt. Raise it if coughs or echo "
        "interrupt",
        default="300",
    )
    onset_ms: int = setting(
        "ONSET_MS",
        whole_number(20, 1000, 20),
        Group.TURNS,
        "Milliseconds of voice that start an utterance. Shorter noises are ignored",
        default="60",
    )
    pre_roll_ms: int = setting(
        "PRE_ROLL_MS",
        whole_number(0, 2000, 20),
        Group.TURNS,
        "Milliseconds of audio before the onset that Lex gets too, but nothing of the utterance before",
        default="500",
    )
    hangover_ms: int = setting(
        "HANGOVER_MS",
        whole_number(*HANGOVER_BOUNDS_MS, 20),
        Group.TURNS,
        "Milliseconds of silence that end an utterance",
        default="700",
    )
    hangover_min_ms: int = setting(
        "HANGOVER_MIN_MS",
        whole_number(*HANGOVER_BOUNDS_MS, 20),
        Group.TURNS,
        "Silence that ends an answer to a yes/no or other one-word question. Unset: `HANGOVER_MS`",
        is_derived=True,
    )
    hangover_max_ms: int = setting(
        "HANGOVER_MAX_MS",
        whole_number(*HANGOVER_BOUNDS_MS, 20),
        Group.TURNS,
        "Silence allowed while a caller reads out a number, has only just begun a sentence, or has already paused "
        "once. Unset: `HANGOVER_MS`",
        is_derived=True,
    )
    slot_kinds: Mapping[str, str] = setting(
        "SLOT_KINDS",
        slot_kinds,
        Group.TURNS,
        "What callers say for each slot, so that lexbridge knows how long a pause to allow: `Slot=kind`, "
        "comma-separated, such as `AccountNumber=digits,Size=closed`. Kinds: `open` (a sentence), `phrase` (a few "
        "words, and the kind of every slot that is not named), `closed` (one word), `digits` (a number in groups)",
        is_derived=True,
    )
    join: bool = setting(
        "JOIN",
        switch,
        Group.TURNS,
        "`on`: if the caller goes on before hearing the bot's answer, that answer is discarded, the Lex session is "
        "restored, and both parts are sent as one utterance. Needs `lex:PutSession`",
        default="off",
    )
    max_utterance_ms: int = setting(
        "MAX_UTTERANCE_MS",
        whole_number(*MAX_UTTERANCE_BOUNDS_MS, 20),
        Group.TURNS,
        "Longest audio sent to Lex in one request, in milliseconds. Lex takes 15 seconds",
        default="14800",
    )
    no_input_s: float = setting(
        "NO_INPUT_S",
        seconds(*NO_INPUT_BOUNDS_S),
        Group.CALL,
        "Seconds of silence after a prompt before the caller is asked again",
        default="10",
    )
    no_input_limit: int = setting(
        "NO_INPUT_LIMIT",
        whole_number(0, 20),
        Group.CALL,
        "How often a silent caller is asked again before the call ends politely",
        default="3",
    )
    hangup_intents: frozenset[str] = setting(
        "HANGUP_INTENTS",
        intent_names,
        Group.CALL,
        "Intents, comma-separated, that end the call: once one of them is fulfilled, the caller hears the bot's "
        "message, and lexbridge hangs up",
        default="GoodbyeIntent",
    )
    welcome: Literal["greeting", "bot"] = setting(
        "WELCOME",
        one_of("greeting", "bot"),
        Group.CALL,
        "Who speaks first. `greeting`: lexbridge says `GREETING`; `bot`: the bot begins, with `WELCOME_INTENT`",
        default="greeting",
    )
    welcome_intent: str | None = setting(
        "WELCOME_INTENT",
        matching(r"[A-Za-z0-9_.-]{1,100}", "must be the name of an intent such as WelcomeIntent"),
        Group.CALL,
        "With `WELCOME=bot`: the intent that a call begins with, such as `WelcomeIntent`",
    )
    protect_first: bool = setting(
        "PROTECT_FIRST",
        switch,
        Group.CALL,
        "`on`: the first prompt of a call, the greeting or the bot's welcome, cannot be interrupted, and what is said "
        "over it does not reach the bot. The greeting of an outbound call never can, unless Twilio has heard the "
        "callee before, to find out who answered",
        default="off",
    )
    machine_intent: str | None = setting(
        "MACHINE_INTENT",
        matching(r"[A-Za-z0-9_.-]{1,100}", "must be the name of an intent such as VoicemailIntent"),
        Group.CALL,
        "Outbound calls: the intent whose words an answering machine hears; then the call ends. Needs "
        "`lex:PutSession`. Unset: the bot talks with a machine as with a person, and has `lexbridge:answered-by`",
    )
    greeting: str = setting(
        "GREETING",
        spoken,
        Group.WORDS,
        "Said when the call is answered. Unset: a greeting in the bot's language; "
        f"in English `{greeting_for('en_US')}`",
        is_derived=True,
    )
    machine_text: str | None = setting(
        "MACHINE_TEXT",
        spoken,
        Group.WORDS,
        "Outbound calls: said to an answering machine, instead of `MACHINE_INTENT`; then the call ends",
    )
    phrases: Phrases = composed_of(*PHRASE_SETTINGS.values())
    transfer_numbers: TransferTargets = setting(
        "TRANSFER_NUMBERS",
        transfer_targets,
        Group.CALL,
        "Targets that a bot may transfer to, comma-separated: numbers in E.164 form, `+12065550100;ext=12` or "
        "`+12065550100;ext=*` (any extension), `sip:user@host` or `sip:*@host`, `client:NAME` or `client:*`, "
        "`queue:NAME`, `workflow:WW...`, `conference:NAME`. A transfer to anything else is refused and logged",
        is_derived=True,
        is_personal=True,
    )
    transfer_caller_id: str | None = setting(
        "TRANSFER_CALLER_ID",
        phone_number,
        Group.CALL,
        "Caller ID of a transfer to a number or a SIP address, in E.164 form: a number of the Twilio account, or one "
        "verified there. Unset: the number that was called",
        is_personal=True,
    )
    transfer_attributes: tuple[str, ...] = setting(
        "TRANSFER_ATTRIBUTES",
        attribute_names,
        Group.CALL,
        "Session attributes that a transfer passes on, comma-separated: as `X-` headers to a SIP address, as "
        "`<Parameter>`s to a client, as attributes of the task to a workflow",
        is_derived=True,
    )
    transfer_failed_intent: str | None = setting(
        "TRANSFER_FAILED_INTENT",
        matching(r"[A-Za-z0-9_.-]{1,100}", "must be the name of an intent such as NobodyThere"),
        Group.CALL,
        "Intent that the dialog goes on with when a transfer failed and the call is back, such as `NobodyThere`. "
        "Needs `lex:PutSession`. Unset: lexbridge says `TRANSFER_FAILED_TEXT`",
    )
    after_url: str | None = setting(
        "AFTER_URL",
        after_url,
        Group.CALL,
        "Address of a TwiML document that the call goes on with when the bot is done, such as Studio's "
        "`https://webhooks.twilio.com/v1/Accounts/AC.../Flows/FW...?FlowEvent=return`. Its query gets what came of "
        "the call. Unset: lexbridge hangs up",
        is_personal=True,
    )
    after_attributes: tuple[str, ...] = setting(
        "AFTER_ATTRIBUTES",
        after_attributes,
        Group.CALL,
        "Session attributes that `AFTER_URL` gets in its query, comma-separated",
        is_derived=True,
    )
    lex_timeout_s: float = setting(
        "LEX_TIMEOUT_S",
        seconds(1, 60),
        Group.CALL,
        "Seconds that Lex may take from the end of an utterance to its whole answer; then the caller hears an "
        "apology. Raise it for a bot whose Lambda functions take longer: meanwhile the caller is asked to wait",
        default="5",
    )
    filler_s: float = setting(
        "FILLER_S",
        seconds(1, 60),
        Group.CALL,
        "Seconds of silence on both sides while Lex thinks, before the caller hears `ONE_MOMENT_TEXT`",
        default="2.5",
    )
    max_call_s: float | None = setting(
        "MAX_CALL_S",
        seconds(10, 14400),
        Group.CALL,
        "Seconds that a call may last. Then lexbridge says goodbye and ends it, once a turn that is under way is "
        "answered. Unset: as long as Twilio allows, four hours",
    )
    max_turns: int | None = setting(
        "MAX_TURNS",
        whole_number(1, 9999),
        Group.CALL,
        "How many turns of a caller are answered. After the last answer lexbridge says goodbye and ends the call. "
        "Unset: any number",
    )
