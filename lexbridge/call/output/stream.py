"""Output in Lex's own voice, over a bidirectional media stream; marks tell what the caller has heard.

A document ends such a stream. So a document that speaks, for words that have no audio here, also opens the next stream;
and the document that ends the call is sent only when the caller has heard the last words.
"""

from collections.abc import Mapping, Sequence

from lexbridge.audio.endpointing import Listening
from lexbridge.call import carried_along
from lexbridge.call.actions import StreamOutput
from lexbridge.call.context import CallContext
from lexbridge.call.last_words import LastWords
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS, UNINTERRUPTED_MS, Speaker
from lexbridge.call.output.hand_over import HandOver
from lexbridge.call.output.playback import Playback
from lexbridge.call.output.prompt import Prompt
from lexbridge.call.output.prompt_audio import PromptAudio
from lexbridge.call.output.reports import NO_REPORTS, CallersTurn, Reports, SpeaksUntil
from lexbridge.call.states import CallState
from lexbridge.lex.model import Message


class StreamSpeaker(Speaker):
    """Output of a call whose bot is heard over the stream."""

    is_two_way = True
    has_reprompts = False

    def __init__(self, call: CallContext, phrase_audio: Mapping[str, bytes]) -> None:
        """`phrase_audio`: lexbridge's own phrases as audio (mu-law, whole frames). Twilio says one that has none."""
        self._call = call
        self._playback = Playback()
        self._audio = PromptAudio(call, self._playback, phrase_audio)
        self._hand_over = HandOver(call)
        self._last_words: LastWords | None = None  # what ends the call once the caller has heard all

    @property
    def is_finishing(self) -> bool:
        """Whether the caller is hearing the last words, and the document that ends the call is still to come."""
        return self._last_words is not None

    @property
    def is_speaking(self) -> bool:
        """Whether a prompt is still to be heard."""
        return not self._playback.is_empty

    def greet(self) -> Reports:
        """Expect the caller to speak at once."""
        return self.await_input()  # the greeting is over: its document had to speak before it could connect

    def await_input(self, after_ms: int = 0, reprompts_ms: Sequence[int] = ()) -> Reports:  # noqa: ARG002
        """Expect the caller to speak when the bot has spoken for another `after_ms`."""
        return (CallersTurn(after_ms),)  # the stream brings keys one by one, so no document asks by itself

    def take_reprompt(self) -> Reports:
        """Report nothing: no document asks a silent caller again."""
        return NO_REPORTS

    # -- the caller speaks

    def listening(self) -> Listening | None:
        """Return how the next frame is to be listened to: whether it may interrupt, and how loud its echo may be."""
        rules, now_ms = self._call.rules, self._call.now_ms
        echo_rms = self._playback.echo_rms(now_ms)
        prompt = self._playback.playing
        if prompt is None:
            return Listening(rules.onset_ms, echo_rms=echo_rms) if echo_rms else None
        if not (rules.barge_in and prompt.may_interrupt):
            return Listening(None, echo_rms=echo_rms)
        if prompt.is_overdue(now_ms):
            return Listening(rules.onset_ms, echo_rms=echo_rms)
        onset_ms = rules.barge_in_ms if prompt.playing_ms(now_ms) >= UNINTERRUPTED_MS else None
        return Listening(onset_ms, PAUSE_WITHIN_ONSET_MS, echo_rms)

    def may_echo(self) -> bool:
        """Return whether an echo of what the caller has heard may come back now."""
        return self._call.endpointer.now_ms < self._playback.echo_until_ms

    def interrupt(self) -> Reports:
        """Stop the prompt that plays, and keep it in case it was a false alarm; unless the caller must hear it out."""
        prompt = self._playback.playing
        if prompt is not None and self._call.rules.barge_in and prompt.may_interrupt:
            self._call.note("info", "barged-in", heard_ms=prompt.position_ms(self._call.now_ms))
            self._send(self._playback.interrupt(self._call.now_ms))
            return (SpeaksUntil(self._call.now_ms),)
        if prompt is None and self._call.may_interrupt and self._playback.awaits_synthesis:
            # What Lex is still being asked to say is kept too: the caller speaks before they hear it.
            self._playback.interrupt(self._call.now_ms)
        return NO_REPORTS

    def resume_interrupted(self) -> Reports | None:
        """Go on with what the caller interrupted by a false alarm. Return None if that is gone."""
        if not self._playback.has_interrupted:
            return None
        if not self._call.is_idle:  # what the caller has said since tells whether it was a false alarm
            return NO_REPORTS
        self._playback.resume_interrupted()
        return self._play()

    def discard_interrupted(self) -> None:
        """Discard what the caller interrupted."""
        self._audio.cancel(self._playback.discard_interrupted())

    # -- the bot speaks

    def speak(
        self, messages: Sequence[Message], speaking_turn: int | None = None, *, to_synthesize: Sequence[Message] = ()
    ) -> Reports:
        """Play `messages` after what is still to be heard, in Lex's own voice where there is audio of them.

        The arguments are those of `Speaker.speak`.
        """
        if to_synthesize:
            self._send(self._playback.interrupt(self._call.now_ms))
            self.discard_interrupted()
        if speaking_turn is None:
            phrase = self._audio.make_phrase(messages, self._may_interrupt_next, to_synthesize=to_synthesize)
            self._playback.add(phrase)
        else:
            prompt = self._playback.release(speaking_turn) or Prompt(speaking_turn, messages)
            prompt.messages = messages
            prompt.may_interrupt = self._may_interrupt_next
            self._audio.take_answer(prompt)
            self._playback.add(prompt)
        return self._play()

    def is_unheard(self, turn: int) -> bool:
        """Return whether the answer to `turn` is still to be heard, and nothing of it has been sent to the caller."""
        return self._playback.is_unheard(turn)

    def withhold(self, turn: int, messages: Sequence[Message]) -> None:
        """Keep `messages`, the answer to `turn`, from the caller until they are spoken after all, or discarded."""
        self._playback.withhold(self._playback.find(turn) or Prompt(turn, messages))  # its audio goes on to arrive

    def discard_withheld(self) -> None:
        """Discard what is withheld."""
        self._audio.cancel(self._playback.discard_withheld())

    def fill(self) -> Reports:
        """Ask the caller to wait, if audio for that is there and nothing else is to be heard."""
        words = [Message(self._call.rules.phrases.one_moment)]
        if not self._audio.is_known(words):  # a document would end the stream, and the turn with it
            return NO_REPORTS
        if not self._playback.is_empty:
            return NO_REPORTS
        self._call.note_filler()
        self._playback.add(self._audio.make_phrase(words, self._may_interrupt_next, is_filler=True))
        return self._play()

    def close(self, messages: Sequence[Message], last_words: LastWords, speaking_turn: int | None = None) -> Reports:
        """Play `messages`, the last of the call, and end it by `last_words` once the caller has heard them."""
        self._last_words = last_words
        return self.speak(messages, speaking_turn)

    def wants_speech(self, turn: int) -> bool:
        """Return whether Lex's audio for the reply to `turn` is to be heard, or may be."""
        return self._playback.find(turn) is not None

    def speech_arrived(self, turn: int, mulaw: bytes) -> Reports:
        """Take more of Lex's audio for the reply to `turn`: whole frames."""
        return self._play() if self._audio.arrived(turn, mulaw) else NO_REPORTS

    def speech_ended(self, turn: int) -> Reports:
        """Note that all of Lex's audio for the reply to `turn` has come."""
        return self._play() if self._audio.ended(turn) else NO_REPORTS

    def speech_failed(self, turn: int) -> Reports:
        """Note that Lex's audio for the reply to `turn` broke off."""
        return self._play() if self._audio.failed(turn) else NO_REPORTS

    def mark_reached(self, name: str) -> Reports:
        """Note that Twilio has played what was sent before the mark `name`, or dropped it."""
        self._playback.mark_reached(name, self._call.now_ms)
        return self._play()

    def tick(self) -> Reports:
        """Send more of what plays, take for heard what must have been by now, or hand the call over."""
        if self._playback.is_empty:
            return self._hand_over.tick()
        if self._playback.expire(self._call.now_ms):
            self._call.note("warning", "mark-missing")
        return self._play()

    def next_due_ms(self) -> int | None:
        """Return the media time before which `tick` has nothing to do, or None if something has to happen first."""
        if self._playback.is_empty:
            return self._hand_over.next_due_ms()
        return self._playback.next_due_ms(self._waits) if self._may_play else self._playback.expires_at_ms

    def end(self) -> None:
        """Drop all prompts, because the stream is over."""
        self.discard_interrupted()
        self.discard_withheld()
        self._take_words()

    @property
    def _may_play(self) -> bool:
        """Whether the stream reaches the caller, so that prompts may play."""
        return self._call.state in (CallState.LIVE, CallState.CLOSING)

    @property
    def _waits(self) -> bool:
        """Whether the caller speaks or keys, so that no prompt begins that they may interrupt."""
        call = self._call
        is_busy = call.turns.open is not None or call.keys.is_collecting
        return is_busy and call.rules.barge_in and call.state is CallState.LIVE

    @property
    def _may_interrupt_next(self) -> bool:
        """Whether the caller may interrupt the prompt that is about to be said."""
        return self._call.dialog.directives.allow_interrupt and not self._call.is_deaf

    def _play(self) -> Reports:
        """Send what is due of the prompts, and go on when the caller has heard them."""
        playback = self._playback
        if not self._may_play:
            return NO_REPORTS
        was_empty = playback.is_empty
        output = playback.send(self._call.now_ms, self._waits)
        self._send(output)
        if output:
            self._note_first_sound()
        if playback.needs_say:
            return self._leave_next_to_say()
        return self._all_heard() if playback.is_empty and not was_empty else NO_REPORTS

    def _note_first_sound(self) -> None:
        """Log when the caller begins to hear the prompt that plays."""
        prompt = self._playback.playing
        in_ms = None if prompt is None else prompt.take_first_sound(self._call.now_ms)
        if prompt is not None and in_ms is not None:
            self._call.note("debug", "prompt-audible", turn=prompt.turn, in_ms=in_ms, is_filler=prompt.is_filler)

    def _leave_next_to_say(self) -> Reports:
        """Have Twilio say all that was still to be heard, by a document that ends the stream and opens another."""
        opening = carried_along.next_opening(self._call)
        if self._last_words is not None:
            self._finish(self._last_words, self._take_words())
            return NO_REPORTS
        if self._call.is_idle and opening is not None:
            return self._hand_over.begin(self._take_words(), opening)
        self._playback.take_next()
        self._call.note("warning", "words-left-out", is_idle=self._call.is_idle)
        return self._all_heard() if self._playback.is_empty else self._play()

    def _all_heard(self) -> Reports:
        """Begin the caller's turn, or end the call: the caller has heard all that was to be said."""
        is_over = SpeaksUntil(self._call.now_ms)
        if self._last_words is not None:
            self._finish(self._last_words, [])
        elif self._call.is_idle:  # else the caller has gone on already
            self._hand_over.allow()
            return (is_over, *self.await_input())
        return (is_over,)

    def _finish(self, last_words: LastWords, messages: Sequence[Message]) -> None:
        """End or transfer the call. The caller has heard the last words, but for `messages`."""
        self._last_words = None
        self._call.update(last_words.document(self._call.documents, messages))

    def _take_words(self) -> list[Message]:
        """Drop all prompts, and return the words that were still to be heard."""
        prompts = self._playback.take_all()
        self._audio.cancel(prompt.turn for prompt in prompts if not prompt.is_complete)
        return [message for prompt in prompts for message in prompt.messages]

    def _send(self, output: Sequence[StreamOutput]) -> None:
        for action in output:
            self._call.act(action)
