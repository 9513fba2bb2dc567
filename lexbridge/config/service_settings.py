"""Settings of the service: what all lines of a process share, such as its address, its port and its limits."""

from dataclasses import dataclass, field
from typing import Literal

from lexbridge.config.connection_overrides import DEFAULT_OVERRIDES, connection_overrides
from lexbridge.config.parsers import (
    address,
    base_address,
    confidential_address,
    file,
    folder,
    host,
    lines_place,
    matching,
    one_of,
    public_address,
    seconds,
    switch,
    whole_number,
)
from lexbridge.config.setting import Group, setting
from lexbridge.config.twilio_account import TwilioAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Settings that all lines of a process share. Units are in the names."""

    account: TwilioAccount = field(repr=False)
    """Twilio account of the environment. The token of a media stream is signed with its auth token on every line."""
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
    lines_file: str | None = setting(
        "LINES_FILE",
        lines_place,
        Group.LINES,
        "Table of lines (TOML): which bot answers which number, with settings of its own. A path, or "
        "`s3://bucket/key`. Unset: all calls are answered by the bot of the environment",
    )
    route_url: str | None = setting(
        "ROUTE_URL",
        confidential_address,
        Group.LINES,
        "Routing hook: an address that is asked about each new call, with signed JSON, for up to 2 s: which line "
        "answers, with which attributes and greeting, or that the call is refused. Unset: the table alone decides",
    )
    route_secret: str | None = setting(
        "ROUTE_SECRET",
        matching(r"[!-~]{16,200}", "must be 16 to 200 ASCII characters without spaces"),
        Group.LINES,
        "Secret by which each question to `ROUTE_URL` is signed, such as `whsec_` and base64. Needed with `ROUTE_URL`",
        secret=True,
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
    connection_overrides: str = setting(
        "CONNECTION_OVERRIDES",
        connection_overrides,
        Group.TWILIO,
        "How Twilio connects to the addresses of this service: retries and time limits, without the `#`. Each document "
        "tells Twilio; give the webhook of the number the same ending, or none. `off`: none",
        default=DEFAULT_OVERRIDES,
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
    def is_watched(self) -> bool:
        """Whether there is a process that watches the calls: for the console, events, recordings or traces."""
        return any(
            one is not None
            for one in (self.admin_port, self.events_url, self.record_dir, self.otel_exporter_otlp_endpoint)
        )
