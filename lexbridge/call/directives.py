"""Directives: what the bot asks of the call in the session attributes of its reply, parsed and checked."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from lexbridge.audio.hangover import Expected
from lexbridge.audio.pcm import FRAME_MS
from lexbridge.call.attributes import (
    ACTION_ATTRIBUTE,
    ALLOW_INTERRUPT_ATTRIBUTE,
    BOT_ATTRIBUTE,
    DELETION_CHARACTER_ATTRIBUTE,
    END_CHARACTER_ATTRIBUTE,
    END_TIMEOUT_ATTRIBUTE,
    EXPECTS_ATTRIBUTE,
    LOCALE_ATTRIBUTE,
    MAX_LENGTH_ATTRIBUTE,
    MAX_SPEECH_ATTRIBUTE,
    NO_INPUT_LIMIT_ATTRIBUTE,
    NO_INPUT_S_ATTRIBUTE,
    OLDER_NAMES,
    SPEECH_END_TIMEOUT_ATTRIBUTE,
    START_TIMEOUT_ATTRIBUTE,
    TRANSFER_TO_ATTRIBUTE,
    VOICE_ATTRIBUTE,
    WHISPER_ATTRIBUTE,
)
from lexbridge.call.dtmf import MAX_KEYS, KeyRules
from lexbridge.config.call_rules import HANGOVER_BOUNDS_MS, MAX_UTTERANCE_BOUNDS_MS, NO_INPUT_BOUNDS_S
from lexbridge.config.parsers import parse_seconds, parse_whole
from lexbridge.lex.model import DialogState, Reply

MAX_WHISPER_CHARACTERS = 200
"""Longest whisper. It travels in an address, with others in a document of 4,000 characters."""

_Value = TypeVar("_Value")
_Default = TypeVar("_Default")


class CallAction(Enum):
    """Action on a call after a reply that closes the dialog."""

    HANG_UP = "hangup"
    TRANSFER = "transfer"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Directives:
    """Requests of one reply to the call. None means that the reply asks for nothing, so the settings hold.

    `transfer_to` is as the bot wrote it: `TRANSFER_NUMBERS` decides whether it may be dialled. So are `bot` and
    `locale_id`, which the call is to be handed to. `whisper` is for the person who is dialled. `hangover_ms` and
    `max_utterance_ms` are whole frames. `asks_for_keys`: the reply says how keys are to be collected. `ignored` names
    the attributes whose values broke their rule; `limited` names those whose values were moved to the nearest one that
    is allowed. Neither holds a value.
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
    whisper: str = field(default="", repr=False)
    bot: str | None = field(default=None, repr=False)
    locale_id: str | None = field(default=None, repr=False)

    @classmethod
    def from_reply(cls, reply: Reply) -> "Directives":
        """Read the directives in the session attributes of `reply`.

        An attribute whose value breaks its rule counts as absent.
        """
        attributes = _Attributes(reply)
        default = cls()
        action = attributes.value(ACTION_ATTRIBUTE, _action, None) if reply.dialog_state.is_closed else None
        no_input_s = attributes.value(NO_INPUT_S_ATTRIBUTE, lambda text: parse_seconds(text, *NO_INPUT_BOUNDS_S), None)
        least_s, most_s = NO_INPUT_BOUNDS_S
        start_timeout_ms = attributes.frames_ms(START_TIMEOUT_ATTRIBUTE, least_s * 1000, most_s * 1000)
        if no_input_s is None and start_timeout_ms is not None:
            no_input_s = start_timeout_ms / 1000
        keys, asks_for_keys = _key_rules(attributes, default.keys)
        whisper = attributes.text(WHISPER_ATTRIBUTE, MAX_WHISPER_CHARACTERS)
        return cls(
            action=action,
            transfer_to=attributes.value(TRANSFER_TO_ATTRIBUTE, str, None),
            voice=attributes.value(VOICE_ATTRIBUTE, _voice, None),
            no_input_s=no_input_s,
            no_input_limit=attributes.value(NO_INPUT_LIMIT_ATTRIBUTE, lambda text: parse_whole(text, 0, 20), None),
            expects=attributes.value(EXPECTS_ATTRIBUTE, _expected, None),
            allow_interrupt=attributes.value(ALLOW_INTERRUPT_ATTRIBUTE, _boolean, default.allow_interrupt),
            keys=keys,
            hangover_ms=attributes.frames_ms(SPEECH_END_TIMEOUT_ATTRIBUTE, *HANGOVER_BOUNDS_MS),
            max_utterance_ms=attributes.frames_ms(MAX_SPEECH_ATTRIBUTE, *MAX_UTTERANCE_BOUNDS_MS),
            asks_for_keys=asks_for_keys and not reply.dialog_state.is_closed,
            ignored=tuple(attributes.ignored),
            limited=tuple(attributes.limited),
            whisper=whisper,
            bot=attributes.value(BOT_ATTRIBUTE, str, None),
            locale_id=attributes.value(LOCALE_ATTRIBUTE, str, None),
        )

    def expected_after(self, reply: Reply, slot_kinds: Mapping[str, str]) -> Expected:
        """Return what the caller is expected to say after `reply`, the reply that these directives stand in.

        `slot_kinds` is the setting: the name of a slot, and the kind of answer that callers give for it. It is needed
        because Lex, V1 or V2, names the slot that it asks for and never that slot's type.
        """
        if self.expects is not None:
            return self.expects
        if reply.dialog_state is DialogState.CONFIRM_INTENT:
            return Expected.CLOSED
        if reply.dialog_state is DialogState.ELICIT_SLOT:
            return Expected(slot_kinds.get(reply.slot_to_elicit or "", Expected.PHRASE.value))
        return Expected.OPEN


