"""Position of the dialog with the bot. It does not change in part: each answer of the bot makes a new one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lexbridge.audio.hangover import Expected
from lexbridge.call.after import NO_RESULT, Result
from lexbridge.call.directives import Directives
from lexbridge.config.call_rules import CallRules
from lexbridge.lex.model import Checkpoint, Message, Reply


@dataclass(frozen=True, slots=True)
class DialogContext:
    """Position of the dialog, as the bot's last answer left it.

    To take an answer back, use the DialogContext before it again. `CallContext.go_to` sets the present one.
    """

    directives: Directives = field(default_factory=Directives)
    """Directives of the bot's last answer."""
    expected: Expected = Expected.OPEN
    """Kind of answer that the caller was asked for, which tells how they pause."""
    last_prompt: tuple[Message, ...] | None = ()
    """Last words of the bot, or None if it said them over a stream before this one."""
    checkpoint: Checkpoint | None = None
    """Position of Lex's session without the turn that Lex is busy with, or None if it is not known."""
    first_attributes: Mapping[str, str] | None = None
    """Session attributes that go with each turn until Lex has replied for the first time."""
    turns_answered: int = 0
    """Turns of the caller that Lex has answered, over all streams of the call."""
    result: Result = field(default=NO_RESULT, compare=False)
    """Result of the dialog so far, for whoever has the call after the bot."""

    def no_input_limit(self, rules: CallRules) -> int:
        """Return how often in a row a silent caller is asked again."""
        asked = self.directives.no_input_limit
        return rules.no_input_limit if asked is None else asked

    def after(self, reply: Reply, slot_kinds: Mapping[str, str], *, counts_turn: bool = False) -> "DialogContext":
        """Return the position after `reply`, whose words the caller has not heard yet.

        `slot_kinds`: the setting. `counts_turn`: `reply` answers a turn of the caller.
        """
        directives = Directives.from_reply(reply)
        return replace(
            self,
            directives=directives,
            expected=directives.expected_after(reply, slot_kinds),
            checkpoint=reply.checkpoint,
            turns_answered=self.turns_answered + counts_turn,
            result=Result(reply.intent, reply.slots, reply.session_attributes),
        )
