"""What callers notice when the bridge's workers are killed or restarted under 200 real-time calls.

Each caller counts with the bot, turn by turn, in audio; a counting Lex tells what reached it. Everything is this
machine's own: `server.py`, Lex, and a Twilio that carries out the TwiML, streams the audio and reports on streams.

    --scenario plain     nothing is disturbed
    --scenario kill      kill -9 of one worker at a time, every 0.7 s, as long as there are calls
    --scenario restart   rolling restarts (SIGHUP), one after the other, while every call that ends is replaced

    --reply-mode stream  over bidirectional streams, in Lex's voice; else by call updates

The limits are the same in both modes but for one: a caller does not care by what means the bot speaks. Nothing is lost
and all calls finish, because Lex has the dialog and Twilio the document. Silence and waits are bounded by what callers
put up with, and leave room for a stream that is lost again before the bot has spoken. In stream mode Lex says its last
words once more after each loss, and takes as long for that as for an answer. The one: a call that is handed over in
stream mode has no stream until the next one opens, so some of those who begin to speak just then say it again.

Exit status 1 when a limit of the scenario is missed. The machine's own noise is in the figures: look at the lateness
of the exchange, and run `plain` beside. Linux only.
"""

import argparse
import asyncio
import math
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.harness import proc
from bench.harness.arguments import make_parser
from bench.harness.counting_caller import PATIENCE_S, Notes, Stretch
from bench.harness.counting_lex import THINKING_S
from bench.harness.load import WEBHOOK, BridgeEnded, Load, Plan, running
from bench.harness.marked_audio import MOST_TURNS
from bench.harness.service import StartFailed
from bench.harness.twilio.simulator import Pace

SILENCE_P99_LIMIT_S = 2.5  # kill: neither caller nor bot makes a sound
SILENCE_LIMIT_S = 4.0
WAIT_P99_LIMIT_S = 4.0  # kill: the bot makes no sound after the caller has spoken, however often the caller repeats
WAIT_LIMIT_S = 10.0  # a call that nobody recovers waits most of a minute
GAP_LIMIT_S = 0.250  # restart: the worst answer gap beyond the undisturbed median
HANGOVER_MS, ANSWERS_AFTER_S = 400, 2.0
BRISK_HANGOVER_MS, BRISK_S = 200, 0.1
"""kill: a stream lives for 1.4 s there, so turns have to be short. Elsewhere they take as long as on the telephone."""
UNHEARD_SHARE = 0.03
"""restart, stream mode: hand-overs in whose gap a caller has said something. The gap is some 0.02 to 0.1 s here, and a
caller begins to speak every 3 s."""
RESTART_LIMIT_S = 150.0  # until all workers are new ones


class RestartFailed(RuntimeError):
    """The workers did not change."""


@dataclass(slots=True)
class Outcome:
    """What a scenario did, besides its calls. `undisturbed`: the time before the first disturbance, monotonic s."""

    kills: int = 0
    restarts: list[float] = field(default_factory=list)
    restarted_at_s: list[float] = field(default_factory=list)
    undisturbed: tuple[float, float] = (0.0, math.inf)


async def plain(load: Load, options: argparse.Namespace) -> Outcome:
    """Nothing happens."""
    await load.ramp_up(options.ramp)
    await load.until_done()
    return Outcome()


async def kill(load: Load, options: argparse.Namespace) -> Outcome:
    """A worker is killed, again and again."""
    outcome = Outcome()
    ramping = asyncio.create_task(load.ramp_up(options.ramp))
    chance = random.Random(options.seed)
    next_s = time.monotonic() + options.every
    while load.live or not ramping.done():
        await load.sleep(max(0.0, next_s - time.monotonic()))
        next_s += options.every
        workers = proc.children(load.bridge.pid)
        if workers and load.live:
            os.kill(chance.choice(workers), signal.SIGKILL)
            outcome.kills += 1
    await ramping
    return outcome


async def restart(load: Load, options: argparse.Namespace) -> Outcome:
    """All workers are replaced, again and again, while calls go on."""
    load.replaces_calls = True
    await load.ramp_up(options.ramp)
    outcome = Outcome()
    began_s = time.monotonic()
    await load.sleep(options.undisturbed)
    outcome.undisturbed = began_s, time.monotonic()
    for _ in range(options.restarts):
        sent_s = time.monotonic()
        outcome.restarted_at_s.append(sent_s)
        await _restart_once(load)
        outcome.restarts.append(time.monotonic() - sent_s)
        await load.sleep(options.apart)
    load.replaces_calls = False
    await load.until_done()
    return outcome


