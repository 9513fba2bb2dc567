"""The fields of the posted events, and the values that some of them have: docs/events.md is made of these tables."""

from collections.abc import Mapping

from lexbridge.observer.watched.call_facts import BOT_HUNG_UP, HUNG_UP, NO_STREAM, NOTHING_MORE, RELEASED, TRANSFERRED
from lexbridge.observer.watched.call_turns import LOST_WITH_WORKER, NOT_TOLD

_CALL = {
    "call_sid": "Twilio's CallSid",
    "caller": 'the caller\'s number, masked: its last three digits, `"...567"`; `"sip"` or `"client"` if it has none; '
    "null if it is not known",
    "called": "the number that was called, masked in the same way",
    "line": "name of the line that serves it; empty for the default line",
    "mode": "reply mode: `call-update` or `stream`; null if no stream began",
    "began_at": "when Twilio asked what to do with the call",
}

_FAULTS = (
    "`kind` (an event of docs/log.md), `severity` (`warning` or `error`), `count`, and of the newest `at`, "
    "`stream_sid`, `turn` and `error`, the cause; null where the line does not name it"
)

FIELDS: Mapping[str, Mapping[str, str]] = {
    "call.started": _CALL,
    "turn": {
        "call_sid": "Twilio's CallSid",
        "line": "name of the line that serves the call; empty for the default line",
        "stream_sid": "the media stream. A call may have several",
        "turn": "the number of the turn in its stream, as in the log",
        "number": "the number of the turn in its call, from 1, in the order in which they were over",
        "worker_pid": "the worker process that served it",
        "by": "`voice`, `keys`, or `welcome`: the bot's first words",
        "outcome": "what became of it: see below",
        "why": "why it was `lost` or `dropped`: see below. Null for the others",
        "heard": "whether the caller heard the reply: see below",
        "began_at": "when the caller began",
        "end_ms": "from the caller's last sound to the end of the utterance, in media time",
        "queue_ms": "from there to the request to Lex, if an earlier turn was with Lex; mostly 0",
        "lex_ms": "from there to Lex's answer: Lex's own time",
        "update_ms": "what the call update took. Null in `stream` mode",
        "reply_ms": "from the caller's last sound to the first sound of the reply. Null: it was not heard",
        "filler": 'whether the caller heard "One moment please." meanwhile',
        "fillers": "how often",
        "fillers_at": "when, a list",
        "intent": "the intent, as Lex understood it",
        "dialog_state": "the state of Lex's dialog",
        "slot_to_elicit": "the slot that the bot asks for",
        "slots": "names of the slots that have a value. With words: each slot and its value",
        "faults": f"warnings and errors of the turn, each with {_FAULTS}",
        "transcript": "with words: what Lex understood",
        "messages": "with words: what the bot answered, a list",
        "keys": "with words: the keys that the caller pressed",
    },
    "call.ended": {
        **_CALL,
        "ended_at": "when it ended",
        "duration_s": "seconds between the two",
        "saw_end": "true: lexbridge saw the call end. false: no other stream of it followed here. The caller hung up; "
        "or it goes on in another task of the service, which then tells its end",
        "ended_by": "`caller`, `bot`, `transfer`, `release`, `lexbridge`; null: not known, such as after a lost worker",
        "why": "the reason: see below. Never null",
        "turns": "how many turns it had: as many as `turn` events, of every outcome",
        "outcomes": "how many of them had each `outcome`",
        "barge_ins": "how often the caller interrupted the bot",
        "fillers": "how often the caller was asked to wait",
        "no_inputs": "each silence of the caller's, at most 100: `at`, `ends_call` (false: they were asked again), "
        "`by_document` (the document at Twilio asks by itself: an estimate)",
        "false_alarms": "how often a sound without words stopped the bot",
        "joins": "how many turns were joined with the next",
        "worst_reply_ms": "the longest `reply_ms` of its turns",
        "worst_lex_ms": "the longest `lex_ms` of its turns, which is Lex's own time, without `queue_ms`",
        "intents": "each intent: `name`, its last `dialog_state`, and `slots` as for a turn",
        "faults": "warnings and errors of the whole call, as for a turn",
        "streams": "each media stream: `stream_sid`, `worker_pid`, `began_at`, `ended_at`, `resumed` (how it goes on "
        "with the call), `how` it ended",
    },
    "worker.died": {
        "at": "when the supervisor saw it, at most 0.3 s later",
        "pid": "the worker process, as `worker_pid` of turns and streams",
        "signal": "the signal, such as `SIGKILL`; null if it ended by itself",
        "status": "its exit status; null if a signal ended it",
        "call_sids": "the calls that it served then, at most 1000. Those that Twilio brings back get another stream",
    },
    "service.started": {
        "at": "when the first worker was ready: the service takes calls",
        "version": "of lexbridge",
        "workers": "how many worker processes",
        "reply_mode": "`call-update` or `stream`",
        "bot": "the bot that it serves",
        "alias": "its alias",
        "locale": "its locale",
        "region": "its region",
    },
    "service.stopping": {
        "at": "when the service was told to end. Live calls go on until they are over, or `DRAIN_S` is",
        "live_calls": "how many calls it serves then",
    },
}
"""Fields of `data` of each event, and what they tell. Those "with words" are there with EVENTS_WORDS=on alone."""

