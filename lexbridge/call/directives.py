"""What the bot asks of the call: session attributes of its reply, typed. And what the call tells the bot in them.

`ATTRIBUTES` is the table that the README prints. Lex's own names, `x-amz-lex:...`, mean here what they mean to Lex's
streaming API (https://docs.aws.amazon.com/lexv2/latest/dg/session-attribs-speech.html): to the API of single
utterances they mean nothing, so it is the call that does what they say.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from lexbridge.audio.hangover import Expected
from lexbridge.audio.pcm import FRAME_MS
from lexbridge.call.dtmf import MAX_KEYS, KeyRules
from lexbridge.config.call_rules import HANGOVER_BOUNDS_MS, MAX_UTTERANCE_BOUNDS_MS, NO_INPUT_BOUNDS_S
from lexbridge.lex.model import DialogState, Reply

_Value = TypeVar("_Value")
_Default = TypeVar("_Default")

ACTION_ATTRIBUTE = "lexbridge:action"
TRANSFER_TO_ATTRIBUTE = "lexbridge:transfer-to"
VOICE_ATTRIBUTE = "lexbridge:voice"
NO_INPUT_S_ATTRIBUTE = "lexbridge:no-input-s"
NO_INPUT_LIMIT_ATTRIBUTE = "lexbridge:no-input-limit"
EXPECTS_ATTRIBUTE = "lexbridge:expects"
ALLOW_INTERRUPT_ATTRIBUTE = "x-amz-lex:allow-interrupt"
START_TIMEOUT_ATTRIBUTE = "x-amz-lex:audio:start-timeout-ms"
SPEECH_END_TIMEOUT_ATTRIBUTE = "x-amz-lex:audio:end-timeout-ms"
MAX_SPEECH_ATTRIBUTE = "x-amz-lex:audio:max-length-ms"
END_CHARACTER_ATTRIBUTE = "x-amz-lex:dtmf:end-character"
DELETION_CHARACTER_ATTRIBUTE = "x-amz-lex:dtmf:deletion-character"
END_TIMEOUT_ATTRIBUTE = "x-amz-lex:dtmf:end-timeout-ms"
MAX_LENGTH_ATTRIBUTE = "x-amz-lex:dtmf:max-length"
CALL_SID_ATTRIBUTE = "lexbridge:call-sid"
CALLED_NUMBER_ATTRIBUTE = "lexbridge:called-number"
CALLER_NUMBER_ATTRIBUTE = "lexbridge:caller-number"
DIRECTION_ATTRIBUTE = "lexbridge:direction"

OLDER_NAMES: Mapping[str, str] = {
    ALLOW_INTERRUPT_ATTRIBUTE: "x-amz-lex:barge-in-enabled",
    START_TIMEOUT_ATTRIBUTE: "x-amz-lex:start-silence-threshold-ms",
    SPEECH_END_TIMEOUT_ATTRIBUTE: "x-amz-lex:end-silence-threshold-ms",
    MAX_SPEECH_ATTRIBUTE: "x-amz-lex:max-speech-duration-ms",
}
"""What Amazon Connect calls the same for a Lex V1 bot. The newer name wins.
https://docs.aws.amazon.com/connect/latest/adminguide/get-customer-input.html"""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A session attribute that means something to the call. `set_by`: `bot` or `lexbridge`."""

    name: str
    set_by: str
    help: str


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(
        ACTION_ATTRIBUTE,
        "bot",
        "`hangup` or `transfer`: what becomes of the call once the message is heard. Only in an answer that closes "
        "the dialog",
    ),
    Attribute(
        TRANSFER_TO_ATTRIBUTE,
        "bot",
        "number that `transfer` dials, in E.164 form; one of `TRANSFER_NUMBERS`, or refused",
    ),
    Attribute(VOICE_ATTRIBUTE, "bot", "voice of `<Say>`, such as `Polly.Vicki`, instead of `SAY_VOICE`"),
    Attribute(
        NO_INPUT_S_ATTRIBUTE,
        "bot",
        "seconds of silence before the caller is asked again, 1 to 120, instead of `NO_INPUT_S`",
    ),
    Attribute(
        NO_INPUT_LIMIT_ATTRIBUTE, "bot", "how often the caller is asked again, 0 to 20, instead of `NO_INPUT_LIMIT`"
    ),
    Attribute(
        EXPECTS_ATTRIBUTE,
        "bot",
        "`open`, `phrase`, `closed` or `digits`: what the message asks for, instead of what `SLOT_KINDS` has",
    ),
    Attribute(
        ALLOW_INTERRUPT_ATTRIBUTE,
        "bot",
        "`true` or `false`: may the caller interrupt the message. Default: `true`, and `BARGE_IN` must be `on`",
    ),
    Attribute(
        START_TIMEOUT_ATTRIBUTE,
        "bot",
        "milliseconds of silence before the caller is asked again, 1000 to 120000, instead of `NO_INPUT_S`; "
        f"`{NO_INPUT_S_ATTRIBUTE}` wins",
    ),
    Attribute(
        SPEECH_END_TIMEOUT_ATTRIBUTE,
        "bot",
        "milliseconds of silence that end an utterance, 100 to 5000, instead of `HANGOVER_MS`, `HANGOVER_MIN_MS` and "
        "`HANGOVER_MAX_MS`",
    ),
    Attribute(
        MAX_SPEECH_ATTRIBUTE,
        "bot",
        "longest utterance in milliseconds, 4000 to 14800, instead of `MAX_UTTERANCE_MS`",
    ),
    Attribute(END_CHARACTER_ATTRIBUTE, "bot", "key that completes the keys pressed before it. Default: `#`"),
    Attribute(DELETION_CHARACTER_ATTRIBUTE, "bot", "key that forgets the keys pressed before it. Default: `*`"),
    Attribute(
        END_TIMEOUT_ATTRIBUTE, "bot", "milliseconds without a key that complete the keys, 1 to 60000. Default: 2000"
    ),
    Attribute(
        MAX_LENGTH_ATTRIBUTE, "bot", f"number of keys that are complete at once, 1 to {MAX_KEYS}. Default: {MAX_KEYS}"
    ),
    Attribute(CALL_SID_ATTRIBUTE, "lexbridge", "Twilio's CallSid, which is also Lex's user or session id"),
    Attribute(CALLED_NUMBER_ATTRIBUTE, "lexbridge", "the number that was dialled"),
    Attribute(CALLER_NUMBER_ATTRIBUTE, "lexbridge", "the caller's number, only with `SHARE_CALLER_NUMBER=on`"),
    Attribute(DIRECTION_ATTRIBUTE, "lexbridge", "`inbound` or `outbound-api`"),
)


