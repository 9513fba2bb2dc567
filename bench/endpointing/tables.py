"""Tables of the report, in Markdown."""

import math
from collections.abc import Iterable, Sequence

from bench.endpointing.detectors import LISTENING_ROWS, SERVICE_ROWS
from bench.endpointing.line import Kind
from bench.endpointing.run import Keep, Measured, score
from bench.endpointing.scoring import Score
from bench.endpointing.troubles import ECHO, LEVELS, LINES, SOUNDS
from bench.harness.report import markdown_table
from lexbridge.audio.hangover import Expected

FLUENT: Sequence[Kind] = ("short", "fluent")
SPLIT_KINDS: Sequence[Sequence[Kind]] = (FLUENT, ("hesitant",), ("digits",))
"""Kinds of utterances that the tables show splits of."""
SENTENCES = (Expected.OPEN, Expected.PHRASE)
LISTENING = LISTENING_ROWS[0].name


def usual(one: Measured) -> bool:
    """Whether the line is usual: quiet, or with a background at 20 or 10 dB."""
    return one.part == "usual"


def without_babble(one: Measured) -> bool:
    """Whether the line is usual, and its background is not babble."""
    return usual(one) and one.truth.condition != "babble"


def without_babble_and_music(one: Measured) -> bool:
    """Whether the line is usual, and its background is neither babble nor music."""
    return without_babble(one) and one.truth.condition != "music"


def music(one: Measured) -> bool:
    """Whether the line is usual, with music in the background."""
    return usual(one) and one.truth.condition == "music"


def loud_babble(one: Measured) -> bool:
    """Whether the line has the loudest babble of the usual lines."""
    return usual(one) and one.truth.condition == "babble" and one.truth.snr_db == 10


def at(snr_db: int) -> Keep:
    """Return the choice of lines in loud noise at that signal-to-noise ratio."""
    return lambda one: one.part == "loud" and one.truth.snr_db == snr_db


def number(value: float, digits: int = 1) -> str:
    """Return a number as it stands in a table: a dash if there was nothing to count."""
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def _missed(of: Score) -> str:
    return f"{number(of.share_missed, 2)} ({number(of.share_missed_shorts, 2)})"


def _delay(of: Score, asked: Iterable[Expected] = tuple(Expected)) -> str:
    asked = list(asked)
    return f"{number(of.delay_ms(0.5, asked), 0)} / {number(of.delay_ms(0.95, asked), 0)}"


def bare_table(measured: Sequence[Measured], rows: Sequence[str], keep: Keep) -> str:
    """Return a table with the columns of the baseline."""
    heading = (
        *("detector", "missed % (short words)", "onset lost > 20 ms, %", "95 % of onsets lose at most, ms"),
        *("split %: fluent / hesitant", "run on %", "end delay p50 / p95, ms", "false triggers an hour"),
    )
    lines = []
    for row in rows:
        of = score(measured, row, keep)
        split = f"{number(of.share_split(FLUENT))} / {number(of.share_split(['hesitant']))}"
        onset = (number(of.share_onset_lost), number(of.onset_lost_ms(0.95), 0))
        false = number(of.false_triggers_an_hour)
        lines.append((row, _missed(of), *onset, split, number(of.share_run_on), _delay(of), false))
    return markdown_table(heading, lines)


AS_RUN = (*(row.name for row in SERVICE_ROWS), LISTENING)


def said_table(measured: Sequence[Measured]) -> str:
    """Return the table of what happens to speech, under the rules of the service."""
    heading = (
        *("detector", "missed % (short words)", "onset lost > 20 ms, %", "split %: fluent / hesitant / digits"),
        *("when joined: hesitant / digits", "run on %"),
        *(f"end delay p50 / p95, ms: {asked.value}" for asked in Expected),
    )
    lines = []
    for row in AS_RUN:
        of = score(measured, row, without_babble)
        split = " / ".join(number(of.share_split(kinds)) for kinds in SPLIT_KINDS)
        joined = " / ".join(number(of.share_split(kinds, joined=True)) for kinds in SPLIT_KINDS[1:])
        delays = [_delay(of, [asked]) for asked in Expected]
        onset = number(of.share_onset_lost, 2)
        lines.append((row, _missed(of), onset, split, joined, number(of.share_run_on, 2), *delays))
    return markdown_table(heading, lines)


def background_table(measured: Sequence[Measured]) -> str:
    """Return the table of what is taken for speech and is not the caller's, under the rules of the service."""
    heading = ("detector", "neither music nor babble", "music", "babble, 10 dB", "run on % in babble, 10 dB")
    lines = []
    for row in AS_RUN:
        false = [score(measured, row, keep).false_triggers_an_hour for keep in (without_babble_and_music, music)]
        babble = score(measured, row, loud_babble)
        lines.append((row, *map(number, (*false, babble.false_triggers_an_hour, babble.share_run_on))))
    return markdown_table(heading, lines)


TROUBLED_ROWS = ("blog", *AS_RUN)


def troubles_tables(measured: Sequence[Measured]) -> tuple[str, str]:
    """Return the tables of the troubled lines: with speech, and without."""

    def cells(condition: str, of: Score) -> str:
        del condition
        return f"{number(of.share_missed)} / {number(of.share_split(FLUENT))} / {number(of.share_run_on)}"

    def of(name: str, row: str) -> Score:
        return score(
            measured, row, lambda one: one.part in ("levels", "lines", "sounds") and one.truth.condition == name
        )

    spoken = [
        (name, *(cells(name, of(name, row)) for row in TROUBLED_ROWS))
        for name in (one.name for one in (*LEVELS, *LINES))
    ]
    silent = [
        (name, *(number(of(name, row).false_triggers_an_hour) for row in TROUBLED_ROWS))
        for name in (*(one.name for one in LINES), *SOUNDS, ECHO)
    ]
    return markdown_table(("line", *TROUBLED_ROWS), spoken), markdown_table(("line", *TROUBLED_ROWS), silent)
