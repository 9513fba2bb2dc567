"""Figures of the survival measurement, and their limits."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bench.harness.counting_caller import Notes, Stretch
from bench.harness.load import Load
from bench.harness.report import percentile
from bench.stress.survival.scenarios import Outcome

SILENCE_P99_LIMIT_S, SILENCE_LIMIT_S = 2.5, 4.0
"""Limits of a kill: silence of both parties, seconds: 99th percentile, and the longest."""

WAIT_P99_LIMIT_S, WAIT_LIMIT_S = 4.0, 10.0
"""Limits of a kill: silence of the bot after the caller has spoken, however often the caller repeats, seconds.

A call that is never recovered waits most of a minute.
"""

GAP_LIMIT_S = 0.250
"""Limit of a restart: longest answer gap beyond the undisturbed median, seconds."""

UNHEARD_SHARE = 0.03
"""Limit of a restart in stream mode: share of hand-overs in whose gap the service did not hear the caller.

The gap is some 0.02 to 0.1 s, and a caller begins to speak every 3 s.
"""


@dataclass(slots=True)
class Figures:
    """Figures of a run, as the callers and Lex have noticed them."""

    scenario: str
    notes: list[Notes]
    lex: dict[str, int]
    outcome: Outcome
    streams_missed: list[float]
    """Time that each call had no stream, seconds."""
    handed_over: int = 0
    """Number of streams that took a call over from another stream, in stream mode."""

    @property
    def gaps(self) -> list[Stretch]:
        """Answer gaps of all calls."""
        return [gap for call in self.notes for gap in call.gaps]

    @property
    def silences(self) -> list[float]:
        """Length of each silence of all calls, seconds."""
        return [silence.length_s for call in self.notes for silence in call.silences]

    def total(self, name: str) -> int:
        """Return the sum of one of the callers' counts."""
        return sum(getattr(call, name) for call in self.notes)

    @property
    def unfinished(self) -> Counter[str]:
        """Calls that did not finish, by how they ended."""
        return Counter(
            f"{call.ended.value if call.ended else 'goes on'} {call.detail}".strip()
            for call in self.notes
            if not call.has_finished
        )

    @property
    def lost_turns(self) -> int:
        """Turns that callers have finished and Lex never counted, or counted in another order."""
        finished = sum(call.turns for call in self.notes if call.has_finished)
        return self.lex["lost"] + self.total("out_of_order") + max(0, finished - self.lex["turns"])

    @property
    def excess_gap_s(self) -> float:
        """Longest answer gap after the first disturbance, less the median before it, seconds."""
        since_s, until_s = self.outcome.undisturbed
        before = [gap.length_s for gap in self.gaps if since_s <= gap.began_s < until_s]
        after = [gap.length_s for gap in self.gaps if gap.began_s >= until_s]
        return max(after, default=0.0) - percentile(before, 50, default=0.0)

    def missed(self) -> list[str]:
        """Return the limits that this run has missed."""
        checks = [
            (bool(self.unfinished), f"not finished: {dict(self.unfinished)}"),
            (self.lost_turns > 0, f"turns lost or out of order: {self.lost_turns}"),
        ]
        if self.scenario == "kill":
            p99_s, worst_s = percentile(self.silences, 99, default=0.0), max(self.silences, default=0.0)
            waits = [wait.length_s for call in self.notes for wait in call.waits]
            wait_p99_s, wait_s = percentile(waits, 99, default=0.0), max(waits, default=0.0)
            checks += [
                (not self.outcome.kills, "no worker was killed"),
                (p99_s >= SILENCE_P99_LIMIT_S, f"p99 silence {p99_s:.2f} s, limit {SILENCE_P99_LIMIT_S} s"),
                (worst_s >= SILENCE_LIMIT_S, f"worst silence {worst_s:.2f} s, limit {SILENCE_LIMIT_S} s"),
                (
                    wait_p99_s >= WAIT_P99_LIMIT_S,
                    f"p99 wait for the bot {wait_p99_s:.2f} s, limit {WAIT_P99_LIMIT_S} s",
                ),
                (wait_s >= WAIT_LIMIT_S, f"longest wait for the bot {wait_s:.2f} s, limit {WAIT_LIMIT_S} s"),
            ]
        else:
            repeats, duplicates = self.total("repeats"), self.lex["duplicates"]
            may_repeat = UNHEARD_SHARE * self.handed_over
            checks += [(repeats > may_repeat, f"repeats: {repeats}"), (duplicates > 0, f"duplicates: {duplicates}")]
        if self.scenario == "restart":
            excess_s = self.excess_gap_s
            checks.append(
                (excess_s >= GAP_LIMIT_S, f"worst gap {excess_s * 1000:.0f} ms beyond the undisturbed median")
            )
        return [words for is_missed, words in checks if is_missed]


