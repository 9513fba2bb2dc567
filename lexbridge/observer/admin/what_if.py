"""A call once more with other settings: what another detector, hangover or threshold would have made of it.

Both runs hear the audio that was kept of the caller, with the questions and the bot's audio where they were. Answers
would have come at other times, so it is an estimate from the first difference on.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lexbridge.audio.endpointing import Listening
from lexbridge.audio.hangover import Expected
from lexbridge.audio.pcm import FRAME_MS, MULAW_FRAME_BYTES
from lexbridge.audio.replay import FoundUtterance, Replay
from lexbridge.audio.vad import Detector, load_detector
from lexbridge.call.hearing import endpointing_rules
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS, UNINTERRUPTED_MS
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.setting import simple_fields_of
from lexbridge.observer.admin.stream_levels import SLICE_FRAMES, StreamLevels, measure_all
from lexbridge.observer.calls.call_record import CallRecord
from lexbridge.observer.calls.kept_audio import Track
from lexbridge.observer.watched.spoken_spans import spoken_spans

CHANGEABLE = (
    *("vad", "voice_threshold", "voice_margin_db", "webrtc_mode", "onset_ms", "pre_roll_ms", "hangover_ms"),
    *("hangover_min_ms", "hangover_max_ms", "max_utterance_ms", "barge_in_ms", "barge_in"),
)
"""LineSettings that decide what is heard, by their names in the code."""

MAX_MS = 3600 * 1000
"""Longest audio that is heard once more, milliseconds, because an hour takes up to a minute of CPU."""


class WhatIfRefused(Exception):
    """The settings cannot be tried. The message is a sentence for whoever asked."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """The caller's audio of one stream, and what was asked meanwhile."""

    stream_sid: str
    caller: Track
    bot: Track
    spoken_ms: list[tuple[int, int]]
    """Spans in which Twilio spoke a document."""
    asked_ms: list[int]
    expected: list[Expected]


def changed_settings(settings: LineSettings, wanted: Mapping[str, Any]) -> LineSettings:
    """Return the settings with those that are `wanted` instead. Raises WhatIfRefused with the rule that one breaks."""
    entries = dict(simple_fields_of(LineSettings))
    values: dict[str, Any] = {}
    for name, value in wanted.items():
        if name not in CHANGEABLE:
            raise WhatIfRefused(f"{name[:50]} is none of {', '.join(CHANGEABLE)}")
        try:
            values[name] = entries[name].parse(_written(value))
        except ValueError as error:
            raise WhatIfRefused(f"{name} {error}") from error
    for bound in ("hangover_min_ms", "hangover_max_ms"):
        if getattr(settings, bound) == settings.hangover_ms:  # unset: it follows the usual one
            values.setdefault(bound, values.get("hangover_ms", settings.hangover_ms))
    changed = replace(settings, **values)
    if not changed.hangover_min_ms <= changed.hangover_ms <= changed.hangover_max_ms < changed.max_utterance_ms:
        raise WhatIfRefused("hangover_min_ms <= hangover_ms <= hangover_max_ms < max_utterance_ms must hold")
    return changed


def _written(value: object) -> str:
    """Return a value of JSON as it would stand in the environment."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def detector_for(settings: LineSettings) -> Callable[[], Detector]:
    """Return a function that makes the detector of a call. Raises WhatIfRefused if its packages are not installed."""
    try:
        new_detector = load_detector(settings.vad, settings.detector_options)
        new_detector()  # some look for their package only then
    except ImportError as error:
        raise WhatIfRefused(f"vad {settings.vad} is not installed here ({error.name})") from error
    return new_detector


def what_if(
    record: CallRecord, settings: LineSettings, wanted: Mapping[str, Any], give_way: Callable[[], object]
) -> dict[str, Any]:
    """Return the utterances with the settings as they are and as `wanted`, and the levels of the second.

    `give_way` is called between slices. Raises WhatIfRefused.
    """
    then = changed_settings(settings, wanted)
    streams = list(_streams(record, settings))
    if not any(one.caller.runs for one in streams):
        raise WhatIfRefused("none of the caller's audio was kept of this call")
    if sum(one.caller.size_bytes for one in streams) > MAX_MS * 8:
        raise WhatIfRefused(f"more than {MAX_MS // 60_000} minutes of audio were kept of this call")
    new_now, new_then = detector_for(settings), detector_for(then)
    levels = []
    for one in streams:
        of_stream = StreamLevels(new_then())
        measure_all(of_stream, one.caller, give_way)
        began_s = record.streams[one.stream_sid].began_s
        levels += list(of_stream.view(one.stream_sid, began_s, one.bot, 0, one.caller.end_ms + FRAME_MS))
    return {
        "now": [found for one in streams for found in _replayed(one, settings, new_now, give_way)],
        "then": [found for one in streams for found in _replayed(one, then, new_then, give_way)],
        "then_levels": {"streams": levels},
    }


def utterances(record: CallRecord, settings: LineSettings, give_way: Callable[[], object]) -> list[dict[str, Any]]:
    """Return the utterances that these settings find in what was kept of the caller's audio. Raises WhatIfRefused."""
    new_detector = detector_for(settings)
    streams = _streams(record, settings)
    return [found for one in streams for found in _replayed(one, settings, new_detector, give_way)]


