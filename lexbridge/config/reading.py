"""The settings read from the environment, and checked all at once.

The rule of each setting is in its entry. Here are the rules that look at several settings together, what has to be
installed, and what follows from other settings where one is unset.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from lexbridge.audio.vad import DETECTORS
from lexbridge.config.bots import Bot, LexV1Bot, LexV2Bot
from lexbridge.config.call_rules import PHRASE_SETTINGS
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.parsers import is_loopback, is_private
from lexbridge.config.service_settings import ServiceSettings
from lexbridge.config.setting import Setting, entries_of, simple_fields_of
from lexbridge.config.settings import SETTINGS, Settings
from lexbridge.config.spelling import find_misspelt
from lexbridge.config.transfer_targets import NO_TARGETS
from lexbridge.config.twilio_account import TwilioAccount
from lexbridge.errors import ConfigError, Problem
from lexbridge.phrases.catalogue import greeting_for, language_tag, phrases_for
from lexbridge.phrases.model import Phrases

TEMPORARY_KEY = "ASIA"
"""First letters of the id of each access key that AWS STS made. Source:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids ."""

_V1_BOT, _V2_BOT = ("LEX_BOT_NAME", "LEX_BOT_ALIAS"), ("LEX_BOT_ID", "LEX_BOT_ALIAS_ID")

_Values = dict[str, Any]
"""Values by variable; None where a variable is unset, or where its value is wrong."""


def read_settings(environment: Mapping[str, str], file_names: Collection[str] = ()) -> Settings:
    """Return the settings in `environment`. `file_names`: names that `.env` has put there.

    A variable that is empty or only white space counts as unset. Raises ConfigError with every problem found: first
    those of single variables, in the order of SETTINGS.
    """
    problems: list[Problem] = []
    # With a table of lines, the environment need not have a line of its own.
    has_line = not _given(environment, "LINES_FILE") or bool(_given(environment, *_V1_BOT, *_V2_BOT))
    of_line = {one.name for one in entries_of(LineSettings)} - {one.name for one in entries_of(TwilioAccount)}
    values = {
        one.name: _read(one, environment, problems, is_needed=has_line or one.name not in of_line) for one in SETTINGS
    }
    bot = _find_bot(environment, values, problems) if has_line else None
    _check_aws_keys(environment, values, problems)
    _check_account(environment, problems)
    _check_reachable(values, problems)
    _check_line(environment, values, problems)
    _check_watching(environment, values, problems)
    for name, meant in find_misspelt(environment, file_names):
        problems.append(Problem(name, "is no setting", f"did you mean {meant}?"))
    if problems or (has_line and bot is None):
        raise ConfigError(problems)
    _derive_service(values)
    account = TwilioAccount(**_fields(TwilioAccount, values))
    service = ServiceSettings(account=account, **_fields(ServiceSettings, values))
    return Settings(service, None if bot is None else _make_line(values, bot))


def read_line_settings(environment: Mapping[str, str]) -> LineSettings:
    """Return the settings of a line. `environment`: that of the service, with what the line sets differently.

    Raises ConfigError with every problem found.
    """
    problems: list[Problem] = []
    values = {one.name: _read(one, environment, problems) for one in entries_of(LineSettings)}
    bot = _find_bot(environment, values, problems)
    _check_account(environment, problems)
    _check_line(environment, values, problems)
    if problems or bot is None:
        raise ConfigError(problems)
    return _make_line(values, bot)


def _make_line(values: _Values, bot: Bot) -> LineSettings:
    _derive_line(values, bot)
    account = TwilioAccount(**_fields(TwilioAccount, values))
    return LineSettings(bot=bot, phrases=_phrases(values, bot), account=account, **_fields(LineSettings, values))


def _fields(owner: type, values: _Values) -> dict[str, Any]:
    """Return the value of each field of `owner` that holds one setting."""
    return {field: values[one.name] for field, one in simple_fields_of(owner)}


def _check_account(environment: Mapping[str, str], problems: list[Problem]) -> None:
    """Check that an API key has its secret."""
    _check_pair(environment, ("TWILIO_API_KEY_SID", "TWILIO_API_KEY_SECRET"), problems)


def _check_line(environment: Mapping[str, str], values: _Values, problems: list[Problem]) -> None:
    """Check the settings of a line that have to fit together."""
    _check_welcome(environment, values, problems)
    _check_machine(environment, values, problems)
    _check_hangovers(values, problems)
    _check_detector(values, problems)


def _read(setting: Setting, environment: Mapping[str, str], problems: list[Problem], *, is_needed: bool = True) -> Any:
    """Return the value of one setting, or None if it is unset or wrong. What is wrong is added to `problems`.

    `is_needed`: whether a required setting has to be set.
    """
    text = environment.get(setting.name, "").strip() or setting.default
    if text is None:
        if setting.required and is_needed:
            problems.append(Problem(setting.name, "is not set", setting.rule))
        return None
    try:
        return setting.parse(text)
    except ValueError as error:
        shown = "is not valid" if setting.secret else f"is {text[:100]!r}"
        problems.append(Problem(setting.name, shown, str(error)))
        return None


def _derive_service(values: _Values) -> None:
    """Derive the value of each setting of the service that is unset and follows from others."""
    values["STREAM_URL"] = values["STREAM_URL"] or f"wss://{urlsplit(values['URL']).netloc}/"
    if not has_traces():
        # Clusters set this variable in all of their containers. It must not keep a service from starting.
        values["OTEL_EXPORTER_OTLP_ENDPOINT"] = None


def _derive_line(values: _Values, bot: Bot) -> None:
    """Derive the value of each setting of a line that is unset and follows from others."""
    locale_id = _locale(bot)
    values["SLOT_KINDS"] = values["SLOT_KINDS"] or {}
    values["TRANSFER_NUMBERS"] = values["TRANSFER_NUMBERS"] or NO_TARGETS
    values["TRANSFER_ATTRIBUTES"] = values["TRANSFER_ATTRIBUTES"] or ()
    values["AFTER_ATTRIBUTES"] = values["AFTER_ATTRIBUTES"] or ()
    values["HANGOVER_MIN_MS"] = values["HANGOVER_MIN_MS"] or values["HANGOVER_MS"]
    values["HANGOVER_MAX_MS"] = values["HANGOVER_MAX_MS"] or values["HANGOVER_MS"]
    values["GREETING"] = values["GREETING"] or greeting_for(locale_id)
    # A voice with a "." in its name (Polly.Vicki, Google.de-DE-Standard-A) has a language, and <Say> may fail with
    # another one. For an English bot Twilio uses the account's own language, as in the blog post.
    voice_has_language = "." in (values["SAY_VOICE"] or "")
    if not values["SAY_LANGUAGE"] and not voice_has_language and not locale_id.startswith("en_"):
        values["SAY_LANGUAGE"] = language_tag(locale_id)


def _phrases(values: _Values, bot: Bot) -> Phrases:
    """Return the phrases in the bot's language, with those that a setting replaces."""
    replaced = {name: values[one.name] for name, one in PHRASE_SETTINGS.items() if values[one.name]}
    return replace(phrases_for(_locale(bot)), **replaced)


