"""Echo of the stream mode measurement: whether prompts that come back on the caller's line interrupt themselves."""

import time
from collections.abc import Iterator, Sequence

import gevent

from bench.harness.lateness import Lateness
from bench.load.stream_mode.calls import ScriptedCall, Setup, running
from bench.load.stream_mode.figures import Figure, is_clear, none_of, voiced_runs
from bench.load.stream_mode.speech import BARGE_IN_MS, VOICE_THRESHOLD, Speech
from lexbridge.audio.pcm import decode_mulaw, rms
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS
from lexbridge.offline.twilio.telephone_audio import frames_of

CALLS = 10
ECHO_DB, ECHO_DELAYS_MS = -20.0, (150, 300)
LOUDER_ECHOES_DB = (-16.0, -14.0, -12.0)
PROMPT_S = 600.0
"""Length of all prompts with an echo together, seconds."""


def echo(speech: Speech, lateness: Lateness) -> Iterator[Figure]:
    """Measure how often a prompt is interrupted by its own echo on the caller's line."""
    prompts = [speech.prompt(0, 1), speech.prompt(2), speech.prompt(3, 4, 5), speech.prompt(6), speech.prompt(1, 6)]
    with running(speech, prompts, lateness) as setup:
        found = _echoed(setup, [ECHO_DB], CALLS, PROMPT_S / CALLS)[ECHO_DB]
        what = f"echo of {ECHO_DB:g} dB"
        yield Figure(f"{what}: prompts heard", f"{found.heard_s / 60:.1f} min")
        yield Figure(f"{what}: by VOICE_THRESHOLD alone it interrupts", f"{found.by_threshold} times")
        yield none_of(f"{what}: interruptions", found.cleared)
        yield none_of(f"{what}: utterances that the caller did not speak", found.unasked)
        louder = _echoed(setup, LOUDER_ECHOES_DB, 4, 20.0, longest_s=45.0)
    for level_db, found in louder.items():
        value = f"{found.cleared} interruptions ({found.cleared / found.heard_s * 60:.1f} a minute)"
        yield Figure(f"echo of {level_db:g} dB, {found.heard_s / 60:.1f} min", value)


class _Echoed:
    """What happened to prompts with an echo of one level."""

    def __init__(self, calls: Sequence[ScriptedCall], level_db: float) -> None:
        events = [event for call in calls for event in call.phone_call.events]
        self.heard_s = sum(_heard_s(call) for call in calls)
        """Length of the prompts that were heard, seconds."""
        self.cleared = sum(map(is_clear, events))
        self.unasked = sum(request.transcript == "" for call in calls for request in call.requests)
        gain = 10 ** (level_db / 20)
        self.by_threshold = 0
        for call in calls:
            levels = [
                round(rms(decode_mulaw(frame)) * gain) for frame in frames_of(bytes(call.phone_call.line.bot_mulaw))
            ]
            self.by_threshold += voiced_runs(levels, VOICE_THRESHOLD, BARGE_IN_MS, PAUSE_WITHIN_ONSET_MS)


def _echoed(
    setup: Setup, levels_db: Sequence[float], count: int, each_s: float, longest_s: float = 600.0
) -> dict[float, _Echoed]:
    """Make `count` calls for each level, until each has heard prompts of `each_s` or is `longest_s` old."""
    calls: dict[float, list[ScriptedCall]] = {level_db: [] for level_db in levels_db}

    def story(call: ScriptedCall, number: int) -> None:
        calls[levels_db[number // count]].append(call)
        by_s = time.monotonic() + longest_s
        while _heard_s(call) < each_s and time.monotonic() < by_s:
            call.say(number)
            try:
                call.hear_out(max(0.1, by_s - time.monotonic()))
            except TimeoutError:
                break  # it interrupts itself again and again
            gevent.sleep(1.2)  # with the second in which nothing may be heard
            number += 1

    def options(number: int) -> dict[str, float]:
        delay_ms = ECHO_DELAYS_MS[number % len(ECHO_DELAYS_MS)]
        return {"echo_db": levels_db[number // count], "echo_delay_ms": delay_ms}

    setup.together(count * len(levels_db), story, options)
    return {level_db: _Echoed(found, level_db) for level_db, found in calls.items()}


def _heard_s(call: ScriptedCall) -> float:
    return sum(audio.heard_ms for audio in call.phone_call.sent_audio) / 1000