def _streams(record: CallRecord, settings: LineSettings) -> Iterator[_Heard]:
    """Yield the streams as they are now: audio that comes meanwhile changes nothing."""
    for stream_sid in list(record.streams):
        caller, bot = (record.track(stream_sid, name).copy() for name in ("caller", "bot"))
        asked = sorted(
            (turn.ended_ms + (turn.lex_ms or 0), turn.dialog_state, turn.slot_to_elicit)
            for turn in record.turns.all.values()
            if turn.stream_sid == stream_sid and turn.ended_ms is not None and turn.dialog_state is not None
        )
        expected = [_expected(state, slot or "", settings.slot_kinds) for _, state, slot in asked]
        spoken_ms = spoken_spans(list(record.events), stream_sid)
        yield _Heard(stream_sid, caller, bot, spoken_ms, [at_ms for at_ms, _, _ in asked], expected)


def _expected(dialog_state: str, slot: str, slot_kinds: Mapping[str, str]) -> Expected:
    # The session attributes by which a bot says it otherwise are not known here.
    if dialog_state == "ConfirmIntent":
        return Expected.CLOSED
    return Expected(slot_kinds.get(slot, Expected.PHRASE.value)) if dialog_state == "ElicitSlot" else Expected.OPEN


def _replayed(
    heard: _Heard, settings: LineSettings, new_detector: Callable[[], Detector], give_way: Callable[[], object]
) -> Iterator[dict[str, Any]]:
    detector, rules = new_detector(), endpointing_rules(settings)
    for run in heard.caller.runs:
        replay = Replay(detector, rules)  # a new one for each run: what is missing between may be a whole utterance
        for count, start in enumerate(range(0, len(run.mulaw) - MULAW_FRAME_BYTES + 1, MULAW_FRAME_BYTES), 1):
            at_ms = run.start_ms + replay.now_ms
            if heard.asked_ms:
                at = bisect_right(heard.asked_ms, at_ms)
                replay.expect(heard.expected[at - 1] if at else Expected.OPEN)
            replay.push(bytes(run.mulaw[start : start + MULAW_FRAME_BYTES]), _listening(heard, at_ms, settings))
            if count % SLICE_FRAMES == 0:
                give_way()
        yield from (_shown(heard.stream_sid, run.start_ms, found) for found in replay.utterances())


def _listening(heard: _Heard, at_ms: int, settings: LineSettings) -> Listening | None:
    """Return how a frame is listened to while the bot speaks; None if it does not."""
    playing = next((run.start_ms for run in heard.bot.runs if run.start_ms <= at_ms < run.end_ms), None)
    if playing is None and settings.barge_in:  # without it, a caller is heard at once while Twilio speaks
        playing = next((start for start, end in heard.spoken_ms if start <= at_ms < end), None)
    if playing is None:
        return None
    may_interrupt = settings.barge_in and at_ms - playing >= UNINTERRUPTED_MS
    return Listening(settings.barge_in_ms if may_interrupt else None, PAUSE_WITHIN_ONSET_MS)


def _shown(stream_sid: str, from_ms: int, found: FoundUtterance) -> dict[str, Any]:
    return {
        "stream_sid": stream_sid,
        "started_ms": from_ms + found.started_ms,
        "ended_ms": from_ms + found.ended_ms,
        "silent_ms": found.silent_ms,
        "reason": None if found.reason is None else found.reason.value,
    }
