"""An AWS STS for tests: it gives the credentials of roles, or behaves as one that is slow, refuses or is broken."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import gevent
import pytest
from gevent.pywsgi import WSGIServer

_GIVEN = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/x/y</Arn><AssumedRoleId>A:y</AssumedRoleId>
</AssumedRoleUser><Credentials><AccessKeyId>ASIA{number}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
<SessionToken>token-{number}</SessionToken><Expiration>{expires}</Expiration></Credentials></AssumeRoleResult>
<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"""

_REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error>
<RequestId>1</RequestId></ErrorResponse>"""


class FakeSts:
    """The STS. `roles`: those that were asked for. `valid_for`: how long credentials last.

    `hangs`, `refuses`, `is_broken`: how it behaves.
    """

    def __init__(self) -> None:
        self.roles: list[str] = []
        self.valid_for = timedelta(hours=1)
        self.hangs = self.refuses = self.is_broken = False
        self.given = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as a WSGI application."""
        form = parse_qs(environ["wsgi.input"].read().decode())
        self.roles.append(form["RoleArn"][0])
        while self.hangs:
            gevent.sleep(0.01)
        if self.is_broken or self.refuses:
            start_response("500 Broken" if self.is_broken else "403 Forbidden", [("Content-Type", "text/xml")])
            return [b"<" if self.is_broken else _REFUSED.encode()]
        self.given += 1
        start_response("200 OK", [("Content-Type", "text/xml")])
        expires = datetime.now(UTC) + self.valid_for
        return [_GIVEN.format(number=self.given, expires=expires.strftime("%Y-%m-%dT%H:%M:%SZ")).encode()]


@contextmanager
def fake_sts(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSts]:
    """Run an STS that boto3 finds by its environment."""
    sts = FakeSts()
    server = WSGIServer(("127.0.0.1", 0), sts, log=None, error_log=None)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_port}")
    try:
        yield sts
    finally:
        sts.hangs = False
        server.stop(timeout=1)
