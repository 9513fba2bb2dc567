"""What a stream of a call is told by the one before it, or by the webhook that opened it: `<Parameter>`s.

All of them but Twilio's own facts of the call have names of ours, and never reach the bot.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lexbridge.dialog import Message
from lexbridge.twiml import REPROMPTS_PARAMETER, SPOKEN_PARAMETER

RESUMED_PARAMETER = "lexbridge:resumed"
STREAMS_LOST_PARAMETER = "lexbridge:streams-lost"
NO_INPUTS_PARAMETER = "lexbridge:no-inputs"
FAILED_TURNS_PARAMETER = "lexbridge:failed-turns"
PROMPT_PARAMETER = "lexbridge:prompt"
KEYS_PARAMETER = "lexbridge:keys"
TOKEN_PARAMETER = "lexbridge:token"  # noqa: S105 - its name, not its value
_OURS = (
    RESUMED_PARAMETER,
    STREAMS_LOST_PARAMETER,
    NO_INPUTS_PARAMETER,
    FAILED_TURNS_PARAMETER,
    PROMPT_PARAMETER,
    KEYS_PARAMETER,
    SPOKEN_PARAMETER,
    REPROMPTS_PARAMETER,
    TOKEN_PARAMETER,
)

MAX_REPROMPTS = 21
"""In one document: as often as a bot may have the caller asked again, and the goodbye."""

LOST = "lost"
HANDED_OVER = "handed-over"
KEYED = "keyed"
"""Why a stream goes on with a call that was greeted before: its last one was lost, or handed over, or made way for
keys."""


@dataclass(frozen=True, slots=True)
class Takeover:
    """What a stream takes over. `how`: LOST, HANDED_OVER or KEYED; None: it is the call's first. `facts`: what is for
    the bot. `prompt`: the fingerprint of what was asked last. `keys`: those it was opened for. `spoken_ms`: how long
    its document speaks, an estimate; `reprompts_ms`: how long each of its reprompts takes, and a 0."""

    how: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict, repr=False)
    no_inputs: int = 0
    failed_turns: int = 0
    prompt: str | None = None
    keys: str | None = field(default=None, repr=False)
    spoken_ms: int = 0
    reprompts_ms: tuple[int, ...] = ()


def takeover_of(parameters: Mapping[str, str]) -> Takeover:
    """What `parameters` say; what somebody else wrote in the place of a number counts as 0."""
    how = parameters.get(RESUMED_PARAMETER)
    return Takeover(
        how=how,
        facts={name: value for name, value in parameters.items() if name not in _OURS},
        no_inputs=whole(parameters.get(NO_INPUTS_PARAMETER)),
        failed_turns=whole(parameters.get(FAILED_TURNS_PARAMETER)),
        prompt=parameters.get(PROMPT_PARAMETER),
        keys=parameters.get(KEYS_PARAMETER) if how == KEYED else None,
        spoken_ms=whole(parameters.get(SPOKEN_PARAMETER)),
        reprompts_ms=tuple(map(whole, parameters.get(REPROMPTS_PARAMETER, "").split()[:MAX_REPROMPTS])),
    )


def handed_over(
    facts: Mapping[str, str], no_inputs: int, failed_turns: int, last_prompt: Sequence[Message] | None
) -> list[tuple[str, str]]:
    """The parameters of the stream that a call is handed over to. `last_prompt` None: it is not known."""
    counts = [(NO_INPUTS_PARAMETER, no_inputs), (FAILED_TURNS_PARAMETER, failed_turns)]
    known = [(RESUMED_PARAMETER, HANDED_OVER), *((name, str(count)) for name, count in counts if count)]
    if last_prompt is not None:
        known.append((PROMPT_PARAMETER, fingerprint(last_prompt)))
    return [*known, *facts.items()]


def fingerprint(messages: Sequence[Message]) -> str:
    """Tells one prompt from another, and nobody what it says."""
    return f"{zlib.crc32(repr([message.text for message in messages]).encode('utf-8', 'surrogatepass')):08x}"


def whole(text: str | None) -> int:
    """A number that we wrote ourselves; 0 if somebody else did."""
    return int(text) if text and re.fullmatch("[0-9]{1,6}", text) else 0
