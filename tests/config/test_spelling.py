"""Misspelt settings, and the many other names in an environment that are not."""

import re

import pytest

from lexbridge.config.settings import SETTINGS
from lexbridge.config.spelling import find_misspelt, find_unknown

SLIPS = [
    ("HANGOVR_MS", "HANGOVER_MS"),
    ("VOICE_TRESHOLD", "VOICE_THRESHOLD"),
    ("LEX_BOT", "LEX_BOT_ID"),
    ("LEX_LOCALE", "LEX_LOCALE_ID"),
    ("LEX_BOTID", "LEX_BOT_ID"),
    ("LEX_TIMEOUT", "LEX_TIMEOUT_S"),
    ("BARGEIN_MS", "BARGE_IN_MS"),
    ("hangover_ms", "HANGOVER_MS"),
    *[("max_calls", "MAX_CALLS"), ("MAXCALLS", "MAX_CALLS"), ("MAX__CALLS", "MAX_CALLS"), ("max_call_s", "MAX_CALL_S")],
    *[("MAXCALL_S", "MAX_CALL_S"), ("MAX_CALL__S", "MAX_CALL_S")],
    ("TRANSFER_NUMBER", "TRANSFER_NUMBERS"),
    ("AWS_ENDPOINT_URL_LEXV2_RUNTIME", "AWS_ENDPOINT_URL_LEX_RUNTIME_V2"),
    ("TWILIO_AUTH_TOKN", "TWILIO_AUTH_TOKEN"),
]

OTHERS = re.findall(
    r"\w+",
    """
AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_PROFILE AWS_DEFAULT_REGION AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
AWS_CA_BUNDLE AWS_EXECUTION_ENV AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_ENDPOINT_URL_LEX_MODELS_V2
AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN AWS_MAX_ATTEMPTS AWS_USE_FIPS_ENDPOINT AWS_STS_REGIONAL_ENDPOINTS
TWILIO_ACCOUNT_SID TWILIO_API_KEY TWILIO_API_SECRET TWILIO_REGION TWILIO_EDGE TWILIO_PHONE_NUMBER CONTAINER_HOST
CONTAINER_NAME LOGLEVEL LOG_FILE OTEL_SERVICE_NAME DD_SERVICE_NAME K_SERVICE SERVICE_PORT PORT BASE_URL URLS
WEB_CONCURENCY MAX_CONNECTIONS MAX_MEMORY API_URL DATABASE_URL ACCESS_TOKEN SECRET_KEY SECRET_ACCESS
LEX_SERVICE_HOST LEX_SERVICE_PORT LEX_PORT LEX_PORT_8081_TCP LEX_PORT_8081_TCP_ADDR LEX_NAME LEX_ENV_PATH LEX
LEXER PATH HOME PWD SHLVL LANG LC_ALL TERM HOSTNAME PYTHONUNBUFFERED PYTHON_VERSION GPG_KEY HTTPS_PROXY no_proxy
TZ USER _ LS_COLORS ECS_CONTAINER_METADATA_URI ECS_CONTAINER_METADATA_URI_V4 ECS_AGENT_URL
KUBERNETES_SERVICE_HOST KUBERNETES_PORT_443_TCP_PROTO GITHUB_ACTIONS CI DEBUG NODE_ENV JOIN_TOKEN VAD_MODEL
WELCOME_MESSAGE GREETING_CARD
""",
)


def misspelt(environment, file_names=()):
    return list(find_misspelt(dict.fromkeys(environment, "x"), file_names))


@pytest.mark.parametrize(("name", "meant"), SLIPS)
def test_a_slip_is_found_in_the_environment_and_in_the_file(name, meant):
    assert misspelt(["PATH", name]) == [(name, meant)]
    assert misspelt(["PATH", name], [name]) == [(name, meant)]


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_others_in_the_environment_is_let_be(name):
    assert misspelt([name]) == []


def test_no_setting_is_taken_for_another():
    names = [setting.name for setting in SETTINGS]
    for name in names:
        assert misspelt([name], [name]) == []
    assert list(find_unknown({}, names)) == []


def test_a_near_name_is_ignored_where_the_setting_is_set_too():
    assert misspelt(["HANGOVR_MS", "HANGOVER_MS"]) == []
    assert misspelt(["HANGOVR_MS", "HANGOVER_MS"], ["HANGOVR_MS"]) == [("HANGOVR_MS", "HANGOVER_MS")]
    assert list(find_misspelt({"HANGOVR_MS": "1", "HANGOVER_MS": " "}, ())) == [("HANGOVR_MS", "HANGOVER_MS")]


SHARED = re.findall(
    r"\w+",
    """
MAX_RETRIES LOG_FILE SERVER_NAME AWS_SSO_REGION CONTAINER_NAME CONTAINER_HOST SECRET_KEY STREAM_KEY ACCESS_TOKEN
SERVICE_ID DEVICE_NAME VOICE SSL_CA_FILE TWILIO_FLOW_SID TWILIO_SERVICE_SID TWILIO_API_KEY TWILIO_API_SECRET
AWS_SESSION_EXPIRATION AWS_REGION_NAME LEX_BOT_VERSION LEX_BOT_REGION LEX_BOT_URL LEX_BOT_ARN LEX_BOT_TIMEZONE
LEX_REGION LEX_ENDPOINT_URL DATABASE_URL MY_OWN_THING
""",
)


@pytest.mark.parametrize("name", SHARED)
def test_variables_of_other_programs_are_told_in_the_file_only(name):
    """Variables of other programs are never refused, and reported only if they stand in the file."""
    for environment in ([name], [name, *(setting.name for setting in SETTINGS)]):
        assert misspelt(environment, [name]) == misspelt(environment) == []
        assert [strange for strange, _ in find_unknown(dict.fromkeys(environment, "x"), [name])] == [name]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AUTH_TOKEN", "TWILIO_AUTH_TOKEN"),
        ("LEX_REGION", "AWS_REGION"),
        ("DATABASE_URL", None),
        ("TWILIO_API_KEY", "TWILIO_API_KEY_SID"),
    ],
)
def test_what_is_like_a_setting_is_told_with_it(name, meant):
    assert list(find_unknown({}, [name])) == [(name, meant)]


def test_near_names_of_lex_are_told_in_the_environment_too():
    names = ["LEX_BOT_VERSION", "LEX_SERVICE_HOST", "MY_OWN_THING", "LEX_BOT", "LEX_BOT_ID"]
    assert [name for name, _ in find_unknown(dict.fromkeys(names, "x"))] == ["LEX_BOT_VERSION"]
    in_file = ["AWS_PROFILE", "NGROK_AUTHTOKEN", "https_proxy", "GREETNG"]
    assert [name for name, _ in find_unknown({}, in_file)] == ["GREETNG"]
