"""Parameters of a media stream: what the stream before, or the webhook that opened it, tells a stream of a call.

The parameters that are lexbridge's own never reach the bot. The others are facts of the call, which do.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from lexbridge.call.attributes import CALLED_NUMBER_ATTRIBUTE
from lexbridge.call.switching import NO_SWITCHES, Switches
from lexbridge.call.transfers import returned_status
from lexbridge.config.call_rules import CallRules
from lexbridge.config.parsers import parse_whole
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
LINE_PARAMETER = "lexbridge:line"
RETURNED_PARAMETER = "lexbridge:returned"
CALLEE_FIRST_PARAMETER = "lexbridge:callee-first"
MACHINE_PARAMETER = "lexbridge:machine"
HOOK_PARAMETER = "lexbridge:hook"
GREETING_PARAMETER = "lexbridge:greeting"
SWITCHED_PARAMETER = "lexbridge:switched"
TOKEN_PARAMETER = "lexbridge:token"  # noqa: S105 - its name, not its value

CALLEE_IS_AWAITED, CALLEE_HAS_SPOKEN = "1", "0"
"""Values of CALLEE_FIRST_PARAMETER."""

SPOKEN_PARAMETER = "lexbridge:spoken-ms"
"""Parameter of a stream that takes a call over: how long the prompt of the same document takes, an estimate."""

HOOK_QUERY: Mapping[str, int | str] = MappingProxyType({"hook": 1})
"""Query of the addresses in a document as long as the bot does not have the attributes that the routing hook gave."""

REPROMPTS_PARAMETER = "lexbridge:reprompts-ms"
"""Parameter of such a stream: how long each reprompt takes that its document has for a silent caller, estimates."""

OWN_PARAMETERS = (
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
    LINE_PARAMETER,
    RETURNED_PARAMETER,
    CALLEE_FIRST_PARAMETER,
    MACHINE_PARAMETER,
    HOOK_PARAMETER,
    GREETING_PARAMETER,
    SWITCHED_PARAMETER,
    TOKEN_PARAMETER,
)
"""Parameters that are lexbridge's own."""

MAX_REPROMPTS = 21
"""Most reprompts read of one document: a bot may have the caller asked again 20 times, and one is the goodbye."""

LOST = "lost"
HANDED_OVER = "handed-over"
KEYED = "keyed"
RETURNED = "returned"
SWITCHED = "switched"
"""Reasons why a stream goes on with a call that another stream began.

That one was lost, handed over, stopped because the caller pressed keys, ended by a transfer that came back, or stopped
because its bot handed the call to another bot."""


@dataclass(frozen=True, slots=True)
class CallProgress:
    """Progress of a call: what `MAX_CALL_S` and `MAX_TURNS` count, and how it came to the bot that it has.


    `began_s`: Unix time of the call's first webhook, or None if neither setting needs it. `turns`: how many turns of
    the caller were answered. `returned`: status of the transfer that came back, as long as Lex does not know of it.
    """

    began_s: int | None = None
    turns: int = 0
    returned: str | None = None
    switches: Switches = NO_SWITCHES

    @classmethod
    def parse(
        cls, began: str | None, turns: str | None, returned: str | None = None, switched: str | None = None
    ) -> "CallProgress":
        """Read what lexbridge itself wrote. A text that it cannot have written counts as absent."""
        began_s = int(began) if began and re.fullmatch("[0-9]{10}", began) else None
        return cls(began_s, parse_count(turns), returned_status(returned), Switches.parse(switched))

    @property
    def query(self) -> Mapping[str, int | str]:
        """Query of the addresses in a document, by which the next webhook learns of the progress."""
        counts: dict[str, int | str] = {} if self.began_s is None else {"began": self.began_s, "turns": self.turns}
        if self.returned is not None:
            counts["returned"] = self.returned
        return {**counts, "switched": self.switches.text} if self.switches.count else counts

    def parameters(self, age_s: float) -> list[tuple[str, str]]:
        """Return the parameters of a stream that begins when the call is `age_s` old."""
        known = [] if self.returned is None else [(RETURNED_PARAMETER, self.returned)]
        known += [(SWITCHED_PARAMETER, self.switches.text)] if self.switches.count else []
        if self.began_s is None:
            return known
        counts = ((BEGAN_PARAMETER, self.began_s), (AGE_PARAMETER, round(age_s)), (TURNS_PARAMETER, self.turns))
        return [*known, *((name, str(count)) for name, count in counts)]