class CallAction(Enum):
    """What becomes of the call."""

    HANG_UP = "hangup"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class Directives:
    """What one reply asks of the call. None: nothing, so the settings hold.

    `transfer_to` is as the bot has it: whether it may be dialled is for `TRANSFER_NUMBERS` to say. `hangover_ms`,
    `max_utterance_ms`: whole frames. `asks_for_keys`: the reply says how keys are to be collected. `ignored` names the
    attributes whose values broke their rule, without the values; `limited` those that count as the nearest value which
    is allowed.
    """

    action: CallAction | None = None
    transfer_to: str | None = field(default=None, repr=False)
    voice: str | None = None
    no_input_s: float | None = None
    no_input_limit: int | None = None
    expects: Expected | None = None
    allow_interrupt: bool = True
    keys: KeyRules = field(default_factory=KeyRules)
    ignored: tuple[str, ...] = ()
    hangover_ms: int | None = None
    max_utterance_ms: int | None = None
    asks_for_keys: bool = False
    limited: tuple[str, ...] = ()


def directives_of(reply: Reply) -> Directives:
    """The directives in the session attributes of `reply`. A value that breaks its rule is as if it were not there."""
    asked = _Asked(reply)
    usual = Directives()
    action = asked.value_of(ACTION_ATTRIBUTE, _action, None) if reply.dialog_state.is_closed else None
    no_input_s = asked.value_of(NO_INPUT_S_ATTRIBUTE, _seconds(*NO_INPUT_BOUNDS_S), None)
    least_s, most_s = NO_INPUT_BOUNDS_S
    start_timeout_ms = asked.limited_of(START_TIMEOUT_ATTRIBUTE, least_s * 1000, most_s * 1000)
    if no_input_s is None and start_timeout_ms is not None:
        no_input_s = start_timeout_ms / 1000
    keys, asks_for_keys = _keys_asked(asked, usual.keys)
    return Directives(
        action=action,
        transfer_to=asked.value_of(TRANSFER_TO_ATTRIBUTE, str, None),
        voice=asked.value_of(VOICE_ATTRIBUTE, _voice, None),
        no_input_s=no_input_s,
        no_input_limit=asked.value_of(NO_INPUT_LIMIT_ATTRIBUTE, _whole(0, 20), None),
        expects=asked.value_of(EXPECTS_ATTRIBUTE, _expected, None),
        allow_interrupt=asked.value_of(ALLOW_INTERRUPT_ATTRIBUTE, _switch, usual.allow_interrupt),
        keys=keys,
        hangover_ms=asked.limited_of(SPEECH_END_TIMEOUT_ATTRIBUTE, *HANGOVER_BOUNDS_MS),
        max_utterance_ms=asked.limited_of(MAX_SPEECH_ATTRIBUTE, *MAX_UTTERANCE_BOUNDS_MS),
        asks_for_keys=asks_for_keys and not reply.dialog_state.is_closed,
        ignored=tuple(asked.ignored),
        limited=tuple(asked.limited),
    )


