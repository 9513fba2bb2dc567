"""A call whose Lex is slow, and what another call notices of it.

A caller has a conversation through `server.py`, alone; then the same again beside a caller whose every answer from Lex
takes about 5 s. Both speak recognisable English to the local Lex, in real time. Prints the medians of each stage of a
turn, alone and beside the slow call, and the difference. Exit status 1 when the median time from Lex's answer to
Twilio's REST API, or from the end of speech to the end of the request, differs by more than 20 ms.
"""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.harness.arguments import make_parser
from bench.harness.settings import service_settings
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.script import Script, Turn
from lexbridge.offline.commands.bridge_process import BridgeProcess
from lexbridge.offline.lex.bot_files import ORDER_FLOWERS, load_bot
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import HibariVoice, SilentVoice
from lexbridge.offline.report.spoken_turns import SpokenTurn, spoken_turns
from lexbridge.offline.twilio.events import UpdateReceived
from lexbridge.offline.twilio.simulator import SimulatedTwilio

SLOW_S = 5.0
ANSWER_BYTES = 800
"""About the length of the local Lex's answer with its headers, which comes byte by byte over SLOW_S."""
LIMIT_MS = 20.0
STAGES = (
    ("voice to Lex", "began_s", "lex_opened_s"),
    ("end of speech to end of request", "ended_s", "lex_closed_s"),
    ("Lex thinks", "lex_closed_s", "lex_answered_s"),
    ("Lex's answer to Twilio", "lex_answered_s", "updated_s"),
)
LIMITED = ("end of speech to end of request", "Lex's answer to Twilio")


def conversation(voice: HibariVoice, turns: int) -> SimulatedCaller:
    """Return a caller who asks for help again and again: such a dialog can be as long as wanted."""
    return SimulatedCaller(voice, Script(turns=(Turn(say="help me please"),) * turns, patience_s=60))


def measure(voice: HibariVoice, turns: int, beside_a_slow_call: bool, log: Path) -> list[SpokenTurn]:
    """Return the turns of one conversation, through a `server.py` of its own."""
    bot = load_bot(ORDER_FLOWERS)
    recogniser = ScriptedRecogniser(["help me please"] * 1000)
    with (
        LocalLex(bots=[bot], recogniser=recogniser, voice=SilentVoice()) as lex,
        SimulatedTwilio(voice=SilentVoice()) as twilio,
    ):
        settings = service_settings(lex_url=lex.url, twilio_url=twilio.url, auth_token=twilio.auth_token)
        with BridgeProcess(settings, log) as bridge:
            webhook = f"{bridge.url}/twiml"
            if beside_a_slow_call:
                slow = twilio.place_call(webhook, conversation(voice, turns))
                lex.faults.append(LexFault(kind="drip", every_s=SLOW_S / ANSWER_BYTES, session=slow.sid, times=None))
            call = twilio.place_call(webhook, conversation(voice, turns))
            call.wait_for(UpdateReceived, 20.0 * turns, count=turns)
            mine = [request for request in lex.requests if request.session_id == call.sid]
            return spoken_turns(call.events, mine)


def median_ms(turns: Sequence[SpokenTurn], start: str, end: str) -> float:
    """Return the median of one stage over the turns that have it, ms."""
    pairs = [(getattr(turn, start), getattr(turn, end)) for turn in turns]
    found = [(to - begin) * 1000 for begin, to in pairs if begin is not None and to is not None]
    return float(statistics.median(found))


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("neighbours", __doc__)
    parser.add_argument("--turns", type=int, default=8, help="turns of each conversation (default: 8)")
    turns = parser.parse_args(arguments).turns
    with HibariVoice() as voice, tempfile.TemporaryDirectory() as folder:
        alone = measure(voice, turns, False, Path(folder) / "alone.log")
        beside = measure(voice, turns, True, Path(folder) / "beside.log")
    print(f"Medians of {turns} turns, ms, without a neighbour and beside a call whose Lex takes about {SLOW_S:g} s:\n")
    print(f"  {'':34}{'alone':>10}{'beside':>10}{'change':>10}")
    missed = False
    for name, start, end in STAGES:
        before, after = median_ms(alone, start, end), median_ms(beside, start, end)
        print(f"  {name:34}{before:10.1f}{after:10.1f}{after - before:+10.1f}")
        missed |= name in LIMITED and abs(after - before) > LIMIT_MS
    print(f"\n{'MISSED' if missed else 'Held'}: {' and '.join(LIMITED)} change by at most {LIMIT_MS:g} ms.")
    return 1 if missed else 0
