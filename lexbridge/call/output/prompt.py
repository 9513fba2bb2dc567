"""One prompt on its way to the caller's ear, over a bidirectional media stream.

Lex's audio comes in pieces, and mostly faster than it is played. It is sent a little ahead of what is played, with a
mark every half second. A mark that comes back tells what the caller has heard, where the prompt goes on after a false
alarm, and how loud its echo may be at this moment.

    arrived  [.................................]
    sent     [........|........|........|.....]            |: a mark
    heard    [........|....^                                ^ position: the last mark heard, and the time since

Time is media time of the caller's audio, which runs like the clock by which Twilio plays the prompt.
"""

from collections.abc import Iterator, Sequence

from lexbridge.audio.levels import frame_levels
from lexbridge.audio.pcm import AUDIBLE_RMS, FRAME_MS, MULAW_BYTES_PER_MS
from lexbridge.call.actions import ClearAudio, SendAudio, SendMark, StreamOutput
from lexbridge.lex.model import LONGEST_SPEECH_MS, Message

LEAD_MS = 5000
"""Most audio sent ahead of what is played, milliseconds: little waits in sockets, and a late frame leaves no gap."""

MARK_EVERY_MS = 500
"""Audio between two marks, milliseconds."""

MESSAGE_MS = 200
"""Most audio of one media message, milliseconds. Less is sent only at a mark, or where no more has arrived."""

HEARD_WITHIN_MS = 2000
"""Time after its own length when a prompt counts as heard, mark or not, milliseconds."""

MARK_WITHIN_MS = 300
"""Time after its own length when a prompt may be over, although its last mark is not back, milliseconds."""

LONGEST_SILENCE_MS = 10_000
"""Most silence before the first sound of a prompt, milliseconds: the longest pause of SSML, which may stand there."""

SILENT_RMS = 16
"""Loudest frame that counts as silence, RMS of 16-bit samples. One step of mu-law is 8."""

ECHO_DELAY_MS = 600
"""Latest return of an echo, milliseconds: Twilio's buffer, both networks and the room."""

ECHO_LOSS_DB = 16.0
"""Least by which an echo is weaker than the prompt, dB. A caller who interrupts has to be louder than that."""

_ECHO_FACTOR = 10 ** (-ECHO_LOSS_DB / 20)


