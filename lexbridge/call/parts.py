"""Parts of one call, made and connected with each other. The module of each tells what it does."""

from collections.abc import Mapping
from dataclasses import dataclass

from lexbridge.audio.endpointing import Endpointer
from lexbridge.audio.vad import Detector
from lexbridge.call.backlog import Backlog
from lexbridge.call.caller_input import CallerInput
from lexbridge.call.context import CallContext
from lexbridge.call.conversation import Conversation
from lexbridge.call.documents import CallDocuments
from lexbridge.call.filler import Filler
from lexbridge.call.first_prompt import FirstPrompt
from lexbridge.call.hearing import Hearing, endpointing_rules
from lexbridge.call.lex_answers import LexAnswers
from lexbridge.call.output.base import Speaker
from lexbridge.call.output.call_update import CallUpdateSpeaker
from lexbridge.call.output.stream import StreamSpeaker
from lexbridge.call.speaking import Speaking
from lexbridge.call.stream_start import StreamStart
from lexbridge.call.switching import Switchboard
from lexbridge.call.timed_rule import TimedRule
from lexbridge.config.call_rules import CallRules


@dataclass(frozen=True, slots=True)
class CallParts:
    """Parts of one call that take events.

    `voice`: the speaker, if the bot is heard over the stream, in Lex's own voice. `timed_rules`: all rules that act
    because time has passed, in the order in which they do.
    """

    call: CallContext
    hearing: Hearing
    backlog: Backlog
    speaker: Speaker
    voice: StreamSpeaker | None
    answers: LexAnswers
    caller: CallerInput
    start: StreamStart
    timed_rules: tuple[TimedRule, ...]


def make_parts(
    rules: CallRules,
    documents: CallDocuments,
    detector: Detector,
    phrase_audio: Mapping[str, bytes],
    switchboard: Switchboard | None,
) -> CallParts:
    """Return the parts of a new call. The arguments are those of `CallSession`."""
    endpointer = Endpointer(endpointing_rules(rules))
    call = CallContext(rules, documents, endpointer, switchboard)
    voice = StreamSpeaker(call, phrase_audio) if rules.reply_mode == "stream" else None
    speaker: Speaker = voice or CallUpdateSpeaker(call)
    # Only of what is played over the stream it is known when its echo comes, and how loud.
    hearing = Hearing(detector, endpointer, None if voice is None else voice.may_echo)
    conversation = Conversation(call, speaker)
    answers = LexAnswers(call, voice, conversation)
    first = FirstPrompt(call, speaker, conversation)
    start = StreamStart(call, speaker, conversation, first)
    caller = CallerInput(call, speaker, voice, answers, conversation, start, first)
    timed_rules = (Speaking(call, speaker), caller, Filler(call, speaker), start, first, conversation)
    return CallParts(call, hearing, Backlog(hearing, call.act), speaker, voice, answers, caller, start, timed_rules)
