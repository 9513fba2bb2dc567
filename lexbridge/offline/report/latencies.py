"""Latencies of the caller's turns, step by step, as a table for people. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from lexbridge.offline.report.spoken_turns import SpokenTurn


@dataclass(frozen=True, slots=True)
class Latency:
    """A column of the table: from one moment of a turn to another."""

    title: str
    meaning: str
    start: str
    end: str

    def of(self, turn: SpokenTurn) -> float | None:
        """Return the milliseconds between the two moments, or None if the turn did not come to both."""
        start, end = getattr(turn, self.start), getattr(turn, self.end)
        return None if start is None or end is None else (end - start) * 1000


LATENCIES = (
    Latency("Lex opens", "the caller begins to speak, until the Lex request is open", "began_s", "lex_opened_s"),
    Latency("end found", "the caller falls silent, until the Lex request is closed", "ended_s", "lex_closed_s"),
    Latency("Lex", "the Lex request is closed, until Lex has answered", "lex_closed_s", "lex_answered_s"),
    Latency("update", "Lex has answered, until Twilio gets the call update", "lex_answered_s", "updated_s"),
    Latency("voice", "Twilio has the update, until the bot is heard", "updated_s", "replied_s"),
    Latency("media", "Lex has answered, until its voice is on the media stream", "lex_answered_s", "media_s"),
    Latency("play", "the voice is on the media stream, until the bot is heard", "media_s", "replied_s"),
    Latency("REPLY", "the caller falls silent, until the bot is heard", "ended_s", "replied_s"),
)
"""The columns of the table, from left to right."""


def known_latencies(turns: Sequence[SpokenTurn]) -> list[Latency]:
    """Return the latencies that at least one of the turns has."""
    return [latency for latency in LATENCIES if any(latency.of(turn) is not None for turn in turns)]


def latency_table(turns: Sequence[SpokenTurn], pace: float = 1.0) -> list[str]:
    """Return a row for each turn and one of the medians, in milliseconds; no rows if nothing is known.

    pace: that of the line. The figures mean something at 1 only.
    """
    columns = known_latencies(turns)
    if not columns:
        return []
    width = max([len(turn.said) for turn in turns] + [20]) + 2
    rows = [f"  {'ms':{width}}" + "".join(f"{latency.title:>11}" for latency in columns)]
    for turn in turns:
        figures = (latency.of(turn) for latency in columns)
        rows.append(f"  {turn.said:{width}}" + "".join(_figure(figure, pace) for figure in figures))
    if len(turns) > 1:
        known = ([figure for turn in turns if (figure := each.of(turn)) is not None] for each in columns)
        rows.append(f"  {'median':{width}}" + "".join(_figure(median(figures), pace) for figures in known))
    return rows


def _figure(milliseconds: float | None, pace: float) -> str:
    return f"{'-':>11}" if milliseconds is None else f"{milliseconds / pace:>11.0f}"


def latency_legend(turns: Sequence[SpokenTurn]) -> list[str]:
    """Return lines that explain the columns of the table."""
    return [f"  {latency.title:10} {latency.meaning}" for latency in known_latencies(turns)]
