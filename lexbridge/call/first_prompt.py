"""First prompt of a call: when it is said, and how it is protected.

A caller who dials expects to be spoken to. Who is called speaks first, as a rule: "hello?". So the first prompt of an
outbound call waits for that word, which is not for the bot, or for a silence. An answering machine is waited for until
it has finished its own greeting.

A protected prompt cannot be interrupted, and what is said over it is no turn. Protected are the greeting of an outbound
call whose callee was not heard before, every first prompt with PROTECT_FIRST, and what a machine is told.
"""

from lexbridge.audio.speech_events import SpeechEnded, SpeechEvent
from lexbridge.call.after import Outcome
from lexbridge.call.context import CallContext
from lexbridge.call.conversation import Conversation
from lexbridge.call.output.base import Speaker
from lexbridge.call.timed_rule import TimedRule
from lexbridge.lex.model import Message

FIRST_WORD_MS = 2000
"""Longest time that the callee's first word is waited for, milliseconds."""

MACHINE_SILENCE_MS = 2000
"""Silence by which an answering machine has finished its greeting, milliseconds. Its sentences have shorter pauses."""

MACHINE_GREETING_MS = 60_000
"""Longest time that an answering machine's greeting is waited for, milliseconds."""

HAS_FINISHED = "machine_end_"
"""Beginning of Twilio's words for a machine that has finished its greeting: with a beep, in silence, or otherwise."""


class FirstPrompt(TimedRule):
    """Rule that has the first prompt said once the other side has spoken, or is silent."""

    def __init__(self, call: CallContext, speaker: Speaker, conversation: Conversation) -> None:
        self._call = call
        self._speaker = speaker
        self._conversation = conversation
        self._has_spoken = False
        self._was_heard_before = False  # by Twilio, which detected who answered before it opened the stream

    def greeted(self) -> None:
        """Note that the document which opened the stream says the greeting."""
        if self._call.rules.protect_first:
            self._call.protect_prompt()
        self._call.take_reports(self._speaker.greet())

    def greet(self) -> None:
        """Say the greeting, which no document has said.

        It is protected from a callee's first word, which may come late; not if that came before the stream began.
        """
        if self._call.rules.protect_first or not self._was_heard_before:
            self._call.protect_prompt()
        words = [Message(self._call.rules.greeting)]
        self._call.take_reports(self._speaker.speak(words, to_synthesize=words))

    def welcome(self) -> None:
        """Have the bot welcome the caller."""
        if self._call.rules.protect_first:
            self._call.protect_prompt()
        rules = self._call.rules
        self._call.turns.begin_dialog(rules.welcome_intent or "", rules.greeting)

    def await_callee(self, *, has_spoken: bool = False) -> None:
        """Wait for the callee's first word, or a silence; not if they have spoken before the stream began."""
        self._call.await_other_side()
        self._has_spoken = self._was_heard_before = has_spoken

    def await_machine(self, answered_by: str) -> None:
        """Wait for the end of an answering machine's greeting. `answered_by`: Twilio's word for the machine."""
        self._call.await_other_side(is_machine=True)
        self._has_spoken = answered_by.startswith(HAS_FINISHED)

    def heard(self, event: SpeechEvent) -> bool:
        """Take speech before the first prompt. Return whether it was that: then it is no input for the bot."""
        call = self._call
        if call.is_first_awaited and isinstance(event, SpeechEnded):
            call.caller_spoke_until(event.at_ms - event.silent_ms)
            self._has_spoken = self._has_spoken or not call.is_for_machine
        return call.is_first_awaited or call.is_for_machine

    def key_pressed(self) -> bool:
        """Take a key before the first prompt, as a first word. Return whether it was that, and is no input."""
        call = self._call
        self._has_spoken = self._has_spoken or not call.is_for_machine
        return call.is_first_awaited or call.is_for_machine

    def next_due_ms(self) -> float | None:
        """Return the media time at which the first prompt is due if nothing is heard, or None once it was said."""
        call = self._call
        if not call.is_first_awaited:
            return None
        if self._has_spoken:
            return 0
        if call.is_for_machine:
            return min(call.quiet_from_ms + MACHINE_SILENCE_MS, MACHINE_GREETING_MS)
        return FIRST_WORD_MS

    def tick(self) -> None:
        """Say the first prompt if that is due."""
        call = self._call
        due_ms = self.next_due_ms()
        if due_ms is None or call.now_ms < due_ms:
            return
        is_heard = call.endpointer.is_open or call.endpointer.is_voiced
        if is_heard and not self._has_spoken and call.now_ms < MACHINE_GREETING_MS:
            return
        call.first_prompt_is_due()
        after = "speech" if self._has_spoken else "silence"
        call.note("info", "first-prompt", after=after, at_ms=call.now_ms, is_for_machine=call.is_for_machine)
        if call.is_for_machine:
            self._tell_machine()
        elif call.rules.welcome == "bot":
            self.welcome()
        else:
            self.greet()

    def _tell_machine(self) -> None:
        """Have the bot say its words for a machine, or say those of MACHINE_TEXT; then the call ends."""
        call = self._call
        call.protect_prompt()
        if call.rules.machine_intent is not None:
            call.turns.begin_dialog(call.rules.machine_intent, "")
        else:
            text = call.rules.machine_text
            call.note("info", "machine-told")
            self._conversation.say_goodbye([] if text is None else [Message(text)], Outcome.DONE)
