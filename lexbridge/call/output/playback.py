"""A prompt on its way to the caller's ear, over a bidirectional media stream.

Lex's audio comes in pieces and mostly faster than it is played. It is sent a little ahead of what is played, with a
mark every half second: a mark that comes back tells what has been heard, where the prompt goes on after a false alarm,
and how loud an echo may be at this moment.

    arrived  [.................................]
    sent     [........|........|........|.....]            |: a mark
    heard    [........|....^                                ^ position: the last mark heard, and the time since

Time is media time of the caller's audio, which runs like the clock by which Twilio plays ours.
"""

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from lexbridge.audio.pcm import FRAME_MS, MULAW_BYTES_PER_MS, MULAW_FRAME_BYTES, decode_mulaw, first_audible_ms
from lexbridge.call.actions import ClearAudio, SendAudio, SendMark, StreamOutput
from lexbridge.lex.model import LONGEST_SPEECH_MS, Message

LEAD_MS = 5000
"""So much is sent ahead of what is played: what waits in sockets is bounded, and a late frame leaves no gap."""

MARK_EVERY_MS = 500
MESSAGE_MS = 200
"""The longest media message."""

HEARD_WITHIN_MS = 2000
"""After its own length a prompt counts as heard, mark or not."""

LONGEST_SILENCE_MS = 10_000
"""Before the first sound of a prompt: the longest pause that SSML knows, which may stand at its beginning."""

SILENT_RMS = 16
"""A frame that is no louder is silence; mu-law's own steps are 8."""

ECHO_DELAY_MS = 600
"""An echo comes back after at most so long: Twilio's buffer, both networks, the room."""

ECHO_LOSS_DB = 16.0
"""An echo is weaker than the prompt by more than this. Whoever interrupts has to be louder."""

_ECHO_FACTOR = 10 ** (-ECHO_LOSS_DB / 20)


