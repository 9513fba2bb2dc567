"""The values of labels, each with what it means. docs/metrics.md shows them.

All of them are shown from the start, as 0: Prometheus sees the first event only as a step from 0 to 1.
"""

Meanings = dict[tuple[str, ...], str]
"""Meanings of a metric, by the values of its labels."""

ERROR_KINDS = {
    "timeout": "No answer in time (`LEX_TIMEOUT_S`), or Lex's voice did not come.",
    "throttled": "Too many requests at once: 429, or Lex's 409.",
    "server-error": "Lex or Twilio answered 5xx.",
    "dependency": "The bot's Lambda function failed, or gave an answer that Lex cannot read (424, or 502 with "
    "`BadGateway`).",
    "connection": "The connection could not be made, or broke.",
    "unreadable": "An answer of another form, or audio that cannot be played.",
    "rejected": "The request is refused for a setting, such as a bot that does not exist (4xx).",
    "forbidden": "The credentials are wrong, or not allowed to do this (401, 403).",
    "not-asked": "Lex was not asked, because it failed many times in a row (`lexbridge_lex_down`).",
    "other": "None of these.",
}
"""The kinds of failed requests to Lex and Twilio."""

UPDATE_OUTCOMES = {
    "retried": "It is sent again. The caller waits longer.",
    "given-up": "It is not sent again: the caller hears silence instead of the reply.",
}
"""Outcomes of a call update that failed."""

_CALLS: dict[str, Meanings] = {
    "calls_resumed_total": {
        ("lost",): "The stream before was lost, or its worker was: Twilio asked for another. The caller hears silence "
        "for a moment.",
        ("handed-over",): "As planned: a worker that is about to end gave the call to another. The caller hears no "
        "difference.",
        ("keyed",): "As planned: keys that Twilio had collected came with a new stream (call-update mode).",
        ("switched",): "As planned: a bot handed the call to another bot, or to another locale.",
        ("returned",): "A transfer came back to the bot: busy, no answer, a full queue, or a failure.",
    },
    "calls_ended_total": {
        ("caller", "none"): "The caller hung up. Many of these in the middle of a dialog are callers who gave up.",
        ("bot", "none"): "The bot closed the dialog, and lexbridge hung up after its last words.",
        (
            "transfer",
            "none",
        ): "The bot transferred the caller to a person or a queue. They may come back: `returned` above.",
        ("release", "none"): "Another program took the call, by `POST /calls/<CallSid>/release`.",
        ("lexbridge", "no-input"): "The caller was silent each time they were asked again. Many of these are callers "
        "who are not heard.",
        ("lexbridge", "turn-failed"): "Lex refused the request for good, such as for a bot that does not exist.",
        ("lexbridge", "call-limit"): "The call reached `MAX_CALL_S` or `MAX_TURNS`.",
        ("lexbridge", "machine-told"): "An answering machine was told `MACHINE_TEXT`.",
    },
    "calls_left_total": {
        ("stopped by Twilio",): "Call-update mode, where the bot had asked for keys: the caller hung up, or another "
        "process took the keys.",
        ("keys",): "Twilio collected keys. A new stream brings them.",
        ("document ran out",): "No call update came before the document at Twilio had ended: a fault. Another stream "
        "follows.",
        ("handed over",): "The worker is about to end, and gave the call to another.",
        ("machine answered",): "As planned: a machine has answered, and the call was taken from the bot.",
        ("switched",): "The bot handed the call to another bot, or to another locale. A new stream brings it there.",
        ("taken over",): "A newer stream of the same call has come.",
        ("stream lost",): "The connection broke: a fault. Another stream follows if the call goes on.",
        ("service stopped",): "The service ended, and the call was not handed over in time.",
        ("stream refused",): "The stream broke a rule, such as too much media: a fault.",
        ("bad message",): "Twilio sent a message that cannot be read: a fault.",
        ("bug",): "An error that no code expected. The log has `call-broken`.",
    },
    "calls_refused_total": {
        ("draining",): "All workers are about to end.",
        ("full",): "`MAX_CALLS` is reached.",
        ("line full",): "`LINE_MAX_CALLS` of the line is reached.",
        ("no line",): "The table of lines has none for the call.",
        ("routing hook",): "The hook at `ROUTE_URL` refuses the call. No fault.",
        ("overloaded",): "The worker has no time or no memory left.",
    },
    "transfers_ended_total": {
        ("completed",): "A person had the caller, and is done with them.",
        ("gone",): "The caller hung up while it rang or while they waited, or another program took the call.",
        ("busy",): "The line of the person was busy. The caller is back with the bot.",
        ("no-answer",): "Nobody answered, or they hung up before the two were connected. The caller is back.",
        ("canceled",): "Somebody ended the ringing at Twilio. The caller is back.",
        ("failed",): "Twilio could not reach the target: see the call in Twilio's console. The caller is back.",
        ("queue-full",): "The queue took no more callers. The caller is back.",
        ("left",): "The queue's own TwiML let the caller go. The caller is back.",
    },
    "stream_refusals_total": {
        ("no start",): "The socket was open, and Twilio's message `start` did not come.",
        ("no token",): "Another document than lexbridge's opened the stream.",
        ("malformed token",): "As `no token`.",
        ("token expired",): "Twilio opened the stream too late, or a clock is wrong.",
        ("token of another call",): "A copy of a document, or tasks with different auth tokens.",
        ("token used before",): "A copy of a document, or a repeated request.",
        ("unknown line",): "The table of lines has changed, or tasks have different ones. The call resumes.",
        ("line full",): "`LINE_MAX_CALLS` of the line is reached in this worker. The call resumes, in any worker.",
    },
    "calls_with_faults_total": {
        ("warning",): "Warnings, and no error. Mostly the caller noticed nothing, or waited longer.",
        ("error",): "At least one error: the caller did notice.",
    },
}