async def _restart_once(load: Load) -> None:
    old = set(proc.children(load.bridge.pid))
    if not old:
        raise RestartFailed("the bridge has no workers")
    load.bridge.send_signal(signal.SIGHUP)
    deadline_s = time.monotonic() + RESTART_LIMIT_S
    while time.monotonic() < deadline_s:
        await load.sleep(0.1)
        new = set(proc.children(load.bridge.pid))
        if not new & old and len(new) >= len(old):
            return
    raise RestartFailed(f"old workers are still there {RESTART_LIMIT_S:.0f} s after a SIGHUP")


SCENARIOS = {"plain": plain, "kill": kill, "restart": restart}


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` of them (0 to 1) do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else 0.0


@dataclass(slots=True)
class Figures:
    """What a run came to."""

    scenario: str
    notes: list[Notes]
    lex: dict[str, int]
    outcome: Outcome
    streams_missed: list[float]
    handed_over: int = 0
    """In stream mode: streams that took over from another."""

    @property
    def gaps(self) -> list[Stretch]:
        """Every answer gap."""
        return [gap for call in self.notes for gap in call.gaps]

    @property
    def silences(self) -> list[float]:
        """Every stretch of silence, s."""
        return [silence.length_s for call in self.notes for silence in call.silences]

    def total(self, name: str) -> int:
        """The sum of one of the callers' counts."""
        return sum(getattr(call, name) for call in self.notes)

    @property
    def unfinished(self) -> Counter[str]:
        """How calls ended that did not finish."""
        return Counter(
            f"{call.ended.value if call.ended else 'goes on'} {call.detail}".strip()
            for call in self.notes
            if not call.has_finished
        )

    @property
    def lost_turns(self) -> int:
        """Turns that callers were through with and Lex never counted, or counted in another order."""
        finished = sum(call.turns for call in self.notes if call.has_finished)
        return self.lex["lost"] + self.total("out_of_order") + max(0, finished - self.lex["turns"])

    @property
    def excess_gap_s(self) -> float:
        """The worst answer gap after the first disturbance, beyond the median before it."""
        since_s, until_s = self.outcome.undisturbed
        before = [gap.length_s for gap in self.gaps if since_s <= gap.began_s < until_s]
        after = [gap.length_s for gap in self.gaps if gap.began_s >= until_s]
        return max(after, default=0.0) - percentile(before, 0.5)

    def missed(self) -> list[str]:
        """The limits that this run does not keep."""
        checks = [
            (bool(self.unfinished), f"not finished: {dict(self.unfinished)}"),
            (self.lost_turns > 0, f"turns lost or out of order: {self.lost_turns}"),
        ]
        if self.scenario == "kill":
            p99_s, worst_s = percentile(self.silences, 0.99), max(self.silences, default=0.0)
            waits = [wait.length_s for call in self.notes for wait in call.waits]
            wait_p99_s, wait_s = percentile(waits, 0.99), max(waits, default=0.0)
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
    """The table."""
    exchange, outcome = load.exchange, figures.outcome
    finished = sum(call.has_finished for call in figures.notes)
    lex = figures.lex
    table = [
        ("calls finished", f"{finished} of {len(figures.notes)}"),
        ("workers killed", str(outcome.kills)),
        ("rolling restarts", _seconds(outcome.restarts) if outcome.restarts else "0"),
        ("streams opened", str(exchange.streams_opened)),
        ("streams lost", str(exchange.streams_lost.total())),
        *((f"  {how}", str(times)) for how, times in exchange.streams_lost.most_common()),
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
    clock, webhooks = exchange.clock, exchange.webhooks
    table += [
        ("lateness of the exchange", _seconds(late_ms / 1000 for late_ms in clock.lateness_ms)),
        ("media messages, overflows", f"{clock.messages}, {clock.overflows}"),
        ("updates by REST", str(exchange.updates)),
        ("webhooks, failed attempts", f"{webhooks.attempts}, {dict(webhooks.failures)}"),
    ]
    return table + [(f"  Twilio complains: {words}", str(times)) for words, times in exchange.complaints.most_common()]


def _worst(figures: Figures) -> str:
    """The longest answer gaps, each with the time of its end after the last restart began."""
    worst = sorted(figures.gaps, key=lambda gap: gap.length_s, reverse=True)[:8]
    at = [max((at for at in figures.outcome.restarted_at_s if at <= gap.began_s), default=math.nan) for gap in worst]
    return ", ".join(f"{gap.length_s:.2f} at {gap.began_s - s:.1f}" for gap, s in zip(worst, at, strict=True))


def _seconds(lengths_s: Iterable[float]) -> str:
    """p50, p99 and the longest."""
    lengths = list(lengths_s)
    p50, p99, most = (percentile(lengths, share) for share in (0.5, 0.99, 1))
    return f"p50 {p50:.3f}  p99 {p99:.3f}  max {most:.3f} s  ({len(lengths)})"


async def run(options: argparse.Namespace) -> int:
    """The run; returns the exit status."""
    plan = Plan(
        calls=options.calls,
        least_turns=options.turns,
        most_turns=options.turns,
        workers=options.workers,
        hangover_ms=options.hangover_ms,
        reply_mode=options.reply_mode,
        answers_after_s=options.answers_after,
        patience_s=options.patience,
        thinking_s=options.thinking,
        frames_per_message=options.payload_ms // 20,
        sign_fragment=options.sign_fragment,
        pace=Pace(
            say_s_per_character=options.say_ms / 1000,
            callback_s=options.callback_ms / 1000,
            rest_s=options.rest_ms / 1000,
        ),
        settings=dict(setting.split("=", 1) for setting in options.setting),
        webhook=options.webhook,
        program=options.program,
    )
    async with running(plan, options.logs) as load:
        print(
            f"{options.scenario}, {plan.reply_mode} mode: {plan.calls} calls of {options.turns} turns, "
            f"WEB_CONCURRENCY {plan.workers}, HANGOVER_MS {plan.hangover_ms}, repeated after {plan.patience_s:g} s",
            flush=True,
        )
        try:
            outcome = await SCENARIOS[options.scenario](load, options)
        except (BridgeEnded, RestartFailed) as error:
            print(f"{type(error).__name__}: {error}")
            return 1
        handed_over = load.exchange.streams_opened - len(load.notes) if plan.reply_mode == "stream" else 0
        figures = Figures(options.scenario, load.notes, await load.counts(), outcome, load.streams_missed, handed_over)
        await load.exchange.settle(5)
        table = rows(figures, load)
        width = max(len(name) for name, _ in table if not name.startswith(" "))
        print("\n".join(f"{name:{width}}  {value}" for name, value in table))
        missed = figures.missed()
        if options.scenario != "kill" and load.exchange.complaints:
            missed.append("Twilio complains")
        print("\n".join(f"MISSED: {words}" for words in missed) or "every limit is kept")
        return 1 if missed else 0


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("survival", __doc__)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="plain")
    parser.add_argument("--reply-mode", choices=("call-update", "stream"), default="call-update", help="REPLY_MODE")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--turns", type=int, default=15, choices=range(1, MOST_TURNS), metavar="TURNS")
    parser.add_argument("--workers", type=int, default=2, help="WEB_CONCURRENCY")
    parser.add_argument("--ramp", type=float, default=4.0, help="s in which the first calls come in")
    parser.add_argument("--every", type=float, default=0.7, help="kill: s from one kill to the next")
    parser.add_argument("--restarts", type=int, default=20, help="restart: how many")
    parser.add_argument("--apart", type=float, default=3.0, help="restart: s from the end of one to the next")
    parser.add_argument("--undisturbed", type=float, default=10.0, help="restart: s before the first")
    parser.add_argument("--hangover-ms", type=int, help=f"default: {HANGOVER_MS}, kill: {BRISK_HANGOVER_MS}")
    parser.add_argument("--answers-after", type=float, help=f"s from a prompt on; {ANSWERS_AFTER_S}, kill: {BRISK_S}")
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="s of silence, then callers repeat")
    parser.add_argument("--thinking", type=float, default=THINKING_S, help="s that Lex takes")
    parser.add_argument("--payload-ms", type=int, choices=(20, 40), default=40, help="audio in a media message")
    parser.add_argument("--say-ms", type=float, default=20.0, help="how long the bot speaks for each character")
    parser.add_argument("--callback-ms", type=float, default=50.0, help="how late Twilio tells of a stream")
    parser.add_argument("--rest-ms", type=float, default=0.0, help="how long a REST request takes")
    parser.add_argument("--sign-fragment", action="store_true", help="the signature covers the URL's fragment")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="for the bridge")
    parser.add_argument("--webhook", default=WEBHOOK, help="the number's: a path, with connection overrides or without")
    parser.add_argument("--program", default="server.py", help="the bridge's program")
    parser.add_argument("--seed", type=int, help="of the workers to be killed")
    parser.add_argument("--logs", type=Path, help="a directory that keeps the processes' output")
    options = parser.parse_args(arguments)
    is_brisk = options.scenario == "kill"
    if options.hangover_ms is None:
        options.hangover_ms = BRISK_HANGOVER_MS if is_brisk else HANGOVER_MS
    if options.answers_after is None:
        options.answers_after = BRISK_S if is_brisk else ANSWERS_AFTER_S
    try:
        return asyncio.run(run(options))
    except StartFailed as error:
        print(error)
        return 1
