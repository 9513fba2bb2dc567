"""urllib3's errors as botocore raises them, for requests that do not go through botocore."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)
from urllib3 import exceptions as urllib3


@contextmanager
def raising_as_boto3(url: str) -> Iterator[None]:
    """Raise botocore's error in place of urllib3's, as botocore.httpsession does. `url`: of the request."""
    try:
        yield
    except Exception as error:
        raise _as_botocores(error, url) from error


def _as_botocores(error: Exception, url: str) -> BotoCoreError:
    match error:
        case urllib3.SSLError():
            return SSLError(endpoint_url=url, error=error)
        case urllib3.NewConnectionError() | socket.gaierror():
            return EndpointConnectionError(endpoint_url=url, error=error)
        case urllib3.ConnectTimeoutError():
            return ConnectTimeoutError(endpoint_url=url, error=error)
        case urllib3.ReadTimeoutError():
            return ReadTimeoutError(endpoint_url=url, error=error)
        case urllib3.ProtocolError():
            return ConnectionClosedError(endpoint_url=url, error=error)
        case _:
            return HTTPClientError(error=error)