@dataclass(frozen=True, slots=True)
class StreamParameters:
    """Parameters of one stream, as it is told when it opens.

    `resumed`: LOST, HANDED_OVER, KEYED, RETURNED or SWITCHED, or None for the first stream of a call. `call_facts`:
    the bot.
    `prompt_fingerprint`: the fingerprint of what the bot asked last. `keys`: the keys for which the stream was opened.
    `spoken_ms`: estimate of how long its document speaks. `reprompts_ms`: estimate of how long each reprompt of the
    document takes, and a 0. `no_input_ms`: how long the bot wants the caller waited for; 0: as the settings say.
    `is_callee_first`: the callee is to speak before the first prompt, which was not said yet when the stream opened.
    `has_callee_spoken`: they have, or were spoken to, before that.
    `machine`: Twilio's word for the machine that has answered, or None.
    `progress`, `age_s`: how far the call has come, and how old it was when the stream began. `called_number`: the
    address that was dialled, which need not be a phone number. `has_hook`: whether the routing hook gave facts.
    `greeting`: what it had said in the place of the line's own greeting.
    """

    resumed: str | None = None
    call_facts: Mapping[str, str] = field(default_factory=dict, repr=False)
    no_inputs: int = 0
    failed_turns: int = 0
    prompt_fingerprint: str | None = None
    keys: str | None = field(default=None, repr=False)
    spoken_ms: int = 0
    reprompts_ms: tuple[int, ...] = ()
    no_input_ms: int = 0
    progress: CallProgress = CallProgress()
    age_s: int = 0
    called_number: str | None = field(default=None, repr=False)
    is_callee_first: bool = False
    has_callee_spoken: bool = False
    machine: str | None = None
    has_hook: bool = False
    greeting: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> "StreamParameters":
        """Read `parameters`. A text in the place of a number counts as 0."""
        resumed = parameters.get(RESUMED_PARAMETER)
        return cls(
            resumed=resumed,
            call_facts={name: value for name, value in parameters.items() if name not in OWN_PARAMETERS},
            no_inputs=parse_count(parameters.get(NO_INPUTS_PARAMETER)),
            failed_turns=parse_count(parameters.get(FAILED_TURNS_PARAMETER)),
            prompt_fingerprint=parameters.get(PROMPT_PARAMETER),
            keys=parameters.get(KEYS_PARAMETER) if resumed == KEYED else None,
            spoken_ms=parse_count(parameters.get(SPOKEN_PARAMETER)),
            reprompts_ms=tuple(map(parse_count, parameters.get(REPROMPTS_PARAMETER, "").split()[:MAX_REPROMPTS])),
            no_input_ms=parse_count(parameters.get(NO_INPUT_MS_PARAMETER)),
            progress=CallProgress.parse(
                parameters.get(BEGAN_PARAMETER),
                parameters.get(TURNS_PARAMETER),
                parameters.get(RETURNED_PARAMETER),
                parameters.get(SWITCHED_PARAMETER),
            ),
            age_s=parse_count(parameters.get(AGE_PARAMETER)),
            # A stream that is handed over has the attribute only if Lex does not have it yet.
            called_number=parameters.get(CALLED_NUMBER_ATTRIBUTE) or parameters.get(CALLED_PARAMETER),
            is_callee_first=CALLEE_FIRST_PARAMETER in parameters,
            has_callee_spoken=parameters.get(CALLEE_FIRST_PARAMETER) == CALLEE_HAS_SPOKEN,
            machine=parameters.get(MACHINE_PARAMETER),
            has_hook=HOOK_PARAMETER in parameters,
            greeting=parameters.get(GREETING_PARAMETER) or None,
        )


def proof_parameters(token: str, route: str) -> list[tuple[str, str]]:
    """Return the parameters that prove which call a stream is for, and which route serves it; "" is the default."""
    return [(TOKEN_PARAMETER, token), *([(LINE_PARAMETER, route)] if route else [])]


def rules_of_call(rules: CallRules, parameters: Mapping[str, str]) -> CallRules:
    """Return the rules of a call whose stream has `parameters`: its line's, with the greeting that the call was given.

    Such a greeting was said, so the bot does not begin.
    """
    greeting = parameters.get(GREETING_PARAMETER)
    return replace(rules, greeting=greeting, welcome="greeting") if greeting else rules


def hand_over_parameters(
    call_facts: Mapping[str, str],
    no_inputs: int,
    failed_turns: int,
    last_prompt: Sequence[Message] | None,
    called_number: str | None = None,
) -> list[tuple[str, str]]:
    """Return the parameters of the stream to which a call is handed over.

    `last_prompt`, `called_number`: None if not known.
    """
    counts = [(NO_INPUTS_PARAMETER, no_inputs), (FAILED_TURNS_PARAMETER, failed_turns)]
    known = [(RESUMED_PARAMETER, HANDED_OVER), *((name, str(count)) for name, count in counts if count)]
    if last_prompt is not None:
        known.append((PROMPT_PARAMETER, fingerprint(last_prompt)))
    if called_number and CALLED_NUMBER_ATTRIBUTE not in call_facts:
        known.append((CALLED_PARAMETER, called_number))
    return [*known, *call_facts.items()]


def fingerprint(messages: Sequence[Message]) -> str:
    """Return a checksum that tells one prompt from another without revealing the words."""
    return f"{zlib.crc32(repr([message.text for message in messages]).encode('utf-8', 'surrogatepass')):08x}"


def parse_count(text: str | None) -> int:
    """Return a count that lexbridge itself wrote, or 0 for a text that it cannot have written."""
    return parse_whole(text, 0, 999_999) or 0
