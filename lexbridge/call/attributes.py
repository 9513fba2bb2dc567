"""Session attributes by which the bot and the call talk to each other: names, and the table that the README prints.

Lex's own names, `x-amz-lex:...`, mean here what they mean to Lex's streaming API
(https://docs.aws.amazon.com/lexv2/latest/dg/session-attribs-speech.html). Lex's API for single utterances ignores them,
so the call does what they say.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lexbridge.call.dtmf import MAX_KEYS

ACTION_ATTRIBUTE = "lexbridge:action"
TRANSFER_TO_ATTRIBUTE = "lexbridge:transfer-to"
WHISPER_ATTRIBUTE = "lexbridge:whisper"
TRANSFER_STATUS_ATTRIBUTE = "lexbridge:transfer-status"
BOT_ATTRIBUTE = "lexbridge:bot"
LOCALE_ATTRIBUTE = "lexbridge:locale"
VOICE_ATTRIBUTE = "lexbridge:voice"
NO_INPUT_S_ATTRIBUTE = "lexbridge:no-input-s"
NO_INPUT_LIMIT_ATTRIBUTE = "lexbridge:no-input-limit"
EXPECTS_ATTRIBUTE = "lexbridge:expects"
ALLOW_INTERRUPT_ATTRIBUTE = "x-amz-lex:allow-interrupt"
START_TIMEOUT_ATTRIBUTE = "x-amz-lex:audio:start-timeout-ms"
SPEECH_END_TIMEOUT_ATTRIBUTE = "x-amz-lex:audio:end-timeout-ms"
MAX_SPEECH_ATTRIBUTE = "x-amz-lex:audio:max-length-ms"
END_CHARACTER_ATTRIBUTE = "x-amz-lex:dtmf:end-character"
DELETION_CHARACTER_ATTRIBUTE = "x-amz-lex:dtmf:deletion-character"
END_TIMEOUT_ATTRIBUTE = "x-amz-lex:dtmf:end-timeout-ms"
MAX_LENGTH_ATTRIBUTE = "x-amz-lex:dtmf:max-length"
CALL_SID_ATTRIBUTE = "lexbridge:call-sid"
CALLED_NUMBER_ATTRIBUTE = "lexbridge:called-number"
CALLER_NUMBER_ATTRIBUTE = "lexbridge:caller-number"
DIRECTION_ATTRIBUTE = "lexbridge:direction"
ANSWERED_BY_ATTRIBUTE = "lexbridge:answered-by"

SIP_ATTRIBUTES = "lexbridge:sip-"
QUERY_ATTRIBUTES = "lexbridge:query-"
"""Beginnings of the attributes that hold headers of a SIP call, and parameters of the webhook's address."""
SWITCHES_ATTRIBUTE = "lexbridge:switches"