_TURNS: dict[str, Meanings] = {
    "turns_total": {
        ("answered",): "The caller heard the reply.",
        ("not-heard",): "Lex answered, and the caller did not hear it: they hung up or were asked again before it "
        "came, a later reply took its place, or Twilio did not take the call update.",
        ("failed",): "Lex did not answer. The caller heard an apology, and was asked to say it again.",
        ("joined",): "`JOIN=on`: the caller went on speaking, and the next turn contains this one. No fault.",
        ("false-alarm",): "A sound interrupted the bot, and Lex heard no words in it. The bot went on.",
        ("dropped",): "The words were not sent to Lex. `lexbridge_utterances_dropped_total` says why.",
    },
    "utterances_total": {
        ("hangover",): "The caller was silent for `HANGOVER_MS` or its relatives.",
        ("max-length",): "The caller spoke for as long as an utterance may be. Many of these are noise.",
    },
    "utterances_dropped_total": {
        ("too many turns wait for Lex",): "Lex is slow, and the caller spoke on: these words are lost.",
        ("a key was pressed",): "The caller began to speak and then used the keys. No fault.",
        ("it holds only silence",): "No voice was in it. No fault.",
        (
            "the call is over",
        ): "The call was ended while Lex worked, such as by the last words of an earlier answer. No fault.",
        (
            "its stream has ended",
        ): "The caller hung up while Lex worked: no fault. Or the stream was lost, see `lexbridge_calls_left_total`.",
    },
}

_SIGNATURES = {
    "no signature": "The header `X-Twilio-Signature` is missing: a stranger, or a proxy that drops it.",
    "malformed signature": "The header holds no signature: a stranger.",
    "wrong signature": "The cause was not looked for, because too many came at once. See the other reasons.",
    "token differs": "`TWILIO_AUTH_TOKEN` is not that of the number's account, or the address differs.",
    "no signature settings": "A proxy drops the header `X-Twilio-Webhooks-Signature-Settings`.",
}
_ANOTHER = (
    "Twilio was told another address than `URL` or `STREAM_URL` makes. Several parts may differ (`scheme and port`)."
)
_NOT_TWILIOS_FORM = "A signed form that is not as Twilio sends it."
_NOT_HTTP = "Bytes that are no request, or one beyond the limits: a stranger, or a probe."
_NOT_WEBSOCKET = "A socket that breaks the protocol or its limits. It was closed."
_SLOW_READER = "The peer did not take what was sent to it. The socket was closed."

