"""The settings: read from the environment, checked all at once.

Each variable's own rule stands in the table in `variables`. Here stand the rules that look at several together (`_bot`,
`_aws_keys`, `_api_key`, `_reachable`, `_welcome`, `_hangovers`), what has to be installed (`_detector`), and what
follows from the others where a variable is unset (`_fill_in`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from lexbridge.audio.vad import DETECTORS, DetectorOptions
from lexbridge.config.call_rules import CallRules
from lexbridge.config.parsers import address, is_private
from lexbridge.config.spelling import find_misspelt
from lexbridge.config.variables import BOTO3_VARIABLES, PHRASE_VARIABLES, SETTINGS
from lexbridge.errors import ConfigError, Problem
from lexbridge.phrases import Phrases, greeting_for, language_tag, phrases_for


@dataclass(frozen=True, slots=True)
class LexV1Bot:
    """A Lex V1 bot, asked by PostContent. AWS shut Lex V1 down on 2025-09-15."""

    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class LexV2Bot:
    """A Lex V2 bot, asked by RecognizeUtterance."""

    bot_id: str
    alias_id: str
    locale_id: str


@dataclass(frozen=True, slots=True)
class Settings(CallRules):
    """Settings of the service. Units are in the names; the README's table says what each one does."""

    aws_region: str
    bot: LexV1Bot | LexV2Bot
    twilio_account_sid: str | None
    twilio_auth_token: str = field(repr=False)
    url: str
    stream_url: str
    url_ca_file: str | None
    access_key_id: str | None = field(repr=False)
    secret_access_key: str | None = field(repr=False)
    aws_session_token: str | None = field(repr=False)
    twilio_auth_token_secondary: str | None = field(repr=False)
    twilio_api_key_sid: str | None
    twilio_api_key_secret: str | None = field(repr=False)
    container_port: int
    vad: str
    voice_threshold: int
    voice_margin_db: int
    webrtc_mode: int
    say_voice: str | None
    say_language: str | None
    twilio_api_url: str
    share_caller_number: bool
    drain_s: float
    max_calls: int
    web_concurrency: int
    max_loop_lag_ms: int
    max_memory_mb: int | None
    log_level: str
    log_format: str
    ecs_agent_uri: str | None
    service_name: str

    @property
    def call_rules(self) -> CallRules:
        """The settings that a call needs, without all others."""
        return CallRules(**{one.name: getattr(self, one.name) for one in fields(CallRules)})

    @property
    def detector_options(self) -> DetectorOptions:
        """The values that tune the detector of voice."""
        return DetectorOptions(self.voice_threshold, self.voice_margin_db, self.webrtc_mode)

    @property
    def twilio_auth_tokens(self) -> tuple[str, ...]:
        """Every token that a signature may be made with, the primary first."""
        secondary = self.twilio_auth_token_secondary
        return (self.twilio_auth_token, secondary) if secondary else (self.twilio_auth_token,)


TEMPORARY_KEY = "ASIA"
"""How the id of an access key begins that AWS STS made. Source:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids ."""

_V1_BOT, _V2_BOT = ("LEX_BOT_NAME", "LEX_BOT_ALIAS"), ("LEX_BOT_ID", "LEX_BOT_ALIAS_ID")
_BOT_VARIABLES = (*_V1_BOT, *_V2_BOT, "LEX_LOCALE_ID")
_NOT_FIELDS = (*_BOT_VARIABLES, *PHRASE_VARIABLES)


def read_settings(environment: Mapping[str, str], file_names: Collection[str] = ()) -> Settings:
    """The settings in `environment`; a variable that is empty or only white space counts as unset. `file_names`: the
    names that come from `.env`.

    Raises ConfigError with every problem found: those of single variables first, in the order of the table.
    """
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        text = environment.get(setting.name, "").strip() or setting.default
        values[setting.name] = None
        if text is None:
            if setting.required:
                problems.append(Problem(setting.name, "is not set", setting.rule))
            continue
        try:
            values[setting.name] = setting.parse(text)
        except ValueError as error:
            shown = "is not valid" if setting.secret else f"is {text[:100]!r}"
            problems.append(Problem(setting.name, shown, str(error)))
    for name, _ in BOTO3_VARIABLES:
        try:
            address("https", "http")(environment.get(name, "").strip() or "https://unset")
        except ValueError as error:
            problems.append(Problem(name, f"is {environment[name][:100]!r}", str(error)))
    bot = _bot(environment, values, problems)
    _aws_keys(environment, values, problems)
    _api_key(environment, problems)
    _reachable(values, problems)
    _welcome(environment, values, problems)
    _hangovers(values, problems)
    _detector(values, problems)
    for name, meant in find_misspelt(environment, file_names):
        problems.append(Problem(name, "is no setting", f"did you mean {meant}?"))
    if problems or bot is None:
        raise ConfigError(problems)
    _fill_in(values, bot)
    own = {name.lower(): value for name, value in values.items() if name not in _NOT_FIELDS}
    return Settings(bot=bot, phrases=_phrases(values, bot), **own)


