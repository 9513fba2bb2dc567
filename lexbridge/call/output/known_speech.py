"""Speech that need not be asked for, because its audio is there already."""

from collections.abc import Mapping, Sequence

from lexbridge.call.output.prompt import Prompt
from lexbridge.lex.model import Message


class KnownSpeech:
    """Audio of lexbridge's own phrases, and of the bot's last answer."""

    def __init__(self, phrase_audio: Mapping[str, bytes]) -> None:
        """`phrase_audio`: phrases as audio (mu-law, whole frames). A phrase may be missing, come later, or be empty."""
        self._phrase_audio = phrase_audio
        self.last_answer: Prompt | None = None

    def find(self, messages: Sequence[Message]) -> tuple[bytes, tuple[Message, ...]]:
        """Return the audio of the first of `messages`, as far as it is known, and the messages from there on.

        Phrases come first; the last message, or the last few, may be the bot's last answer.
        """
        audio, rest = b"", tuple(messages)
        last = self.last_answer
        if last is not None and last.turn > 0 and all(message.is_unvoiced for message in last.messages):
            last = None  # its audio, if it has any, says something else
        while rest:
            if last is not None and last.is_complete and not last.needs_say and rest == tuple(last.messages):
                return audio + last.audio, ()
            phrase = self._phrase_audio.get(rest[0].text)
            if not phrase:
                return audio, rest
            audio, rest = audio + phrase, rest[1:]
        return audio, ()
