"""Output in Lex's own voice, over a bidirectional media stream; marks tell what the caller has heard.

A document ends such a stream. So a document that speaks, for words that have no audio here, also opens the next stream;
and the document that ends the call is sent only when the caller has heard the last words.
"""

from collections.abc import Iterable, Mapping, Sequence

from lexbridge.audio.endpointing import Listening
from lexbridge.call.actions import CancelUtterance, StreamOutput, SynthesizeSpeech
from lexbridge.call.context import CallContext
from lexbridge.call.last_words import LastWords
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS, UNINTERRUPTED_MS, Speaker
from lexbridge.call.output.hand_over import HandOver
from lexbridge.call.output.known_speech import KnownSpeech
from lexbridge.call.output.playback import Playback
from lexbridge.call.output.prompt import Prompt
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
        self._known = KnownSpeech(phrase_audio)
        self._playback = Playback()
        self._hand_over = HandOver(call)
        self._heads: dict[int, bytes] = {}  # by prompt: its audio before what Lex was asked to say
        self._phrases_played = 0  # number of prompts that answered no turn
        self._last_words: LastWords | None = None  # what ends the call once the caller has heard all

    @property
    def is_finishing(self) -> bool:
        """Whether the caller is hearing the last words, and the document that ends the call is still to come."""
        return self._last_words is not None

    @property
    def is_speaking(self) -> bool:
        return not self._playback.is_empty

    def greet(self) -> Reports:
        return self.await_input()  # the greeting is over: its document had to speak before it could connect

    def await_input(self, after_ms: int = 0, reprompts_ms: Sequence[int] = ()) -> Reports:  # noqa: ARG002
        return (CallersTurn(after_ms),)  # the stream brings keys one by one, so no document asks by itself

    def take_reprompt(self) -> Reports:
        return NO_REPORTS

    # -- the caller speaks

    def listening(self) -> Listening | None:
        rules, now_ms = self._call.rules, self._call.now_ms
        echo_rms = self._playback.echo_rms(now_ms)
        prompt = self._playback.playing
        if prompt is None:
            return Listening(rules.onset_ms, echo_rms=echo_rms) if echo_rms else None
        if not (rules.barge_in and prompt.may_interrupt):
            return Listening(None, echo_rms=echo_rms)
        onset_ms = rules.barge_in_ms if prompt.playing_ms(now_ms) >= UNINTERRUPTED_MS else None
        return Listening(onset_ms, PAUSE_WITHIN_ONSET_MS, echo_rms)

    def may_echo(self) -> bool:
        """Return whether an echo of what the caller has heard may come back now."""
        return self._call.endpointer.now_ms < self._playback.echo_until_ms

    def interrupt(self) -> Reports:
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
        self._cancel(self._playback.discard_interrupted())

    # -- the bot speaks

    def speak(
        self, messages: Sequence[Message], speaking_turn: int | None = None, *, to_synthesize: Sequence[Message] = ()
    ) -> Reports:
        if to_synthesize:
            self._send(self._playback.interrupt(self._call.now_ms))
            self.discard_interrupted()
        if speaking_turn is None:
            self._play_phrase(messages, to_synthesize=to_synthesize)
        else:
            prompt = self._playback.release(speaking_turn) or Prompt(speaking_turn, messages)
            prompt.messages = messages
            prompt.may_interrupt = self._may_interrupt_next
            if prompt.is_complete and self._has_no_audio(prompt):  # it was withheld, and no audio came
                self._find_other_audio(prompt)
            self._known.last_answer = prompt
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
        self._cancel(self._playback.discard_withheld())

    def fill(self) -> Reports:
        words = [Message(self._call.rules.phrases.one_moment)]
        _, unknown = self._known.find(words)
        if unknown or not self._playback.is_empty:  # a document would end the stream, and the turn with it
            return NO_REPORTS
        self._call.note_filler()
        self._play_phrase(words, is_filler=True)
        return self._play()

    def close(self, messages: Sequence[Message], last_words: LastWords, speaking_turn: int | None = None) -> Reports:
        self._last_words = last_words
        return self.speak(messages, speaking_turn)

    def wants_speech(self, turn: int) -> bool:
        """Return whether Lex's audio for the reply to `turn` is to be heard, or may be."""
        return self._playback.find(turn) is not None

    def speech_arrived(self, turn: int, mulaw: bytes) -> Reports:
        """Take more of Lex's audio for the reply to `turn`: whole frames."""
        prompt = self._playback.find(turn)
        if prompt is None:
            return NO_REPORTS
        prompt.push(self._heads.pop(turn, b"") + mulaw)
        if prompt.is_only_silence:
            self._cancel([turn])
            return self.speech_failed(turn)
        return self._play()

    def speech_ended(self, turn: int) -> Reports:
        """Note that all of Lex's audio for the reply to `turn` has come."""
        prompt = self._playback.find(turn)
        if prompt is None:
            return NO_REPORTS
        if not self._has_no_audio(prompt):
            prompt.complete()
        elif all(message.is_unvoiced for message in prompt.messages):
            self._find_other_audio(prompt)
        else:
            return self.speech_failed(turn)
        return self._play()

    def speech_failed(self, turn: int) -> Reports:
        """Note that Lex's audio for the reply to `turn` broke off."""
        prompt = self._playback.find(turn)
        if prompt is None:
            return NO_REPORTS
        if turn > 0:
            self._call.note("warning", "reply-audio-failed", turn=turn, arrived_ms=prompt.arrived_ms)
        is_unvoiced = all(message.is_unvoiced for message in prompt.messages)
        if is_unvoiced and prompt.arrived_ms and not prompt.is_only_silence:
            prompt.complete()  # the words of what was heard are not known
        else:
            self._find_other_audio(prompt)
        return self._play()

    def mark_reached(self, name: str) -> Reports:
        """Note that Twilio has played what was sent before the mark `name`, or dropped it."""
        self._playback.mark_reached(name, self._call.now_ms)
        return self._play()

    def tick(self) -> Reports:
        if self._playback.is_empty:
            return self._hand_over.tick()
        if self._playback.expire(self._call.now_ms):
            self._call.note("warning", "mark-missing")
        return self._play()

    def next_due_ms(self) -> int | None:
        if self._playback.is_empty:
            return self._hand_over.next_due_ms()
        return self._playback.next_due_ms(self._waits) if self._may_play else self._playback.expires_at_ms

    def end(self) -> None:
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

    def _has_no_audio(self, prompt: Prompt) -> bool:
        """Return whether `prompt` has words, and Lex has sent no audio of them."""
        return bool(prompt.messages) and not prompt.arrived_ms and not prompt.needs_say

    def _find_other_audio(self, prompt: Prompt) -> None:
        """Take audio that is known for the words of `prompt`, or leave them to Twilio."""
        audio, unknown = self._known.find(prompt.messages)
        if unknown or prompt.arrived_ms:
            self._send(self._playback.leave_to_say(prompt, self._call.now_ms))
        else:
            prompt.push(audio)
            prompt.complete()

    def _play_phrase(
        self, messages: Sequence[Message], *, is_filler: bool = False, to_synthesize: Sequence[Message] = ()
    ) -> None:
        """Add a prompt that answers no turn."""
        self._phrases_played += 1
        prompt = Prompt(-self._phrases_played, messages, self._may_interrupt_next, is_filler)
        audio, unknown = self._known.find(messages)
        if unknown and set(unknown) <= set(to_synthesize):
            self._heads[prompt.turn] = audio
            self._known.last_answer = prompt
            self._call.act(SynthesizeSpeech(prompt.turn, unknown))
        elif unknown:
            prompt.leave_to_say()
        else:
            prompt.push(audio)
            prompt.complete()
        self._playback.add(prompt)

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
        opening = self._call.next_opening()
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
        self._cancel(prompt.turn for prompt in prompts if not prompt.is_complete)
        return [message for prompt in prompts for message in prompt.messages]

    def _cancel(self, turns: Iterable[int]) -> None:
        for turn in turns:
            self._call.act(CancelUtterance(turn))

    def _send(self, output: Sequence[StreamOutput]) -> None:
        for action in output:
            self._call.act(action)
