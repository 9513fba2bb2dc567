"""Names of variables that were meant for a setting; and the many in an environment that were not."""

import re

import pytest

from lexbridge.spelling import find_misspelt, find_strange
from lexbridge.variables import BOTO3_VARIABLES, SETTINGS

SLIPS = [
    ("HANGOVR_MS", "HANGOVER_MS"),
    ("VOICE_TRESHOLD", "VOICE_THRESHOLD"),
    ("LEX_BOT", "LEX_BOT_ID"),
    ("LEX_LOCALE", "LEX_LOCALE_ID"),
    ("LEX_BOTID", "LEX_BOT_ID"),
    ("LEX_TIMEOUT", "LEX_TIMEOUT_S"),
    ("BARGEIN_MS", "BARGE_IN_MS"),
    ("hangover_ms", "HANGOVER_MS"),
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
    names = [*(setting.name for setting in SETTINGS), *(name for name, _ in BOTO3_VARIABLES)]
    for name in names:
        assert misspelt([name], [name]) == []
    assert list(find_strange(names)) == []


def test_a_name_in_the_environment_is_let_be_where_the_setting_is_there_too():
    assert misspelt(["HANGOVR_MS", "HANGOVER_MS"]) == []
    assert misspelt(["HANGOVR_MS", "HANGOVER_MS"], ["HANGOVR_MS"]) == [("HANGOVR_MS", "HANGOVER_MS")]
    assert list(find_misspelt({"HANGOVR_MS": "1", "HANGOVER_MS": " "}, ())) == [("HANGOVR_MS", "HANGOVER_MS")]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LOGLEVEL", "LOG_LEVEL"),
        ("AUTH_TOKEN", "TWILIO_AUTH_TOKEN"),
        ("TWILIO_API_KEY", "TWILIO_API_KEY_SID"),
        ("TWILIO_API_SECRET", "TWILIO_API_KEY_SECRET"),
        ("STREAMURL", "STREAM_URL"),
    ],
)
def test_in_the_file_a_name_has_to_be_like_a_setting_only(name, meant):
    assert misspelt([name], [name]) == [(name, meant)]


def test_what_is_in_the_file_and_like_no_setting_is_strange():
    names = ["MY_OWN_THING", "DATABASE_URL", "AWS_PROFILE", "NGROK_AUTHTOKEN", "https_proxy", "GREETNG"]
    assert list(find_strange(names)) == ["DATABASE_URL", "MY_OWN_THING"]
