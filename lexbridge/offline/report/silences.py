"""Silences of a call, and the caller's waits for an answer: measures of how a call survives a fault.

Times are seconds of the line since the call was answered; at pace 1 they are seconds of the clock. A voice, the
caller's or the bot's, counts from its first sound to its last. Noise does not count.
"""

from dataclasses import dataclass, replace

from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import BotBegan, BotFinished, Event, SpeechEnded, SpeechStarted


@dataclass(frozen=True, slots=True)
class Silence:
    """A stretch in which neither party spoke."""

    began_s: float
    ended_s: float

    @property
    def length_s(self) -> float:
        """Length of the silence in seconds."""
        return self.ended_s - self.began_s


@dataclass(frozen=True, slots=True)
class Wait:
    """The caller's words, which ended at `ended_s`, and the bot's answers.

    voices: start and text of each prompt between the start of these words and the start of the caller's next ones.
    """

    said: str
    ended_s: float
    voices: tuple[tuple[float, str], ...] = ()

    @property
    def delay_s(self) -> float | None:
        """Seconds from the end of the caller's speech to the bot's next voice (at least 0), or None without one."""
        return max(0.0, self.voices[0][0] - self.ended_s) if self.voices else None


def silences(call: PhoneCall) -> list[Silence]:
    """Every stretch in which neither party spoke, in order, from the answer to the call's end or to now."""
    if not call.answered:
        return []
    found, began_s, speaking = [], 0.0, 0
    for event in call.events:
        change = _CHANGE.get(type(event), 0)
        at_s = call.line_s(event.at_s)
        if change > 0 and not speaking and at_s > began_s:
            found.append(Silence(began_s, at_s))
        speaking += change
        if change < 0 and not speaking:
            began_s = at_s
    ended_s = call.line_s(call.over.at_s if call.over is not None else call.now_s())
    return found if speaking else [*found, Silence(began_s, ended_s)]


def longest_silence_s(call: PhoneCall, from_s: float = 0.0, to_s: float = float("inf")) -> float:
    """The longest stretch in which neither party spoke between two times of the line, seconds."""
    lengths = (min(each.ended_s, to_s) - max(each.began_s, from_s) for each in silences(call))
    return max(0.0, 0.0, *lengths)


def waits(call: PhoneCall) -> list[Wait]:
    """Each thing that the caller said, and what they got to hear. What the call's end cut short ended there."""
    found: list[Wait] = []
    for event in call.events:
        at_s = call.line_s(event.at_s)
        if isinstance(event, SpeechStarted):
            found.append(Wait(event.text, float("inf")))
        elif isinstance(event, SpeechEnded):
            found[-1] = replace(found[-1], ended_s=at_s)
        elif isinstance(event, BotBegan) and found:
            found[-1] = replace(found[-1], voices=(*found[-1].voices, (at_s, event.text)))
    end_s = call.line_s(call.over.at_s if call.over is not None else call.now_s())
    return [replace(each, ended_s=min(each.ended_s, end_s)) for each in found]


_CHANGE: dict[type[Event], int] = {SpeechStarted: 1, BotBegan: 1, SpeechEnded: -1, BotFinished: -1}
