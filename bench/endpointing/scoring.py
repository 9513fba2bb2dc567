"""Comparison of what an endpointer found on a line with the truth.

missed       no utterance that it found touches the caller's
onset lost   part of the utterance that lies before the audio that Lex gets
split        it found an end within the utterance
run on       it found the end only in the caller's next utterance, or by the limit of the longest utterance
not whole    one of these happened to an utterance without a pause
end delay    time from the true end to the end that it found: hangover and slowness
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.endpointing.line import Kind, Line, Spoken, Truth
from lexbridge.audio.endpointing import Endpointer, EndpointingRules
from lexbridge.audio.hangover import Expected
from lexbridge.audio.pcm import FRAME_MS, MULAW_BYTES_PER_MS
from lexbridge.audio.speech_events import EndReason, SpeechEnded, SpeechStarted

WITHOUT_PAUSE: Sequence[Kind] = ("short", "fluent")

GRACE_MS = 20
"""Accuracy with which a beginning or an end can be found, ms: one frame."""

REPLY_MS = 500
"""Time from the end of an utterance to its answer, ms: an assumption, of a quick Lex."""

ASKED_BEFORE_MS = 800
"""Time before an utterance at which the bot has asked for it, ms."""


@dataclass(frozen=True, slots=True)
class FoundUtterance:
    """Utterance as the endpointer found it. `audio_ms`: beginning of the audio for Lex, with the pre-roll."""

    audio_ms: int
    started_ms: int
    ended_ms: int
    reason: EndReason | None


def find_utterances(line: Line, voiced: Sequence[bool], rules: EndpointingRules) -> list[FoundUtterance]:
    """Push the line through an endpointer, which learns before each utterance what the bot asks for.

    `voiced`: the detector's decision on each frame.
    """
    endpointer = Endpointer(rules)
    asked = {max(0, spoken.start_ms - ASKED_BEFORE_MS) // FRAME_MS: spoken.asked for spoken in line.truth.spoken}
    heard: list[FoundUtterance] = []
    begun: tuple[int, int] | None = None
    for n, frame in enumerate(line.mulaw_frames()):
        if n in asked:
            endpointer.expect(asked[n])
        for event in endpointer.push(frame, voiced[n], line.listening.get(n)):
            if isinstance(event, SpeechStarted):
                begun = (endpointer.now_ms - len(event.pre_roll) // MULAW_BYTES_PER_MS, event.at_ms)
            elif isinstance(event, SpeechEnded) and begun is not None:
                heard.append(FoundUtterance(*begun, event.at_ms, event.reason))
                begun = None
    if begun is not None:
        heard.append(FoundUtterance(*begun, endpointer.now_ms, None))
    return heard


@dataclass(slots=True)
class Score:
    """Counts over many lines. Add lines, then read the shares."""

    utterances: int = 0
    without_pause: int = 0
    not_whole: int = 0
    shorts: int = 0
    missed: int = 0
    missed_shorts: int = 0
    onsets_lost_ms: list[int] = field(default_factory=list)
    split: dict[Kind, list[bool]] = field(default_factory=dict)
    split_when_joined: dict[Kind, list[bool]] = field(default_factory=dict)
    run_on: int = 0
    delays_ms: dict[Expected, list[int]] = field(default_factory=dict)
    silent_s: float = 0.0
    false_triggers: int = 0

    def add(self, truth: Truth, heard: Sequence[FoundUtterance]) -> None:
        """Count what was heard on a line."""
        if not truth.spoken:
            self.silent_s += truth.length_s
            self.false_triggers += len(heard)
            return
        ends = [spoken.start_ms for spoken in truth.spoken[1:]] + [round(truth.length_s * 1000)]
        for spoken, before_ms in zip(truth.spoken, ends, strict=True):
            self._utterance(spoken, before_ms, heard)

    def _utterance(self, spoken: Spoken, before_ms: int, heard: Sequence[FoundUtterance]) -> None:
        self.utterances += 1
        self.shorts += spoken.kind == "short"
        self.without_pause += spoken.kind in WITHOUT_PAUSE
        touching = [one for one in heard if one.started_ms < spoken.end_ms and one.ended_ms > spoken.start_ms]
        if not touching:
            self.missed += 1
            self.missed_shorts += spoken.kind == "short"
            self.not_whole += spoken.kind in WITHOUT_PAUSE
            return
        lost_ms, last = touching[0].audio_ms - spoken.start_ms, touching[-1]
        self.onsets_lost_ms.append(lost_ms)
        ended = [one for one in touching if one.ended_ms < spoken.end_ms - GRACE_MS]
        self.split.setdefault(spoken.kind, []).append(bool(ended))
        went_on = zip(touching, [*touching[1:], None], strict=True)
        apart = [one in ended and (then is None or then.started_ms > one.ended_ms + REPLY_MS) for one, then in went_on]
        self.split_when_joined.setdefault(spoken.kind, []).append(any(apart))
        runs_on = last.ended_ms >= before_ms or last.reason is not EndReason.HANGOVER
        self.run_on += runs_on
        if spoken.kind in WITHOUT_PAUSE:
            self.not_whole += lost_ms > GRACE_MS or bool(ended) or runs_on
        if not runs_on and last.ended_ms >= spoken.end_ms:
            self.delays_ms.setdefault(spoken.asked, []).append(last.ended_ms - spoken.end_ms)

    @property
    def share_missed(self) -> float:
        """Missed utterances, per cent of all."""
        return 100 * self.missed / self.utterances if self.utterances else float("nan")

    @property
    def share_not_whole(self) -> float:
        """Utterances that are not whole, per cent of those without a pause."""
        return 100 * self.not_whole / self.without_pause if self.without_pause else float("nan")

    @property
    def share_missed_shorts(self) -> float:
        """Missed short words, per cent."""
        return 100 * self.missed_shorts / self.shorts if self.shorts else float("nan")

    @property
    def share_onset_lost(self) -> float:
        """Utterances whose onset lacks more than a frame, per cent of those that were heard."""
        return percent([lost_ms > GRACE_MS for lost_ms in self.onsets_lost_ms])

    @property
    def share_run_on(self) -> float:
        """Utterances that run on, per cent of all."""
        return 100 * self.run_on / self.utterances if self.utterances else float("nan")

    def onset_lost_ms(self, quantile: float) -> float:
        """Return a quantile (0 to 1) of the onset that is lost, ms; 0 if the audio begins before the speech."""
        return float(max(0.0, np.quantile(self.onsets_lost_ms, quantile))) if self.onsets_lost_ms else float("nan")

    def share_split(self, kinds: Iterable[Kind], joined: bool = False) -> float:
        """Return the utterances of these kinds that are split, per cent of those that were heard.

        `joined`: do not count those that were put together again.
        """
        split = self.split_when_joined if joined else self.split
        return percent([was for kind in kinds for was in split.get(kind, ())])

    def delay_ms(self, quantile: float, asked: Iterable[Expected] = tuple(Expected)) -> float:
        """Return a quantile (0 to 1) of the end delays after these questions, or after all, ms."""
        delays = [delay for one in asked for delay in self.delays_ms.get(one, ())]
        return float(np.quantile(delays, quantile)) if delays else float("nan")

    @property
    def false_triggers_an_hour(self) -> float:
        """Triggers an hour on the lines without speech."""
        return self.false_triggers / self.silent_s * 3600 if self.silent_s else float("nan")


def percent(flags: Sequence[bool]) -> float:
    """Return the share of the true flags, per cent."""
    return 100 * sum(flags) / len(flags) if flags else float("nan")
