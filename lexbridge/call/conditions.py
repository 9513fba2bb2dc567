"""Conditions of a call: all that may hold beside its state and the states of its turns, and that changes what it does.

`CONDITIONS` is the table that docs/call.md prints. `states` tells how states and conditions work together.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the call, of a turn or of a prompt.

    `kept_in`: the attributes that hold it. `begins`: who sets it, and when. `ends`: what ends it. `effect`: what is
    forbidden, or different, while it holds.
    """

    name: str
    kept_in: tuple[str, ...]
    begins: str
    ends: str
    effect: str


CONDITIONS: tuple[Condition, ...] = (
    # -- what was heard
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
    Condition(
        "first prompt awaited",
        ("CallContext.is_first_awaited",),
        "the stream of an outbound call begins, whose callee is to speak first, or which a machine has answered",
        "the callee's first word is over or a key is pressed, 2 s without one; a machine has been silent for 2 s",
        "nothing that is said or keyed is input; the call neither moves to another stream nor ends by its limits",
    ),
    Condition(
        "first word over",
        ("FirstPrompt._has_spoken",),
        "the callee's first utterance ends, a key; or Twilio has heard the callee, or a machine's beep, before",
        "nothing",
        "the first prompt is said at once",
    ),
    Condition(
        "heard before",
        ("FirstPrompt._was_heard_before",),
        "Twilio has heard the callee before the stream began",
        "nothing",
        "the greeting is protected with PROTECT_FIRST alone",
    ),
    Condition(
        "machine",
        ("CallContext.is_for_machine",),
        "the stream begins for a call that a machine has answered",
        "nothing",
        "nothing is input, there is no filler and no apology, and the bot's answer is the last",
    ),
    Condition(
        "first prompt protected",
        ("CallContext.deaf_until_ms",),
        "the greeting of an outbound call, any first prompt with PROTECT_FIRST, or what a machine is told begins",
        "the prompt is heard, or its estimated time is over",
        "no utterance opens, and neither speech nor a key stops the prompt; there is no filler",
    ),
    # -- turns
    Condition(
        "open turn",
        ("Turns.open",),
        "SpeechStarted",
        "SpeechEnded, a key, Lex's answer, or the end of the call",
        "no filler, and no prompt begins that may be interrupted",
    ),
    Condition(
        "turn in flight",
        ("Turns.in_flight",),
        "the turn is sent to Lex",
        "Lex's answer or failure, a key, a session that is not restored, or the end of the call",
        "no other turn is sent; after FILLER_S the caller hears a filler",
    ),
    Condition(
        "queued turn",
        ("Turns._queue",),
        "a turn while another is in flight",
        "Lex is free for it, a fourth one pushes it out, or the end of the call",
        "the answer to the turn before is spoken, but no silence is waited for after it",
    ),
    Condition(
        "may continue",
        ("Turn.may_continue",),
        "a pause ends the turn, and not its length",
        "nothing",
        "what the caller says next may become its second half",
    ),
    Condition(
        "continuation",
        ("Turn.is_continuation",),
        "speech while the turn before is in flight and may continue",
        "Lex answers or fails on that one, or the two together are too long",
        "the turn is joined with the one before, if `joining.decide` allows it",
    ),
    Condition(
        "joined",
        ("LexAnswers._joined", "Turn.is_joined"),
        "two pieces go to Lex as one turn",
        "Lex answers the turn, cannot restore its session, or a key drops the turn",
        "the outcome of the first piece waits: it holds only if the session is not restored",
    ),
    Condition(
        "overflow",
        ("Turn.is_overflow",),
        "the turn begins with what did not fit into the one before",
        "nothing",
        "it is dropped if it turns out to be only silence",
    ),
    Condition(
        "last answer",
        ("LexAnswers._last_answer",),
        "Lex answers a turn, in stream mode",
        "Lex answers or fails on the next one, or the caller speaks after the answer has begun",
        "the answer may be taken back while nothing of it was sent to the caller",
    ),
    # -- position of the dialog
    Condition(
        "prompt not known",
        ("DialogContext.last_prompt",),
        "another stream hands the call over (None)",
        "Lex's session is fetched, or the bot answers",
        "a silent caller is asked again only after the session was fetched",
    ),
    Condition(
        "session not known",
        ("DialogContext.checkpoint",),
        "the stream begins in the middle of a call, or a joined turn is dropped (None)",
        "Lex's next answer, or its session is fetched",
        "no turns are joined",
    ),
    Condition(
        "facts not sent",
        ("DialogContext.first_attributes",),
        "the first stream begins, or one is handed a call whose facts Lex does not have",
        "Lex answers, or knows the session",
        "each turn carries the facts of the call",
    ),
    Condition(
        "asked to ask again",
        ("StreamStart._asks_again",),
        "the caller is silent while the prompt is not known",
        "the prompt is known, the caller speaks or keys, or the call has gone on",
        "the caller is asked again as soon as the prompt is known",
    ),
    Condition(
        "second look",
        ("StreamStart._fetch_again_at_ms",),
        "a lost call is resumed by its last prompt",
        "a second has passed",
        "the session is fetched once more, if the caller has made no turn",
    ),
    # -- what is said
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
    Condition(
        "given facts",
        ("CallContext.has_hook",),
        "the stream brings attributes of the routing hook",
        "nothing",
        "until the bot has had a turn, addresses say so, and the next stream gets the attributes too",
    ),
    # -- how the call ends, or moves
    Condition(
        "limit announced",
        ("Conversation._is_limit_announced",),
        "MAX_CALL_S or MAX_TURNS ends a quiet call",
        "nothing",
        "silence alone does not announce it again; the next prompt does",
    ),
    Condition(
        "leaving",
        ("CallContext.is_leaving",),
        "LeaveRequested",
        "nothing",
        "the call moves to another stream with the next answer (call-update mode) or silence (stream mode)",
    ),
    Condition(
        "next stream",
        ("CallContext.next_stream",),
        "NextStreamOpened, which also renews it",
        "NextStreamOpened(None)",
        "without it the call cannot move to another stream",
    ),
    Condition(
        "hand-over allowed",
        ("HandOver._is_allowed",),
        "the stream begins, or the caller has heard a prompt",
        "a document hands the call over",
        "without it no other document tries to",
    ),
    Condition(
        "bot not told",
        ("CallContext.switches",),
        "the stream begins because another bot handed the call over, or takes over from one that did (`origin`)",
        "the bot answers, or its session shows that it has",
        "if the stream is lost, the attributes of the other bot are fetched again, and the bot begins again",
    ),
    Condition(
        "returned",
        ("CallContext.returned",),
        "the stream begins because a transfer came back, or takes over from one that did",
        "Lex answers",
        "if the stream is lost, the transfer is not tried again",
    ),
)
