"""Replies of the bot, failures and silence, and what they call for: speak and listen, hang up, or transfer.

The functions here decide, and change nothing. `Conversation` does what they say.
"""

from dataclasses import dataclass

from lexbridge.call.after import Outcome
from lexbridge.call.dialog import DialogContext
from lexbridge.call.directives import CallAction
from lexbridge.call.turn import Turn
from lexbridge.config.call_rules import CallRules
from lexbridge.config.transfer_targets import TransferTarget
from lexbridge.errors import LexError
from lexbridge.lex.model import Message, Reply

FALLBACK_INTENT = "FallbackIntent"
"""Name that Lex V2 gives the intent of what no other intent understands. Fulfilling it does nothing for the caller."""

MAX_FAILED_TURNS = 3
"""Turns in a row that Lex may fail to answer before the call ends with an apology."""


@dataclass(frozen=True, slots=True)
class Speak:
    """Say `words`, and hear the caller again. There are none if the bot and the caller both said nothing.

    `is_transfer_refused`: the bot asked for a transfer to a target that TRANSFER_NUMBERS does not have.
    """

    words: tuple[Message, ...]
    is_transfer_refused: bool = False


@dataclass(frozen=True, slots=True)
class HangUp:
    """Say `words`, and hang up, or send the call on to AFTER_URL.

    `has_audio`: Lex's audio, if there is any, says them. `outcome`: what AFTER_URL is told. `is_return_refused`: the
    bot asked to go on at AFTER_URL, which is not set.
    """

    words: tuple[Message, ...]
    has_audio: bool = False
    outcome: Outcome = Outcome.DONE
    is_return_refused: bool = False


@dataclass(frozen=True, slots=True)
class Transfer:
    """Say `words`, and transfer the call to `target`."""

    words: tuple[Message, ...]
    target: TransferTarget


@dataclass(frozen=True, slots=True)
class Reprompt:
    """Say that the caller was `not_heard`, and then the bot's `last_prompt`, which Lex may be asked to say."""

    not_heard: Message
    last_prompt: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class FetchPrompt:
    """Fetch the bot's last prompt, which another stream had, and then ask the caller again."""


def decide(reply: Reply, dialog: DialogContext, rules: CallRules, turn: Turn | None) -> Speak | HangUp | Transfer:
    """Return what `reply` calls for. `dialog` is that after the reply.

    `turn`: the turn that it answers, or None if that was spoken over another stream.
    """
    directives = dialog.directives
    if hangs_up(reply, dialog, rules):
        goodbye = Message(rules.phrases.goodbye, is_unvoiced=True)
        # Lex may have spoken words that could not be read.
        has_audio = bool(reply.messages or reply.odd_parts)
        is_return_refused = directives.action is CallAction.RETURN and rules.after_url is None
        return HangUp(reply.messages or (goodbye,), has_audio, is_return_refused=is_return_refused)
    is_transfer = directives.action is CallAction.TRANSFER
    if is_transfer and (target := rules.transfer_numbers.find(directives.transfer_to)):
        return Transfer(reply.messages, target)
    return Speak(reply.messages or _words_instead(reply, turn, rules), is_transfer_refused=is_transfer)


def hangs_up(reply: Reply, dialog: DialogContext, rules: CallRules) -> bool:
    """Return whether the bot is done when the caller has heard `reply`. `dialog` is that after the reply."""
    is_goodbye = reply.is_fulfilled and reply.intent in rules.hangup_intents
    return is_goodbye or dialog.directives.action in (CallAction.HANG_UP, CallAction.RETURN)


def decide_failure(error: LexError, turn: Turn, failed_turns: int, rules: CallRules) -> Speak | HangUp:
    """Return what the caller hears of `turn`, which Lex did not answer.

    `failed_turns`: how many in a row Lex has not answered, this one included.
    """
    phrases = rules.phrases
    if error.ends_call:
        return HangUp((Message(phrases.named(error.apology)),), outcome=Outcome.FAILED)
    if failed_turns >= MAX_FAILED_TURNS:
        return HangUp((Message(phrases.not_available),), outcome=Outcome.FAILED)
    return Speak((Message(phrases.named(error.apology) if turn.intent is None else turn.words_instead),))


def decide_silence(no_inputs: int, dialog: DialogContext, rules: CallRules) -> Reprompt | FetchPrompt | HangUp:
    """Return what a caller calls for who says nothing. `no_inputs`: how often in a row, this time included."""
    if no_inputs > dialog.no_input_limit(rules):
        return HangUp((Message(f"{rules.phrases.not_heard} {rules.phrases.goodbye}"),), outcome=Outcome.SILENT)
    return FetchPrompt() if dialog.last_prompt is None else reprompt(dialog.last_prompt, rules)


def reprompt(last_prompt: tuple[Message, ...], rules: CallRules) -> Reprompt:
    """Return how a caller is asked again whose answer to `last_prompt` was not heard."""
    return Reprompt(Message(rules.phrases.not_heard), last_prompt)


def _words_instead(reply: Reply, turn: Turn | None, rules: CallRules) -> tuple[Message, ...]:
    """Return words for a `reply` in which the bot says nothing.

    There are none if the caller said nothing either: then the bot goes on listening.
    """
    has_spoken = turn is not None and (turn.keys is not None or not reply.heard_nothing)
    if turn is not None and turn.intent is not None:  # the bot begins without a word
        words = turn.words_instead
    elif reply.is_fulfilled and reply.intent != FALLBACK_INTENT:
        words = rules.phrases.done
    elif reply.dialog_state.is_closed or has_spoken:
        words = rules.phrases.say_it_again
    else:
        return ()
    return (Message(words, is_unvoiced=True),)
