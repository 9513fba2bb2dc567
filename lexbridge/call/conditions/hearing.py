"""Conditions of what is heard of the caller: media, voice, silence and keys."""

from lexbridge.call.conditions.condition import Condition

HEARING: tuple[Condition, ...] = (
    Condition(
        "answers pings",
        ("MediaClock.answers_pings",),
        "the first pong of the stream",
        "nothing",
        "a time without media is silence up to the newest pong; without it, after 2.5 s",
    ),
    Condition(
        "behind",
        ("Backlog.is_behind",),
        "a message brings more media than a slice, or skips much time, or a model has to be asked",
        "the last slice is heard and all events behind it are taken, or the stream ends",
        "a later event is kept until all media before it is heard",
    ),
    Condition(
        "quiet lane open",
        ("QuietLane.is_open",),
        "an event after which nobody speaks, no media waits, and no rule is due at once",
        "the next event that is not a whole unvoiced frame on time, before a rule is due",
        "such a frame is kept and counted, and nothing else is done",
    ),
    Condition(
        "quiet",
        ("QuietLane.is_quiet",),
        "an event after which the caller neither speaks, nor keys, nor waits, and no prompt plays over the stream",
        "the next event that is not a whole unvoiced frame on time, before a rule is due",
        "the socket is read less often",
    ),
    Condition(
        "asking the model",
        ("Hearing.window",),
        "the detector cannot judge a frame without its model",
        "the model's probability comes, or the stream ends",
        "no further frame is heard",
    ),
    Condition(
        "voiced",
        ("Endpointer.is_voiced",),
        "a voiced frame, outside of an utterance",
        "the utterance opens, or a pause is longer than an onset may have",
        "a silent caller is not asked again, and the call neither moves to another stream nor ends by its limits",
    ),
    Condition(
        "speaking",
        ("Endpointer.is_open",),
        "enough voiced frames: SpeechStarted",
        "the hangover, the longest utterance, or a key",
        "no other utterance opens, and the caller is not taken for silent; the socket is read less often until the end "
        "may be near",
    ),
    Condition(
        "deaf after a key",
        ("Endpointer._ignores_voice",),
        "a key, whose tone may still be on the line",
        "the first unvoiced frame",
        "no utterance opens",
    ),
    Condition(
        "awaiting input",
        ("Endpointer._no_input_at_ms",),
        "the bot has finished speaking, or will have at an estimated time",
        "speech, a key, or NoInput, which comes once",
        "a caller who stays silent is asked again at its end",
    ),
    Condition(
        "collecting keys",
        ("DtmfCollector.is_collecting",),
        "a key, in stream mode",
        "the keys are complete, or the deletion key drops them",
        "no utterance opens, no prompt begins that may be interrupted, and nobody is asked again",
    ),
)