class Prompt:
    """One prompt of one stream.

    `turn`: the turn that it answers, after which its marks are named. A prompt that answers no turn has a number below
    0, and no other prompt of the stream has the same. `messages`: its words. `is_filler`: it only passes the time, and
    is not worth being played again.
    """

    def __init__(
        self, turn: int, messages: Sequence[Message] = (), may_interrupt: bool = True, is_filler: bool = False
    ) -> None:
        self.turn = turn
        self.messages = messages
        self.may_interrupt = may_interrupt
        self.is_filler = is_filler
        self.is_complete = False
        """Whether all of its audio has arrived."""
        self.is_heard = False
        self.needs_say = False
        """Whether Twilio has to say its words, because there is no audio of them."""
        self._audio = bytearray()  # mu-law, whole frames
        self._levels: list[int] = []  # RMS of each frame
        self._is_audible = False
        self._first_sound_ms: int | None = None  # where its first sound is, if one has arrived
        self._sounds_until_ms = 0  # where the last sound that has arrived ends
        self._is_sound_reported = False
        self._from_ms = 0  # the first audio that is sent; more than 0 where it goes on after a false alarm
        self._sent_ms = 0
        self._marked_ms = 0  # audio before the last mark that was sent
        self._at: tuple[int, int] | None = None  # (position, media time when it was there), once it has begun
        self._is_last_marked = False
        self._marks: dict[str, int | None] = {}  # not yet back, with the audio before each (None: all of it)
        self._plays = 0  # how often it has begun

    def push(self, mulaw: bytes) -> None:
        """Add audio: mu-law, whole frames. What exceeds LONGEST_SPEECH_MS is dropped."""
        room = LONGEST_SPEECH_MS * MULAW_BYTES_PER_MS - len(self._audio)
        mulaw = mulaw[: max(0, room)]
        levels = frame_levels(mulaw)
        audible = [frame for frame, level in enumerate(levels) if level > AUDIBLE_RMS]
        if audible:
            if self._first_sound_ms is None:
                self._first_sound_ms = self.arrived_ms + audible[0] * FRAME_MS
            self._sounds_until_ms = self.arrived_ms + (audible[-1] + 1) * FRAME_MS
        self._audio += mulaw
        self._levels += levels
        self._is_audible = self._is_audible or max(levels, default=0) > SILENT_RMS

    def complete(self) -> None:
        """Note that all of its audio has arrived."""
        self.is_complete = True

    def leave_to_say(self) -> None:
        """Give up its audio: Twilio has to say its words."""
        self.is_complete = self.needs_say = True

    @property
    def audio(self) -> bytes:
        """Audio that has arrived, mu-law."""
        return bytes(self._audio)

    @property
    def arrived_ms(self) -> int:
        """Length of the audio that has arrived, milliseconds."""
        return len(self._audio) // MULAW_BYTES_PER_MS

    @property
    def is_only_silence(self) -> bool:
        """Whether it has words but its audio, which is long, has no sound: more of that would be dead air."""
        return bool(self.messages) and not self._is_audible and self.arrived_ms > LONGEST_SILENCE_MS

    @property
    def is_begun(self) -> bool:
        """Whether some of it has been sent."""
        return self._at is not None

    @property
    def has_more(self) -> bool:
        """Whether some of it is still to be heard, while it does not play."""
        return not self.is_complete or self.needs_say or self._from_ms < self._sounds_until_ms

    def playing_ms(self, now_ms: int) -> int:
        """Return how long it has been playing, this time."""
        return self.position_ms(now_ms) - self._from_ms if self._at is not None else 0

    def position_ms(self, now_ms: int) -> int:
        """Return how much of it the caller has heard, as far as one can tell."""
        if self._at is None:
            return self._from_ms
        position_ms, at_ms = self._at
        return min(self._sent_ms, position_ms + now_ms - at_ms)

    def take_first_sound(self, now_ms: int) -> int | None:
        """Return in how many milliseconds its first sound is heard, once that has been sent; None before and after."""
        sound_ms = self._first_sound_ms
        if self._is_sound_reported or sound_ms is None or self._sent_ms <= sound_ms:
            return None
        self._is_sound_reported = True
        return max(0, sound_ms - self.position_ms(now_ms))

    def echo_rms(self, now_ms: int) -> int:
        """Return how loud its echo may be now, RMS of 16-bit samples."""
        if self._at is None:
            return 0
        # After its end the position stands still, but the echo is still coming.
        position_ms, at_ms = self._at
        played_ms = position_ms + now_ms - at_ms
        heard = self._levels[max(0, played_ms - ECHO_DELAY_MS) // FRAME_MS : played_ms // FRAME_MS + 2]
        return round(max(heard, default=0) * _ECHO_FACTOR)

    @property
    def echo_until_ms(self) -> int:
        """Media time up to which its echo may come back, if all of it is played."""
        if self._at is None:
            return 0
        position_ms, at_ms = self._at
        return at_ms - position_ms + self.arrived_ms + ECHO_DELAY_MS

    def send(self, now_ms: int) -> Iterator[StreamOutput]:
        """Yield what is due to be sent now: audio, and marks between its pieces."""
        if self.arrived_ms > self._sent_ms and (self._at is None or self.position_ms(now_ms) >= self._sent_ms):
            # The prompt begins; or all that was sent has been played, and now there is more.
            self._plays += self._at is None
            self._at = (self._sent_ms, now_ms)
        if self._at is None:
            self.is_heard = self.is_complete  # there is nothing to hear
            return
        until_ms = self.position_ms(now_ms) + LEAD_MS
        while self._sent_ms < (to_ms := self._next_to_ms) <= until_ms:
            audio = self._audio[self._sent_ms * MULAW_BYTES_PER_MS : to_ms * MULAW_BYTES_PER_MS]
            yield SendAudio(bytes(audio))
            self._sent_ms = to_ms
            if to_ms == self._marked_ms + MARK_EVERY_MS:
                self._marked_ms = to_ms
                yield self._mark(to_ms)
        if self.is_complete and self._sent_ms == self.arrived_ms and not self._is_last_marked:
            self._is_last_marked = True
            yield self._mark(None)

    @property
    def _next_to_ms(self) -> int:
        """End of the audio that is sent next."""
        return min(self.arrived_ms, self._sent_ms + MESSAGE_MS, self._marked_ms + MARK_EVERY_MS)

    def mark_reached(self, name: str, now_ms: int) -> None:
        """Note that a mark came back. One of another prompt, or of an earlier play of this one, changes nothing."""
        if name not in self._marks:
            return
        position_ms = self._marks.pop(name)
        if position_ms is None:
            self.is_heard = True
        else:
            self._at = (position_ms, now_ms)

    def expire(self, now_ms: int) -> bool:
        """Take the prompt for heard if its last mark should have come back long ago. Return whether it now is."""
        expires_at_ms = self.expires_at_ms
        if expires_at_ms is None or now_ms < expires_at_ms:
            return False
        self.is_heard = True
        return True

    def is_overdue(self, now_ms: int) -> bool:
        """Return whether the prompt should be over by its own length, although its last mark is not back."""
        ends_at_ms = self._ends_at_ms
        return ends_at_ms is not None and now_ms >= ends_at_ms + MARK_WITHIN_MS

    @property
    def expires_at_ms(self) -> int | None:
        """Media time at which `expire` takes it for heard, or None while marks may still be sent."""
        ends_at_ms = self._ends_at_ms
        return None if ends_at_ms is None else ends_at_ms + HEARD_WITHIN_MS

    @property
    def _ends_at_ms(self) -> int | None:
        """Media time at which it ends by its own length, or None while marks may still be sent, or once it is heard."""
        if self._at is None or not self._is_last_marked or self.is_heard:
            return None
        position_ms, at_ms = self._at
        return at_ms - position_ms + self._sent_ms

    @property
    def next_due_ms(self) -> int | None:
        """Media time at which `send` or `expire` has something to do next, or None: not before something happens.

        It may have passed already.
        """
        if self._at is None:
            return 0 if self.arrived_ms > self._sent_ms or self.is_complete else None
        position_ms, at_ms = self._at
        if self.arrived_ms > self._sent_ms:
            return at_ms - position_ms + self._next_to_ms - LEAD_MS
        is_due = self.is_heard or (self.is_complete and not self._is_last_marked)
        return 0 if is_due else self.expires_at_ms

    def stop(self, now_ms: int) -> ClearAudio:
        """Stop the prompt, and return what clears it.

        Played again, it goes on from the last half second that the caller heard in whole. Nothing is played again of a
        prompt whose last sound was heard, whether its mark is back or not.
        """
        position_ms = self.position_ms(now_ms)
        if self.is_complete and position_ms >= self._sounds_until_ms:
            whole_ms = self.arrived_ms
        else:
            whole_ms = (position_ms - self._from_ms) // MARK_EVERY_MS * MARK_EVERY_MS + self._from_ms
        self._from_ms = self._sent_ms = self._marked_ms = max(self._from_ms, whole_ms)
        self._at = None
        self._is_last_marked = False
        self._marks.clear()
        return ClearAudio()

    def _mark(self, at_ms: int | None) -> SendMark:
        name = f"turn-{self.turn}.{self._plays}:{'end' if at_ms is None else at_ms}"
        self._marks[name] = at_ms
        return SendMark(name)
