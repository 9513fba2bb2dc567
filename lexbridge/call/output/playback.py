"""Playback: the prompts of one bidirectional stream, played one after the other."""

import math
from collections import deque

from lexbridge.call.actions import StreamOutput
from lexbridge.call.output.prompt import ECHO_DELAY_MS, Prompt


class Playback:
    """Prompts that are to be heard, and those that are kept in case they are to be heard after all."""

    def __init__(self) -> None:
        self._prompts: deque[Prompt] = deque()  # the first one plays, or is about to
        self._interrupted: list[Prompt] = []
        self._withheld: Prompt | None = None
        self._last: Prompt | None = None  # the prompt heard last, whose echo may still be coming
        self._stopped_echo = (0, 0)  # (RMS, until when) of the prompt that was stopped
        self.echo_until_ms: float = 0
        """Media time up to which an echo may come back, infinite while a prompt plays."""

    @property
    def is_empty(self) -> bool:
        """Whether no prompt is to be heard."""
        return not self._prompts

    @property
    def needs_say(self) -> bool:
        """Whether the next prompt to be heard has no audio, so that Twilio has to say its words."""
        return bool(self._prompts) and self._prompts[0].needs_say

    @property
    def has_interrupted(self) -> bool:
        """Whether prompts are kept that the caller has interrupted before their end."""
        return any(prompt.has_more for prompt in self._interrupted)

    @property
    def awaits_synthesis(self) -> bool:
        """Whether prompts are to be heard, of which none answers a turn and none has begun."""
        return bool(self._prompts) and all(prompt.turn < 0 and not prompt.is_begun for prompt in self._prompts)

    @property
    def playing(self) -> Prompt | None:
        """The prompt that plays."""
        return self._prompts[0] if self._prompts and self._prompts[0].is_begun else None

    def add(self, prompt: Prompt) -> None:
        """Play `prompt` after the others."""
        self._prompts.append(prompt)

    def find(self, turn: int) -> Prompt | None:
        """Return the prompt of `turn` if it is to be heard, or kept; else None."""
        kept = (*self._prompts, *self._interrupted, *([self._withheld] if self._withheld else []))
        return next((prompt for prompt in kept if prompt.turn == turn), None)

    def send(self, now_ms: int, waits: bool) -> list[StreamOutput]:
        """Return what is due to be sent now.

        `waits`: the caller is speaking, so a prompt begins only if it must not be interrupted anyway.
        """
        output: list[StreamOutput] = []
        while self._prompts and not self.needs_say:
            prompt = self._prompts[0]
            if not (waits and prompt.may_interrupt and not prompt.is_begun):
                output += prompt.send(now_ms)
            if not prompt.is_heard:
                break
            self._prompts.popleft()
            self._last = prompt
        self._note_echo()
        return output

    def next_due_ms(self, waits: bool) -> int | None:
        """Return the media time at which `send` or `expire` has something to do next, or None: not by itself.

        It may have passed already. `waits`: as for `send`.
        """
        prompt = self._prompts[0] if self._prompts else None
        if prompt is None or (waits and prompt.may_interrupt and not prompt.is_begun and not prompt.needs_say):
            return None
        return 0 if prompt.needs_say else prompt.next_due_ms

    @property
    def expires_at_ms(self) -> int | None:
        """Media time at which `expire` takes the prompt that plays for heard, or None if it need not yet."""
        return self._prompts[0].expires_at_ms if self._prompts else None

    def mark_reached(self, name: str, now_ms: int) -> None:
        """Note that a mark came back. It may be late, or of a prompt that was cleared."""
        if self._prompts:
            self._prompts[0].mark_reached(name, now_ms)

    def expire(self, now_ms: int) -> bool:
        """Take the prompt that plays for heard if it should have been by now. Return whether that was done."""
        return bool(self._prompts) and self._prompts[0].expire(now_ms)

    def echo_rms(self, now_ms: int) -> int:
        """Return how loud an echo may be now, RMS of 16-bit samples."""
        rms, until_ms = self._stopped_echo
        loudest = rms if now_ms < until_ms else 0
        for prompt in (self.playing, self._last):
            if prompt is not None:
                loudest = max(loudest, prompt.echo_rms(now_ms))
        return loudest

    def interrupt(self, now_ms: int) -> list[StreamOutput]:
        """Stop all prompts, and keep all but fillers. Return what clears the one that plays."""
        output = self._stop(now_ms)
        self._interrupted += [prompt for prompt in self._prompts if not prompt.is_filler]
        self._prompts.clear()
        return output

    def resume_interrupted(self) -> None:
        """Go on with the prompts that were interrupted by a false alarm."""
        self._prompts += self._interrupted
        self._interrupted = []

    def discard_interrupted(self) -> list[int]:
        """Discard the interrupted prompts. Return the turns whose audio is still arriving."""
        turns = [prompt.turn for prompt in self._interrupted if not prompt.is_complete]
        self._interrupted = []
        return turns

    def is_unheard(self, turn: int) -> bool:
        """Return whether the prompt of `turn` is to be heard, and has not begun."""
        return any(prompt.turn == turn and not prompt.is_begun for prompt in self._prompts)

    def withhold(self, prompt: Prompt) -> None:
        """Keep `prompt`, of which nothing was sent, until it is to be heard after all, or never."""
        if prompt in self._prompts:
            self._prompts.remove(prompt)
        self._withheld = prompt

    def release(self, turn: int) -> Prompt | None:
        """Return the withheld prompt if it is that of `turn`, and keep it no longer; else None."""
        prompt = self._withheld
        if prompt is None or prompt.turn != turn:
            return None
        self._withheld = None
        return prompt

    def discard_withheld(self) -> list[int]:
        """Discard the withheld prompt. Return its turn, in a list, if its audio is still arriving."""
        prompt, self._withheld = self._withheld, None
        return [prompt.turn] if prompt is not None and not prompt.is_complete else []

    def leave_to_say(self, prompt: Prompt, now_ms: int) -> list[StreamOutput]:
        """Give up the audio of `prompt`: Twilio has to say its words. Return what clears it, if it plays."""
        output = self._stop(now_ms) if prompt is self.playing else []
        prompt.leave_to_say()
        return output

    def take_next(self) -> Prompt:
        """Remove and return the next prompt, which is not to be heard over this stream."""
        return self._prompts.popleft()

    def take_all(self) -> list[Prompt]:
        """Remove and return all prompts, which are not to be heard over this stream."""
        prompts = list(self._prompts)
        self._prompts.clear()
        return prompts

    def _stop(self, now_ms: int) -> list[StreamOutput]:
        prompt = self.playing
        if prompt is None:
            return []
        self._stopped_echo = (self.echo_rms(now_ms), now_ms + ECHO_DELAY_MS)
        output: list[StreamOutput] = [prompt.stop(now_ms)]
        self._note_echo()
        return output

    def _note_echo(self) -> None:
        """Note how long an echo may come back, because a prompt has begun, was heard or was stopped."""
        last_ms = 0 if self._last is None else self._last.echo_until_ms
        self.echo_until_ms = math.inf if self.playing else max(last_ms, self._stopped_echo[1])
