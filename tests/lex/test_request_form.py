"""The form of boto3's requests, learned from one of them, against others that boto3 writes for real endpoints."""

import uuid
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.auth
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.serialize import create_serializer

from lexbridge.lex.request_form import FormUnknown, Serialized, learn_form

KEYS = Credentials("ASIAEXAMPLE", "secret", "token")
V1 = {"botName": "Order", "botAlias": "prod", "userId": "CA-one", "contentType": "text/plain", "inputStream": b"roses"}
V2 = {
    "botId": "ABCDEFGHIJ",
    "botAliasId": "TSTALIASID",
    "localeId": "en_US",
    "sessionId": "CA-one",
    "requestContentType": "text/plain",
    "inputStream": b"roses",
}


def written(parameters: dict[str, Any], **client: Any) -> tuple[AWSPreparedRequest, Serialized]:
    """Return the request that boto3 would send for a turn, and the turn's parameters as botocore writes them."""
    is_v2 = "botId" in parameters
    service, method = ("lexv2-runtime", "recognize_utterance") if is_v2 else ("lex-runtime", "post_content")
    session = boto3.Session(region_name="us-east-1")
    session._session._credentials = KEYS  # type: ignore[attr-defined]
    boto: Any = session.client(service, **client)  # type: ignore[call-overload]
    sent: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, {}, SimpleNamespace(read=lambda *_: b""))

    boto.meta.events.register("before-send", answer)
    getattr(boto, method)(**parameters)
    operation = boto.meta.service_model.operation_model(boto.meta.method_to_api_mapping[method])
    parts = create_serializer("rest-json").serialize_to_request(parameters, operation)
    return sent[0], Serialized(parts["method"], parts["url_path"], parts["headers"], parts["body"])


def texts(headers: Any) -> list[tuple[str, str]]:
    """Return headers with their values as text."""
    return [(name, value.decode() if isinstance(value, bytes) else value) for name, value in headers.items()]


@pytest.mark.parametrize("parameters", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize(
    "client",
    [
        {},
        {"config": Config(use_fips_endpoint=True)},
        {"config": Config(use_dualstack_endpoint=True)},
        {"region_name": "ap-southeast-1"},
        {"endpoint_url": "https://lex.example:8443/base"},
        {"endpoint_url": "https://[::1]:8443"},
    ],
    ids=str,
)
def test_a_learned_form_writes_the_next_request_as_boto3_does(
    parameters: dict[str, Any], client: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    request, serialized = written(parameters, **client)
    form = learn_form(request.url, request.headers, serialized, KEYS)
    later = datetime(2027, 1, 1, 12, 30)  # noqa: DTZ001 - botocore's are UTC without saying so
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: later)
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=7))
    name = "sessionId" if "botId" in parameters else "userId"
    changed = {**parameters, name: "CA two/ü", "inputStream": b""}
    request, serialized = written(changed, **client)
    own = form.headers_of(serialized, KEYS, later.replace(tzinfo=UTC).strftime("%Y%m%dT%H%M%SZ"), str(uuid.uuid4()))
    assert list(own.items()) == texts(request.headers)
    assert request.url.endswith(f"//{form.host}{form.path_of(serialized)}")


def test_what_is_not_of_the_form_is_told() -> None:
    request, serialized = written(V2)
    headers = dict(texts(request.headers))
    learn_form(request.url, headers, serialized, KEYS)
    for url in (request.url + "?a=b", request.url + "/more"):
        with pytest.raises(FormUnknown, match="its address is another"):
            learn_form(url, headers, serialized, KEYS)
    for name in ("Authorization", "User-Agent", "amz-sdk-request", "X-Amz-Date"):
        with pytest.raises(FormUnknown, match="it is signed in another way"):
            learn_form(request.url, {each: value for each, value in headers.items() if each != name}, serialized, KEYS)
    with pytest.raises(FormUnknown, match="it is signed in another way"):
        learn_form(request.url, {**headers, "Authorization": "Bearer x"}, serialized, KEYS)
    with pytest.raises(FormUnknown, match="other headers: Authorization"):
        learn_form(request.url, headers, serialized, Credentials("ASIAEXAMPLE", "another", "token"))
    with pytest.raises(FormUnknown, match="other headers: X-More"):
        learn_form(request.url, {**headers, "X-More": "1"}, serialized, KEYS)
    with pytest.raises(FormUnknown, match="other headers: their order"):
        learn_form(request.url, dict(sorted(headers.items())), serialized, KEYS)
