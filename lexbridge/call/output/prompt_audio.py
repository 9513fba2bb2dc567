"""Audio of the prompts of a stream: what is there already, what Lex sends, or none, so that Twilio says the words."""

from collections.abc import Iterable, Mapping, Sequence

from lexbridge.call.actions import CancelUtterance, SynthesizeSpeech
from lexbridge.call.context import CallContext
from lexbridge.call.output.known_speech import KnownSpeech
from lexbridge.call.output.playback import Playback
from lexbridge.call.output.prompt import Prompt
from lexbridge.lex.model import Message


class PromptAudio:
    """Source of the audio of the prompts of one stream, whether they are in its playback or about to be."""

    __slots__ = ("_call", "_heads", "_known", "_phrases_made", "_playback")

    def __init__(self, call: CallContext, playback: Playback, phrase_audio: Mapping[str, bytes]) -> None:
        """`phrase_audio`: lexbridge's own phrases as audio (mu-law, whole frames). Twilio says one that has none."""
        self._call = call
        self._playback = playback
        self._known = KnownSpeech(phrase_audio)
        self._heads: dict[int, bytes] = {}  # by prompt: its audio before what Lex was asked to say
        self._phrases_made = 0  # number of prompts that answer no turn

    def is_known(self, messages: Sequence[Message]) -> bool:
        """Return whether there is audio of all of `messages` already."""
        _, unknown = self._known.find(messages)
        return not unknown

    def make_phrase(
        self,
        messages: Sequence[Message],
        may_interrupt: bool,
        *,
        is_filler: bool = False,
        to_synthesize: Sequence[Message] = (),
    ) -> Prompt:
        """Return a prompt that answers no turn, with its audio.

        Lex is asked to say those messages of which there is no audio, if all of them are among `to_synthesize`;
        otherwise Twilio says the prompt.
        """
        self._phrases_made += 1
        prompt = Prompt(-self._phrases_made, messages, may_interrupt, is_filler)
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
        return prompt

    def take_answer(self, prompt: Prompt) -> None:
        """Take `prompt` for the bot's last answer, which is about to be heard."""
        if prompt.is_complete and _has_no_audio(prompt):  # it was withheld, and no audio came
            self._find_other(prompt)
        self._known.last_answer = prompt

    def arrived(self, turn: int, mulaw: bytes) -> bool:
        """Take more of Lex's audio for the reply to `turn`: whole frames. Return whether a prompt waits for it."""
        prompt = self._playback.find(turn)
        if prompt is None:
            return False
        prompt.push(self._heads.pop(turn, b"") + mulaw)
        if prompt.is_only_silence:
            self.cancel([turn])
            self.failed(turn)
        return True

    def ended(self, turn: int) -> bool:
        """Note that all of Lex's audio for the reply to `turn` has come. Return whether a prompt waits for it."""
        prompt = self._playback.find(turn)
        if prompt is None:
            return False
        if not _has_no_audio(prompt):
            prompt.complete()
        elif all(message.is_unvoiced for message in prompt.messages):
            self._find_other(prompt)
        else:
            self.failed(turn)
        return True

    def failed(self, turn: int) -> bool:
        """Note that Lex's audio for the reply to `turn` broke off. Return whether a prompt waits for it."""
        prompt = self._playback.find(turn)
        if prompt is None:
            return False
        if turn > 0:
            self._call.note("warning", "reply-audio-failed", turn=turn, arrived_ms=prompt.arrived_ms)
        is_unvoiced = all(message.is_unvoiced for message in prompt.messages)
        if is_unvoiced and prompt.arrived_ms and not prompt.is_only_silence:
            prompt.complete()  # the words of what was heard are not known
        else:
            self._find_other(prompt)
        return True

    def cancel(self, turns: Iterable[int]) -> None:
        """Cancel Lex's audio for the replies to `turns`."""
        for turn in turns:
            self._call.act(CancelUtterance(turn))

    def _find_other(self, prompt: Prompt) -> None:
        """Take audio that is known for the words of `prompt`, or leave them to Twilio."""
        audio, unknown = self._known.find(prompt.messages)
        if unknown or prompt.arrived_ms:
            for action in self._playback.leave_to_say(prompt, self._call.now_ms):
                self._call.act(action)
        else:
            prompt.push(audio)
            prompt.complete()


def _has_no_audio(prompt: Prompt) -> bool:
    """Return whether `prompt` has words, and Lex has sent no audio of them."""
    return bool(prompt.messages) and not prompt.arrived_ms and not prompt.needs_say
