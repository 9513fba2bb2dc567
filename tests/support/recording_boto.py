"""A boto3 client that sends nothing: it keeps its requests, checked and written by botocore, and answers as told."""

from types import SimpleNamespace
from typing import Any, Literal

import boto3


class RecordingBoto:
    """One client of boto3's without a network. `requests` holds (operation, parameters) of each request."""

    def __init__(self, service: Literal["lex-runtime", "lexv2-runtime"], response: dict[str, Any]) -> None:
        """`response`: what each request returns, as boto3 has parsed it."""
        self.requests: list[tuple[str, dict[str, Any]]] = []
        keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret"}
        self.client: Any = boto3.client(service, region_name="eu-west-1", endpoint_url="http://lex.test", **keys)
        self._response = response
        self.client.meta.events.register("provide-client-params.*.*", self._record)
        self.client.meta.events.register("before-call.*.*", self._answer)

    def _record(self, params: dict[str, Any], model: Any, **_: object) -> None:
        self.requests.append((model.name, dict(params)))

    def _answer(self, **_: object) -> tuple[Any, dict[str, Any]]:
        return SimpleNamespace(status_code=200), self._response
