"""Doubts about valid settings, each with what to do."""

import pytest

from lexbridge.config.doubts import find_doubts
from lexbridge.config.reading import read_settings
from tests.support.line_tables import WITHOUT_BOT, table_of
from tests.support.settings import MINIMAL_ENVIRONMENT, make_settings

OWN_ALIAS = {"LEX_BOT_ALIAS_ID": "ABCDEFGHIJ"}
V1 = {"LEX_BOT_ID": "", "LEX_BOT_ALIAS_ID": "", "LEX_BOT_NAME": "OrderFlowers", "LEX_BOT_ALIAS": "Prod"}
AWS_V2 = "https://vpce-1.runtime-v2-lex.us-west-2.vpce.amazonaws.com"


def doubts(file_names=(), **variables):
    environment = {**MINIMAL_ENVIRONMENT, **variables}
    return [str(doubt) for doubt in find_doubts(make_settings(**variables), environment, file_names)]


def test_a_bot_of_ones_own_is_in_no_doubt():
    assert doubts(**OWN_ALIAS) == []


@pytest.mark.parametrize("endpoint", [{}, {"AWS_ENDPOINT_URL_LEX_RUNTIME_V2": AWS_V2}])
def test_the_test_alias_is_in_doubt(endpoint):
    assert doubts(**endpoint) == [
        "LEX_BOT_ALIAS_ID: is 'TSTALIASID'; Lex's test alias takes two callers at a time: make an alias of your own "
        "before others call"
    ]


@pytest.mark.parametrize(
    "variables",
    [
        {
            "AWS_ENDPOINT_URL_LEX_RUNTIME_V2": "http://127.0.0.1:8081",
            "AWS_REGION": "sa-east-1",
            "LEX_LOCALE_ID": "de_LI",
        },
        {"AWS_ENDPOINT_URL": "http://localhost:4566"},
        {**V1, "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": "http://127.0.0.1:8081"},
    ],
)
def test_a_lex_that_is_not_awss_is_in_no_doubt(variables):
    assert doubts(**variables) == []


def test_a_lex_v1_bot_is_in_doubt():
    (doubt,) = doubts(**V1, AWS_ENDPOINT_URL_LEX_RUNTIME_V2="http://127.0.0.1:8081")
    assert doubt.startswith("LEX_BOT_NAME: is 'OrderFlowers'; AWS shut Lex V1 down on 2025-09-15: make it a V2 bot")


@pytest.mark.parametrize(
    ("variables", "doubt"),
    [
        ({"AWS_REGION": "sa-east-1"}, "AWS_REGION: is 'sa-east-1'; it has no Lex that the installed boto3 knows of; "),
        ({"AWS_REGION": "us-west-9"}, "AWS_REGION: is 'us-west-9'; it is no region that the installed boto3 knows; "),
        ({"LEX_LOCALE_ID": "en_UK"}, "LEX_LOCALE_ID: is 'en_UK'; it is no locale that Lex V2 is known to have; in "),
    ],
)
def test_a_place_without_lex_is_in_doubt(variables, doubt):
    (found,) = doubts(**OWN_ALIAS, **variables)
    assert found.startswith(doubt)


@pytest.mark.parametrize("stream_url", ["", "wss://voice.example.com", "wss://voice.example.com:8443/"])
def test_a_stream_url_without_a_path_is_in_no_doubt(stream_url):
    assert doubts(**OWN_ALIAS, STREAM_URL=stream_url) == []


def test_a_notice_of_no_recording_is_in_doubt(tmp_path):
    notice = {"RECORD_NOTICE": "This call is recorded."}
    assert doubts(**OWN_ALIAS, **notice, RECORD_DIR=str(tmp_path)) == []
    assert doubts(**OWN_ALIAS, **notice) == [
        "RECORD_NOTICE: is set; it is not said: nothing is recorded, as RECORD_DIR is not set"
    ]


def test_what_goes_nowhere_is_in_doubt():
    going = {"TRANSFER_ATTRIBUTES": "customer", "TRANSFER_FAILED_INTENT": "NobodyThere", "AFTER_ATTRIBUTES": "customer"}
    there = {"TRANSFER_NUMBERS": "queue:Sales", "AFTER_URL": "https://flows.example.com/"}
    assert doubts(**OWN_ALIAS, **going, **there) == []
    rule = "is set; it changes nothing: no call is transferred, as TRANSFER_NUMBERS is not set"
    assert doubts(**OWN_ALIAS, **going) == [
        f"TRANSFER_ATTRIBUTES: {rule}",
        f"TRANSFER_FAILED_INTENT: {rule}",
        "AFTER_ATTRIBUTES: is set; nothing gets them, as AFTER_URL is not set",
    ]


