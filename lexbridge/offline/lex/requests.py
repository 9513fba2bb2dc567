"""Requests to the local Lex: the record of each, and what their headers and bodies mean."""

import json
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from lexbridge.offline.lex import wire
from lexbridge.offline.lex.bots import Bot
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.wire import LexError, LexErrorKind

T = TypeVar("T")

LONGEST_TEXT = 1024
_REPLY_RATE_HZ = 16000


@dataclass(slots=True)
class LexRequest:
    """The history of one request. Times are `time.monotonic()` in seconds, or None for what did not happen."""

    api: Literal["v1", "v2"]
    operation: str
    bot: str
    session_id: str
    began: float
    first_audio: float | None = None
    ended: float | None = None  # the whole body was here
    answered: float | None = None  # the answer was handed to the network
    audio: bytes = b""  # what was uploaded, as it came
    aborted: bool = False  # the client went away before the end of its upload
    status: int | None = None
    transcript: str | None = None
    intent: str | None = None
    dialog_state: str | None = None
    slots: Mapping[str, str] = field(default_factory=dict)  # the filled ones, after the turn
    fault: "LexFault | None" = None
    client_port: int = 0  # the same for requests that came on one connection
    is_text: bool = False  # what was uploaded is text: typed, or keys
    said: str = ""  # the texts of the answer
    speech_began: float | None = None  # the first of the answer's speech was handed to the network
    speech_ended: float | None = None  # and the last of it
    speech_bytes: int = 0  # of it, handed to the network so far
    locale_id: str | None = None  # V2's
    attributes: Mapping[str, str] = field(default_factory=dict)  # those of the session, after the turn
    alias: str = ""  # the bot's: its name (V1) or id (V2)
    region: str = ""  # the AWS region that the request is signed for


@dataclass(slots=True)
class ReceivedRequest:
    """A request on its way through: whom it is for, what it brings, what we note about it."""

    environ: dict[str, Any]
    record: LexRequest
    bot: Bot
    alias: str
    fault: LexFault | None = None

    @property
    def socket(self) -> socket.socket:
        """Socket of the client, on which a fault breaks off the answer."""
        connection: socket.socket = self.environ["lexbridge.socket"]
        return connection

    def header(self, name: str) -> str | None:
        """Return the value of a header, or None if the request does not have it."""
        key = name.upper().replace("-", "_")
        value = self.environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")
        return None if value is None else str(value)


def input_type(content_type: str | None) -> tuple[bool, int]:
    """Return whether the body is text, and the sample rate of speech in Hz. Raises LexError."""
    if not content_type:
        raise LexError(LexErrorKind.BAD_REQUEST, "there is no Content-Type")
    kind, parameters = media_type(content_type)
    if kind == "text/plain" and parameters.get("charset", "utf-8") == "utf-8":
        return True, 0
    if kind == "audio/lpcm" and _is_lpcm_8khz(parameters):
        return False, 8000
    if (kind == "audio/l16" and parameters == {"rate": "16000", "channels": "1"}) or (
        kind == "audio/x-l16" and parameters == {"sample-rate": "16000", "channel-count": "1"}
    ):
        return False, 16000
    if kind == "audio/x-cbr-opus-with-preamble":
        raise LexError(LexErrorKind.UNSUPPORTED_MEDIA_TYPE, "the local Lex runtime does not decode Opus")
    raise LexError(LexErrorKind.UNSUPPORTED_MEDIA_TYPE, f"Content-Type is none that Lex knows: {content_type}")


def _is_lpcm_8khz(parameters: dict[str, str]) -> bool:
    _, wanted = media_type(wire.LPCM_8KHZ)
    return parameters == wanted


def media_type(header: str) -> tuple[str, dict[str, str]]:
    """Return the type and the parameters of a Content-Type or Accept header, in lower case."""
    kind, *rest = (part.strip() for part in header.lower().split(";"))
    return kind, dict(part.split("=", 1) for part in rest if "=" in part)


def reply_rate_hz(accept: str | None) -> int | None:
    """Return the sample rate of the speech asked for, or None for an answer without speech. Raises LexError."""
    kind, parameters = media_type(accept or "audio/mpeg")  # Lex's own default
    if kind == "text/plain":
        return None
    if kind == "audio/pcm" and parameters.get("sample-rate", str(_REPLY_RATE_HZ)) in ("8000", "16000"):
        return int(parameters.get("sample-rate", _REPLY_RATE_HZ))
    raise LexError(
        LexErrorKind.NOT_ACCEPTABLE,
        f"the local Lex runtime answers audio/pcm and text/plain; charset=utf-8, not {accept or 'audio/mpeg'}",
    )


def signed_region(authorization: str) -> str:
    """Return the AWS region that a request with this Authorization header is signed for, or "" if it names none."""
    found = re.search(r"Credential=[^/,]+/[0-9]+/([a-z0-9-]+)/", authorization)
    return found[1] if found else ""


def text_of(body: bytes) -> str:
    """Return the text that a body holds. Raise LexError unless it is UTF-8 and of a length that Lex takes."""
    try:
        return checked_text(body.decode())
    except UnicodeDecodeError as error:
        raise LexError(LexErrorKind.BAD_REQUEST, "the text is not UTF-8") from error


def checked_text(text: Any) -> str:
    """Return `text`. Raise LexError unless it is a string of 1 to LONGEST_TEXT characters."""
    if not isinstance(text, str) or not 1 <= len(text) <= LONGEST_TEXT:
        raise LexError(LexErrorKind.BAD_REQUEST, f"a text has 1 to {LONGEST_TEXT} characters")
    return text


def json_body(body: bytes) -> wire.Json:
    """Return the JSON object that a body holds; {} for an empty body. Raise LexError if it holds something else."""
    try:
        document = json.loads(body or b"{}")
    except ValueError as error:
        raise LexError(LexErrorKind.BAD_REQUEST, "the body is not JSON") from error
    if not isinstance(document, dict):
        raise LexError(LexErrorKind.BAD_REQUEST, "the body is no JSON object")
    return document


def or_bad_request(read: Callable[[], T]) -> T:
    """Return `read()`. Raise LexError if what the client sent is not in the shape that it reads."""
    try:
        return read()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise LexError(LexErrorKind.BAD_REQUEST, f"not in the shape of Lex: {error}") from error
