"""Stream mode (REPLY_MODE=stream): how soon the bot answers, how soon it can be interrupted, what its voice is like.

`server.py` runs as a process of its own, in real time, with the real boto3 and real sockets, between a local Lex and a
simulated Twilio. Bot and callers say real speech at a usual level.

- latency: from the end of the caller's last voiced frame on the line to the first reply media on the socket, less
  HANGOVER_MS and less what Lex took; and to the reply as the caller hears it, its first audible frame, with all that
  it took. And with a Lex whose voice comes no faster than it plays, or twice as fast.
- barge-in: from the beginning of the first voiced frame to `clear`; what Lex got of that utterance, sample by sample;
  what coughs do.
- echo: prompts whose echo comes back on the caller's line. Without a guard each would interrupt itself: how often,
  stands below.
- audio: the bot's voice at 8 kHz against an ideal resampler, and against the standard library's.

Exit status 1 when a limit is missed.

    python -m bench stream_mode                     # all of it, some four minutes
    python -m bench stream_mode --only latency      # or barge-in, echo, audio; may be repeated
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence

import gevent

from bench.harness.arguments import make_parser
from bench.harness.lateness import Lateness
from bench.harness.report import percentile, table
from bench.load.stream_mode.audio import audio
from bench.load.stream_mode.figures import (
    Answer,
    Figure,
    Heard,
    answers,
    clear_ms,
    echo_guards,
    heard_of,
    interruption_ms,
    voiced_runs,
)
from bench.load.stream_mode.setup import (
    BARGE_IN_MS,
    HANGOVER_MS,
    LEX_HZ,
    PRE_ROLL_MS,
    SENTENCES,
    VOICE_THRESHOLD,
    Speech,
    Talk,
    World,
    make_speech,
    telephone,
    until,
    world,
)
from lexbridge.audio.pcm import FRAME_MS, PCM_BYTES_PER_MS, decode_mulaw, rms
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS
from lexbridge.offline.twilio.events import Coughed, MessageSent, SpeechStarted
from lexbridge.offline.twilio.telephone_audio import frames_of

LATENCY_LIMIT_MS = 40.0
BARGE_IN_LIMIT_MS = BARGE_IN_MS + 40.0
CALLS = 10
THINK_S = 0.3
ECHO_DB, ECHO_DELAYS_MS = -20.0, (150, 300)
LOUDER_ECHOES_DB = (-16.0, -14.0, -12.0)
PROMPT_S = 600.0
"""Of prompts with an echo, in all."""

Measurement = Callable[[Speech, Lateness], Iterator[Figure]]


# Latency


def latency(speech: Speech, lateness: Lateness) -> Iterator[Figure]:
    """How soon the bot answers."""
    prompt = speech.prompt(6)[: LEX_HZ * 2 * 3]
    with world(speech, [prompt], lateness, think_s=THINK_S) as here:
        found, whole = _ask(here, turns=4)
        bridge_ms = [answer.bridge_ms(HANGOVER_MS) for answer in found]
        p95_ms = percentile(bridge_ms, 95)
        yield Figure("turns", str(len(found)))
        yield Figure("Lex's own time, median", f"{percentile([answer.lex_s for answer in found], 50) * 1000:.0f} ms")
        reply_ms = percentile([answer.reply_ms for answer in found], 50)
        yield Figure("the caller's last sound to the reply's first, median", f"{reply_ms:.0f} ms")
        yield Figure("the bridge's part, median", f"{percentile(bridge_ms, 50):.1f} ms")
        limit = f"<= {LATENCY_LIMIT_MS:g} ms"
        yield Figure("the bridge's part, p95", f"{p95_ms:.1f} ms", limit, p95_ms > LATENCY_LIMIT_MS)
        yield Figure("the bridge's part, longest", f"{max(bridge_ms):.1f} ms")
        yield _all("prompts heard sample by sample", whole, len(found))
        for pace in (2.0, 1.0):
            here.lex.audio_pace = pace
            found, _ = _ask(here, turns=2)
            yield from _slow_speech(f"speech at {pace:g}x", found)


def _ask(here: World, turns: int) -> tuple[list[Answer], int]:
    """Calls in which the caller asks so often; and how many of the prompts were heard as Lex sent them."""
    before = len(here.talks)

    def story(talk: Talk, number: int) -> None:
        for turn in range(turns):
            gevent.sleep(random.uniform(0.3, 0.6))
            talk.say(number + turn)
            talk.hear_out()

    here.together(CALLS, story)
    talks = here.talks[before:]
    expected = telephone(here.prompts[0])
    whole = sum(bytes(talk.call.line.bot_mulaw).count(expected) for talk in talks)
    return [answer for talk in talks for answer in answers(talk.call.events, talk.requests)], whole


def _slow_speech(what: str, found: Sequence[Answer]) -> Iterator[Figure]:
    bridge_ms = [answer.bridge_ms(HANGOVER_MS) for answer in found]
    lead_s = [answer.lead_s or 0.0 for answer in found]
    yield Figure(f"{what}: the bridge's part, median", f"{percentile(bridge_ms, 50):.1f} ms")
    yield _all(f"{what}: first media before Lex's last byte", sum(lead > 0 for lead in lead_s), len(found))
    yield Figure(f"{what}: so much before, least", f"{min(lead_s):.2f} s")


def _all(name: str, count: int, of: int) -> Figure:
    return Figure(name, f"{count} of {of}", "all", count < of)


# Barge-in


def barge_in(speech: Speech, lateness: Lateness) -> Iterator[Figure]:
    """How soon the bot stops, and what becomes of what the caller says."""
    prompt = speech.prompt(0, 1, 2)
    moments_s = [0.25 + 8.0 * number / (2 * CALLS - 1) for number in range(2 * CALLS)]
    stopped_ms: list[float | None] = []
    coughed: list[int] = []

    def story(talk: Talk, number: int) -> None:
        talk.say(number)
        began_s = talk.hear_begin()
        for at_s in (0.6, 4.0, 8.0):
            until(began_s + at_s + 0.2 * number)
            talk.caller.cough()
        talk.hear_out()
        coughed.append(sum(map(_is_clear, talk.call.events)))
        gevent.sleep(0.5)
        talk.say(number + 1)
        for turn, moment_s in enumerate((moments_s[number], moments_s[-1 - number])):
            until(talk.hear_begin() + moment_s)
            talk.say(number + 2 + turn)
            gevent.sleep(0.3)
            stopped_ms.append(clear_ms(talk.call.events, talk.last(SpeechStarted)))
            if stopped_ms[-1] is None:
                return
        talk.hear_begin()
        gevent.sleep(0.2)

    with world(speech, [prompt], lateness) as here:
        here.together(CALLS, story)
        heard = [got for talk in here.talks for got in _heard(talk)[2:]]
        unasked = sum(request.transcript == "" for talk in here.talks for request in talk.requests)
        coughs = sum(isinstance(event, Coughed) for talk in here.talks for event in talk.call.events)
    known_ms = [each for each in stopped_ms if each is not None]
    yield _all("prompts stopped by who speaks", len(known_ms), 2 * CALLS)
    limit = f"<= {BARGE_IN_LIMIT_MS:g} ms"
    yield Figure("first voiced frame to clear, median", f"{percentile(known_ms, 50):.0f} ms")
    yield Figure(
        "first voiced frame to clear, longest", f"{max(known_ms):.0f} ms", limit, max(known_ms) > BARGE_IN_LIMIT_MS
    )
    whole = [each for each in heard if each is not None and each.is_whole]
    yield _all("utterances whole at Lex, sample by sample", len(whole), 2 * CALLS)
    least_ms = min((each.lead_ms for each in heard if each), default=0.0)
    value = f"{least_ms:.0f} ms (up to PRE_ROLL_MS={PRE_ROLL_MS}, and not into the utterance before)"
    yield Figure("line before the onset, least", value)
    yield Figure("coughs of 150 ms", str(coughs))
    yield _none("prompts that a cough stopped", sum(coughed))
    yield _none("utterances that nobody spoke", unasked)
    yield from _sweep(speech, telephone(speech.prompt(*range(len(SENTENCES)))))


def _sweep(speech: Speech, prompt: bytes) -> Iterator[Figure]:
    """Many more phrases at many moments, in media time: how much it is up to what is said."""
    guards = echo_guards(prompt)
    said = {**speech.phrases, **speech.others}
    moments = range(1000, len(guards) * FRAME_MS - 2000, 990)
    for name, phrases in (
        (f"of at least {BARGE_IN_MS} ms", [pcm for pcm in said.values() if len(pcm) >= BARGE_IN_MS * PCM_BYTES_PER_MS]),
        ("shorter", [pcm for pcm in said.values() if len(pcm) < BARGE_IN_MS * PCM_BYTES_PER_MS]),
    ):
        found = [
            interruption_ms(pcm, guards[at_ms // FRAME_MS :], BARGE_IN_MS, VOICE_THRESHOLD)
            for pcm in phrases
            for at_ms in moments
        ]
        heard = [each for each in found if each is not None]
        soon = sum(each <= BARGE_IN_LIMIT_MS for each in heard)
        value = f"{len(heard) / len(found):.1%} interrupt, {soon / len(found):.1%} within {BARGE_IN_LIMIT_MS:g} ms"
        yield Figure(f"{len(phrases)} phrases {name} at {len(moments)} moments, in media time", value)


def _heard(talk: Talk) -> list[Heard | None]:
    """What Lex got of each thing that the caller said."""
    line, phrases = talk.line, talk.world.speech.phrases
    return [
        next((got for request in talk.requests if (got := heard_of(line, at, phrases[text], request.audio))), None)
        for text, at in talk.said
    ]


def _is_clear(event: object) -> bool:
    return isinstance(event, MessageSent) and event.kind == "clear"


def _none(name: str, count: int) -> Figure:
    return Figure(name, str(count), "none", count > 0)


# Echo


def echo(speech: Speech, lateness: Lateness) -> Iterator[Figure]:
    """Prompts that come back to their own bridge."""
    prompts = [speech.prompt(0, 1), speech.prompt(2), speech.prompt(3, 4, 5), speech.prompt(6), speech.prompt(1, 6)]
    with world(speech, prompts, lateness) as here:
        found = _echoed(here, [ECHO_DB], CALLS, PROMPT_S / CALLS)[ECHO_DB]
        what = f"echo of {ECHO_DB:g} dB"
        yield Figure(f"{what}: prompts heard", f"{found.heard_s / 60:.1f} min")
        yield Figure(f"{what}: by VOICE_THRESHOLD alone it interrupts", f"{found.by_threshold} times")
        yield _none(f"{what}: interruptions", found.cleared)
        yield _none(f"{what}: utterances that nobody spoke", found.unasked)
        louder = _echoed(here, LOUDER_ECHOES_DB, 4, 20.0, longest_s=45.0)
    for level_db, found in louder.items():
        value = f"{found.cleared} interruptions ({found.cleared / found.heard_s * 60:.1f} a minute)"
        yield Figure(f"echo of {level_db:g} dB, {found.heard_s / 60:.1f} min", value)


class _Echoed:
    """What came of prompts with an echo of that level. `heard_s`: as long as they were."""

    def __init__(self, talks: Sequence[Talk], level_db: float) -> None:
        events = [event for talk in talks for event in talk.call.events]
        self.heard_s = sum(_heard_s(talk) for talk in talks)
        self.cleared = sum(map(_is_clear, events))
        self.unasked = sum(request.transcript == "" for talk in talks for request in talk.requests)
        gain = 10 ** (level_db / 20)
        self.by_threshold = 0
        for talk in talks:
            levels = [round(rms(decode_mulaw(frame)) * gain) for frame in frames_of(bytes(talk.call.line.bot_mulaw))]
            self.by_threshold += voiced_runs(levels, VOICE_THRESHOLD, BARGE_IN_MS, PAUSE_WITHIN_ONSET_MS)


def _echoed(
    here: World, levels_db: Sequence[float], calls: int, each_s: float, longest_s: float = 600.0
) -> dict[float, _Echoed]:
    """So many calls with an echo of each level, until they have heard prompts of `each_s`, or are `longest_s` old."""
    talks: dict[float, list[Talk]] = {level_db: [] for level_db in levels_db}

    def story(talk: Talk, number: int) -> None:
        talks[levels_db[number // calls]].append(talk)
        by_s = time.monotonic() + longest_s
        while _heard_s(talk) < each_s and time.monotonic() < by_s:
            talk.say(number)
            try:
                talk.hear_out(max(0.1, by_s - time.monotonic()))
            except TimeoutError:
                break  # it interrupts itself again and again
            gevent.sleep(1.2)  # with the second in which nothing may be heard
            number += 1

    def options(number: int) -> dict[str, float]:
        delay_ms = ECHO_DELAYS_MS[number % len(ECHO_DELAYS_MS)]
        return {"echo_db": levels_db[number // calls], "echo_delay_ms": delay_ms}

    here.together(calls * len(levels_db), story, options)
    return {level_db: _Echoed(found, level_db) for level_db, found in talks.items()}


def _heard_s(talk: Talk) -> float:
    return sum(audio.heard_ms for audio in talk.call.sent_audio) / 1000


MEASUREMENTS: dict[str, Measurement] = {"latency": latency, "barge-in": barge_in, "echo": echo, "audio": audio}


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("stream_mode", __doc__)
    parser.add_argument("--only", action="append", choices=tuple(MEASUREMENTS), help="repeatable")
    options = parser.parse_args(arguments)
    return measure(options.only or list(MEASUREMENTS))


def measure(names: Sequence[str]) -> int:
    """Runs and prints them. Returns the exit status."""
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