def _keys_asked(asked: "_Asked", usual: KeyRules) -> tuple[KeyRules, bool]:
    """How the reply has keys collected, and whether it says so at all."""
    end_character = asked.value_of(END_CHARACTER_ATTRIBUTE, _key, None)
    ends = end_character or usual.end_character
    said = (
        asked.value_of(DELETION_CHARACTER_ATTRIBUTE, _key_but(ends), None),
        asked.value_of(END_TIMEOUT_ATTRIBUTE, _whole(1, 60_000), None),
        asked.value_of(MAX_LENGTH_ATTRIBUTE, _whole(1, MAX_KEYS), None),
    )
    deletion_character, end_timeout_ms, longest = said
    rules = KeyRules(
        ends, deletion_character or usual.deletion_character, end_timeout_ms or usual.end_timeout_ms, longest
    )
    return rules, any((end_character, *said))


def expected_of(reply: Reply, slot_kinds: Mapping[str, str]) -> Expected:
    """What the caller is asked for by `reply`. `slot_kinds`: the setting, a slot's name and its kind.

    An answer of Lex's, V1 or V2, names the slot it asks for and never that slot's type: only the bot or the setting can
    tell that a slot is a number.
    """
    expects = directives_of(reply).expects
    if expects is not None:
        return expects
    if reply.dialog_state is DialogState.CONFIRM_INTENT:
        return Expected.CLOSED
    is_slot = reply.dialog_state is DialogState.ELICIT_SLOT
    return Expected(slot_kinds.get(reply.slot_to_elicit or "", Expected.PHRASE.value)) if is_slot else Expected.OPEN


class _Asked:
    """The session attributes of a reply, read one by one."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.ignored: list[str] = []
        self.limited: list[str] = []

    def value_of(self, name: str, parse: Callable[[str], _Value | None], default: _Default) -> _Value | _Default:
        """The first value of `name` that `parse` takes (it gives None for one that breaks its rule)."""
        found = self._found(name, parse)
        return default if found is None else found[1]

    def limited_of(self, name: str, least_ms: int, most_ms: int) -> int | None:
        """The first value of `name` that is a number of milliseconds, in whole frames; at least and at most so much."""
        found = self._found(name, _whole(0, 999_999_999))
        if found is None:
            return None
        full_name, asked_ms = found
        if not least_ms <= asked_ms <= most_ms:
            self.limited.append(full_name)
        return min(max(-(-asked_ms // FRAME_MS) * FRAME_MS, least_ms), most_ms)

    def _found(self, name: str, parse: Callable[[str], _Value | None]) -> tuple[str, _Value] | None:
        for full_name in self._full_names(name):
            # Session attributes stay until they are overwritten: "" is how a bot takes one back.
            if text := self._reply.session_attributes.get(full_name):
                if (value := parse(text)) is not None:
                    return full_name, value
                self.ignored.append(full_name)
        return None

    def _full_names(self, name: str) -> Iterator[str]:
        """What an attribute may be called in this reply, the most specific first.

        Lex's own may be for one intent, one slot or both: `x-amz-lex:allow-interrupt:OrderFlowers:PickupDate`, either
        of them `*` for any. Which is more specific, an intent with any slot or a slot of any intent, Lex does not say;
        we take the intent.
        """
        older_name = OLDER_NAMES.get(name)
        for known_as in [name, older_name] if older_name else [name]:
            if known_as.startswith("x-amz-lex:"):
                for intent in (self._reply.intent, "*"):
                    for slot in (self._reply.slot_to_elicit, "*"):
                        if intent and slot:
                            yield f"{known_as}:{intent}:{slot}"
            yield known_as


def _action(text: str) -> CallAction | None:
    return CallAction(text) if text in [action.value for action in CallAction] else None


def _expected(text: str) -> Expected | None:
    return Expected(text) if text in [expected.value for expected in Expected] else None


def _voice(text: str) -> str | None:
    return text if re.fullmatch(r"[A-Za-z0-9._-]{1,100}", text) else None


def _switch(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())  # str(True) of a Lambda in Python is "True"


def _key(text: str) -> str | None:
    return text if re.fullmatch("[0-9A-D*#]", text) else None


def _key_but(taken: str) -> Callable[[str], str | None]:
    return lambda text: None if text == taken else _key(text)


def _whole(least: int, most: int) -> Callable[[str], int | None]:
    """An integer."""

    def parse(text: str) -> int | None:
        # ASCII digits only and no more than the range can need: int() would take "1_0", "٣" and a megabyte of nines.
        return int(text) if re.fullmatch("[0-9]{1,9}", text) and least <= int(text) <= most else None

    return parse


def _seconds(least: float, most: float) -> Callable[[str], float | None]:
    """A number of seconds, to the millisecond."""

    def parse(text: str) -> float | None:
        is_number = re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text)
        return float(text) if is_number and least <= float(text) <= most else None

    return parse