def _fill_in(values: dict[str, Any], bot: LexV1Bot | LexV2Bot) -> None:
    """What is unset and follows from other settings."""
    locale_id = _locale(bot)
    values["STREAM_URL"] = values["STREAM_URL"] or f"wss://{urlsplit(values['URL']).netloc}/"
    values["HANGUP_INTENTS"] = values["HANGUP_INTENTS"] or frozenset()
    values["SLOT_KINDS"] = values["SLOT_KINDS"] or {}
    values["TRANSFER_NUMBERS"] = values["TRANSFER_NUMBERS"] or frozenset()
    values["HANGOVER_MIN_MS"] = values["HANGOVER_MIN_MS"] or values["HANGOVER_MS"]
    values["HANGOVER_MAX_MS"] = values["HANGOVER_MAX_MS"] or values["HANGOVER_MS"]
    values["GREETING"] = values["GREETING"] or greeting_for(locale_id)
    # A voice with a "." in its name (Polly.Vicki, Google.de-DE-Standard-A) has a language, and Say may fail if it is
    # told another. Callers of an English bot hear the account's own language: so they do in the blog post.
    voice_has_language = "." in (values["SAY_VOICE"] or "")
    if not values["SAY_LANGUAGE"] and not voice_has_language and not locale_id.startswith("en_"):
        values["SAY_LANGUAGE"] = language_tag(locale_id)


def _phrases(values: Mapping[str, Any], bot: LexV1Bot | LexV2Bot) -> Phrases:
    """The catalogue's in the bot's language, but for those that have a setting."""
    replaced = {name: values[variable] for variable, (name, _) in PHRASE_VARIABLES.items() if values[variable]}
    return replace(phrases_for(_locale(bot)), **replaced)


def _locale(bot: LexV1Bot | LexV2Bot) -> str:
    """The bot's locale. A V1 bot's is not known here: English."""
    return bot.locale_id if isinstance(bot, LexV2Bot) else "en_US"


def _given(environment: Mapping[str, str], *names: str) -> list[str]:
    return [name for name in names if environment.get(name, "").strip()]


def _bot(
    environment: Mapping[str, str], values: Mapping[str, Any], problems: list[Problem]
) -> LexV1Bot | LexV2Bot | None:
    """The one bot that is named. None where there is a problem, which is then in `problems`."""
    given_v1, given_v2 = _given(environment, *_V1_BOT), _given(environment, *_V2_BOT)
    rule = "give LEX_BOT_ID and LEX_BOT_ALIAS_ID for a Lex V2 bot, or LEX_BOT_NAME and LEX_BOT_ALIAS for a Lex V1 bot"
    if given_v1 and given_v2:
        problems.append(Problem(f"{given_v2[0]} and {given_v1[0]}", "are both set", f"one bot only: {rule}"))
        return None
    if not given_v1 and not given_v2:
        problems.append(Problem("LEX_BOT_ID", "no bot is set", rule))
        return None
    wanted = _V1_BOT if given_v1 else _V2_BOT
    given = given_v1 or given_v2
    problems.extend(Problem(name, "is not set", f"it goes with {given[0]}") for name in wanted if name not in given)
    if any(values[name] is None for name in wanted) or values["LEX_LOCALE_ID"] is None:
        return None
    if given_v1:
        return LexV1Bot(values["LEX_BOT_NAME"], values["LEX_BOT_ALIAS"])
    return LexV2Bot(values["LEX_BOT_ID"], values["LEX_BOT_ALIAS_ID"], values["LEX_LOCALE_ID"])


