"""AWS's signature version 4 of requests whose body is not signed.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html .
"""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol
from urllib.parse import quote

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
"""The value of X-Amz-Content-SHA256 that leaves the body out of the signature."""

_ALGORITHM = "AWS4-HMAC-SHA256"


class Keys(Protocol):
    """The credentials of one request to AWS, such as botocore's ReadOnlyCredentials."""

    @property
    def access_key(self) -> str:
        """The id of the access key."""
        ...

    @property
    def secret_key(self) -> str:
        """The secret of the access key."""
        ...


class Signer:
    """A maker of signatures for one region and one service.

    The key that signs is made of the secret and the day, by four hashes. The latest is kept.
    """

    def __init__(self, region: str, service: str) -> None:
        self._region, self._service = region, service
        self._kept_for: tuple[str, str] | None = None  # the secret and the day
        self._key = b""

    def authorize(self, method: str, host: str, path: str, headers: Mapping[str, str], time: str, keys: Keys) -> str:
        """Return the value of the Authorization header of a request without a query.

        `path`: as it is sent. `headers`: those that are signed, but for `host`; their names are in lower case. `time`:
        that of X-Amz-Date.
        """
        signed = sorted([*headers.items(), ("host", host)])
        names = ";".join([name for name, _ in signed])
        lines = "\n".join([f"{name}:{' '.join(value.split())}" for name, value in signed])
        # AWS expects the path, which is escaped already, to be escaped once more. The empty line is for the query.
        request = f"{method}\n{quote(path, safe='/~')}\n\n{lines}\n\n{names}\n{UNSIGNED_PAYLOAD}"
        day = time[:8]
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        text = f"{_ALGORITHM}\n{time}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._key_of(keys.secret_key, day), text.encode(), "sha256").hex()
        return f"{_ALGORITHM} Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"

    def _key_of(self, secret: str, day: str) -> bytes:
        if self._kept_for != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key, self._kept_for = key, (secret, day)
        return self._key
