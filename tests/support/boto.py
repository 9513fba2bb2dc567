"""boto3 in tests: a client for a rig's Lex, and an environment without credentials."""

from typing import Any

import boto3
import pytest

from tests.support.rig import Rig


def boto3_client(rig: Rig) -> Any:
    """Return boto3's client of Lex V1 for the local Lex of `rig`."""
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
    return boto3.client("lex-runtime", endpoint_url=rig.lex.url, **keys)  # type: ignore[call-overload]


def without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide all credentials from boto3."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
