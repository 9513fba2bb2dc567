"""Limits of the figures, and whether they are kept."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.endpointing.detectors import LISTENING_ROWS, SERVICE_ROWS
from bench.endpointing.run import Keep, Measured, score
from bench.endpointing.scoring import Score
from bench.endpointing.signals import CADENCES
from bench.endpointing.tables import FLUENT, SENTENCES, at, loud_babble, number, usual, without_babble
from bench.endpointing.tables import without_babble_and_music as alone
from bench.harness.report import markdown_table
from lexbridge.audio.hangover import Expected

SPLIT_LIMIT, DELAY_LIMIT_MS = 10.0, 900.0
"""Most hesitant utterances split, per cent, with an end delay of sentences (p50) of at most that, ms."""

Column = Callable[[Score], float]
COLUMNS: Mapping[str, Column] = {
    "missed, %": lambda of: of.share_missed,
    "short words missed, %": lambda of: of.share_missed_shorts,
    "onset lost > 20 ms, %": lambda of: of.share_onset_lost,
    "95 % of onsets lose at most, ms": lambda of: of.onset_lost_ms(0.95),
    "fluent split, %": lambda of: of.share_split(FLUENT),
    "hesitant split, %": lambda of: of.share_split(["hesitant"]),
    "run on, %": lambda of: of.share_run_on,
    "end delay p50, ms": lambda of: of.delay_ms(0.5),
    "end delay p95, ms": lambda of: of.delay_ms(0.95),
    "false triggers an hour": lambda of: of.false_triggers_an_hour,
}
"""Columns of the baseline."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Upper limit (`most`) of a figure. `what`: name of the figure."""

    what: str
    figure: float
    most: float

    @property
    def is_held(self) -> bool:
        """Whether the limit is kept. A figure that could not be measured keeps none."""
        return self.figure <= self.most


def limits(measured: Sequence[Measured]) -> Iterator[Limit]:
    """Yield the limits of what was heard."""
    yield from _of_hybrid(measured)
    yield from _of_amplitude(measured)
    yield from _in_loud_noise(measured)


def _of_hybrid(measured: Sequence[Measured]) -> Iterator[Limit]:
    name = LISTENING_ROWS[0].name
    of, babble = score(measured, name, without_babble), score(measured, name, loud_babble)
    for what, figure, most in (
        ("missed, %", of.share_missed, 0.5),
        ("short words missed, %", of.share_missed_shorts, 1.0),
        ("onset lost > 20 ms, %", of.share_onset_lost, 0.6),
        ("fluent split, %", of.share_split(FLUENT), 0.2),
        ("hesitant split, %", of.share_split(["hesitant"]), SPLIT_LIMIT),
        ("hesitant split when joined, %", of.share_split(["hesitant"], joined=True), 5.0),
        ("end delay of sentences, p50, ms", of.delay_ms(0.5, SENTENCES), DELAY_LIMIT_MS),
        ("end delay of a short answer to a closed question, p95, ms", of.delay_ms(0.95, [Expected.CLOSED]), 550.0),
        ("run on, %", of.share_run_on, 0.5),
        ("false triggers an hour, no music, no babble", score(measured, name, alone).false_triggers_an_hour, 1.0),
        ("false triggers an hour in babble at 10 dB", babble.false_triggers_an_hour, 5.0),
        ("run on in babble at 10 dB, %", babble.share_run_on, 5.0),
    ):
        yield Limit(f"{name}: {what}", figure, most)
    for sound in ("keys (DTMF)", *CADENCES):
        heard = score(measured, name, _sounds(sound))
        yield Limit(f"{name}: {sound} taken for speech, an hour", heard.false_triggers_an_hour, 0.0)


def _sounds(name: str) -> Keep:
    return lambda one: one.part == "sounds" and one.truth.condition == name


def _of_amplitude(measured: Sequence[Measured]) -> Iterator[Limit]:
    """Yield the limits of the amplitude detector: with onset and pre-roll it has to beat the blog's row."""
    blog, ours = score(measured, "blog", usual), score(measured, SERVICE_ROWS[0].name, usual)
    for what, column in COLUMNS.items():
        yield Limit(f"{SERVICE_ROWS[0].name}, against the blog's: {what}", column(ours), column(blog))


def _in_loud_noise(measured: Sequence[Measured]) -> Iterator[Limit]:
    """Yield the limits in loud noise: no row with the same rules may be better."""
    *others, hybrid = (row.name for row in SERVICE_ROWS)
    for snr_db in (5, 0):
        scores = [score(measured, name, at(snr_db)) for name in others]
        ours = score(measured, hybrid, at(snr_db))
        for what, column in COLUMNS.items():
            yield Limit(f"{hybrid}, {snr_db} dB, against the best: {what}", column(ours), min(map(column, scores)))


def limits_table(found: Sequence[Limit]) -> str:
    """Return the table of each limit beside its figure."""
    return markdown_table(
        ("limit", "figure", "at most", ""),
        [
            (one.what, number(one.figure, 2), number(one.most, 2), "held" if one.is_held else "**missed**")
            for one in found
        ],
    )
