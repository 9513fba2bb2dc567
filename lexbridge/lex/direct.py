"""Turns sent to Lex without boto3's machinery, in the very bytes that boto3 would send, for less CPU a turn.

boto3 sends the first turn. From that request `request_form` learns what boto3 adds to the parameters of a turn: the
address, the User-Agent, the region that signs. If it can then write the same headers in the same order with the same
signature, the turns after it are written here and go over boto3's own pool of connections. Otherwise boto3 sends all
turns, and a log line tells so.

botocore still writes the parameters into the request and reads the answer. Its events still run for an answer, because
`aws_clock` and `v1` listen to them.
"""

import uuid
from collections.abc import Mapping
from typing import Any, Literal

import gevent
from botocore.auth import SIGV4_TIMESTAMP
from botocore.awsrequest import AWSResponse
from botocore.endpoint import convert_to_response_dict
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserFactory
from botocore.serialize import create_serializer
from botocore.utils import get_environ_proxies
from urllib3.util.retry import Retry

from lexbridge.lex.aws_clock import AwsClock, is_refused_for_its_time
from lexbridge.lex.http_errors import raising_as_boto3
from lexbridge.lex.request_form import FormUnknown, RequestForm, Serialized, learn_form
from lexbridge.logs import Log
from lexbridge.net.capped_http import lex_pool

_NO_RETRIES = Retry(False)


class DirectTurns:
    """One operation of a boto3 client, called with the same parameters, with the same result and the same errors."""

    def __init__(
        self, client: Any, operation: Literal["PostContent", "RecognizeUtterance"], credentials: Any, clock: AwsClock
    ) -> None:
        """`credentials`: botocore's, which renew themselves. `clock`: the one that the client follows."""
        service = client.meta.service_model
        names = {operation: method for method, operation in client.meta.method_to_api_mapping.items()}
        self._ask_boto3 = getattr(client, names[operation])
        self._client = client
        self._credentials = credentials
        self._clock = clock
        self._operation = service.operation_model(operation)
        self._serializer = create_serializer(service.resolved_protocol, include_validation=False)
        self._parser = ResponseParserFactory().create_parser(service.resolved_protocol)
        self._form: RequestForm | None = None
        self._pool: Any = None  # of urllib3, from the end of the first request on
        self._first: dict[Any, Serialized] = {}  # turns that boto3 is about to send, by greenlet
        self._is_off = False
        event = f"{service.service_id.hyphenize()}.{operation}"
        self._parse_event = f"before-parse.{event}"
        client.meta.events.register(f"before-send.{event}", self._learn)

    def __call__(self, **parameters: Any) -> Mapping[str, Any]:
        """Send a turn, and return what boto3 would return. Raise what boto3 would raise."""
        if self._is_off:
            return self._ask_boto3(**parameters)  # type: ignore[no-any-return]
        if self._form is None or self._pool is None:
            return self._let_boto3_begin(parameters)
        try:
            return self._send(self._form, self._serialized(parameters))
        except ClientError as error:
            # boto3 signs the second request with the time that the answer to the first one told.
            is_whole = isinstance(parameters["inputStream"], bytes)
            if is_whole and is_refused_for_its_time(error.response):
                return self._ask_boto3(**parameters)  # type: ignore[no-any-return]
            raise

    def _serialized(self, parameters: Mapping[str, Any]) -> Serialized:
        written = self._serializer.serialize_to_request(parameters, self._operation)
        return Serialized(written["method"], written["url_path"], written["headers"], written["body"] or None)

    # -- the first turns

    def _let_boto3_begin(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Let boto3 send a turn, and learn from its request."""
        greenlet = gevent.getcurrent()
        self._first[greenlet] = self._serialized(parameters)
        try:
            return self._ask_boto3(**parameters)  # type: ignore[no-any-return]
        finally:
            self._first.pop(greenlet, None)
            # Not before the request has ended: boto3 gives the pool its certificates with the first request.
            if self._form is not None and self._pool is None:
                self._pool = lex_pool(self._client, self._form.url)

    def _learn(self, request: Any, **_: object) -> None:
        """Learn the form of a turn's request that boto3 is about to send."""
        serialized = self._first.pop(gevent.getcurrent(), None)
        if serialized is None or self._form is not None or self._is_off:
            return
        try:
            if get_environ_proxies(request.url):
                raise FormUnknown("a proxy is between")
            keys = self._credentials.get_frozen_credentials()
            self._form = learn_form(request.url, request.headers, serialized, keys)
        except FormUnknown as unknown:
            self._is_off = True
            Log().warning("turns-sent-by-boto3", why=str(unknown))

    # -- all other turns

    def _send(self, form: RequestForm, serialized: Serialized) -> Mapping[str, Any]:
        keys = self._credentials.get_frozen_credentials()
        time = self._clock.now().strftime(SIGV4_TIMESTAMP)
        path = form.path_of(serialized)
        headers = form.headers_of(serialized, keys, time, str(uuid.uuid4()))
        with raising_as_boto3(form.url):
            response = self._pool.urlopen(
                method=serialized.method,
                url=path,
                body=serialized.body,
                headers=headers,
                retries=_NO_RETRIES,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
                chunked=not serialized.is_whole,
                enforce_content_length=False,
            )
        return self._read(AWSResponse(form.url, response.status, response.headers, response))

    def _read(self, answer: AWSResponse) -> Mapping[str, Any]:
        """Return an answer as boto3 does, or raise the ClientError that boto3 raises for it."""
        raw = convert_to_response_dict(answer, self._operation)
        more: dict[str, Any] = {}
        self._client.meta.events.emit(
            self._parse_event, operation_model=self._operation, response_dict=raw, customized_response_dict=more
        )
        parsed: dict[str, Any] = self._parser.parse(raw, self._operation.output_shape)
        parsed.update(more)
        if "ResponseMetadata" in parsed:
            parsed["ResponseMetadata"]["RetryAttempts"] = 0
        if answer.status_code >= 300:
            code = parsed.get("Error", {}).get("Code")
            raise self._client.exceptions.from_code(code)(parsed, self._operation.name)
        return parsed
