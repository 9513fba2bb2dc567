"""What a stream of a call is told by the one before it, or by the webhook that opened it: `<Parameter>`s.

All of them but Twilio's own facts of the call have names of ours, and never reach the bot.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lexbridge.call.attributes import CALLED_NUMBER_ATTRIBUTE
from lexbridge.lex.model import Message

RESUMED_PARAMETER = "lexbridge:resumed"
STREAMS_LOST_PARAMETER = "lexbridge:streams-lost"
NO_INPUTS_PARAMETER = "lexbridge:no-inputs"
FAILED_TURNS_PARAMETER = "lexbridge:failed-turns"
PROMPT_PARAMETER = "lexbridge:prompt"
KEYS_PARAMETER = "lexbridge:keys"
BEGAN_PARAMETER = "lexbridge:began"
NO_INPUT_MS_PARAMETER = "lexbridge:no-input-ms"
AGE_PARAMETER = "lexbridge:age-s"
TURNS_PARAMETER = "lexbridge:turns"
CALLED_PARAMETER = "lexbridge:called"
TOKEN_PARAMETER = "lexbridge:token"  # noqa: S105 - its name, not its value
SPOKEN_PARAMETER = "lexbridge:spoken-ms"
"""Parameter of a stream that takes a call over: how long the prompt of the same document takes, an estimate."""

REPROMPTS_PARAMETER = "lexbridge:reprompts-ms"
"""Parameter of such a stream: how long each reprompt takes that its document has for a silent caller, estimates."""

_OURS = (
    RESUMED_PARAMETER,
    STREAMS_LOST_PARAMETER,
    NO_INPUTS_PARAMETER,
    FAILED_TURNS_PARAMETER,
    PROMPT_PARAMETER,
    KEYS_PARAMETER,
    BEGAN_PARAMETER,
    NO_INPUT_MS_PARAMETER,
    AGE_PARAMETER,
    TURNS_PARAMETER,
    SPOKEN_PARAMETER,
    REPROMPTS_PARAMETER,
    CALLED_PARAMETER,
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
class SoFar:
    """How far a call has come, for `MAX_CALL_S` and `MAX_TURNS`. `began_s`: its first webhook, Unix time; None: nobody
    asked for it. `turns`: of the caller's that were answered."""

    began_s: int | None = None
    turns: int = 0

    @property
    def query(self) -> Mapping[str, int]:
        """For the addresses in a document: whoever Twilio asks next is told."""
        return {} if self.began_s is None else {"began": self.began_s, "turns": self.turns}

    def parameters(self, age_s: float) -> list[tuple[str, str]]:
        """For a stream that begins when the call is `age_s` old."""
        if self.began_s is None:
            return []
        counts = ((BEGAN_PARAMETER, self.began_s), (AGE_PARAMETER, round(age_s)), (TURNS_PARAMETER, self.turns))
        return [(name, str(count)) for name, count in counts]


def so_far_of(began: str | None, turns: str | None) -> SoFar:
    """What we wrote ourselves; if somebody else did, nothing."""
    return SoFar(int(began) if began and re.fullmatch("[0-9]{10}", began) else None, whole(turns))


@dataclass(frozen=True, slots=True)
class Takeover:
    """What a stream takes over. `how`: LOST, HANDED_OVER or KEYED; None: it is the call's first. `facts`: what is for
    the bot. `prompt`: the fingerprint of what was asked last. `keys`: those it was opened for. `spoken_ms`: how long
    its document speaks, an estimate; `reprompts_ms`: how long each of its reprompts takes, and a 0.
    `no_input_ms`: how long the bot has the caller waited for, if not as the settings say; 0: as they say.
    `so_far`, `age_s`: how far the call has come, and how old it was when the stream began.
    `called_number`: what was dialled, which may be no phone number."""

    how: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict, repr=False)
    no_inputs: int = 0
    failed_turns: int = 0
    prompt: str | None = None
    keys: str | None = field(default=None, repr=False)
    spoken_ms: int = 0
    reprompts_ms: tuple[int, ...] = ()
    no_input_ms: int = 0
    so_far: SoFar = SoFar()
    age_s: int = 0
    called_number: str | None = field(default=None, repr=False)


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
        no_input_ms=whole(parameters.get(NO_INPUT_MS_PARAMETER)),
        so_far=so_far_of(parameters.get(BEGAN_PARAMETER), parameters.get(TURNS_PARAMETER)),
        age_s=whole(parameters.get(AGE_PARAMETER)),
        # A stream that is handed over has the fact only if Lex does not know it yet.
        called_number=parameters.get(CALLED_NUMBER_ATTRIBUTE) or parameters.get(CALLED_PARAMETER),
    )


def handed_over(
    facts: Mapping[str, str],
    no_inputs: int,
    failed_turns: int,
    last_prompt: Sequence[Message] | None,
    called_number: str | None = None,
) -> list[tuple[str, str]]:
    """The parameters of the stream that a call is handed over to. `last_prompt`, `called_number` None: not known."""
    counts = [(NO_INPUTS_PARAMETER, no_inputs), (FAILED_TURNS_PARAMETER, failed_turns)]
    known = [(RESUMED_PARAMETER, HANDED_OVER), *((name, str(count)) for name, count in counts if count)]
    if last_prompt is not None:
        known.append((PROMPT_PARAMETER, fingerprint(last_prompt)))
    if called_number and CALLED_NUMBER_ATTRIBUTE not in facts:
        known.append((CALLED_PARAMETER, called_number))
    return [*known, *facts.items()]


def fingerprint(messages: Sequence[Message]) -> str:
    """Tells one prompt from another, and nobody what it says."""
    return f"{zlib.crc32(repr([message.text for message in messages]).encode('utf-8', 'surrogatepass')):08x}"


def whole(text: str | None) -> int:
    """A number that we wrote ourselves; 0 if somebody else did."""
    return int(text) if text and re.fullmatch("[0-9]{1,6}", text) else 0
