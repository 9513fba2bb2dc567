"""The form of boto3's requests for a turn: what boto3 adds to the parameters, learned from one of its requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from lexbridge.lex.sigv4 import UNSIGNED_PAYLOAD, Keys, Signer


class FormUnknown(Exception):
    """A request of boto3's is not of the form that is known here. The text tells why."""


class SessionKeys(Keys, Protocol):
    """The credentials of one request to AWS, with the token of a session if they are temporary."""

    @property
    def token(self) -> str | None:
        """The token of the session, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Serialized:
    """The parameters of a turn as botocore has written them: the path, some headers, and the body."""

    method: str
    url_path: str
    headers: Mapping[str, str]
    body: Any
    """Bytes, None for no bytes, or an object to read live."""

    @property
    def is_whole(self) -> bool:
        """Whether the length of the body is known."""
        return self.body is None or isinstance(self.body, bytes | bytearray)


@dataclass(frozen=True, slots=True)
class RequestForm:
    """All that stays the same in the requests of one operation."""

    url: str
    """The address of one of the requests: the host is that of all."""
    host: str
    base_path: str
    """The path of the endpoint, before the operation's own, or an empty text."""
    user_agent: str
    attempt: str
    signer: Signer

    def path_of(self, serialized: Serialized) -> str:
        """Return the path of a request."""
        return self.base_path + serialized.url_path

    def headers_of(self, serialized: Serialized, keys: SessionKeys, time: str, request_id: str) -> dict[str, str]:
        """Return the headers of a request, in boto3's order.

        `time`: that of the signature, as X-Amz-Date has it. `request_id`: a UUID of its own.
        """
        path = self.path_of(serialized)
        signed = {name.lower(): value for name, value in serialized.headers.items()}
        headers = {**serialized.headers, "User-Agent": self.user_agent, "X-Amz-Date": time}
        signed["x-amz-date"] = time
        if keys.token:
            headers["X-Amz-Security-Token"] = signed["x-amz-security-token"] = keys.token
        headers["X-Amz-Content-SHA256"] = signed["x-amz-content-sha256"] = UNSIGNED_PAYLOAD
        headers["Authorization"] = self.signer.authorize(serialized.method, self.host, path, signed, time, keys)
        headers["amz-sdk-invocation-id"] = request_id
        headers["amz-sdk-request"] = self.attempt
        if serialized.is_whole:
            headers["Content-Length"] = str(len(serialized.body or b""))
        else:
            headers["Transfer-Encoding"] = "chunked"
        return headers


def learn_form(url: str, headers: Mapping[str, str | bytes], serialized: Serialized, keys: SessionKeys) -> RequestForm:
    """Return the form of a request that boto3 is about to send. Raise FormUnknown.

    `url`, `headers`: of the request. `serialized`: the parameters that it was made from. `keys`: those that signed it.
    """
    sent = {name: value.decode() if isinstance(value, bytes) else value for name, value in headers.items()}
    address = urlsplit(url)
    if not address.path.endswith(serialized.url_path) or address.query:
        raise FormUnknown("its address is another")
    try:
        scope = sent["Authorization"].partition("Credential=")[2].partition(",")[0]
        *_, region, service, _ = scope.split("/")
        form = RequestForm(
            url=url,
            host=address.netloc,
            base_path=address.path.removesuffix(serialized.url_path),
            user_agent=sent["User-Agent"],
            attempt=sent["amz-sdk-request"],
            signer=Signer(region, service),
        )
        own = form.headers_of(serialized, keys, sent["X-Amz-Date"], sent["amz-sdk-invocation-id"])
    except (KeyError, ValueError) as error:
        raise FormUnknown("it is signed in another way") from error
    if list(own.items()) != list(sent.items()):
        names = sorted(name for name in own.keys() | sent.keys() if own.get(name) != sent.get(name))
        raise FormUnknown(f"other headers: {', '.join(names) or 'their order'}")
    return form