def _pair(environment: Mapping[str, str], pair: tuple[str, str], problems: list[Problem]) -> None:
    """Two variables that come together."""
    given = _given(environment, *pair)
    if len(given) == 1:
        (missing,) = set(pair) - set(given)
        problems.append(Problem(missing, "is not set", f"it goes with {given[0]}: set both or neither"))


def _aws_keys(environment: Mapping[str, str], values: Mapping[str, Any], problems: list[Problem]) -> None:
    """ACCESS_KEY_ID and SECRET_ACCESS_KEY come together, and temporary ones with AWS_SESSION_TOKEN."""
    _pair(environment, ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"), problems)
    is_temporary = (values["ACCESS_KEY_ID"] or "").startswith(TEMPORARY_KEY)
    if is_temporary and not _given(environment, "AWS_SESSION_TOKEN"):
        problems.append(session_token_missing("ACCESS_KEY_ID"))


def session_token_missing(where: str) -> Problem:
    """Temporary credentials have no token. `where`: what the access key's id stands in."""
    rule = (
        f"{where} begins with {TEMPORARY_KEY}: such temporary credentials have a session token, and AWS refuses them "
        "without it. Set it, or use keys that are not temporary"
    )
    return Problem("AWS_SESSION_TOKEN", "is not set", rule)


def _api_key(environment: Mapping[str, str], problems: list[Problem]) -> None:
    """TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET come together."""
    _pair(environment, ("TWILIO_API_KEY_SID", "TWILIO_API_KEY_SECRET"), problems)


def _reachable(values: Mapping[str, Any], problems: list[Problem]) -> None:
    """The real Twilio reaches no address of this machine's or of its network. A simulated one may."""
    api_host = urlsplit(values["TWILIO_API_URL"] or "").hostname or ""
    if not f".{api_host}".endswith(".twilio.com"):
        return
    for name in ("URL", "STREAM_URL"):
        host = urlsplit(values[name] or "").hostname
        if host and is_private(host):
            rule = "must be an address that Twilio reaches from outside, such as that of a tunnel"
            problems.append(Problem(name, f"is {values[name][:100]!r}", rule))


def _welcome(environment: Mapping[str, str], values: Mapping[str, Any], problems: list[Problem]) -> None:
    """WELCOME=bot and WELCOME_INTENT come together."""
    is_given = bool(_given(environment, "WELCOME_INTENT"))
    if values["WELCOME"] == "bot" and not is_given:
        problems.append(Problem("WELCOME_INTENT", "is not set", "it goes with WELCOME=bot: the intent to begin with"))
    if values["WELCOME"] == "greeting" and is_given:
        problems.append(Problem("WELCOME_INTENT", "is set", "it goes with WELCOME=bot, and WELCOME is greeting"))


def _hangovers(values: Mapping[str, Any], problems: list[Problem]) -> None:
    """HANGOVER_MIN_MS <= HANGOVER_MS <= HANGOVER_MAX_MS < MAX_UTTERANCE_MS."""
    usual_ms, min_ms, max_ms = (values[name] for name in ("HANGOVER_MS", "HANGOVER_MIN_MS", "HANGOVER_MAX_MS"))
    if usual_ms and min_ms and min_ms > usual_ms:
        problems.append(Problem("HANGOVER_MIN_MS", f"is {min_ms}", f"must be at most HANGOVER_MS, {usual_ms}"))
    if usual_ms and max_ms and max_ms < usual_ms:
        problems.append(Problem("HANGOVER_MAX_MS", f"is {max_ms}", f"must be at least HANGOVER_MS, {usual_ms}"))
    utterance_ms = values["MAX_UTTERANCE_MS"]
    for name in ("HANGOVER_MS", "HANGOVER_MAX_MS"):
        if values[name] and utterance_ms and values[name] >= utterance_ms:
            rule = f"must be less than MAX_UTTERANCE_MS, {utterance_ms}: else no utterance ends by itself"
            problems.append(Problem(name, f"is {values[name]}", rule))


def _detector(values: Mapping[str, Any], problems: list[Problem]) -> None:
    """Find packages that the detector needs and that are not installed."""
    kind = DETECTORS.get(values["VAD"])
    if kind is None:
        return
    missing = [group[0] for group in kind.packages if not any(find_spec(package) for package in group)]
    if missing:
        how = f"{' and '.join(missing)} must be installed: pip install -r {kind.requirements}"
        problems.append(Problem("VAD", f"is {values['VAD']!r}", how))