EVENTS = {"EVENTS_URL": "https://crm.example.com", "EVENTS_SECRET": "whsec_dHdlbnR5LWZvdXIgYnl0ZXM="}


@pytest.mark.parametrize("secret", ["whsec_dHdlbnR5LWZvdXIgYnl0ZXM=", "any-other-secret"])
def test_a_secret_that_libraries_can_use_is_in_no_doubt(secret):
    assert doubts(**OWN_ALIAS, **EVENTS | {"EVENTS_SECRET": secret, "EVENTS_WORDS": "on"}) == []


def test_a_secret_that_is_no_base64_is_in_doubt():
    (doubt,) = doubts(**OWN_ALIAS, **EVENTS | {"EVENTS_SECRET": "whsec_not-base64-at-all"})
    assert doubt.startswith("EVENTS_SECRET: is odd; no base64 follows whsec_, so libraries cannot verify with it")
    assert "not-base64" not in doubt


def test_a_secret_of_the_routing_hook_may_be_in_doubt():
    hook = {"ROUTE_URL": "https://crm.example.com", "ROUTE_SECRET": "whsec_not-base64-at-all"}
    (doubt,) = doubts(**OWN_ALIAS, **hook)
    assert doubt.startswith("ROUTE_SECRET: is odd; no base64 follows whsec_")


def test_words_of_no_events_are_in_doubt():
    assert doubts(**OWN_ALIAS, EVENTS_WORDS="on") == [
        "EVENTS_WORDS: is on; nothing is posted, as EVENTS_URL is not set"
    ]


def test_a_stream_url_with_a_path_is_in_doubt():
    assert doubts(**OWN_ALIAS, STREAM_URL="wss://voice.example.com/other") == [
        "STREAM_URL: is 'wss://voice.example.com/other'; "
        "the socket is served at / alone: whatever stands before it has to take /other away"
    ]


def test_a_strange_name_in_the_file_is_in_doubt():
    assert doubts(["MY_OWN_THING", "URL"], **OWN_ALIAS) == ["MY_OWN_THING: is set; it is no setting"]


@pytest.mark.parametrize("missing", ["sdk", "everything"])
def test_a_collector_without_the_packages_is_in_doubt(monkeypatch, missing):
    """A cluster may set the variable in every container. The service starts, and says why there are no traces."""

    def find(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("lexbridge.config.reading.find_spec", find if missing == "everything" else lambda _name: None)
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    (doubt,) = doubts(**OWN_ALIAS, **collector)
    assert doubt.startswith("OTEL_EXPORTER_OTLP_ENDPOINT: is set; there are no traces without their packages: pip ")
    assert not make_settings(**collector).service.is_watched


def test_a_collector_with_the_packages_is_in_no_doubt(monkeypatch):
    monkeypatch.setattr("lexbridge.config.reading.find_spec", lambda _name: object())
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    assert doubts(**OWN_ALIAS, **collector) == []
    assert make_settings(**collector).service.is_watched


def test_the_bots_of_the_table_are_doubted_by_their_place() -> None:
    table = table_of('[[lines]]\nbot = "flowers"\n')
    found = find_doubts(read_settings(WITHOUT_BOT), WITHOUT_BOT, table=table)
    assert [one.variable for one in found] == ["LINES_FILE: [bots.flowers]: alias"]


def test_a_variable_that_the_table_names_is_in_no_doubt() -> None:
    environment = {**WITHOUT_BOT, "CLINIC_AUTH_TOKEN": "token-of-the-clinic", "CLINIC_TOKEN": "another"}
    account = f"account_sid = 'AC{'1' * 32}'\nauth_token = 'env:CLINIC_AUTH_TOKEN'\n"
    table = table_of(f'[[lines]]\nbot = "clinic"\n{account}', environment)
    found = find_doubts(read_settings(environment), environment, {"CLINIC_AUTH_TOKEN", "CLINIC_TOKEN"}, table)
    assert [one.variable for one in found if one.variable.startswith("CLINIC")] == ["CLINIC_TOKEN"]
