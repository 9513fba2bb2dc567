"""Each environment variable: its default, what it means, and the rule that its value holds.

`SETTINGS` is the table that the README prints. A row's `parse` raises ValueError with the rule. What several variables
have to do with each other is in `config`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lexbridge.audio.vad import DETECTORS
from lexbridge.config.call_rules import HANGOVER_BOUNDS_MS, MAX_UTTERANCE_BOUNDS_MS, NO_INPUT_BOUNDS_S
from lexbridge.config.parsers import (
    address,
    auth_token,
    base_address,
    file,
    intent_names,
    line,
    matching,
    one_of,
    phone_number,
    phone_numbers,
    public_address,
    seconds,
    slot_kinds,
    spoken,
    switch,
    whole_number,
)
from lexbridge.config.places import locale_id, region
from lexbridge.phrases import PhraseName, greeting_for, phrases_for


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable. `default` None: unset unless given. `secret` values never appear in a message."""

    name: str
    default: str | None
    help: str
    parse: Callable[[str], Any] = line
    required: bool = False
    secret: bool = False

    @property
    def rule(self) -> str:
        """What would be allowed, learnt from the parser's own refusal of a line feed: a required setting's has one."""
        try:
            self.parse("\n")
        except ValueError as error:
            return str(error)
        raise AssertionError(f"{self.name} would take a line feed")


# The setting that replaces a sentence, and when that sentence is heard.
PHRASE_VARIABLES: Mapping[str, tuple[PhraseName, str]] = {
    "GOODBYE_TEXT": ("goodbye", "when the call ends and the bot itself says nothing"),
    "NOT_HEARD_TEXT": ("not_heard", "when the caller says nothing after a prompt; the prompt, or a goodbye, follows"),
    "SAY_IT_AGAIN_TEXT": ("say_it_again", "when Lex did not answer in time, and may the next time"),
    "NOT_AVAILABLE_TEXT": ("not_available", "when the bot cannot be reached at all, and the call ends"),
    "ONE_MOMENT_TEXT": ("one_moment", "while the bot thinks"),
    "BUSY_TEXT": ("busy", "when no more calls can be taken; the call ends"),
    "CALL_LIMIT_TEXT": (
        "call_limit",
        "when `MAX_CALL_S` or `MAX_TURNS` is reached; a goodbye follows, and the call ends",
    ),
    "DONE_TEXT": ("done", "when the bot has done what was asked and says nothing"),
}