OUTCOMES = {
    "answered": "Lex answered, and lexbridge had the answer spoken. `heard` tells whether the caller heard it",
    "failed": "Lex did not answer: the caller heard an apology. `faults` says why",
    "joined": "the caller went on speaking: the next turn contains this one",
    "false-alarm": "there were no words in it, and the bot went on with what it was saying",
    "dropped": "lexbridge threw the utterance away, or the call ended first: `why`",
    "lost": "its worker died, or its stream ended, while the caller spoke or Lex worked: `why`. The caller has to say "
    "it again",
}

TURN_WHYS = {
    LOST_WITH_WORKER: "`lost`: its worker died",
    "stream lost": "`lost`: Twilio lost the stream. Other values of `how` (below) are possible, too",
    HUNG_UP: "`dropped`: the caller did not wait for the answer. So with the other ends of a call",
    "the call is over": "`dropped`: the bot or lexbridge was just ending the call",
    "a key was pressed": "`dropped`: the keys count instead",
    "it holds only silence": "`dropped`: there was no voice in it",
    "too many turns wait for Lex": "`dropped`: Lex is slow, and the caller goes on speaking",
}

HEARD = {
    "yes": "the reply began, as far as lexbridge can tell, and nothing took its place before",
    "replaced": "another document followed before Twilio can have spoken a word of it (0.5 s), or the stream was "
    "cleared before: the caller did not hear it",
    "null": "there was no reply, it never reached Twilio, or the call or stream ended in that moment",
}

HOWS = {
    "stopped by Twilio": "in call-update mode, after a question for keys: the caller hung up, or pressed keys",
    "keys": "another stream takes the caller's keys to the bot",
    "handed over": "the worker is leaving, and another stream follows",
    "machine answered": "Twilio has found out that a machine has answered, and the call was taken from the bot",
    "switched": "the bot handed the call to another bot, and another stream follows",
    "taken over": "a newer stream of the call came to the same worker",
    "document ran out": "Twilio came to the end of a document, and asked for another stream",
    "stream lost": "the connection broke",
    "service stopped": "the service ended, and did not keep the call",
    "bad message": "what came was no media stream",
    "stream refused": "the stream was not allowed to serve the call",
    "bug": "a bug: see the log",
    LOST_WITH_WORKER: "its worker died. The log has no line of it, for the worker wrote none",
    HUNG_UP: "the caller hung up",
    BOT_HUNG_UP: "the bot ended the call",
    TRANSFERRED: "the bot transferred the call",
    RELEASED: "another program took the call, and told lexbridge to let it go",
    "no-input": "the caller was silent too often",
    "turn-failed": "Lex did not answer for good",
    "machine-told": "an answering machine was told `MACHINE_TEXT`",
    "call-limit": "the call reached `MAX_CALL_S` or `MAX_TURNS`",
    NOT_TOLD: "the line of the log names no reason",
}
"""Reasons for the end of a stream, and of a call that ended with it."""

WHYS = {
    "call-given-up": "streams were lost again and again, and lexbridge said goodbye",
    "silent-caller-left": "the caller pressed no keys, to the end of a document that asked for them",
    NO_STREAM: "Twilio never opened a stream: see `stream-status` in `faults`",
    NOTHING_MORE: "no end was told within four hours; or within 90 s after the end of its last stream",
}
"""Further reasons for the end of a call."""

RESUMED = {
    "null": "it is the first stream of the call",
    "lost": "the stream before was lost, such as with its worker",
    "handed-over": "the worker before had to leave",
    "keyed": "it takes the caller's keys to the bot",
    "returned": "a transfer came back to the bot",
    "switched": "a bot handed the call to this stream's bot or locale",
}

VALUES: Mapping[str, Mapping[str, str]] = {
    "`outcome` of a turn": OUTCOMES,
    "`why` of a turn": TURN_WHYS,
    "`heard` of a turn": HEARD,
    "`how` of a stream, and `why` of a call": HOWS,
    "`why` of a call, besides": WHYS,
    "`resumed` of a stream": RESUMED,
}
"""The values of fields, each with what it means."""