def rows(figures: Figures, load: Load) -> list[tuple[str, str]]:
    """Return the rows of the table: name and value."""
    twilio, outcome = load.twilio, figures.outcome
    finished = sum(call.has_finished for call in figures.notes)
    lex = figures.lex
    table = [
        ("calls finished", f"{finished} of {len(figures.notes)}"),
        ("workers killed", str(outcome.kills)),
        ("rolling restarts", _seconds(outcome.restarts) if outcome.restarts else "0"),
        ("streams opened", str(twilio.streams_opened)),
        ("streams lost", str(twilio.streams_lost.total())),
        *((f"  {how}", str(times)) for how, times in twilio.streams_lost.most_common()),
        ("time without a stream", _seconds(figures.streams_missed)),
        ("repeats by callers", str(figures.total("repeats"))),
        ("turns asked again", str(figures.total("asked_again"))),
        ("apologies, fillers", f"{figures.total('apologies')}, {figures.total('fillers')}"),
        ("turns counted by Lex", str(lex["turns"])),
        ("turns counted twice", str(lex["duplicates"])),
        ("turns lost or out of order", str(figures.lost_turns)),
        ("utterances cut or mixed", str(lex["not understood"])),
        ("uploads broken off", str(lex["broken off"])),
        ("GetSession, PutSession, conflicts", f"{lex['asked back']}, {lex['said']}, {lex['conflicts']}"),
        ("answer gap", _seconds(gap.length_s for gap in figures.gaps)),
        ("a turn, said to answered", _seconds(took.length_s for call in figures.notes for took in call.turns_took)),
        ("wait for the bot's next words", _seconds(wait.length_s for call in figures.notes for wait in call.waits)),
        ("silence", _seconds(figures.silences)),
    ]
    if figures.scenario == "restart":
        since_s, until_s = outcome.undisturbed
        before = [gap.length_s for gap in figures.gaps if since_s <= gap.began_s < until_s]
        table.append(("answer gap, undisturbed", _seconds(before)))
        table.append(("worst gap beyond its median", f"{figures.excess_gap_s * 1000:.0f} ms"))
        table.append(("the worst, s after a restart", _worst(figures)))
    table += [(f"CPU of {name}", f"{cores:.2f} cores") for name, cores in load.cores().items()]
    clock, webhooks = twilio.clock, twilio.webhooks
    table += [
        ("lateness of Twilio's clock", _seconds(late_ms / 1000 for late_ms in clock.lateness_ms)),
        ("media messages, overflows", f"{clock.messages}, {clock.overflows}"),
        ("updates by REST", str(twilio.updates)),
        ("webhooks, failed attempts", f"{webhooks.attempts}, {dict(webhooks.failures)}"),
    ]
    return table + [(f"  Twilio complains: {words}", str(times)) for words, times in twilio.complaints.most_common()]


def _worst(figures: Figures) -> str:
    """Return the longest answer gaps, each with its time after the beginning of the last restart."""
    worst = sorted(figures.gaps, key=lambda gap: gap.length_s, reverse=True)[:8]
    at = [max((at for at in figures.outcome.restarted_at_s if at <= gap.began_s), default=math.nan) for gap in worst]
    return ", ".join(f"{gap.length_s:.2f} at {gap.began_s - s:.1f}" for gap, s in zip(worst, at, strict=True))


def _seconds(lengths_s: Iterable[float]) -> str:
    """Return p50, p99 and the maximum."""
    lengths = list(lengths_s)
    p50, p99, most = (percentile(lengths, percent, default=0.0) for percent in (50, 99, 100))
    return f"p50 {p50:.3f}  p99 {p99:.3f}  max {most:.3f} s  ({len(lengths)})"
