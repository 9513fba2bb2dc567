"""Resumption of a call on another stream: the bot's last prompt is fetched, and repeated if it may be unheard."""

from dataclasses import replace

from lexbridge.call.actions import FetchSession
from lexbridge.call.attributes import CALL_SID_ATTRIBUTE
from lexbridge.call.context import CallContext
from lexbridge.call.conversation import Conversation
from lexbridge.call.dialog import DialogContext
from lexbridge.call.dtmf import first_input
from lexbridge.call.events import Started
from lexbridge.call.output.base import ReplyMode
from lexbridge.call.replies import hangs_up
from lexbridge.call.states import CallMove, CallState
from lexbridge.call.stream_parameters import HANDED_OVER, StreamParameters, fingerprint
from lexbridge.lex.model import NO_DIALOG, Message, Reply

FETCH_AGAIN_MS = 1000
"""Time after which Lex's session is fetched once more, milliseconds.

Lex may still have been busy with the last words that the lost stream brought it."""


class Resumption:
    """Beginning of a stream, and its catching up with a call that another stream began."""

    def __init__(self, call: CallContext, mode: ReplyMode, conversation: Conversation) -> None:
        self._call = call
        self._mode = mode
        self._conversation = conversation
        self._parameters = StreamParameters()
        self._fetched: Reply | None = None  # the last answer in Lex's session when this stream began
        self._fetch_again_at_ms: int | None = None
        self._asks_again = False  # whether to ask the caller again as soon as the last prompt is known
        self._lex_answers = True  # whether Lex told where the dialog stands when it was asked last

    def start(self, started: Started) -> None:
        """Begin the stream: with a greeting, or where another stream stopped."""
        call = self._call
        parameters = self._parameters = StreamParameters.parse(started.parameters)
        fetches_first = parameters.resumed is not None and parameters.resumed != HANDED_OVER
        call.move(CallMove.RESUMED if fetches_first else CallMove.STARTED)
        call.started = started
        call.turns.session_id = started.call_sid
        call.began_s, call.age_before_s = parameters.progress.began_s, parameters.age_s
        call.note("info", "stream-started", resumed=parameters.resumed)
        # A stream that is handed over has the facts of the call only if Lex does not have them yet.
        # They go with the first turn only: attributes that are sent replace those of the session.
        has_facts = parameters.call_facts or parameters.resumed is None
        call.dialog = DialogContext(
            first_attributes={**parameters.call_facts, CALL_SID_ATTRIBUTE: started.call_sid} if has_facts else None,
            checkpoint=NO_DIALOG if parameters.resumed is None else None,
            turns_answered=parameters.progress.turns,
        )
        if fetches_first:
            call.act(FetchSession(started.call_sid))
        elif parameters.resumed == HANDED_OVER:
            self._take_over(parameters)
        elif call.rules.welcome == "bot":
            self._welcome()
        else:
            self._mode.greeting_given()

    def _take_over(self, parameters: StreamParameters) -> None:
        call = self._call
        call.no_inputs, call.failed_turns = parameters.no_inputs, parameters.failed_turns
        call.dialog = replace(call.dialog, last_prompt=None)
        if parameters.no_input_ms:  # the document that handed the call over counts on it
            directives = replace(call.dialog.directives, no_input_s=parameters.no_input_ms / 1000)
            call.dialog = replace(call.dialog, directives=directives)
        if self._mode.fetches_session_at_once:
            call.act(FetchSession(call.stream.call_sid))
        self._mode.await_input(parameters.spoken_ms, parameters.reprompts_ms)

    def session_fetched(self, reply: Reply | None) -> None:
        """Go on from `reply`, the last answer in Lex's session.

        None means that Lex knows no session, because nothing was said yet.
        """
        self._lex_answers = True
        self._go_on(reply)

    def session_fetch_failed(self) -> None:
        """Go on without knowing where the dialog stands.

        The facts of the call are not sent, because they would replace what Lex has; unless the stream before handed
        them over because it had not sent them.
        """
        self._lex_answers = False
        if self._parameters.resumed != HANDED_OVER:
            self._call.dialog = replace(self._call.dialog, first_attributes=None)
        self._go_on(None)

    def _go_on(self, reply: Reply | None) -> None:
        call = self._call
        if reply is not None:
            call.dialog = replace(call.dialog, first_attributes=None)
        if call.state is CallState.RESUMING:
            self._resume(reply)
        elif call.state is not CallState.LIVE or call.turns.open or call.turns.in_flight:
            self._asks_again = False  # the call has gone on in the meantime
        elif call.dialog.last_prompt is None:
            self._fetched = reply
            self._catch_up(reply)
        elif reply is not None and reply != self._fetched and not call.turns.count and call.is_idle:
            self._fetched = reply
            self._answer_late(reply)

    def tick(self) -> None:
        """Fetch the session again if that is due."""
        if self._fetch_again_at_ms is None or self._call.now_ms < self._fetch_again_at_ms:
            return
        self._fetch_again_at_ms = None
        if self._call.state is CallState.LIVE and not self._call.turns.count:
            self._call.act(FetchSession(self._call.stream.call_sid))

    def ask_again(self) -> None:
        """Ask a caller again who was not heard, as soon as it is known what they were asked."""
        if self._call.dialog.last_prompt is None:
            self._asks_again = True
            self._call.act(FetchSession(self._call.stream.call_sid))
        else:
            self._conversation.ask_again()

    def caller_started(self) -> None:
        """Note that the caller speaks or keys, and need not be asked again."""
        self._asks_again = False

    def _resume(self, reply: Reply | None) -> None:
        """Repeat the bot's last answer, which the caller may not have heard; unless they have answered by keys."""
        call = self._call
        call.move(CallMove.LOOKED_UP)
        self._fetched = reply
        if reply is not None:
            call.dialog = call.dialog.after(reply, call.rules.slot_kinds)
        if self._parameters.keys is not None:
            call.dialog = replace(call.dialog, last_prompt=reply.messages if reply else ())
            self._send_gathered(self._parameters.keys)
            return
        if reply is None and call.rules.welcome == "bot":  # the stream was lost before the welcome
            self._welcome()
            return
        self._fetch_again_at_ms = call.now_ms + FETCH_AGAIN_MS
        if reply is None or not (reply.messages or hangs_up(reply, call.dialog, call.rules)):
            say_it_again = [Message(call.rules.phrases.say_it_again)]
            self._mode.speak(say_it_again, to_synthesize=say_it_again if self._lex_answers else ())
        else:
            self._conversation.carry_out(reply, asks_lex=True)

    def _catch_up(self, reply: Reply | None) -> None:
        """Take over what the bot said last, over the stream before."""
        call = self._call
        last_prompt = reply.messages if reply else ()
        call.dialog = replace(call.dialog, last_prompt=last_prompt)
        if (
            reply is not None
            and last_prompt
            and self._parameters.prompt_fingerprint not in (None, fingerprint(last_prompt))
        ):
            self._answer_late(reply)
            return
        if reply is not None:
            call.dialog = call.dialog.after(reply, call.rules.slot_kinds)
        if self._asks_again:
            self._conversation.ask_again()
        elif self._mode.fetches_session_at_once and call.is_idle:
            self._mode.await_input()

    def _answer_late(self, reply: Reply) -> None:
        """Speak an answer that came after the stream before had handed the call over, or was lost."""
        self._call.note("info", "answered-late")
        self._conversation.answer(reply, asks_lex=True)

    def _send_gathered(self, keys: str) -> None:
        """Send Lex the keys that Twilio collected, for which this stream was opened."""
        if whole_input := first_input(keys, self._call.dialog.directives.keys):
            self._call.send_keys(whole_input)
        else:
            self._conversation.repeat_prompt()

    def _welcome(self) -> None:
        self._call.turns.begin_dialog(self._call.rules.welcome_intent or "")
