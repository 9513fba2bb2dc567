"""Conditions of what is said to the caller: documents, and prompts over the stream."""

from lexbridge.call.conditions.condition import Condition

SPEAKING: tuple[Condition, ...] = (
    Condition(
        "quiet from",
        ("CallContext.quiet_from_ms",),
        "speech, keys or a prompt end, or are estimated to",
        "media time passes it",
        "before it there is no filler, and no limit ends the call; a hand-over waits for a second more",
    ),
    Condition(
        "document speaks",
        ("CallUpdateSpeaker._speaks",),
        "call-update mode: a document with words is sent",
        "60 % of its estimated length, or the caller interrupts it",
        "speech has to last BARGE_IN_MS, and stops the document",
    ),
    Condition(
        "document asks again",
        ("CallUpdateSpeaker._reprompts_ms",),
        "call-update mode: a document that asks for keys is sent",
        "its last reprompt is due, or another document replaces it",
        "the session asks nobody again, and the limits of the call end nothing",
    ),
    Condition(
        "prompts to be heard",
        ("Playback._prompts",),
        "stream mode: something is to be said",
        "its last mark is back, the caller interrupts, or a document says it",
        "nobody is asked again, and the call neither moves to another stream nor ends by its limits",
    ),
    Condition(
        "may be interrupted",
        ("Prompt.may_interrupt",),
        "the bot allows it, when the prompt is made",
        "nothing",
        "without it nothing is heard while the prompt plays",
    ),
    Condition(
        "complete",
        ("Prompt.is_complete",),
        "all audio of the prompt has come, or will not",
        "nothing",
        "without it the prompt is never heard to its end, and dropping it cancels Lex's audio",
    ),
    Condition(
        "audible",
        ("Prompt._is_audible",),
        "audio of the prompt with a sound has come",
        "nothing",
        "without it, Twilio says the words of a prompt of more than 10 s",
    ),
    Condition(
        "last mark sent",
        ("Prompt._is_last_marked",),
        "all audio of the prompt is sent",
        "the caller interrupts the prompt",
        "the prompt counts as heard 2 s after its own length, mark or not",
    ),
    Condition(
        "heard",
        ("Prompt.is_heard",),
        "the prompt's last mark is back, or is 2 s late",
        "nothing",
        "the next prompt begins, or the caller's turn",
    ),
    Condition(
        "filler",
        ("Prompt.is_filler",),
        "Lex takes longer than FILLER_S",
        "nothing",
        "the prompt is not kept if the caller interrupts it",
    ),
    Condition(
        "left to Twilio",
        ("Prompt.needs_say",),
        "there is no audio of the prompt's words",
        "nothing",
        "a document says them when they are due, and the call moves to another stream",
    ),
    Condition(
        "interrupted",
        ("Playback._interrupted",),
        "the caller interrupts prompts, in stream mode",
        "Lex hears no words and they go on; or it answers or fails, or a key",
        "their audio goes on to arrive, and is kept",
    ),
    Condition(
        "withheld",
        ("Playback._withheld",),
        "the turn that a prompt answers is joined with the next",
        "Lex answers that one, or cannot restore its session: then it is spoken",
        "the caller does not hear it; its audio goes on to arrive",
    ),
    Condition(
        "finishing",
        ("StreamSpeaker._last_words",),
        "stream mode: the last words begin",
        "they are heard, and the document that ends the call is sent",
        "the failure of an older document changes nothing",
    ),
)