OLDER_NAMES: Mapping[str, str] = {
    ALLOW_INTERRUPT_ATTRIBUTE: "x-amz-lex:barge-in-enabled",
    START_TIMEOUT_ATTRIBUTE: "x-amz-lex:start-silence-threshold-ms",
    SPEECH_END_TIMEOUT_ATTRIBUTE: "x-amz-lex:end-silence-threshold-ms",
    MAX_SPEECH_ATTRIBUTE: "x-amz-lex:max-speech-duration-ms",
}
"""Names of the same attributes in Amazon Connect, for a Lex V1 bot. Where both are set, the newer name wins.
https://docs.aws.amazon.com/connect/latest/adminguide/get-customer-input.html"""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A session attribute that lexbridge reads or sets. `set_by`: `bot` or `lexbridge`."""

    name: str
    set_by: str
    help: str


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(
        ACTION_ATTRIBUTE,
        "bot",
        "`hangup`, `transfer` or `return`: what becomes of the call once the message is heard. `return` and, if "
        "`AFTER_URL` is set, `hangup` go on there. Only in an answer that closes the dialog",
    ),
    Attribute(
        TRANSFER_TO_ATTRIBUTE,
        "bot",
        "target of `transfer`: `+12065550100`, `+12065550100;ext=12`, `sip:user@host`, `client:NAME`, `queue:NAME`, "
        "`workflow:WW...` or `conference:NAME`; one of `TRANSFER_NUMBERS`, or refused",
    ),
    Attribute(
        WHISPER_ATTRIBUTE,
        "bot",
        "words for the person that a `transfer` reaches, said to them alone before they are connected: at most 200 "
        "characters; for a number, a SIP address or a client",
    ),
    Attribute(
        BOT_ATTRIBUTE,
        "bot",
        "bot of `LINES_FILE` that the call is handed to once the message is heard; see [switching](docs/switching.md)",
    ),
    Attribute(
        LOCALE_ATTRIBUTE,
        "bot",
        "locale, such as `de_DE`, in which the same bot, or the one that `lexbridge:bot` names, goes on",
    ),
    Attribute(VOICE_ATTRIBUTE, "bot", "voice of `<Say>`, such as `Polly.Vicki`, instead of `SAY_VOICE`"),
    Attribute(
        NO_INPUT_S_ATTRIBUTE,
        "bot",
        "seconds of silence before the caller is asked again, 1 to 120, instead of `NO_INPUT_S`",
    ),
    Attribute(
        NO_INPUT_LIMIT_ATTRIBUTE, "bot", "how often the caller is asked again, 0 to 20, instead of `NO_INPUT_LIMIT`"
    ),
    Attribute(
        EXPECTS_ATTRIBUTE,
        "bot",
        "`open`, `phrase`, `closed` or `digits`: what the message asks for, instead of what `SLOT_KINDS` has",
    ),
    Attribute(
        ALLOW_INTERRUPT_ATTRIBUTE,
        "bot",
        "`true` or `false`: may the caller interrupt the message. Default: `true`, and `BARGE_IN` must be `on`",
    ),
    Attribute(
        START_TIMEOUT_ATTRIBUTE,
        "bot",
        "milliseconds of silence before the caller is asked again, 1000 to 120000, instead of `NO_INPUT_S`; "
        f"`{NO_INPUT_S_ATTRIBUTE}` wins",
    ),
    Attribute(
        SPEECH_END_TIMEOUT_ATTRIBUTE,
        "bot",
        "milliseconds of silence that end an utterance, 100 to 5000, instead of `HANGOVER_MS`, `HANGOVER_MIN_MS` and "
        "`HANGOVER_MAX_MS`",
    ),
    Attribute(
        MAX_SPEECH_ATTRIBUTE,
        "bot",
        "longest utterance in milliseconds, 4000 to 14800, instead of `MAX_UTTERANCE_MS`",
    ),
    Attribute(END_CHARACTER_ATTRIBUTE, "bot", "key that completes the keys pressed before it. Default: `#`"),
    Attribute(DELETION_CHARACTER_ATTRIBUTE, "bot", "key that forgets the keys pressed before it. Default: `*`"),
    Attribute(
        END_TIMEOUT_ATTRIBUTE, "bot", "milliseconds without a key that complete the keys, 1 to 60000. Default: 2000"
    ),
    Attribute(
        MAX_LENGTH_ATTRIBUTE, "bot", f"number of keys that are complete at once, 1 to {MAX_KEYS}. Default: {MAX_KEYS}"
    ),
    Attribute(CALL_SID_ATTRIBUTE, "lexbridge", "Twilio's CallSid, which is also Lex's user or session id"),
    Attribute(CALLED_NUMBER_ATTRIBUTE, "lexbridge", "the number that was dialled"),
    Attribute(DIRECTION_ATTRIBUTE, "lexbridge", "`inbound` or `outbound-api`"),
    Attribute(
        TRANSFER_STATUS_ATTRIBUTE,
        "lexbridge",
        "why a transfer came back: `busy`, `no-answer`, `failed`, `canceled`, `queue-full` or `left`",
    ),
    Attribute(
        CALLER_NUMBER_ATTRIBUTE,
        "lexbridge",
        "the number of the person on the phone, only with `SHARE_CALLER_NUMBER=on` or `From` in `CALL_FACTS`. "
        "It may be `anonymous`, or a SIP address",
    ),
    Attribute(
        ANSWERED_BY_ATTRIBUTE,
        "lexbridge",
        "who or what has answered an outbound call, as Twilio detected it: `human`, `unknown`, `machine_start` ...",
    ),
    Attribute(
        "lexbridge:stir-verstat", "lexbridge", "how the network has attested the caller's number (`StirVerstat`)"
    ),
    Attribute("lexbridge:parent-call-sid", "lexbridge", "the call that dialled this one (`ParentCallSid`)"),
    Attribute(
        "lexbridge:forwarded-from",
        "lexbridge",
        "the number that forwarded the call, only with `ForwardedFrom` in `CALL_FACTS`",
    ),
    Attribute("lexbridge:caller-name", "lexbridge", "the caller's name, only with `CallerName` in `CALL_FACTS`"),
    Attribute(
        f"{SIP_ATTRIBUTES}x-...",
        "lexbridge",
        "a header of a SIP call, only with `SipHeader_X-...` or `SipHeader_X-*` in `CALL_FACTS`",
    ),
    Attribute(
        f"{QUERY_ATTRIBUTES}...",
        "lexbridge",
        "a parameter of the webhook's address, as in `/twiml?campaign=7`, only with `query.campaign` or `query.*` in "
        "`CALL_FACTS`",
    ),
    Attribute(
        SWITCHES_ATTRIBUTE,
        "lexbridge",
        "how often the call was handed to another bot or locale. Only there once it was",
    ),
)