class _Attributes:
    """The session attributes of a reply, read one by one, and a record of those that broke a rule."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.ignored: list[str] = []
        self.limited: list[str] = []

    def value(self, name: str, parse: Callable[[str], _Value | None], default: _Default) -> _Value | _Default:
        """Return the first value of `name` for which `parse` does not return None, or else `default`."""
        found = self._find(name, parse)
        return default if found is None else found[1]

    def text(self, name: str, most: int) -> str:
        """Return the value of `name`, cut to whole words of `most` characters in all, or "" if there is none."""
        found = self._find(name, str)
        if found is None or len(found[1]) <= most:
            return "" if found is None else found[1]
        self.limited.append(found[0])
        return found[1][: most + 1].rpartition(" ")[0] or found[1][:most]

    def frames_ms(self, name: str, least_ms: int, most_ms: int) -> int | None:
        """Return the first value of `name` that is a number of milliseconds, or None if there is none.

        The number is rounded up to whole frames and kept between `least_ms` and `most_ms`.
        """
        found = self._find(name, lambda text: parse_whole(text, 0, 999_999_999))
        if found is None:
            return None
        full_name, asked_ms = found
        if not least_ms <= asked_ms <= most_ms:
            self.limited.append(full_name)
        return min(max(-(-asked_ms // FRAME_MS) * FRAME_MS, least_ms), most_ms)

    def _find(self, name: str, parse: Callable[[str], _Value | None]) -> tuple[str, _Value] | None:
        for full_name in self._full_names(name):
            # Session attributes stay until they are overwritten: a bot takes one back by setting it to "".
            if text := self._reply.session_attributes.get(full_name):
                if (value := parse(text)) is not None:
                    return full_name, value
                self.ignored.append(full_name)
        return None

    def _full_names(self, name: str) -> Iterator[str]:
        """Yield the names that an attribute may have in this reply, the most specific first.

        Lex's own attributes may be for one intent, one slot or both, with `*` for any:
        `x-amz-lex:allow-interrupt:OrderFlowers:PickupDate`. Lex does not say which is more specific, an intent with any
        slot or a slot of any intent; here the intent is.
        """
        older_name = OLDER_NAMES.get(name)
        for known_as in [name, older_name] if older_name else [name]:
            if known_as.startswith("x-amz-lex:"):
                for intent in (self._reply.intent, "*"):
                    for slot in (self._reply.slot_to_elicit, "*"):
                        if intent and slot:
                            yield f"{known_as}:{intent}:{slot}"
            yield known_as


def _key_rules(attributes: _Attributes, default: KeyRules) -> tuple[KeyRules, bool]:
    """Return the rules by which the reply has keys collected, and whether the reply sets any of them."""
    end_character = attributes.value(END_CHARACTER_ATTRIBUTE, _key, None)
    ends = end_character or default.end_character
    others = (
        attributes.value(DELETION_CHARACTER_ATTRIBUTE, _key_other_than(ends), None),
        attributes.value(END_TIMEOUT_ATTRIBUTE, lambda text: parse_whole(text, 1, 60_000), None),
        attributes.value(MAX_LENGTH_ATTRIBUTE, lambda text: parse_whole(text, 1, MAX_KEYS), None),
    )
    deletion_character, end_timeout_ms, longest = others
    rules = KeyRules(
        ends, deletion_character or default.deletion_character, end_timeout_ms or default.end_timeout_ms, longest
    )
    return rules, any((end_character, *others))


def _action(text: str) -> CallAction | None:
    return CallAction(text) if text in [action.value for action in CallAction] else None


def _expected(text: str) -> Expected | None:
    return Expected(text) if text in [expected.value for expected in Expected] else None


def _voice(text: str) -> str | None:
    return text if re.fullmatch(r"[A-Za-z0-9._-]{1,100}", text) else None


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())  # str(True) of a Lambda in Python is "True"


def _key(text: str) -> str | None:
    return text if re.fullmatch("[0-9A-D*#]", text) else None


def _key_other_than(taken: str) -> Callable[[str], str | None]:
    return lambda text: None if text == taken else _key(text)