def _phrase_settings() -> Iterator[Setting]:
    english = phrases_for("en_US")
    for variable, (name, when) in PHRASE_VARIABLES.items():
        unset = f"Unset: in the bot's language; in English `{english.named(name)}`"
        yield Setting(variable, None, f"heard {when}. {unset}", spoken)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "AWS_REGION",
        None,
        "AWS region of the bot, such as `us-west-2`",
        region,
        required=True,
    ),
    Setting(
        "ACCESS_KEY_ID",
        None,
        "AWS access key, with its secret. Unset: boto3's own credential chain (task role, profile, `AWS_*`)",
        matching(r"[!-~]+", "must be an AWS access key id"),
        secret=True,
    ),
    Setting(
        "SECRET_ACCESS_KEY",
        None,
        "the secret of `ACCESS_KEY_ID`",
        matching(r"[!-~]+", "must be an AWS secret access key"),
        secret=True,
    ),
    Setting(
        "AWS_SESSION_TOKEN",
        None,
        "with an `ACCESS_KEY_ID` that begins with `ASIA`: the token of these temporary credentials. With "
        "`AWS_ACCESS_KEY_ID` boto3 reads it by itself",
        matching(r"[!-~]+", "must be an AWS session token"),
        secret=True,
    ),
    Setting(
        "LEX_BOT_ID",
        None,
        "Lex V2 bot: its id, 10 letters and digits. One bot must be given, V2 or V1, not both",
        matching(r"[0-9a-zA-Z]{10}", "must be the bot's id: 10 letters and digits"),
    ),
    Setting(
        "LEX_BOT_ALIAS_ID",
        None,
        "Lex V2 bot: its alias id (`TSTALIASID` is the test alias)",
        matching(r"[0-9a-zA-Z]{10}", "must be the alias's id: 10 letters and digits, such as TSTALIASID"),
    ),
    Setting(
        "LEX_LOCALE_ID",
        "en_US",
        "Lex V2 bot: its locale, such as `de_DE`. It is also the language of what lexbridge says itself",
        locale_id,
    ),
    Setting(
        "LEX_BOT_NAME",
        None,
        "Lex V1 bot: its name",
        matching(r"[A-Za-z_]{2,50}", "must be the bot's name: 2 to 50 letters and underscores"),
    ),
    Setting(
        "LEX_BOT_ALIAS",
        None,
        "Lex V1 bot: its alias",
        matching(r"\$LATEST|[A-Za-z_]{1,100}", "must be the alias's name: letters and underscores, or $LATEST"),
    ),
    Setting(
        "TWILIO_ACCOUNT_SID",
        None,
        "the account that `server.py --check=live` asks Twilio about; the service itself does not need it",
        matching(r"AC[0-9a-fA-F]{32}", "must be the account's SID: AC and 32 hexadecimal digits"),
    ),
    Setting(
        "TWILIO_AUTH_TOKEN",
        None,
        "Twilio's primary auth token: checks signatures, and signs in to the REST API if no API key does",
        auth_token("must be the auth token of the Twilio console"),
        required=True,
        secret=True,
    ),
    Setting(
        "TWILIO_AUTH_TOKEN_SECONDARY",
        None,
        "the other token while they are rotated: taken in signatures too, and tried where Twilio refuses the first",
        auth_token("must be the secondary auth token of the Twilio console"),
        secret=True,
    ),
    Setting(
        "TWILIO_API_KEY_SID",
        None,
        "SID of an API key of the same account, `SK...`, with its secret: signs in to the REST API in the place of the "
        "auth token, and can be revoked by itself",
        matching(r"SK[0-9a-fA-F]{32}", "must be the SID of a Twilio API key: SK and 32 hexadecimal digits"),
    ),
    Setting(
        "TWILIO_API_KEY_SECRET",
        None,
        "the secret of `TWILIO_API_KEY_SID`",
        matching(r"[!-~]+", "must be the secret of a Twilio API key"),
        secret=True,
    ),
    Setting("CONTAINER_PORT", "8080", "port to listen on, by IPv4 and IPv6", whole_number(1, 65535)),
    Setting(
        "URL",
        None,
        "public base URL as Twilio reaches it, such as `https://voice.example.com`; signatures are checked against it",
        public_address,
        required=True,
    ),
    Setting(
        "STREAM_URL",
        None,
        "address in `<Stream url>`. Unset: `wss://` and the host of `URL`",
        address("wss"),
    ),
    Setting(
        "URL_CA_FILE",
        None,
        "PEM file of CA certificates by which a draining process checks the certificate of `URL`, when it asks there "
        "whether others take calls. Unset: the public ones",
        file,
    ),
    Setting(
        "REPLY_MODE",
        "call-update",
        "how replies are spoken. `call-update`: by Twilio, which is sent TwiML through its REST API; "
        "`stream`: in Lex's own voice, over the call's media stream",
        one_of("call-update", "stream"),
    ),
    Setting("BARGE_IN", "on", "whether a caller who speaks while the bot does interrupts it: `on` or `off`", switch),
    Setting(
        "BARGE_IN_MS",
        "300",
        "how long the caller has to speak to interrupt. Longer: a cough or an echo does not interrupt",
        whole_number(100, 2000, 20),
    ),
    Setting(
        "VAD",
        "amplitude",
        "detector of voice, best last: "
        + ", ".join(f"`{name}` ({kind.summary})" for name, kind in DETECTORS.items())
        + "; see docs/endpointing.md",
        one_of(*DETECTORS),
    ),
    Setting(
        "VOICE_THRESHOLD",
        "500",
        "amplitude detector: RMS of the 16-bit frame above which it is voiced",
        whole_number(1, 32767),
    ),
    Setting(
        "VOICE_MARGIN_DB",
        "0",
        "adaptive and hybrid detector: so much more than usual a voice has to stand out of the line's noise, dB",
        whole_number(-6, 12),
    ),
    Setting("WEBRTC_MODE", "3", "webrtc detector: 0 takes the most for voice, 3 the least", whole_number(0, 3)),
    Setting(
        "ONSET_MS",
        "60",
        "voiced time after which an utterance opens; shorter noises cost nothing",
        whole_number(20, 1000, 20),
    ),
    Setting(
        "PRE_ROLL_MS",
        "500",
        "audio before the onset that Lex gets too; never reaches back into the utterance before",
        whole_number(0, 2000, 20),
    ),
    Setting("HANGOVER_MS", "700", "silence that ends an utterance", whole_number(*HANGOVER_BOUNDS_MS, 20)),
    Setting(
        "HANGOVER_MIN_MS",
        None,
        "the same after a question that wants one word, such as a confirmation. Unset: HANGOVER_MS",
        whole_number(*HANGOVER_BOUNDS_MS, 20),
    ),
    Setting(
        "HANGOVER_MAX_MS",
        None,
        "the same in numbers, at a sentence's beginning, and for those who have paused before. Unset: HANGOVER_MS",
        whole_number(*HANGOVER_BOUNDS_MS, 20),
    ),
    Setting(
        "SLOT_KINDS",
        None,
        "slots, comma-separated, with what callers say for each, such as `AccountNumber=digits,Size=closed`: `open` (a "
        "sentence), `phrase` (a few words: as all other slots), `closed` (a word) or `digits` (a number in "
        "groups). It tells how long their pauses are",
        slot_kinds,
    ),
    Setting(
        "JOIN",
        "off",
        "`on`: who goes on speaking before the reply to what they said was heard has said one thing: that reply is "
        "dropped, Lex's session put back, and the whole sent again. Needs `lex:PutSession`",
        switch,
    ),
    Setting(
        "MAX_UTTERANCE_MS",
        "14800",
        "longest audio sent to Lex in one request; Lex takes 15 s",
        whole_number(*MAX_UTTERANCE_BOUNDS_MS, 20),
    ),
    Setting("NO_INPUT_S", "10", "silence after a prompt before the caller is asked again", seconds(*NO_INPUT_BOUNDS_S)),
    Setting(
        "NO_INPUT_LIMIT", "3", "how often the caller is asked again before the call ends politely", whole_number(0, 20)
    ),
    Setting(
        "HANGUP_INTENTS",
        "GoodbyeIntent",
        "intents, comma-separated: fulfilled means say the message, hang up",
        intent_names,
    ),
    Setting(
        "WELCOME",
        "greeting",
        "who speaks first. `greeting`: `GREETING` is spoken; `bot`: the bot begins, with `WELCOME_INTENT`",
        one_of("greeting", "bot"),
    ),
    Setting(
        "WELCOME_INTENT",
        None,
        "with `WELCOME=bot`: the intent that a call begins with, such as `WelcomeIntent`",
        matching(r"[A-Za-z0-9_.-]{1,100}", "must be the name of an intent such as WelcomeIntent"),
    ),
    Setting(
        "GREETING",
        None,
        "spoken when the call is answered. Unset: a greeting in the bot's language; "
        f"in English `{greeting_for('en_US')}`",
        spoken,
    ),
    *_phrase_settings(),
    Setting(
        "SAY_VOICE",
        None,
        "voice of `<Say>`, such as `Polly.Joanna`. Unset: the Twilio account's own for the language",
    ),
    Setting(
        "SAY_LANGUAGE",
        None,
        "language of `<Say>`, such as `en-GB`. Unset: the language of `SAY_VOICE` if that is a voice such as "
        "`Polly.Vicki`, which has one; else that of `LEX_LOCALE_ID`, or the Twilio account's own if that is English",
    ),
    Setting("TWILIO_API_URL", "https://api.twilio.com", "where the REST client goes", base_address),
    Setting(
        "TRANSFER_NUMBERS",
        None,
        "numbers a bot may transfer to, comma-separated; any other is refused and logged",
        phone_numbers,
    ),
    Setting(
        "TRANSFER_CALLER_ID",
        None,
        "caller ID of a transfer, in E.164 form: a number of the Twilio account, or one verified there. Unset: the "
        "number that was called",
        phone_number,
    ),
    Setting("SHARE_CALLER_NUMBER", "off", "`on` gives Lex the caller's number as a session attribute", switch),
    Setting(
        "LEX_TIMEOUT_S",
        "5",
        "how many seconds Lex has from the end of an utterance to its whole answer; then the caller hears an apology. "
        "Raise it for a bot whose Lambda functions take longer: the caller is told to wait meanwhile",
        seconds(1, 60),
    ),
    Setting(
        "FILLER_S",
        "2.5",
        "silence on both sides while Lex thinks, before the caller hears `ONE_MOMENT_TEXT`",
        seconds(1, 60),
    ),
    Setting("DRAIN_S", "110", "after SIGTERM, how many seconds live calls may take", seconds(0, 7200)),
    Setting(
        "MAX_CALLS",
        "500",
        "live calls each process takes; above it a new call hears a polite busy message",
        whole_number(1, 100000),
    ),
    Setting(
        "MAX_CALL_S",
        None,
        "how many seconds a call may last. Then it ends in words, but not before a turn that is under way is answered. "
        "Unset: as long as Twilio lets it, four hours",
        seconds(10, 14400),
    ),
    Setting(
        "MAX_TURNS",
        None,
        "how many turns of the caller's are answered; the last answer is heard, and the call ends in words. "
        "Unset: any number",
        whole_number(1, 9999),
    ),
    Setting("WEB_CONCURRENCY", "1", "worker processes on the one port", whole_number(1, 64)),
    Setting(
        "MAX_LOOP_LAG_MS",
        "100",
        "a process whose loop is later than this for about a second takes no new call",
        whole_number(10, 10000),
    ),
    Setting(
        "MAX_MEMORY_MB",
        None,
        "of all processes; one that has more than its share takes no new call. "
        "Unset: 80 % of the container's or the machine's",
        whole_number(64, 10000000),
    ),
    Setting("LOG_LEVEL", "INFO", "least level that is logged", one_of("DEBUG", "INFO", "WARNING", "ERROR")),
    Setting("LOG_FORMAT", "json", "`json`: one object a line; `text`: for people", one_of("json", "text")),
    Setting(
        "ECS_AGENT_URI",
        None,
        "set by Amazon ECS in its containers: the task is then protected from scale-in while calls are live, and the "
        "log has a metric each minute (with LOG_FORMAT `json` and LOG_LEVEL `INFO`), `ActiveCallsPerTask`",
        base_address,
    ),
    Setting(
        "SERVICE_NAME", "lexbridge", "`ServiceName` of that metric", matching(r"[ -~]{1,255}", "must be ASCII text")
    ),
)

# Read by boto3 itself; named here because the README's table and `server.py --help` list them.
BOTO3_VARIABLES: tuple[tuple[str, str], ...] = (
    ("AWS_ENDPOINT_URL_LEX_RUNTIME_V2", "where boto3 finds Lex V2; unset: AWS"),
    ("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", "where boto3 finds Lex V1; unset: AWS"),
    ("AWS_ENDPOINT_URL_STS", "where boto3 finds STS, which `server.py --check=live` asks; unset: AWS"),
)
