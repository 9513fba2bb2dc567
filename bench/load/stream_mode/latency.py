"""Latency of the stream mode measurement: how soon the bot answers."""

import random
from collections.abc import Iterator, Sequence

import gevent

from bench.harness.lateness import Lateness
from bench.harness.report import percentile
from bench.load.stream_mode.calls import ScriptedCall, Setup, running
from bench.load.stream_mode.figures import Answer, Figure, all_of, answers
from bench.load.stream_mode.speech import HANGOVER_MS, LEX_HZ, Speech, telephone

LATENCY_LIMIT_MS = 40.0
CALLS = 10
THINK_S = 0.3


def latency(speech: Speech, lateness: Lateness) -> Iterator[Figure]:
    """Measure how soon the bot answers."""
    prompt = speech.prompt(6)[: LEX_HZ * 2 * 3]
    with running(speech, [prompt], lateness, think_s=THINK_S) as setup:
        found, whole = _ask(setup, turns=4)
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
        yield all_of("prompts heard sample by sample", whole, len(found))
        for pace in (2.0, 1.0):
            setup.lex.audio_pace = pace
            found, _ = _ask(setup, turns=2)
            yield from _slow_speech(f"speech at {pace:g}x", found)


def _ask(setup: Setup, turns: int) -> tuple[list[Answer], int]:
    """Make calls in which the caller asks `turns` times. Return the answers, and how many were heard unchanged."""
    before = len(setup.calls)

    def story(call: ScriptedCall, number: int) -> None:
        for turn in range(turns):
            gevent.sleep(random.uniform(0.3, 0.6))
            call.say(number + turn)
            call.hear_out()

    setup.together(CALLS, story)
    calls = setup.calls[before:]
    expected = telephone(setup.prompts[0])
    whole = sum(bytes(call.phone_call.line.bot_mulaw).count(expected) for call in calls)
    return [answer for call in calls for answer in answers(call.phone_call.events, call.requests)], whole


def _slow_speech(what: str, found: Sequence[Answer]) -> Iterator[Figure]:
    bridge_ms = [answer.bridge_ms(HANGOVER_MS) for answer in found]
    lead_s = [answer.lead_s or 0.0 for answer in found]
    yield Figure(f"{what}: the bridge's part, median", f"{percentile(bridge_ms, 50):.1f} ms")
    yield all_of(f"{what}: first media before Lex's last byte", sum(lead > 0 for lead in lead_s), len(found))
    yield Figure(f"{what}: least time before", f"{min(lead_s):.2f} s")
