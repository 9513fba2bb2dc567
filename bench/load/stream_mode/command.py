"""Stream mode (REPLY_MODE=stream): how soon the bot answers and can be interrupted, and what its voice sounds like.

`server.py` runs in a process of its own, in real time, with the real boto3 and real sockets, between a local Lex and a
simulated Twilio. The bot and the callers say real speech at a usual level.

- latency: from the end of the caller's last voiced frame on the line to the first reply media on the socket, less
  HANGOVER_MS and the time that Lex took; and the reply as the caller hears it, to its first audible frame, with all
  the time that it took. The same with a Lex whose audio comes as fast as it plays, and twice as fast.
- barge-in: from the beginning of the first voiced frame to `clear`; what Lex got of that utterance, sample by sample;
  what coughs do.
- echo: prompts whose echo comes back on the caller's line. The table tells how often each would interrupt itself
  without a guard.
- audio: the bot's voice at 8 kHz, compared with an ideal resampler and with the standard library's.

Exit status 1 when a limit is missed.

    python -m bench stream_mode                     # all of it, some four minutes
    python -m bench stream_mode --only latency      # or barge-in, echo, audio; may be repeated
"""

import time
from collections.abc import Callable, Iterator, Sequence

from bench.harness.arguments import make_parser
from bench.harness.lateness import Lateness
from bench.harness.report import table
from bench.load.stream_mode.audio import audio
from bench.load.stream_mode.barge_in import barge_in
from bench.load.stream_mode.echo import echo
from bench.load.stream_mode.figures import Figure
from bench.load.stream_mode.latency import latency
from bench.load.stream_mode.speech import Speech, make_speech

Measurement = Callable[[Speech, Lateness], Iterator[Figure]]
MEASUREMENTS: dict[str, Measurement] = {"latency": latency, "barge-in": barge_in, "echo": echo, "audio": audio}


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("stream_mode", __doc__)
    parser.add_argument(
        "--only", action="append", choices=tuple(MEASUREMENTS), help="run only this part; may be repeated"
    )
    options = parser.parse_args(arguments)
    return measure(options.only or list(MEASUREMENTS))


def measure(names: Sequence[str]) -> int:
    """Run the parts with these names and print their tables. Return the exit status."""
    print("Making the speech ...", flush=True)
    speech = make_speech()
    missed = 0
    for name in names:
        lateness = Lateness()
        began_s = time.monotonic()
        figures = list(MEASUREMENTS[name](speech, lateness))
        missed += sum(figure.is_missed for figure in figures)
        print("\n" + table([[name, "value", "limit", "verdict"], *(figure.row for figure in figures)]))
        took_s = time.monotonic() - began_s
        print(
            f"{took_s:.0f} s; during calls this process was late by {lateness.worst_s * 1000:.0f} ms at most",
            flush=True,
        )
    return 1 if missed else 0