_REFUSALS: Meanings = {
    **{(f"{what}: {reason}",): text for reason, text in _SIGNATURES.items() for what in ("webhook", "socket")},
    **{
        (f"{what}: signed for another {part}",): _ANOTHER
        for part in ("scheme", "host", "port", "path", "trailing slash", "query", "user")
        for what in ("webhook", "socket")
    },
    ("webhook: signed for another method",): "A redirect made a GET of Twilio's POST, or the reverse.",
    ("webhook: GET without fields",): "A redirect dropped Twilio's form.",
    ("webhook at an unknown path",): "Twilio's own, for an address that is not served: it has to be `URL/twiml`.",
    **dict.fromkeys(
        [
            ("webhook of another content type",),
            ("webhook of another method",),
            ("webhook with too many fields",),
            ("webhook with an odd field",),
            ("webhook with a field twice",),
            ("webhook without its call",),
        ],
        _NOT_TWILIOS_FORM,
    ),
    ("webhook by another method",): "Ask webhooks by POST or GET.",
    ("health check by another method",): "Ask `/ping` and `/ready` by GET or HEAD.",
    ("path near a webhook's",): "Letter case, slashes or a prefix are wrong.",
    ("path near a health check's",): "Letter case, slashes or a prefix are wrong.",
    (
        "no handshake at the socket's path",
    ): "`/` without an upgrade: a health check, or a proxy that drops the upgrade.",
    ("socket at an unknown path",): "An upgrade at another path than `/`: see `STREAM_URL`.",
    ("unknown path",): "Strangers try many. Nothing has to be done.",
    **dict.fromkeys(
        [
            ("bad request",),
            ("request line too long",),
            ("headers too big",),
            ("transfer encoding",),
            ("body too big",),
            ("request too slow",),
            ("bad handshake",),
            ("unknown WebSocket version",),
        ],
        _NOT_HTTP,
    ),
    ("connection lost",): "The peer closed the connection before its answer.",
    ("crowded out",): "The oldest of too many idle connections was closed.",
    ("too many strangers",): "Too many requests without a signature came at once.",
    ("no descriptors",): "The system allows no more open files.",
    ("full",): "Twice `MAX_CALLS` sockets are open: no stream is taken.",
    ("admit broken",): "A bug. The log has `admit-broken`.",
    **dict.fromkeys(
        [
            ("binary message",),
            ("control message fragmented or too big",),
            ("fragment out of order",),
            ("half a close code",),
            ("illegal close code",),
            ("invalid UTF-8",),
            ("length not minimal",),
            ("message too big",),
            ("not masked",),
            ("reserved bit",),
            ("too many fragments",),
            ("too many messages",),
            ("unknown opcode",),
        ],
        _NOT_WEBSOCKET,
    ),
    ("silent",): "A socket on which nothing came for 15 s, not even a pong.",
    ("too much media",): "More media messages than a telephone sends. The stream was closed.",
    ("output queue full",): _SLOW_READER,
    ("output stalled",): _SLOW_READER,
}

MEANINGS: dict[str, Meanings] = {
    **_CALLS,
    **_TURNS,
    "refusals_total": _REFUSALS,
    "lines_reloads_total": {
        ("reloaded",): "New calls go by the new table.",
        ("refused",): "It has problems: `lines-problem` in the log. The table before stays.",
        ("unread",): "It could not be read: `lines-unread` in the log. The table before stays.",
    },
    "worker_replacements_total": {
        ("renewal",): "All workers are replaced, by SIGHUP.",
        ("SIGTERM",): "Somebody sent SIGTERM to this worker alone.",
    },
    "worker_deaths_total": {
        ("SIGKILL",): "Mostly the system, for lack of memory.",
        ("SIGABRT",): "The supervisor, because the worker hung: the log has `worker-hung`.",
        ("SIGSEGV",): "A bug in a library.",
        ("status 1",): "A bug: the log has `worker-broken`. Other statuses and signals are counted as they come.",
    },
}
"""Meanings by metric. `lexbridge_faults_total` has its events in docs/log.md."""

_WARNINGS = """
attributes-not-carried bad-message call-refused call-resumed call-update-failed clock-differs-from-aws
directives-ignored event-dropped event-not-taken facts-left-out lex-answer-odd lex-answer-unreadable lex-audio-failed
lex-request-failed lex-requests-wait lex-up line-unknown lines-problem lines-unread log-lines-dropped mark-missing
model-failed name-not-resolved observer-fault odd-message overloaded payload-not-spoken peer-refused recording-failed
reply-audio-failed reply-cut route-answer-odd route-not-answered sentences-not-voiced session-not-put-back
session-not-recalled setting-in-doubt stream-refused task-protection-failed telling-fault traces-not-taken turn-failed
utterance-cut-off utterance-dropped whisper-refused words-left-out words-not-voiced
"""
_ERRORS = """
admit-broken call-broken call-given-up call-update-broken call-update-failed connection-broken console-broken
events-broken greenlet-broken lex-audio-broken lex-audio-failed lex-down lex-rejected lex-request-broken lines-broken
lines-refused loop-held metrics-not-counted observer-broken observer-died observer-hung observer-not-started
own-voice-broken pulse-broken reader-broken recall-broken recorder-broken request-broken return-refused role-not-assumed
route-broken session-not-put-back socket-broken stream-status stream-stop-broken switch-refused task-protection-broken
traces-broken transfer-refused voice-broken worker-broken worker-died worker-hung worker-not-started
"""

FAULTS = tuple(
    (event, level) for level, events in (("warning", _WARNINGS), ("error", _ERRORS)) for event in events.split()
)
"""Events of level warning and error, with their level."""
