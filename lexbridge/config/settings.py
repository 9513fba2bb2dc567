"""Settings of the service: one entry each, with its variable, type, default, rule, group and help.

Those that a call needs are in `config.call_rules`. Rules that look at several settings together are in
`config.reading`.
"""

from dataclasses import dataclass, fields
from typing import Literal

from lexbridge.audio.vad import DETECTORS, DetectorOptions
from lexbridge.config.bots import BOT_SETTINGS, Bot
from lexbridge.config.call_rules import CallRules
from lexbridge.config.parsers import (
    address,
    auth_token,
    base_address,
    file,
    folder,
    host,
    line,
    matching,
    one_of,
    public_address,
    seconds,
    spoken,
    switch,
    whole_number,
)
from lexbridge.config.places import region
from lexbridge.config.setting import Group, Setting, composed_of, entries_of, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(CallRules):
    """Settings of the service, those of a call included. Units are in the names."""

    aws_region: str = setting(
        "AWS_REGION", region, Group.BOT, "AWS region of the bot, such as `us-west-2`", required=True
    )
    bot: Bot = composed_of(*BOT_SETTINGS)
    access_key_id: str | None = setting(
        "ACCESS_KEY_ID",
        matching(r"[!-~]+", "must be an AWS access key id"),
        Group.BOT,
        "AWS access key, with its secret. Unset: boto3's own credential chain (task role, profile, `AWS_*`)",
        secret=True,
    )
    secret_access_key: str | None = setting(
        "SECRET_ACCESS_KEY",
        matching(r"[!-~]+", "must be an AWS secret access key"),
        Group.BOT,
        "Secret of `ACCESS_KEY_ID`",
        secret=True,
    )
    aws_session_token: str | None = setting(
        "AWS_SESSION_TOKEN",
        matching(r"[!-~]+", "must be an AWS session token"),
        Group.BOT,
        "Token of temporary credentials: needed if `ACCESS_KEY_ID` begins with `ASIA`. With `AWS_ACCESS_KEY_ID`, "
        "boto3 reads it by itself",
        secret=True,
    )
    twilio_auth_token: str = setting(
        "TWILIO_AUTH_TOKEN",
        auth_token("must be the auth token of the Twilio console"),
        Group.TWILIO,
        "Twilio's primary auth token. It checks signatures, and signs in to the REST API unless an API key does",
        required=True,
        secret=True,
    )
    twilio_auth_token_secondary: str | None = setting(
        "TWILIO_AUTH_TOKEN_SECONDARY",
        auth_token("must be the secondary auth token of the Twilio console"),
        Group.TWILIO,
        "Twilio's secondary auth token, while you rotate the two. Signatures made with it are valid too, and the REST "
        "API is tried with it if Twilio refuses the primary one",
        secret=True,
    )
    twilio_api_key_sid: str | None = setting(
        "TWILIO_API_KEY_SID",
        matching(r"SK[0-9a-fA-F]{32}", "must be the SID of a Twilio API key: SK and 32 hexadecimal digits"),
        Group.TWILIO,
        "SID of an API key of the same account, `SK...`, with its secret. It signs in to the REST API instead of the "
        "auth token, and can be revoked by itself",
    )
    twilio_api_key_secret: str | None = setting(
        "TWILIO_API_KEY_SECRET",
        matching(r"[!-~]+", "must be the secret of a Twilio API key"),
        Group.TWILIO,
        "Secret of `TWILIO_API_KEY_SID`",
        secret=True,
    )
    twilio_account_sid: str | None = setting(
        "TWILIO_ACCOUNT_SID",
        matching(r"AC[0-9a-fA-F]{32}", "must be the account's SID: AC and 32 hexadecimal digits"),
        Group.TWILIO,
        "Account that `server.py --check=live` asks Twilio about. The service itself does not need it",
    )
    url: str = setting(
        "URL",
        public_address,
        Group.TWILIO,
        "Public base URL as Twilio reaches it, such as `https://voice.example.com`. Signatures are checked against it",
        required=True,
    )
    stream_url: str = setting(
        "STREAM_URL",
        address("wss"),
        Group.TWILIO,
        "Address in `<Stream url>`. Unset: `wss://` and the host of `URL`",
        is_derived=True,
    )
    url_ca_file: str | None = setting(
        "URL_CA_FILE",
        file,
        Group.TWILIO,
        "PEM file of CA certificates for the certificate of `URL`. A draining worker needs it when it asks there "
        "whether others take calls. Unset: the public ones",
    )
    twilio_api_url: str = setting(
        "TWILIO_API_URL",
        base_address,
        Group.TWILIO,
        "Base URL of Twilio's REST API",
        default="https://api.twilio.com",
    )
    share_caller_number: bool = setting(
        "SHARE_CALLER_NUMBER",
        switch,
        Group.CALL,
        "`on`: Lex gets the caller's number as a session attribute",
        default="off",
    )
    vad: str = setting(
        "VAD",
        one_of(*DETECTORS),
        Group.DETECTOR,
        "Detector of voice, best last: "
        + ", ".join(f"`{name}` ({kind.summary})" for name, kind in DETECTORS.items())
        + "; see docs/endpointing.md",
        default="amplitude",
    )
    voice_threshold: int = setting(
        "VOICE_THRESHOLD",
        whole_number(1, 32767),
        Group.DETECTOR,
        "`amplitude`: RMS of a 16-bit frame above which it counts as voice",
        default="500",
    )
    voice_margin_db: int = setting(
        "VOICE_MARGIN_DB",
        whole_number(-6, 12),
        Group.DETECTOR,
        "`adaptive` and `hybrid`: extra dB above the line noise that a sound needs to count as voice",
        default="0",
    )
    webrtc_mode: int = setting(
        "WEBRTC_MODE",
        whole_number(0, 3),
        Group.DETECTOR,
        "`webrtc`: aggressiveness. 0 accepts almost any sound as voice, 3 is strictest",
        default="3",
    )
    say_voice: str | None = setting(
        "SAY_VOICE",
        line,
        Group.WORDS,
        "Voice of `<Say>`, such as `Polly.Joanna`. Unset: the Twilio account's own for the language",
    )
    say_language: str | None = setting(
        "SAY_LANGUAGE",
        line,
        Group.WORDS,
        "Language of `<Say>`, such as `en-GB`. Unset: the language of `SAY_VOICE`, if that is a voice such as "
        "`Polly.Vicki`, which has one; else that of `LEX_LOCALE_ID`, or the Twilio account's own if that is English",
    )
    container_port: int = setting(
        "CONTAINER_PORT", whole_number(1, 65535), Group.CAPACITY, "Port to listen on, by IPv4 and IPv6", default="8080"
    )
    web_concurrency: int = setting(
        "WEB_CONCURRENCY", whole_number(1, 64), Group.CAPACITY, "Worker processes that share the port", default="1"
    )
    max_calls: int = setting(
        "MAX_CALLS",
        whole_number(1, 100000),
        Group.CAPACITY,
        "Live calls that each worker takes. Further callers hear a polite busy message",
        default="500",
    )
    drain_s: float = setting(
        "DRAIN_S",
        seconds(0, 7200),
        Group.CAPACITY,
        "Seconds that live calls may still take after SIGTERM",
        default="110",
    )
    max_loop_lag_ms: int = setting(
        "MAX_LOOP_LAG_MS",
        whole_number(10, 10000),
        Group.CAPACITY,
        "If a worker's event loop lags more than this for about a second, the worker stops taking new calls until it "
        "recovers",
        default="100",
    )
    max_memory_mb: int | None = setting(
        "MAX_MEMORY_MB",
        whole_number(64, 10000000),
        Group.CAPACITY,
        "Memory limit for all workers together; a worker above its share takes no new calls. Unset: 80 % of the "
        "memory of the container or the machine",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting(
        "LOG_LEVEL",
        one_of("DEBUG", "INFO", "WARNING", "ERROR"),
        Group.LOG,
        "Least level of the lines that are logged",
        default="INFO",
    )
    log_format: Literal["json", "text"] = setting(
        "LOG_FORMAT", one_of("json", "text"), Group.LOG, "`json`: one object a line; `text`: for people", default="json"
    )
    ecs_agent_uri: str | None = setting(
        "ECS_AGENT_URI",
        base_address,
        Group.LOG,
        "Set by Amazon ECS in its containers. The task is then protected from scale-in while calls are live, and each "
        "minute the log has the metric `ActiveCallsPerTask` (with `LOG_FORMAT=json` and `LOG_LEVEL=INFO`)",
    )
    service_name: str = setting(
        "SERVICE_NAME",
        matching(r"[ -~]{1,255}", "must be ASCII text"),
        Group.LOG,
        "`ServiceName` of that metric",
        default="lexbridge",
    )
    admin_port: int | None = setting(
        "ADMIN_PORT",
        whole_number(1, 65535),
        Group.WATCHING,
        "Port of the console, `/metrics` and `/calls`, which must not be the public one. Unset: there is none of them",
    )
    admin_host: str = setting(
        "ADMIN_HOST",
        host,
        Group.WATCHING,
        "Address that `ADMIN_PORT` listens on. Any other than this machine's own needs `CONSOLE_PASSWORD`",
        default="127.0.0.1",
    )
    console_password: str | None = setting(
        "CONSOLE_PASSWORD",
        matching(r"[ -~]{12,200}", "must be 12 to 200 ASCII characters"),
        Group.WATCHING,
        "Password of everything on `ADMIN_PORT`, with any user name: 12 to 200 ASCII characters",
        secret=True,
    )
    events_url: str | None = setting(
        "EVENTS_URL",
        address("https", "http"),
        Group.WATCHING,
        "Address to which events of calls are posted as signed JSON: call started, turn, call ended. Unset: none are",
    )
    events_secret: str | None = setting(
        "EVENTS_SECRET",
        matching(r"[!-~]{16,200}", "must be 16 to 200 ASCII characters without spaces"),
        Group.WATCHING,
        "Secret by which each posted event is signed, such as `whsec_` and base64. Needed with `EVENTS_URL`",
        secret=True,
    )
    events_words: bool = setting(
        "EVENTS_WORDS",
        switch,
        Group.WATCHING,
        "`on`: posted events also hold what was said, and the values of slots",
        default="off",
    )
    record_dir: str | None = setting(
        "RECORD_DIR",
        folder,
        Group.WATCHING,
        "Folder for recordings: of each call a stereo WAV file, and its timeline as JSON. Unset: nothing is recorded",
    )
    record_notice: str | None = setting(
        "RECORD_NOTICE",
        spoken,
        Group.WATCHING,
        "Said first in each call if `RECORD_DIR` is set, such as `This call is recorded.`. What has to be said is a "
        "matter of your law. Unset: nothing",
    )
    record_max_mb: int = setting(
        "RECORD_MAX_MB",
        whole_number(1, 10000000),
        Group.WATCHING,
        "Size of all recordings in MB; beyond it the oldest are deleted",
        default="1000",
    )
    record_max_days: int = setting(
        "RECORD_MAX_DAYS",
        whole_number(1, 3650),
        Group.WATCHING,
        "Age in days at which a recording is deleted",
        default="30",
    )
    otel_exporter_otlp_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        base_address,
        Group.WATCHING,
        "Base URL of an OpenTelemetry collector (OTLP over HTTP), which gets a trace of each call, if "
        "`pip install -r requirements-otel.txt` was run. Unset: no traces",
    )
    rehearsal_url: str | None = setting(
        "REHEARSAL_URL",
        base_address,
        Group.WATCHING,
        "Where the console finds the phone in the browser and switches faults on. A rehearsal sets it. Never set it "
        "where real callers call",
    )

    @property
    def notice(self) -> str:
        """The words that each call begins with because it is recorded, or ""."""
        return self.record_notice or "" if self.record_dir is not None else ""

    @property
    def is_watched(self) -> bool:
        """Whether there is a process that watches the calls: for the console, events, recordings or traces."""
        return any(
            one is not None
            for one in (self.admin_port, self.events_url, self.record_dir, self.otel_exporter_otlp_endpoint)
        )

    @property
    def call_rules(self) -> CallRules:
        """The settings that a call needs, without all others."""
        return CallRules(**{one.name: getattr(self, one.name) for one in fields(CallRules)})

    @property
    def detector_options(self) -> DetectorOptions:
        """The values that tune the detector of voice."""
        return DetectorOptions(**{one.name: getattr(self, one.name) for one in fields(DetectorOptions)})

    @property
    def twilio_auth_tokens(self) -> tuple[str, ...]:
        """Every token that may have made a signature, the primary first."""
        secondary = self.twilio_auth_token_secondary
        return (self.twilio_auth_token, secondary) if secondary else (self.twilio_auth_token,)


BOTO3_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "AWS_ENDPOINT_URL_LEX_RUNTIME_V2", address("https", "http"), Group.BOT, "Where boto3 finds Lex V2. Unset: AWS"
    ),
    Setting(
        "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE",
        address("https", "http"),
        Group.BOT,
        "Where boto3 finds Lex V1. Unset: AWS",
    ),
    Setting(
        "AWS_ENDPOINT_URL_STS",
        address("https", "http"),
        Group.BOT,
        "Where boto3 finds STS, which `server.py --check=live` asks. Unset: AWS",
    ),
)
"""Settings that boto3 reads itself from the environment. They are checked, but are no fields of Settings."""

_GROUPS = list(Group)

SETTINGS: tuple[Setting, ...] = tuple(
    sorted((*entries_of(Settings), *BOTO3_SETTINGS), key=lambda one: (_GROUPS.index(one.group), not one.required))
)
"""Every setting by group, within a group the required ones first."""
