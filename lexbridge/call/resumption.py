"""A stream that goes on with a call: what the bot asked last is looked up, and asked once more if it may not have been
heard."""

from dataclasses import replace

from lexbridge.call.actions import FetchSession
from lexbridge.call.attributes import CALL_SID_ATTRIBUTE
from lexbridge.call.context import CallContext
from lexbridge.call.dtmf import first_input
from lexbridge.call.events import Started
from lexbridge.call.output.base import ReplyMode
from lexbridge.call.replies import Replies
from lexbridge.call.states import CallMove, CallState
from lexbridge.call.stream_parameters import HANDED_OVER, StreamParameters, fingerprint
from lexbridge.lex.model import NO_DIALOG, Message, Reply

RECALL_AGAIN_MS = 1000
"""After the dialog was looked up: Lex may still have been busy with the last words that the lost stream brought it."""


class Resumption:
    """How a call's stream begins, and what it catches up with."""

    def __init__(self, call: CallContext, mode: ReplyMode, answering: Replies) -> None:
        self._call = call
        self._mode = mode
        self._answering = answering
        self._told = StreamParameters()
        self._recalled: Reply | None = None  # where the dialog stood when this stream began
        self._recall_again_at_ms: int | None = None
        self._asks_again = False  # when the dialog's last prompt is known
        self._lex_tells = True  # it did when it was asked last

    def start(self, started: Started) -> None:
        """The stream starts: with a greeting, or where another one was."""
        call = self._call
        told = self._told = StreamParameters.parse(started.parameters)
        looks_up = told.resumed is not None and told.resumed != HANDED_OVER
        call.move(CallMove.RESUMED if looks_up else CallMove.STARTED)
        call.started = started
        call.turns.session_id = started.call_sid
        call.began_s, call.turns_answered = told.progress.began_s, told.progress.turns
        call.age_before_s = told.age_s
        call.note("info", "stream-started", resumed=told.resumed)
        if told.call_facts or told.resumed is None:  # a stream that is handed over has them only if Lex does not
            # On the first turn only: attributes that are sent replace those of the session.
            call.turns.first_attributes = {**told.call_facts, CALL_SID_ATTRIBUTE: started.call_sid}
        if told.resumed is None:
            call.checkpoint = NO_DIALOG
        if looks_up:
            call.act(FetchSession(started.call_sid))
        elif told.resumed == HANDED_OVER:
            call.no_inputs, call.failed_turns = told.no_inputs, told.failed_turns
            call.last_prompt = None
            if told.no_input_ms:  # the document that handed the call over goes by it
                call.directives = replace(call.directives, no_input_s=told.no_input_ms / 1000)
            if self._mode.recalls_at_once:
                call.act(FetchSession(started.call_sid))
            self._mode.await_input(told.spoken_ms, told.reprompts_ms)
        elif call.rules.welcome == "bot":
            self._welcome()
        else:
            self._mode.greeted()

    def session_fetched(self, reply: Reply | None) -> None:
        """Lex told what it answered last in this session; None: it knows no such session, nothing was said yet."""
        self._lex_tells = True
        self._go_on(reply)

    def session_fetch_failed(self) -> None:
        """Lex did not tell. The call facts are not sent on, for they would replace what it knows; unless the stream
        before handed them over, which had not told Lex."""
        self._lex_tells = False
        if self._told.resumed != HANDED_OVER:
            self._call.turns.first_attributes = None
        self._go_on(None)

    def _go_on(self, reply: Reply | None) -> None:
        call = self._call
        if reply is not None:
            call.turns.first_attributes = None
        if call.state is CallState.RESUMING:
            self._resume(reply)
        elif call.state is not CallState.LIVE or call.turns.open or call.turns.in_flight:
            self._asks_again = False  # the call went on in the meantime
        elif call.last_prompt is None:
            self._recalled = reply
            self._catch_up(reply)
        elif reply is not None and reply != self._recalled and not call.turns.count and call.is_idle:
            self._recalled = reply
            self._answer_late(reply)

    def tick(self) -> None:
        """Media time has moved on."""
        if self._recall_again_at_ms is None or self._call.now_ms < self._recall_again_at_ms:
            return
        self._recall_again_at_ms = None
        if self._call.state is CallState.LIVE and not self._call.turns.count:
            self._call.act(FetchSession(self._call.stream.call_sid))

    def ask_again(self) -> None:
        """The caller was not heard: they are asked again as soon as it is known what."""
        if self._call.last_prompt is None:
            self._asks_again = True
            self._call.act(FetchSession(self._call.stream.call_sid))
        else:
            self._answering.ask_again()

    def caller_begins(self) -> None:
        """Nobody need be asked again."""
        self._asks_again = False

    def _resume(self, reply: Reply | None) -> None:
        """The bot's last answer is given once more, for it may not have been heard: unless the caller keyed theirs."""
        call = self._call
        call.move(CallMove.LOOKED_UP)
        self._recalled = reply
        if reply is not None:
            call.answered(reply)
        if self._told.keys is not None:
            call.last_prompt = reply.messages if reply else ()
            self._send_gathered(self._told.keys)
            return
        if reply is None and call.rules.welcome == "bot":  # it had not come to that
            self._welcome()
            return
        self._recall_again_at_ms = call.now_ms + RECALL_AGAIN_MS
        if reply is None or not (reply.messages or self._answering.hangs_up(reply)):
            say_it_again = [Message(call.rules.phrases.say_it_again)]
            self._mode.speak(say_it_again, to_voice=say_it_again if self._lex_tells else ())
        else:
            self._answering.carry_out(reply, asks_lex=True)

    def _catch_up(self, reply: Reply | None) -> None:
        """What the bot said last is known now: to the caller it was said over another stream."""
        call = self._call
        last_prompt = call.last_prompt = reply.messages if reply else ()
        if reply is not None and last_prompt and self._told.prompt_fingerprint not in (None, fingerprint(last_prompt)):
            self._answer_late(reply)
            return
        if reply is not None:
            call.answered(reply)
        if self._asks_again:
            self._answering.ask_again()
        elif self._mode.recalls_at_once and call.is_idle:
            self._mode.await_input()

    def _answer_late(self, reply: Reply) -> None:
        self._call.note("info", "answered-late")
        self._answering.answer(reply, asks_lex=True)

    def _send_gathered(self, keys: str) -> None:
        """Keys that Twilio collected, and this stream was opened for."""
        if whole_input := first_input(keys, self._call.directives.keys):
            self._call.send_keys(whole_input)
        else:
            self._answering.ask_anew()

    def _welcome(self) -> None:
        self._call.turns.begin_dialog(self._call.rules.welcome_intent or "")
