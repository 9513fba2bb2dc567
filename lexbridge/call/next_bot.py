"""Beginning of a bot to which another one has handed the call. The function here decides, and changes nothing."""

from collections.abc import Mapping

from lexbridge.call import switching
from lexbridge.call.attributes import CALL_SID_ATTRIBUTE, SWITCHES_ATTRIBUTE
from lexbridge.call.dialog import DialogContext
from lexbridge.call.dtmf import first_input
from lexbridge.call.resumption import AskToRepeat, Resumed, SendGathered, Step
from lexbridge.call.stream_parameters import HANDED_OVER, SWITCHED, StreamParameters
from lexbridge.config.call_rules import CallRules


def begin(
    attributes: Mapping[str, str] | None, parameters: StreamParameters, call_sid: str, rules: CallRules
) -> tuple[DialogContext, Resumed]:
    """Return the position of the dialog with the bot, and what the call does now.

    `attributes`: those of the session with the bot before, or None if they cannot be had.
    """
    told = {
        **parameters.call_facts,
        CALL_SID_ATTRIBUTE: call_sid,
        **switching.carried(attributes or {}),
        SWITCHES_ATTRIBUTE: str(parameters.progress.switches.count),
    }
    dialog = DialogContext(first_attributes=told, turns_answered=parameters.progress.turns)
    if parameters.keys is not None:
        keys = first_input(parameters.keys, dialog.directives.keys)
        return dialog, SendGathered(keys) if keys else Step.REPEAT_PROMPT
    if parameters.resumed == HANDED_OVER:  # the bot was to welcome the caller on the stream before
        return dialog, Step.LISTEN
    if rules.welcome == "bot":
        return dialog, Step.WELCOME
    return dialog, Step.LISTEN if parameters.resumed == SWITCHED else AskToRepeat(asks_lex=True)
