"""Barge-in of the stream mode measurement: how soon a prompt stops when the caller speaks."""

from collections.abc import Iterator

import gevent

from bench.harness.lateness import Lateness
from bench.harness.report import percentile
from bench.load.stream_mode.calls import ScriptedCall, running, until
from bench.load.stream_mode.figures import (
    Figure,
    UploadedSpeech,
    all_of,
    clear_ms,
    echo_guards,
    find_speech,
    interruption_ms,
    is_clear,
    none_of,
)
from bench.load.stream_mode.speech import (
    BARGE_IN_MS,
    PRE_ROLL_MS,
    SENTENCES,
    VOICE_THRESHOLD,
    Speech,
    telephone,
)
from lexbridge.audio.pcm import FRAME_MS, PCM_BYTES_PER_MS
from lexbridge.offline.twilio.events import Coughed, SpeechStarted

BARGE_IN_LIMIT_MS = BARGE_IN_MS + 40.0
CALLS = 10


def barge_in(speech: Speech, lateness: Lateness) -> Iterator[Figure]:
    """Measure how soon the bot stops when the caller speaks, and what of that speech reaches Lex."""
    prompt = speech.prompt(0, 1, 2)
    moments_s = [0.25 + 8.0 * number / (2 * CALLS - 1) for number in range(2 * CALLS)]
    stopped_ms: list[float | None] = []
    coughed: list[int] = []

    def story(call: ScriptedCall, number: int) -> None:
        call.say(number)
        began_s = call.hear_begin()
        for at_s in (0.6, 4.0, 8.0):
            until(began_s + at_s + 0.2 * number)
            call.caller.cough()
        call.hear_out()
        coughed.append(sum(map(is_clear, call.phone_call.events)))
        gevent.sleep(0.5)
        call.say(number + 1)
        for turn, moment_s in enumerate((moments_s[number], moments_s[-1 - number])):
            until(call.hear_begin() + moment_s)
            call.say(number + 2 + turn)
            gevent.sleep(0.3)
            stopped_ms.append(clear_ms(call.phone_call.events, call.last(SpeechStarted)))
            if stopped_ms[-1] is None:
                return
        call.hear_begin()
        gevent.sleep(0.2)

    with running(speech, [prompt], lateness) as setup:
        setup.together(CALLS, story)
        heard = [got for call in setup.calls for got in _uploaded(call)[2:]]
        unasked = sum(request.transcript == "" for call in setup.calls for request in call.requests)
        coughs = sum(isinstance(event, Coughed) for call in setup.calls for event in call.phone_call.events)
    known_ms = [each for each in stopped_ms if each is not None]
    yield all_of("prompts stopped by the caller's speech", len(known_ms), 2 * CALLS)
    limit = f"<= {BARGE_IN_LIMIT_MS:g} ms"
    yield Figure("first voiced frame to clear, median", f"{percentile(known_ms, 50):.0f} ms")
    yield Figure(
        "first voiced frame to clear, longest", f"{max(known_ms):.0f} ms", limit, max(known_ms) > BARGE_IN_LIMIT_MS
    )
    whole = [each for each in heard if each is not None and each.is_whole]
    yield all_of("utterances whole at Lex, sample by sample", len(whole), 2 * CALLS)
    least_ms = min((each.lead_ms for each in heard if each), default=0.0)
    value = f"{least_ms:.0f} ms (up to PRE_ROLL_MS={PRE_ROLL_MS}, and not into the utterance before)"
    yield Figure("line before the onset, least", value)
    yield Figure("coughs of 150 ms", str(coughs))
    yield none_of("prompts that a cough stopped", sum(coughed))
    yield none_of("utterances that the caller did not speak", unasked)
    yield from _sweep(speech, telephone(speech.prompt(*range(len(SENTENCES)))))


def _sweep(speech: Speech, prompt: bytes) -> Iterator[Figure]:
    """Try many more phrases at many moments, in media time: whether a phrase interrupts depends on its sounds."""
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


def _uploaded(call: ScriptedCall) -> list[UploadedSpeech | None]:
    """Return what Lex got of each thing that the caller said."""
    line, phrases = call.line, call.setup.speech.phrases
    return [
        next((got for request in call.requests if (got := find_speech(line, at, phrases[text], request.audio))), None)
        for text, at in call.said
    ]
