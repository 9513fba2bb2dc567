"""The entry of a setting, which is written down once, as a field of a dataclass.

    filler_s: float = setting("FILLER_S", seconds(1, 60), Group.CALL, "Silence before ...", default="2.5")

The field has the value. Its entry has the variable, the parser with the rule, and the help. mypy compares the parser's
type with the field's. `--help`, the README's table and `.env.example` are made from the entries (`config.describe`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

_Value = TypeVar("_Value")
_Parser = Callable[[str], _Value]


class Group(Enum):
    """Heading under which people find a setting. The members are in the order of the tables."""

    BOT = "The bot and AWS"
    LINES = "Many numbers and bots"
    TWILIO = "Twilio and the addresses"
    CALL = "The conversation"
    DETECTOR = "What counts as voice"
    TURNS = "Where an utterance starts and ends"
    WORDS = "What lexbridge itself says"
    CAPACITY = "Processes and capacity"
    LOG = "Log and metrics"
    WATCHING = "Console, events and recordings"


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable."""

    name: str
    parse: Callable[[str], Any]
    """Turn the text into the value. Raises ValueError with the rule."""
    group: Group
    help: str
    default: str | None = None
    """Text that counts if the variable is unset, or None if the setting has no default."""
    required: bool = False
    secret: bool = False
    """Whether messages hide the value."""

    @property
    def rule(self) -> str:
        """Rule that the value has to follow, such as "must be a whole number from 1 to 64"."""
        try:
            self.parse("\n")  # a required setting takes no line feed, and the error says what it takes
        except ValueError as error:
            return str(error)
        raise AssertionError(f"{self.name} would take a line feed")


class _Privacy(TypedDict, total=False):
    secret: bool
    is_personal: bool


@overload
def setting(
    name: str, parse: _Parser[_Value], group: Group, help: str, *, default: str, **privacy: Unpack[_Privacy]
) -> _Value: ...
@overload
def setting(
    name: str, parse: _Parser[_Value], group: Group, help: str, *, required: Literal[True], **privacy: Unpack[_Privacy]
) -> _Value: ...
@overload
def setting(
    name: str,
    parse: _Parser[_Value],
    group: Group,
    help: str,
    *,
    is_derived: Literal[True],
    **privacy: Unpack[_Privacy],
) -> _Value: ...
@overload
def setting(
    name: str, parse: _Parser[_Value], group: Group, help: str, **privacy: Unpack[_Privacy]
) -> _Value | None: ...
def setting(
    name: str,
    parse: _Parser[Any],
    group: Group,
    help: str,
    *,
    default: str | None = None,
    required: bool = False,
    is_derived: bool = False,  # noqa: ARG001 - only the type of the value depends on it
    secret: bool = False,
    is_personal: bool = False,
) -> Any:
    """Return the dataclass field of a setting.

    An unset setting has its `default`. Without one it is None; unless it is `required`, or `is_derived`: then
    `config.reading` derives the value from other settings. Messages and `repr` hide a `secret`; `repr` alone hides what
    `is_personal`.
    """
    entry = Setting(name, parse, group, help, default, required, secret)
    return field(metadata={_ENTRIES: (entry,), _IS_SIMPLE: True}, repr=not (secret or is_personal))


def composed_of(*entries: Setting, is_shown: bool = True) -> Any:
    """Return the dataclass field of a value that `config.reading` makes from several settings.

    `is_shown`: whether `repr` shows the value.
    """
    return field(metadata={_ENTRIES: entries}, repr=is_shown)


def entries_of(owner: type) -> Iterator[Setting]:
    """Yield the settings of a dataclass, in the order of its fields."""
    for one in fields(owner):
        yield from one.metadata.get(_ENTRIES, ())


def simple_fields_of(owner: type) -> Iterator[tuple[str, Setting]]:
    """Yield the name of each field that holds the value of one setting, and that setting."""
    for one in fields(owner):
        if one.metadata.get(_IS_SIMPLE):
            yield one.name, one.metadata[_ENTRIES][0]


_ENTRIES = "settings"
_IS_SIMPLE = "is simple"
