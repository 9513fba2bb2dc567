"""Resumption: how a stream begins, and how it goes on with a call that another stream began.

The functions here decide, and change nothing. `StreamStart` does what they say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from lexbridge.audio.hangover import Expected
from lexbridge.call import switching
from lexbridge.call.attributes import (
    ACTION_ATTRIBUTE,
    CALL_SID_ATTRIBUTE,
    SWITCHES_ATTRIBUTE,
    TRANSFER_STATUS_ATTRIBUTE,
    TRANSFER_TO_ATTRIBUTE,
    WHISPER_ATTRIBUTE,
)
from lexbridge.call.dialog import DialogContext
from lexbridge.call.directives import CallAction, Directives
from lexbridge.call.dtmf import first_input
from lexbridge.call.replies import Reprompt, hangs_up, reprompt
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import HANDED_OVER, SWITCHED, StreamParameters, fingerprint
from lexbridge.call.switching import Switchboard
from lexbridge.config.call_rules import CallRules
from lexbridge.config.route import CallRoute
from lexbridge.lex.model import NO_DIALOG, Message, Reply

_OF_A_TRANSFER = (ACTION_ATTRIBUTE, TRANSFER_TO_ATTRIBUTE, WHISPER_ATTRIBUTE)
"""Session attributes by which a bot asks for a transfer. If they stayed, its next answer might ask for it again."""


class Beginning(Enum):
    """Ways in which a stream begins."""

    GREETED = auto()  # the document that opened it has greeted the caller
    WELCOME = auto()  # the bot welcomes the caller
    CALLEE_FIRST = auto()  # the callee speaks first, and is greeted or welcomed then
    MACHINE = auto()  # a machine has answered
    FETCH_FIRST = auto()  # another stream was lost, or a transfer came back: the session is fetched before all else
    TAKE_OVER = auto()  # another stream handed the call over, and its document is speaking
    SWITCHED = auto()  # another bot handed the call over: its session attributes are fetched before anything else


def begin(parameters: StreamParameters, rules: CallRules) -> Beginning:
    """Return how a stream with `parameters` begins."""
    if parameters.machine is not None:
        return Beginning.MACHINE
    # Where a stream was lost, or stopped for keys, its address may be older than the bot's first answer.
    if parameters.resumed in (SWITCHED, HANDED_OVER) and parameters.progress.switches.origin is not None:
        return Beginning.SWITCHED
    if parameters.resumed is not None:
        return Beginning.TAKE_OVER if parameters.resumed == HANDED_OVER else Beginning.FETCH_FIRST
    if parameters.is_callee_first:
        return Beginning.CALLEE_FIRST
    return Beginning.WELCOME if rules.welcome == "bot" else Beginning.GREETED


def first_dialog(parameters: StreamParameters, call_sid: str) -> DialogContext:
    """Return the position of the dialog with which a stream with `parameters` begins."""
    # A stream that is handed over has the facts of the call only if Lex does not have them yet.
    # They go with the first turn only: attributes that are sent replace those of the session.
    has_facts = parameters.call_facts or parameters.resumed is None
    # The document that handed the call over counts on this silence.
    no_input_s = parameters.no_input_ms / 1000 if parameters.no_input_ms else None
    is_handed_over = parameters.resumed == HANDED_OVER
    return DialogContext(
        directives=Directives(no_input_s=no_input_s if is_handed_over else None),
        last_prompt=None if is_handed_over else (),
        first_attributes={**parameters.call_facts, CALL_SID_ATTRIBUTE: call_sid} if has_facts else None,
        checkpoint=NO_DIALOG if parameters.resumed is None else None,
        turns_answered=parameters.progress.turns,
    )


@dataclass(frozen=True, slots=True)
class Session:
    """Answer of Lex about its session.

    `reply`: the last answer in it, or None if nothing was said yet. `is_told`: whether Lex told anything.
    """

    reply: Reply | None
    is_told: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """Position of a call when Lex's session is told.

    `fetched`: the last answer in the session when it was told before. `asks_again`: the caller was silent, and is to be
    asked again as soon as the prompt is known. `has_turn`: the caller speaks, or Lex is busy with a turn.
    `has_had_turns`: the caller has made a turn on this stream.
    """

    state: CallState
    dialog: DialogContext
    parameters: StreamParameters
    fetched: Reply | None = None
    asks_again: bool = False
    has_turn: bool = False
    has_had_turns: bool = False
    is_idle: bool = True
    call_sid: str = ""
    switchboard: Switchboard = field(default_factory=Switchboard)


class Step(Enum):
    """Steps that need nothing more to be known."""

    NOTHING = auto()
    WELCOME = auto()  # have the bot welcome the caller
    GREET = auto()  # say the greeting
    REPEAT_PROMPT = auto()  # repeat the bot's last prompt, because the keys pressed were no input
    AWAIT_INPUT = auto()  # the caller is to speak, for as long as the bot has asked for
    LISTEN = auto()  # the caller is to speak when the document has greeted them
    FETCH_ATTRIBUTES = auto()  # fetch the attributes of the bot that handed the call over, of which this one knows not


@dataclass(frozen=True, slots=True)
class SendGathered:
    """Send Lex `keys`, which Twilio collected and for which the stream was opened."""

    keys: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BeginAgain:
    """Have the bot go on with `intent`, because a transfer came back. `words_instead`: for a bot that says nothing."""

    intent: str
    words_instead: str


@dataclass(frozen=True, slots=True)
class TellOfReturn:
    """Tell the caller that the transfer came back, by `words`, and listen.

    `asks_lex`: Lex may be asked for its voice.
    """

    words: tuple[Message, ...]
    asks_lex: bool


@dataclass(frozen=True, slots=True)
class AskToRepeat:
    """Ask the caller to say it again, because the bot has no last words. `asks_lex`: Lex may be asked for its voice."""

    asks_lex: bool


@dataclass(frozen=True, slots=True)
class CarryOut:
    """Repeat `reply`, which the caller may not have heard, and do what it asks."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class AnswerLate:
    """Speak `reply`, which came after the stream before had handed the call over, or was lost."""

    reply: Reply


