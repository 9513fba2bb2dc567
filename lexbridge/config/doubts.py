"""Doubts: oddities of valid settings. The service starts nevertheless, and reports them."""

import base64
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import urlsplit

from lexbridge.config.bots import LexV1Bot, LexV2Bot
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import LineTable
from lexbridge.config.places import find_locale_doubt, find_region_doubt
from lexbridge.config.settings import Settings
from lexbridge.config.spelling import find_unknown
from lexbridge.config.transfer_targets import NO_TARGETS
from lexbridge.errors import Problem

TEST_ALIAS = "TSTALIASID"


def find_doubts(
    settings: Settings,
    environment: Mapping[str, str],
    file_names: Collection[str] = (),
    table: LineTable | None = None,
) -> list[Problem]:
    """Return what is odd about the settings, each with what to do.

    `environment` and `file_names` are those that `read_settings` read. `table`: the lines beside the default one.
    """
    return [
        *_stream_url_doubts(settings),
        *_notice_doubts(settings),
        *([] if settings.default_line is None else _transfer_doubts(settings.default_line)),
        *_events_doubts(settings),
        *_traces_doubts(settings, environment),
        *([] if settings.default_line is None else _bot_doubts(settings.default_line, environment)),
        *([] if table is None else _table_doubts(table, environment)),
        *_unknown_doubts(environment, file_names, table),
    ]


def _unknown_doubts(
    environment: Mapping[str, str], file_names: Collection[str], table: LineTable | None
) -> Iterator[Problem]:
    """Yield the names that are no settings, but for those that the table names after `env:`."""
    accounts = () if table is None else table.accounts()
    secrets = {
        secret for one in accounts for secret in (*one.auth_tokens, one.twilio_api_key_sid, one.twilio_api_key_secret)
    }
    for name, meant in find_unknown(environment, file_names):
        if environment.get(name, "").strip() not in secrets:
            rule = f"it is no setting: did you mean {meant}?" if meant else "it is no setting"
            yield Problem(name, "is set", rule)


_NAMES = {"LEX_BOT_ALIAS_ID": "alias", "LEX_BOT_NAME": "name", "AWS_REGION": "region", "LEX_LOCALE_ID": "locale"}
"""Names in the table of lines of the variables that may be in doubt."""


def _table_doubts(table: LineTable, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what is odd about the bots of the table."""
    for name, settings in table.bots.items():
        for doubt in _bot_doubts(settings, environment):
            where = f"LINES_FILE: [bots.{name}]: {_NAMES[doubt.variable]}"
            yield Problem(where, doubt.wrong, doubt.rule)


def _is_lex_elsewhere(line: LineSettings, environment: Mapping[str, str]) -> bool:
    """Return whether requests go to a simulated Lex, not to AWS."""
    is_v1 = isinstance(line.bot, LexV1Bot)
    variable = "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE" if is_v1 else "AWS_ENDPOINT_URL_LEX_RUNTIME_V2"
    of_boto3 = environment.get(variable, "").strip() or environment.get("AWS_ENDPOINT_URL", "").strip()
    url = line.bot_endpoint_url or of_boto3
    return bool(url) and ".amazonaws." not in (urlsplit(url).hostname or "")


def _stream_url_doubts(settings: Settings) -> Iterator[Problem]:
    path = urlsplit(settings.service.stream_url).path
    if path not in ("", "/"):  # a proxy may take it away, but without one every stream is a 404
        rule = f"the socket is served at / alone: whatever stands before it has to take {path[:100]} away"
        yield Problem("STREAM_URL", f"is {settings.service.stream_url[:100]!r}", rule)


def _notice_doubts(settings: Settings) -> Iterator[Problem]:
    line = settings.default_line
    if line is not None and line.record_notice is not None and settings.service.record_dir is None:
        yield Problem("RECORD_NOTICE", "is set", "it is not said: nothing is recorded, as RECORD_DIR is not set")


def _transfer_doubts(line: LineSettings) -> Iterator[Problem]:
    if line.transfer_numbers == NO_TARGETS:
        rule = "it changes nothing: no call is transferred, as TRANSFER_NUMBERS is not set"
        if line.transfer_attributes:
            yield Problem("TRANSFER_ATTRIBUTES", "is set", rule)
        if line.transfer_failed_intent is not None:
            yield Problem("TRANSFER_FAILED_INTENT", "is set", rule)
    if line.after_attributes and line.after_url is None:
        yield Problem("AFTER_ATTRIBUTES", "is set", "nothing gets them, as AFTER_URL is not set")


def _events_doubts(settings: Settings) -> Iterator[Problem]:
    secrets = {"EVENTS_SECRET": settings.service.events_secret, "ROUTE_SECRET": settings.service.route_secret}
    for name, secret in secrets.items():
        if secret and secret.startswith("whsec_") and not _is_base64(secret.removeprefix("whsec_")):
            rule = "no base64 follows whsec_, so libraries cannot verify with it: echo whsec_$(openssl rand -base64 32)"
            yield Problem(name, "is odd", rule)
    if settings.service.events_words and settings.service.events_url is None:
        yield Problem("EVENTS_WORDS", "is on", "nothing is posted, as EVENTS_URL is not set")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _traces_doubts(settings: Settings, environment: Mapping[str, str]) -> Iterator[Problem]:
    is_wanted = bool(environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip())
    if is_wanted and settings.service.otel_exporter_otlp_endpoint is None:
        rule = "there are no traces without their packages: pip install -r requirements-otel.txt"
        yield Problem("OTEL_EXPORTER_OTLP_ENDPOINT", "is set", rule)


def _bot_doubts(line: LineSettings, environment: Mapping[str, str]) -> Iterator[Problem]:
    if _is_lex_elsewhere(line, environment):
        return
    bot, region = line.bot, line.aws_region
    if isinstance(bot, LexV1Bot):
        rule = "AWS shut Lex V1 down on 2025-09-15: make it a V2 bot, and give its id and that of its alias"
        yield Problem("LEX_BOT_NAME", f"is {bot.name!r}", rule)
    elif bot.alias_id == TEST_ALIAS:
        rule = "Lex's test alias takes two callers at a time: make an alias of your own before others call"
        yield Problem("LEX_BOT_ALIAS_ID", f"is {bot.alias_id!r}", rule)
    if doubt := find_region_doubt(region, "v1" if isinstance(bot, LexV1Bot) else "v2"):
        yield Problem("AWS_REGION", f"is {region!r}", f"it {doubt}")
    if isinstance(bot, LexV2Bot) and (doubt := find_locale_doubt(bot.locale_id)):
        yield Problem("LEX_LOCALE_ID", f"is {bot.locale_id!r}", f"it {doubt}")
