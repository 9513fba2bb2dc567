"""Conditions of the dialog's position: what is not known of it yet, or not told to Lex yet."""

from lexbridge.call.conditions.condition import Condition

DIALOG: tuple[Condition, ...] = (
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
        "given facts",
        ("CallContext.has_hook",),
        "the stream brings attributes of the routing hook",
        "nothing",
        "until the bot has had a turn, addresses say so, and the next stream gets the attributes too",
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
)