Resumed = Step | SendGathered | BeginAgain | TellOfReturn | AskToRepeat | CarryOut | AnswerLate | Reprompt


def go_on(session: Session, at: Standing, rules: CallRules) -> tuple[DialogContext, Resumed]:
    """Return the position of the dialog that `session` tells, and what the call does now."""
    reply, dialog = session.reply, _with_attributes(session, at)
    if at.state is CallState.RESUMING:
        return _resume(session, dialog, at, rules)
    if at.state is not CallState.LIVE or at.has_turn:
        return dialog, Step.NOTHING  # the call has gone on in the meantime
    if dialog.last_prompt is None:
        return _take_up(session, dialog, at, rules)
    if reply is not None and reply != at.fetched and not at.has_had_turns and at.is_idle:
        return dialog, AnswerLate(reply)
    return dialog, Step.NOTHING


def _with_attributes(session: Session, at: Standing) -> DialogContext:
    """Return the dialog with the attributes that Lex is to get with the next turn: those of the call that it lacks.

    There are none if Lex has them, or may have: they would replace what it has. Where it did not tell, it may have
    them; unless the stream before handed them over because it had not sent them.
    """
    if _is_back(session, at):
        return replace(at.dialog, first_attributes=_attributes_after_transfer(session, at))
    if SWITCHES_ATTRIBUTE in (at.dialog.first_attributes or {}) and not _is_known(session.reply, at):
        return at.dialog  # the attributes of the bot that handed the call over are there, and still to be sent
    may_have = session.reply is not None if session.is_told else at.parameters.resumed != HANDED_OVER
    return replace(at.dialog, first_attributes=None) if may_have else at.dialog


def _is_back(session: Session, at: Standing) -> bool:
    """Return whether the call has come back from a transfer of which Lex does not know yet."""
    if at.parameters.progress.returned is None:
        return False
    # Once Lex has answered, the session stands elsewhere: an address may be older than that.
    return session.reply is None or Directives.from_reply(session.reply).action is CallAction.TRANSFER


