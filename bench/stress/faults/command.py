"""Sweep of faults: what the caller hears, and when, while Lex or Twilio's REST API fails.

Each case is a call of its own through a service of its own, over real sockets, with the real boto3 and twilio clients,
in real time, because the service's deadlines are in real seconds. The caller says something, and the fault strikes;
the caller listens, and says something more. A case passes if

- the turn is answered or apologised for, or the call ended in words, within 6 s of the end of what the caller said;
- neither party is silent for more than 3 s in between;
- the next turn is answered, within the same limits;
- and the service has nothing left of the call when it is over.

Only what sounds counts as heard: words of Twilio's voice, or audio over the stream that is recognised as Lex's or
lexbridge's own. The sweep is made in each reply mode; in stream mode once with Lex speaking lexbridge's own phrases
(PutSession), once with Lex refusing that (403), and once with Lex answering without audio. In stream mode an answer
needs no REST request, and so a fault of REST comes with an answer whose audio cannot be played: Twilio has to say it.

Where the service has no means to speak (in call-update mode it speaks by REST) the case says what is expected instead.
After the sweep the process has as many greenlets and descriptors as before. Exit status 1 when a limit is missed.
`python -m bench odd_answers` measures what endless answers cost in memory, and other calls in time.

    python -m bench faults                          # the whole sweep: some minutes for each of the four setups
    python -m bench faults --reply-mode call-update # one of them
    python -m bench faults hang 503                 # the cases with these words in their names
"""

import gc
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence

import gevent

from bench.harness.arguments import add_case_words, make_parser
from bench.harness.lateness import Lateness
from bench.harness.report import table
from bench.stress.faults.cases import ANSWER, CALL_UPDATE, SETUPS, Case, Setup, cases
from bench.stress.faults.conversation import Options, run_cases
from bench.stress.faults.verdict import ANSWER_WITHIN_S, SILENCE_AT_MOST_S, Result
from lexbridge import logs

AT_ONCE = 24
HEADING = [
    *("fault", "hits", "heard", "voice s", "settled s", "silence s"),
    *("next turn", "voice s", "settled s", "silence s", "verdict"),
]


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("faults", __doc__)
    add_case_words(parser)
    modes, puts = ("call-update", "stream", "both"), ("spoken", "refused", "empty", "all")
    parser.add_argument("--reply-mode", choices=modes, default="both", help="REPLY_MODE (default: %(default)s)")
    parser.add_argument(
        "--put-session",
        choices=puts,
        default="all",
        help="what Lex does, in stream mode, with lexbridge's own phrases (default: %(default)s)",
    )
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="calls at the same time (default: %(default)s)")
    parser.add_argument("--log", action="store_true", help="write the service's log to standard error")
    options = parser.parse_args(arguments)
    logs.configure("DEBUG" if options.log else "CRITICAL", "text", logging.StreamHandler())
    status = 0
    for setup in SETUPS:
        if options.reply_mode not in ("both", setup.reply_mode):
            continue
        if setup.reply_mode == "stream" and options.put_session not in ("all", setup.put_session):
            continue
        chosen = [one for one in cases(setup) if not options.words or any(word in one.name for word in options.words)]
        print(f"{'' if setup is CALL_UPDATE else chr(10)}{setup}\n")
        status |= sweep(chosen, options.at_once, setup)
    return status


def sweep(chosen: Sequence[Case], at_once: int, setup: Setup) -> int:
    """Run the cases in one setup and print the table. Return the exit status."""
    began_s = time.monotonic()
    results = run_cases([Case("no fault", ANSWER)], Options(setup))
    before = held_resources()
    lateness = Lateness()
    for start in range(0, len(chosen), at_once):
        results += run_cases(chosen[start : start + at_once], Options(setup, lateness=lateness))
    left = [f"{count} {name}" for name, count in sorted((held_resources() - before).items())]
    print(table([HEADING, *(row(result) for result in results)]))
    missed = [result for result in results if result.problems]
    turns = [turn for result in results for turn in (result.first, result.second) if turn]
    slowest_s, silent_s = _longest(turn.settled_s for turn in turns), _longest(turn.silence_s for turn in turns)
    print(f"\n{len(results)} calls in {time.monotonic() - began_s:.0f} s; {len(missed)} missed a limit")
    print(f"slowest answer, apology or goodbye {slowest_s:.2f} s (limit {ANSWER_WITHIN_S:g}, where one is possible)")
    print(f"longest silence {silent_s:.2f} s (limit {SILENCE_AT_MOST_S:g}, where the service can speak)")
    print(f"left behind: {', '.join(left) or 'nothing'}")
    print(f"this process was late by {lateness.worst_s * 1000:.0f} ms at most")
    return 1 if missed or left else 0


def held_resources() -> Counter[str]:
    """Return how many living greenlets and open descriptors this process has of each kind."""
    for _ in range(3):
        gc.collect()
        gevent.sleep(0.1)
    living = [each for each in gc.get_objects() if isinstance(each, gevent.Greenlet) and not each.dead]
    descriptors = []
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            descriptors.append(os.readlink(f"/proc/self/fd/{number}").partition(":")[0])  # noqa: PTH115
        except OSError:  # the descriptor by which the directory was listed
            continue
    names = (getattr(getattr(each, "run", None), "__qualname__", "no name") for each in living)
    return Counter([*(f"greenlets of {name}" for name in names), *(f"descriptors of {name}" for name in descriptors)])


def row(result: Result) -> list[str]:
    """Return a line of the table."""
    case = result.case
    turns: list[str] = []
    for turn in (result.first, result.second):
        if turn is None:
            turns += ["-", "", "", ""]
        else:
            turns += [turn.outcome, _seconds(turn.voice_s), _seconds(turn.settled_s), _seconds(turn.silence_s)]
    verdict = "; ".join(result.problems) or "ok"
    hits = f"{result.hits}/{case.times}" if case.lex or case.rest else "-"
    return [case.name, hits, *turns, verdict + (f" ({case.why})" if case.why else "")]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _longest(values: Iterable[float | None]) -> float:
    return max((value or 0 for value in values), default=0)