class Prompt:
    """One prompt of one stream. `turn`: whose answer it is, and what its marks are named after; no other prompt of the
    stream has it, and those that are nobody's answer have numbers below 0. `messages`: its words. `is_filler`: it only
    passes the time, and is not worth being played again."""

    def __init__(
        self,
        turn: int,
        messages: Sequence[Message] = (),
        may_interrupt: bool = True,
        is_filler: bool = False,
    ) -> None:
        self.turn = turn
        self.messages = messages
        self.may_interrupt = may_interrupt
        self.is_filler = is_filler
        self.is_complete = False
        """All of its audio is here."""
        self.is_heard = False
        self.is_mute = False
        """There is no voice for its words: Twilio has to say them."""
        self._audio = bytearray()  # mu-law, whole frames
        self._levels: list[int] = []  # RMS of each frame
        self._is_audible = False
        self._first_sound_ms: int | None = None  # where the caller begins to hear it; None: nowhere so far
        self._is_sound_told = False
        self._from_ms = 0  # the first audio that is sent; more than 0 where it goes on after a false alarm
        self._sent_ms = 0
        self._marked_ms = 0  # the audio before the last mark
        self._at: tuple[int, int] | None = None  # (position, media time when it was there); None: nothing is sent yet
        self._is_last_marked = False
        self._marks: dict[str, int | None] = {}  # that have not come back: the audio before each; None: all of it
        self._plays = 0  # how often it was begun

    def push(self, mulaw: bytes) -> None:
        """More of its audio: mu-law, whole frames. What is longer than LONGEST_SPEECH_MS is left out."""
        room = LONGEST_SPEECH_MS * MULAW_BYTES_PER_MS - len(self._audio)
        mulaw = mulaw[: max(0, room)]
        if self._first_sound_ms is None and (sound_ms := first_audible_ms(mulaw)) is not None:
            self._first_sound_ms = self.arrived_ms + sound_ms
        self._audio += mulaw
        samples = np.frombuffer(decode_mulaw(mulaw), dtype="<i2").astype(np.float64).reshape(-1, MULAW_FRAME_BYTES)
        levels = np.sqrt(np.mean(samples**2, axis=1)).astype(int).tolist()
        self._levels += levels
        self._is_audible = self._is_audible or max(levels, default=0) > SILENT_RMS

    def complete(self) -> None:
        """There is no more of it."""
        self.is_complete = True

    def mute(self) -> None:
        """There is no more of it, and what there is is of no use."""
        self.is_complete = self.is_mute = True

    @property
    def audio(self) -> bytes:
        """What is here of it, mu-law."""
        return bytes(self._audio)

    @property
    def arrived_ms(self) -> int:
        """Audio that is here."""
        return len(self._audio) // MULAW_BYTES_PER_MS

    @property
    def is_only_silence(self) -> bool:
        """Whether it has words, and what is here of it is long and has no sound: more of the same would be dead air."""
        return bool(self.messages) and not self._is_audible and self.arrived_ms > LONGEST_SILENCE_MS

    @property
    def is_begun(self) -> bool:
        """Some of it is sent."""
        return self._at is not None

    def playing_ms(self, now_ms: int) -> int:
        """How long it has been playing, this time."""
        return self.position_ms(now_ms) - self._from_ms if self._at is not None else 0

    def position_ms(self, now_ms: int) -> int:
        """What of it the caller has heard, as far as one can tell."""
        if self._at is None:
            return self._from_ms
        position_ms, at_ms = self._at
        return min(self._sent_ms, position_ms + now_ms - at_ms)

    def take_first_sound(self, now_ms: int) -> int | None:
        """Returns how soon its first sound is heard, ms, once that has been sent; None before, and ever after."""
        sound_ms = self._first_sound_ms
        if self._is_sound_told or sound_ms is None or self._sent_ms <= sound_ms:
            return None
        self._is_sound_told = True
        return max(0, sound_ms - self.position_ms(now_ms))

    def echo_rms(self, now_ms: int) -> int:
        """How loud its echo may be now: RMS of 16-bit samples."""
        if self._at is None:
            return 0
        # After its end the position stands still, but the echo is still coming.
        position_ms, at_ms = self._at
        played_ms = position_ms + now_ms - at_ms
        heard = self._levels[max(0, played_ms - ECHO_DELAY_MS) // FRAME_MS : played_ms // FRAME_MS + 2]
        return round(max(heard, default=0) * _ECHO_FACTOR)

    def send(self, now_ms: int) -> Iterator[StreamOutput]:
        """Yield what is due to be sent now: audio, and marks between its pieces."""
        if self.arrived_ms > self._sent_ms and (self._at is None or self.position_ms(now_ms) >= self._sent_ms):
            # It begins; or there was nothing left to play, and now there is.
            self._plays += self._at is None
            self._at = (self._sent_ms, now_ms)
        if self._at is None:
            self.is_heard = self.is_complete  # there is nothing to hear
            return
        until_ms = min(self.arrived_ms, self.position_ms(now_ms) + LEAD_MS)
        while self._sent_ms < until_ms:
            to_ms = min(until_ms, self._sent_ms + MESSAGE_MS, self._marked_ms + MARK_EVERY_MS)
            audio = self._audio[self._sent_ms * MULAW_BYTES_PER_MS : to_ms * MULAW_BYTES_PER_MS]
            yield SendAudio(bytes(audio))
            self._sent_ms = to_ms
            if to_ms == self._marked_ms + MARK_EVERY_MS:
                self._marked_ms = to_ms
                yield self._mark(to_ms)
        if self.is_complete and self._sent_ms == self.arrived_ms and not self._is_last_marked:
            self._is_last_marked = True
            yield self._mark(None)

    def marked(self, mark: str, now_ms: int) -> None:
        """A mark came back. One of another prompt, or of an earlier play of this one, changes nothing."""
        if mark not in self._marks:
            return
        position_ms = self._marks.pop(mark)
        if position_ms is None:
            self.is_heard = True
        else:
            self._at = (position_ms, now_ms)

    def expire(self, now_ms: int) -> bool:
        """Whether its last mark should have come back long ago: it counts as heard from here on."""
        if self._at is None or not self._is_last_marked or self.is_heard:
            return False
        position_ms, at_ms = self._at
        self.is_heard = position_ms + now_ms - at_ms >= self._sent_ms + HEARD_WITHIN_MS
        return self.is_heard

    def stop(self, now_ms: int) -> ClearAudio:
        """Stop the prompt, and return what clears it. Played again, it goes on from the last half second that the
        caller heard in whole."""
        position_ms = self.position_ms(now_ms)
        self._from_ms = self._sent_ms = self._marked_ms = max(
            self._from_ms, (position_ms - self._from_ms) // MARK_EVERY_MS * MARK_EVERY_MS + self._from_ms
        )
        self._at = None
        self._is_last_marked = False
        self._marks.clear()
        return ClearAudio()

    def _mark(self, at_ms: int | None) -> SendMark:
        name = f"turn-{self.turn}.{self._plays}:{'end' if at_ms is None else at_ms}"
        self._marks[name] = at_ms
        return SendMark(name)


class Playback:
    """The prompts of one stream, played one after the other."""

    def __init__(self) -> None:
        self._prompts: deque[Prompt] = deque()  # the first one plays, or is about to
        self._interrupted: list[Prompt] = []
        self._withheld: Prompt | None = None
        self._last: Prompt | None = None  # that was heard: its echo may still be coming
        self._stopped_echo = (0, 0)  # (RMS, until when) of what was stopped

    @property
    def is_empty(self) -> bool:
        """There is nothing to be heard."""
        return not self._prompts

    @property
    def is_mute(self) -> bool:
        """What is to be heard next has no voice: Twilio has to say its words."""
        return bool(self._prompts) and self._prompts[0].is_mute

    @property
    def was_interrupted(self) -> bool:
        """Prompts are kept that the caller has interrupted."""
        return bool(self._interrupted)

    @property
    def awaits_words(self) -> bool:
        """There is something to be heard, nothing of it has been sent, and none of it is anybody's answer."""
        return bool(self._prompts) and all(prompt.turn < 0 and not prompt.is_begun for prompt in self._prompts)

    @property
    def playing(self) -> Prompt | None:
        """The prompt that plays."""
        return self._prompts[0] if self._prompts and self._prompts[0].is_begun else None

    def add(self, prompt: Prompt) -> None:
        """Plays `prompt` after the others."""
        self._prompts.append(prompt)

    def prompt_of(self, turn: int) -> Prompt | None:
        """The prompt of `turn`, if it is still of use: to be heard, or kept."""
        kept = (*self._prompts, *self._interrupted, *([self._withheld] if self._withheld else []))
        return next((prompt for prompt in kept if prompt.turn == turn), None)

    def send(self, now_ms: int, waits: bool) -> list[StreamOutput]:
        """Return what is due to be sent now. `waits`: the caller is speaking, so a prompt begins only if it must not
        be interrupted anyway."""
        output: list[StreamOutput] = []
        while self._prompts and not self.is_mute:
            prompt = self._prompts[0]
            if not (waits and prompt.may_interrupt and not prompt.is_begun):
                output += prompt.send(now_ms)
            if not prompt.is_heard:
                break
            self._prompts.popleft()
            self._last = prompt
        return output

    def marked(self, mark: str, now_ms: int) -> None:
        """A mark came back; it may be late, or of a prompt that was cleared."""
        if self._prompts:
            self._prompts[0].marked(mark, now_ms)

    def expire(self, now_ms: int) -> bool:
        """Whether the prompt that plays ought to have been heard by now; it counts as heard then."""
        return bool(self._prompts) and self._prompts[0].expire(now_ms)

    def echo_rms(self, now_ms: int) -> int:
        """How loud an echo may be now: RMS of 16-bit samples."""
        rms, until_ms = self._stopped_echo
        prompts = [prompt for prompt in (self.playing, self._last) if prompt is not None]
        return max(rms if now_ms < until_ms else 0, *[prompt.echo_rms(now_ms) for prompt in prompts], 0)

    def interrupt(self, now_ms: int) -> list[StreamOutput]:
        """Stop all prompts, for the caller speaks. Return what clears the one that plays."""
        output = self._stop(now_ms)
        self._interrupted += [prompt for prompt in self._prompts if not prompt.is_filler]
        self._prompts.clear()
        return output

    def resume(self) -> None:
        """It was a false alarm: what was interrupted goes on."""
        self._prompts += self._interrupted
        self._interrupted = []

    def forget_interrupted(self) -> list[int]:
        """It was none. Returns the turns whose prompts are of no use any more and are still arriving."""
        turns = [prompt.turn for prompt in self._interrupted if not prompt.is_complete]
        self._interrupted = []
        return turns

    def is_waiting(self, turn: int) -> bool:
        """The prompt of `turn` is to be heard, and nothing of it has been."""
        return any(prompt.turn == turn and not prompt.is_begun for prompt in self._prompts)

    def withhold(self, prompt: Prompt) -> None:
        """`prompt`, of which nothing was sent, is kept: to be heard after all, or never."""
        if prompt in self._prompts:
            self._prompts.remove(prompt)
        self._withheld = prompt

    def release(self, turn: int) -> Prompt | None:
        """The prompt of `turn` that was kept, which somebody else has from now on."""
        prompt = self._withheld
        if prompt is None or prompt.turn != turn:
            return None
        self._withheld = None
        return prompt

    def forget_withheld(self) -> list[int]:
        """It is never heard. Returns its turn, if it is still arriving."""
        prompt, self._withheld = self._withheld, None
        return [prompt.turn] if prompt is not None and not prompt.is_complete else []

    def mute(self, prompt: Prompt, now_ms: int) -> list[StreamOutput]:
        """Leave the words of `prompt` to `<Say>`. Return what clears the prompt if it plays."""
        output = self._stop(now_ms) if prompt is self.playing else []
        prompt.mute()
        return output

    def take_next(self) -> Prompt:
        """The prompt that is to be heard next, which nobody will hear here."""
        return self._prompts.popleft()

    def take_all(self) -> list[Prompt]:
        """All that was to be heard, and is not any more, or not here."""
        prompts = list(self._prompts)
        self._prompts.clear()
        return prompts

    def _stop(self, now_ms: int) -> list[StreamOutput]:
        prompt = self.playing
        if prompt is None:
            return []
        self._stopped_echo = (self.echo_rms(now_ms), now_ms + ECHO_DELAY_MS)
        return [prompt.stop(now_ms)]