def _locale(bot: Bot) -> str:
    """Return the bot's locale; for a V1 bot an English one, because its settings do not name a locale."""
    return bot.locale_id if isinstance(bot, LexV2Bot) else "en_US"


def _given(environment: Mapping[str, str], *names: str) -> list[str]:
    """Return those of the variables that are set."""
    return [name for name in names if environment.get(name, "").strip()]


def _find_bot(environment: Mapping[str, str], values: _Values, problems: list[Problem]) -> Bot | None:
    """Return the bot that the settings name, or None if they do not name one. What is wrong is added to `problems`."""
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


def _check_pair(environment: Mapping[str, str], pair: tuple[str, str], problems: list[Problem]) -> None:
    """Check that both variables are set, or neither."""
    given = _given(environment, *pair)
    if len(given) == 1:
        (missing,) = set(pair) - set(given)
        problems.append(Problem(missing, "is not set", f"it goes with {given[0]}: set both or neither"))


def _check_aws_keys(environment: Mapping[str, str], values: _Values, problems: list[Problem]) -> None:
    """Check that the AWS keys are complete: both, and for temporary ones AWS_SESSION_TOKEN too."""
    _check_pair(environment, ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"), problems)
    is_temporary = (values["ACCESS_KEY_ID"] or "").startswith(TEMPORARY_KEY)
    if is_temporary and not _given(environment, "AWS_SESSION_TOKEN"):
        problems.append(session_token_missing("ACCESS_KEY_ID"))


def session_token_missing(where: str) -> Problem:
    """Return the problem of temporary credentials without a token. `where`: the variable that holds the key's id."""
    rule = (
        f"{where} begins with {TEMPORARY_KEY}: such temporary credentials have a session token, and AWS refuses them "
        "without it. Set it, or use keys that are not temporary"
    )
    return Problem("AWS_SESSION_TOKEN", "is not set", rule)


def _check_reachable(values: _Values, problems: list[Problem]) -> None:
    """Check that Twilio can reach the addresses. A simulated Twilio on this machine reaches private ones too."""
    api_host = urlsplit(values["TWILIO_API_URL"] or "").hostname or ""
    if not f".{api_host}".endswith(".twilio.com"):
        return
    for name in ("URL", "STREAM_URL", "AFTER_URL"):
        host = urlsplit(values[name] or "").hostname
        if host and is_private(host):
            rule = "must be an address that Twilio reaches from outside, such as that of a tunnel"
            problems.append(Problem(name, f"is {values[name][:100]!r}", rule))


def _check_welcome(environment: Mapping[str, str], values: _Values, problems: list[Problem]) -> None:
    """Check that WELCOME_INTENT is set with WELCOME=bot, and only then."""
    is_given = bool(_given(environment, "WELCOME_INTENT"))
    if values["WELCOME"] == "bot" and not is_given:
        problems.append(Problem("WELCOME_INTENT", "is not set", "it goes with WELCOME=bot: the intent to begin with"))
    if values["WELCOME"] == "greeting" and is_given:
        problems.append(Problem("WELCOME_INTENT", "is set", "it goes with WELCOME=bot, and WELCOME is greeting"))


def _check_machine(environment: Mapping[str, str], values: _Values, problems: list[Problem]) -> None:
    """Check that one thing is done with a machine."""
    given = _given(environment, "MACHINE_INTENT", "MACHINE_TEXT")
    if len(given) > 1:
        rule = "a machine hears the words of one of them: unset the other"
        problems.append(Problem("MACHINE_INTENT and MACHINE_TEXT", "are both set", rule))
    if given and values["MACHINE_HANGUP"]:
        problems.append(Problem("MACHINE_HANGUP", "is on", f"a machine then hears nothing: unset it, or {given[0]}"))


def _check_hangovers(values: _Values, problems: list[Problem]) -> None:
    """Check that HANGOVER_MIN_MS <= HANGOVER_MS <= HANGOVER_MAX_MS < MAX_UTTERANCE_MS."""
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


def _check_detector(values: _Values, problems: list[Problem]) -> None:
    """Check that the packages which the detector needs are installed."""
    kind = DETECTORS.get(values["VAD"])
    if kind is None:
        return
    missing = [group[0] for group in kind.packages if not any(find_spec(package) for package in group)]
    if missing:
        how = f"{' and '.join(missing)} must be installed: pip install -r {kind.requirements}"
        problems.append(Problem("VAD", f"is {values['VAD']!r}", how))


def has_traces() -> bool:
    """Return whether the packages that send traces are installed."""
    try:
        return bool(find_spec("opentelemetry.sdk")) and bool(find_spec("opentelemetry.exporter.otlp.proto.http"))
    except ModuleNotFoundError:  # a package that should contain the other one is missing
        return False


def _check_watching(environment: Mapping[str, str], values: _Values, problems: list[Problem]) -> None:
    """Check that the console is no public one by mistake, and that what is posted can be signed."""
    admin_port, admin_host = values["ADMIN_PORT"], values["ADMIN_HOST"]
    if admin_port is not None and admin_port == values["CONTAINER_PORT"]:
        rule = "must differ from CONTAINER_PORT, which Twilio reaches"
        problems.append(Problem("ADMIN_PORT", f"is {admin_port}", rule))
    has_password = bool(_given(environment, "CONSOLE_PASSWORD"))
    if admin_port is not None and admin_host and not is_loopback(admin_host) and not has_password:
        rule = f"it is needed because ADMIN_HOST is {admin_host}: others reach the console there"
        problems.append(Problem("CONSOLE_PASSWORD", "is not set", rule))
    _check_pair(environment, ("EVENTS_URL", "EVENTS_SECRET"), problems)
    _check_pair(environment, ("ROUTE_URL", "ROUTE_SECRET"), problems)
