"""The bot is heard in Lex's own voice, over a bidirectional media stream; marks tell what has been heard.

A document ends such a stream. So one that speaks, for words that have no voice here, also opens the next stream; and
one that ends the call is sent only when the last words have been heard.
"""

from collections.abc import Iterable, Mapping, Sequence

from lexbridge.audio.endpointing import Listening
from lexbridge.call.actions import CancelUtterance, StreamOutput, SynthesizeSpeech
from lexbridge.call.context import CallContext
from lexbridge.call.documents import Opening
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS, UNINTERRUPTED_MS, LastWords
from lexbridge.call.output.playback import Playback, Prompt
from lexbridge.call.states import CallState
from lexbridge.lex.model import Message

QUIET_BEFORE_HAND_OVER_MS = 1000
"""So long neither the caller nor the bot has spoken when the call is handed over. Callers answer soon after a prompt's
end, most of them within a second; and what they say while one stream ends and the next opens, 0.3 to 0.6 s, nobody
hears."""


class StreamMode:
    """See ReplyMode."""

    hears_keys = True
    recalls_at_once = True
    stops_stream = False
    reprompts = False

    def __init__(self, call: CallContext, voiced: Mapping[str, bytes]) -> None:
        """`voiced`: phrases of lexbridge's own as audio (mu-law, whole frames). One that is not there, or not yet, or
        has no audio, is spoken by Twilio."""
        self._call = call
        self._voiced = voiced
        self._playback = Playback()
        self._last_answer: Prompt | None = None  # to be heard again
        self._heads: dict[int, bytes] = {}  # of prompts: the audio before what Lex was asked to say
        self._recited = 0  # prompts that were nobody's answer
        self._last_words: LastWords | None = None  # what ends the call, once all is heard
        self._quiet_since_ms = 0  # nobody speaks, or is about to
        self._may_hand_over = True  # once for each prompt: while Twilio refuses, the caller is heard

    @property
    def is_finishing(self) -> bool:
        """See ReplyMode."""
        return self._last_words is not None

    @property
    def may_ask_again(self) -> bool:
        """See ReplyMode."""
        return self._playback.is_empty and self._call.is_idle

    def greeted(self) -> None:
        """See ReplyMode. The greeting is over: its document had to speak before it could connect."""
        self.await_input()

    def await_input(self, after_ms: int = 0, reprompts_ms: Sequence[int] = ()) -> None:  # noqa: ARG002
        """See ReplyMode. Keys are known one by one, so no document asks by itself."""
        self._call.await_input(after_ms)

    def reprompted(self) -> bool:
        """See ReplyMode."""
        return False

    # -- the caller speaks

    def listening(self) -> Listening | None:
        """See ReplyMode."""
        rules, now_ms = self._call.rules, self._call.now_ms
        echo_rms = self._playback.echo_rms(now_ms)
        prompt = self._playback.playing
        if prompt is None:
            return Listening(rules.onset_ms, echo_rms=echo_rms) if echo_rms else None
        if not (rules.barge_in and prompt.may_interrupt):
            return Listening(None, echo_rms=echo_rms)
        onset_ms = rules.barge_in_ms if prompt.playing_ms(now_ms) >= UNINTERRUPTED_MS else None
        return Listening(onset_ms, PAUSE_WITHIN_ONSET_MS, echo_rms)

    def interrupt(self) -> None:
        """See ReplyMode. `clear` stops what Twilio has, and nothing more is sent. What Lex is still being asked to say
        is kept like what was stopped: the caller has something to say before they hear it."""
        prompt = self._playback.playing
        if prompt is not None and self._call.rules.barge_in and prompt.may_interrupt:
            self._call.note("info", "barged-in", heard_ms=prompt.position_ms(self._call.now_ms))
            self._send(self._playback.interrupt(self._call.now_ms))
        elif prompt is None and self._call.may_interrupt and self._playback.awaits_words:
            self._playback.interrupt(self._call.now_ms)

    def resumes(self) -> bool:
        """See ReplyMode. What was said since then tells whether it was one."""
        if not self._playback.was_interrupted:
            return False
        if self._call.is_idle:
            self._playback.resume()
            self._play()
        return True

    def forget_interrupted(self) -> None:
        """See ReplyMode."""
        self._cancel(self._playback.forget_interrupted())

    # -- the bot speaks

    def speak(
        self, messages: Sequence[Message], speaking_turn: int | None = None, *, to_voice: Sequence[Message] = ()
    ) -> None:
        """See ReplyMode."""
        if to_voice:
            self._send(self._playback.interrupt(self._call.now_ms))
            self.forget_interrupted()
        if speaking_turn is None:
            self._recite(messages, to_voice=to_voice)
        else:
            prompt = self._playback.release(speaking_turn) or Prompt(speaking_turn, messages)
            prompt.messages = messages
            prompt.may_interrupt = self._call.directives.allow_interrupt
            if prompt.is_complete and self._is_unspoken(prompt):  # it was withheld, and its voice has come to nothing
                self._speak_otherwise(prompt)
            self._last_answer = prompt
            self._playback.add(prompt)
        self._play()

    def is_unheard(self, turn: int) -> bool:
        """See ReplyMode."""
        return self._playback.is_waiting(turn)

    def withhold(self, turn: int, messages: Sequence[Message]) -> None:
        """See ReplyMode. Its audio goes on to arrive."""
        self._playback.withhold(self._playback.prompt_of(turn) or Prompt(turn, messages))

    def forget_withheld(self) -> None:
        """See ReplyMode."""
        self._cancel(self._playback.forget_withheld())

    def fill(self) -> None:
        """See ReplyMode. A document would end the stream, and with it the turn."""
        words = [Message(self._call.rules.phrases.one_moment)]
        _, has_no_voice = self._voice_of(words)
        if self._playback.is_empty and not has_no_voice:
            self._call.note_filler()
            self._recite(words, is_filler=True)
            self._play()

    def close(self, messages: Sequence[Message], last_words: LastWords, speaking_turn: int | None = None) -> None:
        """See ReplyMode. The document comes when `messages` have been heard."""
        self._last_words = last_words
        self.speak(messages, speaking_turn)

    def wants_voice(self, turn: int) -> bool:
        """See ReplyMode."""
        return self._playback.prompt_of(turn) is not None

    def spoke(self, turn: int, mulaw: bytes) -> None:
        """See ReplyMode."""
        prompt = self._playback.prompt_of(turn)
        if prompt is not None:
            prompt.push(self._heads.pop(turn, b"") + mulaw)
            if prompt.is_only_silence:
                self._cancel([turn])
                self.speech_failed(turn)
            else:
                self._play()

    def spoke_all(self, turn: int) -> None:
        """See ReplyMode."""
        prompt = self._playback.prompt_of(turn)
        if prompt is None:
            return
        if not self._is_unspoken(prompt):
            prompt.complete()
            self._play()
        elif all(message.is_unvoiced for message in prompt.messages):
            self._speak_otherwise(prompt)
            self._play()
        else:
            self.speech_failed(turn)

    def speech_failed(self, turn: int) -> None:
        """See ReplyMode. The words are said otherwise."""
        prompt = self._playback.prompt_of(turn)
        if prompt is None:
            return
        if turn > 0:
            self._call.note("warning", "reply-audio-failed", turn=turn, arrived_ms=prompt.arrived_ms)
        is_unvoiced = all(message.is_unvoiced for message in prompt.messages)
        if is_unvoiced and prompt.arrived_ms and not prompt.is_only_silence:
            prompt.complete()  # nobody knows the words of what was heard
        else:
            self._speak_otherwise(prompt)
        self._play()

    def marked(self, mark: str) -> None:
        """See ReplyMode."""
        self._playback.marked(mark, self._call.now_ms)
        self._play()

    def tick(self) -> None:
        """See ReplyMode."""
        if not self._playback.is_empty:
            if self._playback.expire(self._call.now_ms):
                self._call.note("warning", "mark-missing")
            self._play()
        self._hand_over_when_quiet()

    def end(self) -> None:
        """See ReplyMode."""
        self.forget_interrupted()
        self.forget_withheld()
        self._forget_prompts()

    def _is_unspoken(self, prompt: Prompt) -> bool:
        """Whether `prompt` has words, and Lex has sent no voice for them."""
        return bool(prompt.messages) and not prompt.arrived_ms and not prompt.is_mute

    def _speak_otherwise(self, prompt: Prompt) -> None:
        """Has the words of `prompt` said by lexbridge's own voice, where it knows them, or by Twilio."""
        audio, rest = self._voice_of(prompt.messages)
        if rest or prompt.arrived_ms:
            self._send(self._playback.mute(prompt, self._call.now_ms))
        else:
            prompt.push(audio)
            prompt.complete()

    def _voice_of(self, messages: Sequence[Message]) -> tuple[bytes, tuple[Message, ...]]:
        """`messages` as audio, as far as it is known: our own phrases, and the bot's last answer after them. And
        those from the first on that it is not known of."""
        audio, rest = b"", tuple(messages)
        last = self._last_answer
        if last is not None and last.turn > 0 and all(message.is_unvoiced for message in last.messages):
            last = None  # its audio, if it has any, says something else
        while rest:
            if last is not None and last.is_complete and not last.is_mute and rest == tuple(last.messages):
                return audio + last.audio, ()
            voiced = self._voiced.get(rest[0].text)
            if not voiced:
                return audio, rest
            audio, rest = audio + voiced, rest[1:]
        return audio, ()

    def _recite(
        self, messages: Sequence[Message], *, is_filler: bool = False, to_voice: Sequence[Message] = ()
    ) -> None:
        """Plays what is nobody's answer."""
        self._recited += 1
        prompt = Prompt(-self._recited, messages, self._call.directives.allow_interrupt, is_filler)
        audio, rest = self._voice_of(messages)
        if rest and set(rest) <= set(to_voice):
            self._heads[prompt.turn] = audio
            self._last_answer = prompt
            self._call.act(SynthesizeSpeech(prompt.turn, rest))
        elif rest:
            prompt.mute()
        else:
            prompt.push(audio)
            prompt.complete()
        self._playback.add(prompt)

    def _play(self) -> None:
        """Sends what is due of the prompts, and goes on when they have been heard."""
        call, playback = self._call, self._playback
        if call.state not in (CallState.LIVE, CallState.CLOSING):
            return
        was_empty = playback.is_empty
        is_busy = call.turns.open is not None or call.keys.is_collecting
        waits = is_busy and call.rules.barge_in and call.state is CallState.LIVE
        output = playback.send(call.now_ms, waits)
        self._send(output)
        if output:
            self._note_first_sound()
        if playback.is_mute:
            self._say_next()
        elif playback.is_empty and not was_empty:
            self._heard()

    def _note_first_sound(self) -> None:
        """Tells when the caller begins to hear the prompt that plays."""
        prompt = self._playback.playing
        in_ms = None if prompt is None else prompt.take_first_sound(self._call.now_ms)
        if prompt is not None and in_ms is not None:
            self._call.note("debug", "prompt-audible", turn=prompt.turn, in_ms=in_ms, is_filler=prompt.is_filler)

    def _say_next(self) -> None:
        """Has Twilio say what is to be heard next. That is the end of the stream: all that was still to be heard is
        said, and another one goes on."""
        opening = self._call.opening()
        if self._last_words is not None:
            self._finish(self._last_words, self._forget_prompts())
        elif self._call.is_idle and opening is not None:
            self._hand_over(self._forget_prompts(), opening)
        else:
            self._playback.take_next()
            self._call.note("warning", "words-left-out", is_idle=self._call.is_idle)
            if self._playback.is_empty:
                self._heard()
            else:
                self._play()

    def _heard(self) -> None:
        """All that was to be said has been heard: only now it is the caller's turn, or the end."""
        call = self._call
        call.quiet_from_ms = call.now_ms
        if self._last_words is not None:
            self._finish(self._last_words, [])
        elif call.is_idle:  # else the caller has gone on already
            self._may_hand_over = True
            self.await_input()

    def _hand_over_when_quiet(self) -> None:
        """A process that leaves hands the call over between a prompt and what the caller says to it."""
        call = self._call
        if not self.may_ask_again or call.endpointer.is_voiced:
            self._quiet_since_ms = call.now_ms
        is_quiet = call.now_ms >= self._quiet_since_ms + QUIET_BEFORE_HAND_OVER_MS
        if not (is_quiet and call.is_leaving and self._may_hand_over and call.state is CallState.LIVE):
            return
        if (opening := call.opening()) is not None:
            self._hand_over([], opening)

    def _hand_over(self, messages: Sequence[Message], opening: Opening) -> None:
        document = self._call.documents.connect(
            messages, opening, voice=self._call.directives.voice, query=self._call.progress.query
        )
        self._call.update(document, hands_over=True)
        self._call.leave()
        self._may_hand_over = False

    def _finish(self, last_words: LastWords, messages: Sequence[Message]) -> None:
        """The last words were heard, but for `messages`: the call ends, or goes to somebody else."""
        self._last_words = None
        self._call.update(last_words(messages))

    def _forget_prompts(self) -> list[Message]:
        """Nothing more is heard over this stream. Returns the words that were still to be."""
        prompts = self._playback.take_all()
        self._cancel(prompt.turn for prompt in prompts if not prompt.is_complete)
        return [message for prompt in prompts for message in prompt.messages]

    def _cancel(self, turns: Iterable[int]) -> None:
        for turn in turns:
            self._call.act(CancelUtterance(turn))

    def _send(self, output: Sequence[StreamOutput]) -> None:
        for action in output:
            self._call.act(action)
