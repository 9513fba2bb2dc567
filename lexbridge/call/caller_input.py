"""Input from the caller: speech, keys and silence, and what they do to the call."""

from lexbridge.audio.endpointing import Listening
from lexbridge.audio.levels import level_percentile_dbfs
from lexbridge.audio.pcm import MULAW_BYTES_PER_MS
from lexbridge.audio.speech_events import EndReason, SpeechContinued, SpeechEnded, SpeechEvent, SpeechStarted
from lexbridge.call import replies
from lexbridge.call.context import CallContext
from lexbridge.call.conversation import Conversation
from lexbridge.call.first_prompt import FirstPrompt
from lexbridge.call.lex_answers import LexAnswers
from lexbridge.call.output.base import Speaker
from lexbridge.call.output.reports import CallersTurn
from lexbridge.call.output.stream import StreamSpeaker
from lexbridge.call.replies import FetchPrompt, HangUp
from lexbridge.call.states import CallState
from lexbridge.call.stream_start import StreamStart
from lexbridge.call.timed_rule import TimedRule
from lexbridge.call.turn import Turn


class CallerInput(TimedRule):
    """Turns what the caller does into turns, and asks a silent caller again."""

    def __init__(
        self,
        call: CallContext,
        speaker: Speaker,
        voice: StreamSpeaker | None,
        answers: LexAnswers,
        conversation: Conversation,
        start: StreamStart,
        first: FirstPrompt,
    ) -> None:
        """`voice`: the speaker, if it plays Lex's voice over the stream, which brings keys too."""
        self._call = call
        self._turns, self._keys = call.turns, call.keys
        self._speaker, self._voice = speaker, voice
        self._answers = answers
        self._conversation = conversation
        self._start = start
        self._first = first

    def listening(self) -> Listening | None:
        """Return how the next frame is to be listened to, or None for the usual way."""
        if self._keys.is_collecting or self._call.is_deaf:
            return Listening(onset_ms=None)
        return self._speaker.listening()

    def speech_heard(self, event: SpeechEvent) -> None:
        """Take what the endpointer found in the caller's audio."""
        if self._call.state is not CallState.LIVE:
            # The bot does not hear what is said over its last words. While the call is handed over, the other stream
            # hears the caller. After a lost stream this is the rest of a sentence that was cut off: the caller is asked
            # to say all of it again.
            if isinstance(event, SpeechStarted):
                self._call.note("info", "speech-ignored", at_ms=event.at_ms, call=self._call.state.value)
            return
        if self._first.heard(event):
            return
        match event:
            case SpeechStarted():
                # Before the interruption, which would take the unheard answer along.
                is_joined = self._answers.speech_started(event)
                self._interrupt()
                if not is_joined:
                    self._turns.speech_started(event.at_ms, event.pre_roll)
            case SpeechContinued():
                full = self._turns.speech_continued(event.mulaw)
                if full is not None:
                    self._note_utterance(full, SpeechEnded(self._call.now_ms, EndReason.MAX_LENGTH, silent_ms=0))
                    self._turns.split(self._call.now_ms, event.mulaw)
            case SpeechEnded():
                self._speech_ended(event)
            case _:  # NoInput
                self._no_input()

    def key_pressed(self, key: str) -> None:
        """Take a key. Its tone is on the line too, and may have been taken for speech."""
        if self._call.state is not CallState.LIVE or self._voice is None:
            return
        if self._first.key_pressed():
            self._call.endpointer.drop()
            return
        if not self._call.is_idle:
            self._call.caller_spoke_until(self._call.now_ms)
        self._call.endpointer.drop()
        self._call.endpointer.stop_waiting()
        self._turns.drop_open("a key was pressed")
        self._answers.turns_dropped()
        self._interrupt()
        self._voice.discard_interrupted()
        was_collecting = self._keys.is_collecting
        if keys := self._keys.press(key, self._call.now_ms, self._call.dialog.directives.keys):
            self._call.send_keys(keys)
        elif was_collecting and self._call.is_idle:
            self._conversation.repeat_prompt()
        elif not self._keys.is_collecting:
            self._call.take_reports(self._speaker.await_input())

    def next_due_ms(self) -> float | None:
        """Return the media time at which the keys are complete without another one, or None if none are collected."""
        return self._keys.due_ms if self._keys.is_collecting else None

    def tick(self) -> None:
        """Send the keys that are complete because no further key has come in time."""
        if self._keys.is_collecting and (keys := self._keys.tick(self._call.now_ms)):
            self._call.send_keys(keys)

    def _speech_ended(self, event: SpeechEnded) -> None:
        turn = self._turns.open
        if turn is None:
            return
        self._call.caller_spoke_until(event.at_ms - event.silent_ms)
        self._note_utterance(turn, event)
        if turn.is_overflow and len(turn.audio) <= event.silent_ms * MULAW_BYTES_PER_MS:
            self._drop_silent_turn()
        else:
            self._turns.speech_ended(event.at_ms, may_continue=event.reason is EndReason.HANGOVER)

    def _drop_silent_turn(self) -> None:
        """Drop the open turn: what did not fit into the turn before is only silence.

        Where that turn has been answered meanwhile, the answer took the caller for speaking. It is their turn now; or
        what they had interrupted by a false alarm goes on.
        """
        call = self._call
        self._turns.drop_open("it holds only silence")
        if not call.is_idle:
            return
        resumed = None if self._voice is None else self._voice.resume_interrupted()
        if resumed is None:
            is_quiet = not self._speaker.is_speaking
            resumed = [CallersTurn(max(0, call.quiet_from_ms - call.now_ms))] if is_quiet else []
        call.take_reports(resumed)

    def _note_utterance(self, turn: Turn, ended: SpeechEnded) -> None:
        voice_dbfs, line_dbfs = level_percentile_dbfs(turn.audio.mulaw(), 90, 10)
        self._call.note(
            "info",
            "utterance-ended",
            turn=turn.number,
            started_ms=turn.started_ms,
            ended_ms=ended.at_ms,
            silent_ms=ended.silent_ms,
            reason=ended.reason.value,
            # How loud voice and line are: VOICE_THRESHOLD has to lie between the two.
            voice_dbfs=round(voice_dbfs, 1),
            line_dbfs=round(line_dbfs, 1),
        )

    def _interrupt(self) -> None:
        """Stop what is said to the caller, who begins to speak or key."""
        self._call.caller_started()
        self._start.caller_started()
        self._call.take_reports(self._speaker.interrupt())

    def _no_input(self) -> None:
        """Ask a silent caller again, or say goodbye to them."""
        call = self._call
        # A document goes on asking by itself, whatever the caller does meanwhile.
        if self._speaker.is_speaking or (self._voice is not None and not call.is_idle):
            return
        call.caller_is_silent()
        decision = replies.decide_silence(call.no_inputs, call.dialog, call.rules)
        reports = self._speaker.take_reprompt()
        by_document = bool(reports)
        call.take_reports(reports)
        ends_call = isinstance(decision, HangUp)
        call.note("info", "no-input", times=call.no_inputs, ends_call=ends_call, by_document=by_document)
        if by_document:
            return
        match decision:
            case HangUp():
                self._conversation.say_goodbye(decision.words, decision.outcome)
            case FetchPrompt():
                self._start.fetch_prompt()
            case _:  # Reprompt
                self._conversation.ask_again(decision)
