"""boto3's client for the bot of the settings: its credentials and its connections."""

import boto3
import gevent
import pytest
from conftest import Logged
from lexes import FLOWERS, FRAME, GENERATIONS, asked, lex_of, local_lex
from rehearsal import wait_until
from rig import PATIENCE_S, settings

from lexbridge.config import LexV1Bot
from lexbridge.errors import ConfigError, LexRejected
from lexbridge.lex import Deadlines, Question, Utterance
from lexbridge.lex_boto import make_lex_runtime
from lexbridge.lex_client import LexClient
from lexbridge.lex_v1 import LexV1
from lexbridge.logs import Log


def without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 finds none anywhere."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")


@pytest.mark.parametrize(
    "environment", [{"AWS_PROFILE": "no-such-profile"}, {"AWS_ACCESS_KEY_ID": "half a pair"}], ids=str
)
def test_what_boto3_cannot_read_is_a_problem_with_the_settings(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"AWS_\*: boto3 says: "):
        make_lex_runtime(settings(ACCESS_KEY_ID="", SECRET_ACCESS_KEY=""), Deadlines())


def test_no_credentials_anywhere_is_a_problem_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)
    with pytest.raises(ConfigError, match="ACCESS_KEY_ID: is not set and boto3 finds no AWS credentials"):
        make_lex_runtime(settings(ACCESS_KEY_ID="", SECRET_ACCESS_KEY=""), Deadlines())


def test_no_credentials_at_the_time_of_a_request_are_a_rejection_that_names_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as of a task role that was taken away."""
    without_credentials(monkeypatch)
    client = boto3.client("lex-runtime", region_name="us-west-2", endpoint_url="http://127.0.0.1:9")
    lex = LexClient(LexV1(client, LexV1Bot("OrderFlowers", "prod")), Deadlines())
    with pytest.raises(LexRejected, match="no AWS credentials; check ACCESS_KEY_ID and SECRET_ACCESS_KEY or the task"):
        lex.ask(asked(), Log())


@GENERATIONS
def test_the_turns_of_a_call_go_over_one_connection(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch, FLOWERS, "roses", "tomorrow") as local:
        lex = lex_of(generation)
        for _ in range(3):
            lex.ask(asked(), Log())
        assert len({request.client_port for request in local.requests}) == 1


def test_as_many_connections_are_kept_as_there_may_be_calls(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    calls = 12  # botocore keeps ten unless told
    with local_lex(monkeypatch, *[FLOWERS] * 2 * calls) as local:
        lex = make_lex_runtime(settings(MAX_CALLS=str(calls)), Deadlines())
        for _ in range(2):
            utterances = [Utterance() for _ in range(calls)]
            asking = [
                gevent.spawn(lex.ask, Question(f"CA-session-{number}", None, utterance), Log())
                for number, utterance in enumerate(utterances)
            ]
            already = len(local.requests)
            for utterance in utterances:
                utterance.append(FRAME)
            wait_until(lambda already=already: len(local.requests) == already + calls)  # all at the same time
            for utterance in utterances:
                utterance.close()
            for each in asking:
                each.get(timeout=PATIENCE_S)
        assert len({request.client_port for request in local.requests}) == calls
    # urllib3 warns of each connection that it does not keep. Another test's refusals may be told of late.
    assert [line for line in logged() if line["event"] != "peer-refused"] == []