def _attributes_after_transfer(session: Session, at: Standing) -> Mapping[str, str] | None:
    """Return the session's attributes with the status of the transfer, and without the request for it.

    They replace those of the session. So there are none where Lex did not tell what it has.
    """
    status = {TRANSFER_STATUS_ATTRIBUTE: at.parameters.progress.returned or ""}
    if not session.is_told:
        return None
    if session.reply is None:
        return {**at.parameters.call_facts, CALL_SID_ATTRIBUTE: at.call_sid, **status}
    kept = {name: value for name, value in session.reply.session_attributes.items() if name not in _OF_A_TRANSFER}
    return {**kept, **status}


def _last_prompt(session: Session, at: Standing, rules: CallRules) -> tuple[Message, ...]:
    """Return what the bot asked last. A caller who has come back from a transfer was asked by lexbridge, or will be."""
    if _is_back(session, at):
        return (Message(rules.phrases.transfer_failed),)
    return session.reply.messages if session.reply else ()


def _resume(session: Session, dialog: DialogContext, at: Standing, rules: CallRules) -> tuple[DialogContext, Resumed]:
    """Repeat the bot's last answer, which the caller may not have heard; unless they have answered by keys."""
    reply = session.reply
    is_untold = at.parameters.progress.switches.origin is not None and session.is_told
    if is_untold and not _is_known(reply, at):
        return dialog, Step.FETCH_ATTRIBUTES
    if reply is not None:
        dialog = dialog.after(reply, rules.slot_kinds)
    elif at.parameters.is_callee_first:  # the stream was lost before the callee was greeted or welcomed
        return dialog, Step.WELCOME if rules.welcome == "bot" else Step.GREET
    if at.parameters.keys is not None:
        dialog = replace(dialog, last_prompt=_last_prompt(session, at, rules))
        keys = first_input(at.parameters.keys, dialog.directives.keys)
        return dialog, SendGathered(keys) if keys else Step.REPEAT_PROMPT
    if _is_back(session, at):
        return _come_back(session, dialog, at, rules)
    if reply is None and rules.welcome == "bot":  # the stream was lost before the welcome
        return dialog, Step.WELCOME
    if reply is None or not (reply.messages or hangs_up(reply, dialog, rules) or _switches(dialog, at)):
        return dialog, AskToRepeat(asks_lex=session.is_told)
    return dialog, CarryOut(reply)


def _is_known(reply: Reply | None, at: Standing) -> bool:
    return switching.is_known(reply, at.switchboard, at.parameters.progress.switches)


def _switches(dialog: DialogContext, at: Standing) -> bool:
    return isinstance(switching.decide(dialog.directives, at.switchboard, at.parameters.progress.switches), CallRoute)


def _come_back(
    session: Session, dialog: DialogContext, at: Standing, rules: CallRules
) -> tuple[DialogContext, Resumed]:
    """Have the bot, or else lexbridge, speak to a caller who has come back from a transfer."""
    words = _last_prompt(session, at, rules)
    dialog = replace(dialog, last_prompt=words, expected=Expected.OPEN)
    if rules.transfer_failed_intent is not None:
        return dialog, BeginAgain(rules.transfer_failed_intent, rules.phrases.transfer_failed)
    return dialog, TellOfReturn(words, asks_lex=session.is_told)


def _take_up(session: Session, dialog: DialogContext, at: Standing, rules: CallRules) -> tuple[DialogContext, Resumed]:
    """Take over what the bot said last, over the stream before."""
    reply = session.reply
    last_prompt = _last_prompt(session, at, rules)
    dialog = replace(dialog, last_prompt=last_prompt)
    if reply is not None and not _is_back(session, at):
        if last_prompt and at.parameters.prompt_fingerprint not in (None, fingerprint(last_prompt)):
            return dialog, AnswerLate(reply)
        dialog = dialog.after(reply, rules.slot_kinds)
    if at.asks_again:
        return dialog, reprompt(last_prompt, rules)
    return dialog, Step.AWAIT_INPUT if at.is_idle else Step.NOTHING
