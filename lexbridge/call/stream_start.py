"""Start of a stream, and how it catches up with a call that another stream began. `resumption` decides."""

from collections.abc import Mapping
from typing import cast

from lexbridge.call import next_bot, resumption
from lexbridge.call.actions import FetchAttributes, FetchSession
from lexbridge.call.context import CallContext
from lexbridge.call.conversation import Conversation
from lexbridge.call.events import Started
from lexbridge.call.first_prompt import FirstPrompt
from lexbridge.call.output.base import Speaker
from lexbridge.call.replies import Reprompt
from lexbridge.call.resumption import (
    AnswerLate,
    AskToRepeat,
    BeginAgain,
    Beginning,
    CarryOut,
    Resumed,
    SendGathered,
    Session,
    Standing,
    Step,
    TellOfReturn,
)
from lexbridge.call.states import CallMove, CallState
from lexbridge.call.stream_parameters import StreamParameters
from lexbridge.call.timed_rule import TimedRule
from lexbridge.config.route import CallRoute
from lexbridge.lex.model import Message, Reply

FETCH_AGAIN_MS = 1000
"""Time after which Lex's session is fetched once more, milliseconds.

Lex may still have been busy with the last words that the lost stream brought it."""


class StreamStart(TimedRule):
    """Beginning of a stream, which takes what Lex tells of its session."""

    def __init__(self, call: CallContext, speaker: Speaker, conversation: Conversation, first: FirstPrompt) -> None:
        self._call = call
        self._speaker = speaker
        self._conversation = conversation
        self._first = first
        self._parameters = StreamParameters()
        self._fetched: Reply | None = None  # the last answer in Lex's session that this stream went on from
        self._fetch_again_at_ms: int | None = None
        self._asks_again = False  # whether to ask the caller again as soon as the last prompt is known

    def start(self, started: Started) -> None:
        """Begin the stream: with a greeting, or where another stream stopped."""
        call = self._call
        parameters = self._parameters = StreamParameters.parse(started.parameters)
        beginning = resumption.begin(parameters, call.rules)
        fetches = beginning in (Beginning.FETCH_FIRST, Beginning.SWITCHED)
        move = CallMove.RESUMED if fetches else CallMove.STARTED
        call.begin(started, parameters, move)
        call.note("info", "stream-started", resumed=parameters.resumed)
        call.go_to(resumption.first_dialog(parameters, started.call_sid))
        match beginning:
            case Beginning.FETCH_FIRST:
                call.act(FetchSession(started.call_sid))
            case Beginning.SWITCHED:
                self._fetch_attributes()
            case Beginning.TAKE_OVER:
                self._take_over(parameters)
            case Beginning.WELCOME:
                self._first.welcome()
            case Beginning.CALLEE_FIRST:
                self._first.await_callee(has_spoken=parameters.has_callee_spoken)
            case Beginning.MACHINE:
                self._first.await_machine(parameters.machine or "")
            case _:  # Beginning.GREETED
                self._first.greeted()

    def session_fetched(self, session: Session) -> None:
        """Go on from what Lex tells of its session."""
        call = self._call
        standing = Standing(
            call.state,
            call.dialog,
            self._parameters,
            self._fetched,
            self._asks_again,
            has_turn=call.turns.open is not None or call.turns.in_flight is not None,
            has_had_turns=call.turns.count > 0,
            is_idle=call.is_idle,
            call_sid=call.turns.session_id,
            switchboard=call.switchboard,
        )
        dialog, resumed = resumption.go_on(session, standing, call.rules)
        call.go_to(dialog)
        if resumed is Step.FETCH_ATTRIBUTES:
            self._fetched = session.reply  # an earlier visit's: a second look is not to take it for an answer
            self._fetch_attributes()
            return
        if session.reply is not None:
            call.bot_knows_of_switches()
        if call.state is CallState.RESUMING:
            call.move(CallMove.LOOKED_UP)
        if (
            standing.state is CallState.RESUMING
            or standing.dialog.last_prompt is None
            or isinstance(resumed, AnswerLate)
        ):
            self._fetched = session.reply
        self._asks_again = False
        self._go_on(resumed)

    def attributes_fetched(self, attributes: Mapping[str, str] | None) -> None:
        """Begin with the bot to which another one handed the call. `attributes`: those of that one, or None."""
        call = self._call
        if call.state is not CallState.RESUMING:
            return  # the stream has ended
        dialog, resumed = next_bot.begin(attributes, self._parameters, call.turns.session_id, call.rules)
        call.go_to(dialog)
        call.move(CallMove.LOOKED_UP)
        self._go_on(resumed)

    def next_due_ms(self) -> float | None:
        """Return the media time at which the session is fetched again, or None if it is not to be."""
        return self._fetch_again_at_ms

    def tick(self) -> None:
        """Fetch the session again if that is due."""
        if self._fetch_again_at_ms is None or self._call.now_ms < self._fetch_again_at_ms:
            return
        self._fetch_again_at_ms = None
        if self._call.state is CallState.LIVE and not self._call.turns.count:
            self._call.act(FetchSession(self._call.stream.call_sid))

    def fetch_prompt(self) -> None:
        """Fetch what a silent caller was asked, and then ask them again."""
        self._asks_again = True
        self._call.act(FetchSession(self._call.stream.call_sid))

    def caller_started(self) -> None:
        """Note that the caller speaks or keys, and need not be asked again."""
        self._asks_again = False

    def _go_on(self, resumed: Resumed) -> None:
        """Do what was decided."""
        call = self._call
        match resumed:
            case SendGathered():
                call.send_keys(resumed.keys)
            case BeginAgain():
                call.turns.begin_dialog(resumed.intent, resumed.words_instead)
            case TellOfReturn():
                words = list(resumed.words)
                self._call.take_reports(self._speaker.speak(words, to_synthesize=words if resumed.asks_lex else ()))
            case AskToRepeat():
                self._fetch_again_at_ms = call.now_ms + FETCH_AGAIN_MS
                words = [Message(call.rules.phrases.say_it_again)]
                self._call.take_reports(self._speaker.speak(words, to_synthesize=words if resumed.asks_lex else ()))
            case CarryOut():
                self._fetch_again_at_ms = call.now_ms + FETCH_AGAIN_MS
                self._conversation.carry_out(resumed.reply, call.dialog, asks_lex=True)
            case Reprompt():
                self._conversation.ask_again(resumed)
            case AnswerLate():
                call.note("info", "answered-late")
                self._conversation.answer(resumed.reply, asks_lex=True)
            case _:
                self._take(resumed)

    def _take(self, step: Step) -> None:
        match step:
            case Step.WELCOME:
                self._first.welcome()
            case Step.GREET:
                self._first.greet()
            case Step.REPEAT_PROMPT:
                self._conversation.repeat_prompt()
            case Step.AWAIT_INPUT if self._speaker.is_two_way:
                self._call.take_reports(self._speaker.await_input())
            case Step.LISTEN:
                spoken_ms = max(0, self._parameters.spoken_ms - self._call.now_ms)
                self._call.take_reports(self._speaker.await_input(spoken_ms, self._parameters.reprompts_ms))
            case _:
                pass

    def _fetch_attributes(self) -> None:
        origin = cast("CallRoute", self._call.switches.origin)  # `resumption` asks for this of a switched call alone
        self._call.act(FetchAttributes(self._call.turns.session_id, origin))

    def _take_over(self, parameters: StreamParameters) -> None:
        if self._speaker.is_two_way or parameters.progress.returned is not None:
            self._call.act(FetchSession(self._call.stream.call_sid))
        self._call.take_reports(self._speaker.await_input(parameters.spoken_ms, parameters.reprompts_ms))
