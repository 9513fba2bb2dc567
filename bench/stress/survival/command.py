"""Survival of 200 real-time calls while the service's workers are killed or restarted: what callers notice.

Each caller counts with the bot, turn by turn, in audio; a counting Lex tells which turns reached it. All processes are
of this machine: `server.py`, Lex, and a Twilio that carries out TwiML, streams audio and reports events of streams.

    --scenario plain     nothing is disturbed
    --scenario kill      kill -9 of one worker at a time, every 0.7 s, as long as calls are live
    --scenario restart   rolling restarts (SIGHUP), one after the other; each call that ends is replaced

    --reply-mode stream  replies over bidirectional streams, in Lex's voice; otherwise by call updates

The limits are the same in both reply modes, except for one, because callers do not care by what means the bot speaks.
No turn is lost and all calls finish, because Lex has the dialog and Twilio has the document. The limits of silences and
waits are what callers put up with; they leave room for a stream that is lost again before the bot has spoken. In stream
mode Lex says its last words once more after each loss, which takes as long as an answer. The exception: a call that is
handed over in stream mode has no stream until the next one opens, so some callers who begin to speak just then have to
say it again.

Exit status 1 when a limit of the scenario is missed. The figures include the noise of the machine: look at the lateness
of Twilio's clock, and compare with a run of `plain`. Linux only.
"""

import argparse
import asyncio
from collections.abc import Sequence

from bench.harness.arguments import add_calls, add_seed, add_service, make_parser, settings_from
from bench.harness.counting_caller import PATIENCE_S
from bench.harness.counting_lex import THINKING_S
from bench.harness.load import WEBHOOK, Plan, ServiceEnded, running
from bench.harness.marked_audio import MOST_TURNS
from bench.harness.service import StartFailed
from bench.harness.twilio.pace import Pace
from bench.stress.survival.figures import Figures, rows
from bench.stress.survival.scenarios import SCENARIOS, RestartFailed

HANGOVER_MS, ANSWERS_AFTER_S = 400, 2.0
BRISK_HANGOVER_MS, BRISK_S = 200, 0.1
"""kill: brisk turns, because a stream lives for 1.4 s there. Elsewhere turns take as long as on the telephone."""


async def run(options: argparse.Namespace) -> int:
    """Run a scenario and print the table. Return the exit status."""
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
        settings=settings_from(options.setting),
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
        except (ServiceEnded, RestartFailed) as error:
            print(f"{type(error).__name__}: {error}")
            return 1
        handed_over = load.twilio.streams_opened - len(load.notes) if plan.reply_mode == "stream" else 0
        figures = Figures(options.scenario, load.notes, await load.counts(), outcome, load.streams_missed, handed_over)
        await load.twilio.settle(5)
        table = rows(figures, load)
        width = max(len(name) for name, _ in table if not name.startswith(" "))
        print("\n".join(f"{name:{width}}  {value}" for name, value in table))
        missed = figures.missed()
        if options.scenario != "kill" and load.twilio.complaints:
            missed.append("Twilio complains")
        print("\n".join(f"MISSED: {words}" for words in missed) or "every limit is kept")
        return 1 if missed else 0


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("survival", __doc__)
    parser.add_argument(
        "--scenario", choices=sorted(SCENARIOS), default="plain", help="what happens (default: %(default)s)"
    )
    parser.add_argument(
        "--reply-mode",
        choices=("call-update", "stream"),
        default="call-update",
        help="REPLY_MODE (default: %(default)s)",
    )
    add_service(parser)
    _add_scenarios(parser)
    _add_callers(parser)
    _add_twilio(parser)
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


def _add_scenarios(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--every", type=float, default=0.7, help="kill: seconds from one kill to the next (default: %(default)g)"
    )
    parser.add_argument("--restarts", type=int, default=20, help="restart: number of restarts (default: %(default)s)")
    parser.add_argument(
        "--apart",
        type=float,
        default=3.0,
        help="restart: seconds from the end of one to the next (default: %(default)g)",
    )
    parser.add_argument(
        "--undisturbed", type=float, default=10.0, help="restart: seconds before the first (default: %(default)g)"
    )
    add_seed(parser, None, "the workers to be killed")


def _add_callers(parser: argparse.ArgumentParser) -> None:
    add_calls(parser, 200)
    parser.add_argument(
        "--turns",
        type=int,
        default=15,
        choices=range(1, MOST_TURNS),
        metavar="TURNS",
        help="turns of each call (default: %(default)s)",
    )
    parser.add_argument(
        "--ramp", type=float, default=4.0, help="seconds in which the first calls come in (default: %(default)g)"
    )
    parser.add_argument(
        "--hangover-ms", type=int, help=f"HANGOVER_MS (default: {HANGOVER_MS}; kill: {BRISK_HANGOVER_MS})"
    )
    parser.add_argument(
        "--answers-after",
        type=float,
        help=f"seconds from a prompt to the caller's answer (default: {ANSWERS_AFTER_S:g}; kill: {BRISK_S:g})",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_S,
        help="seconds of silence after which callers repeat themselves (default: %(default)g)",
    )
    parser.add_argument(
        "--thinking", type=float, default=THINKING_S, help="seconds that Lex takes for an answer (default: %(default)g)"
    )


def _add_twilio(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--payload-ms",
        type=int,
        choices=(20, 40),
        default=40,
        help="ms of audio in a media message (default: %(default)s)",
    )
    parser.add_argument(
        "--say-ms", type=float, default=20.0, help="ms that the bot speaks for each character (default: %(default)g)"
    )
    parser.add_argument(
        "--callback-ms",
        type=float,
        default=50.0,
        help="ms after which Twilio reports an event of a stream (default: %(default)g)",
    )
    parser.add_argument(
        "--rest-ms", type=float, default=0.0, help="ms that a REST request takes (default: %(default)g)"
    )
    parser.add_argument(
        "--sign-fragment", action="store_true", help="let the signature of webhooks cover the fragment of the URL"
    )
    parser.add_argument(
        "--webhook",
        default=WEBHOOK,
        help="path of the number's voice webhook, with connection overrides (default: %(default)s)",
    )
