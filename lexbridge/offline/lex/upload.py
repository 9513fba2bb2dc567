"""The upload of a request to the local Lex: read as it arrives, up to the longest that Lex takes."""

from time import monotonic

from lexbridge.offline.lex.answers import READ_BYTES
from lexbridge.offline.lex.fault_injection import strike
from lexbridge.offline.lex.requests import LONGEST_TEXT, ReceivedRequest
from lexbridge.offline.lex.wire import LexError, LexErrorKind
from lexbridge.offline.loopback_server import ConnectionDropped

LONGEST_SPEECH_S = 15
_MIDDLE_BYTES = 10 * READ_BYTES


def read_text(call: ReceivedRequest) -> bytes:
    """Return the whole body of a request that brings text, or JSON. Raises LexError if it is too long."""
    return _read(call, 8 * LONGEST_TEXT)


def read_speech(call: ReceivedRequest, rate_hz: int) -> bytes:
    """Return all speech that a request brings, as 16-bit PCM. Raises LexError if it is too long."""
    return _read(call, LONGEST_SPEECH_S * rate_hz * 2)


def _read(call: ReceivedRequest, longest_bytes: int) -> bytes:
    upload, record = call.environ["wsgi.input"], call.record
    body = bytearray()
    try:
        while piece := upload.read(READ_BYTES):
            if record.first_audio is None:
                record.first_audio = monotonic()
            body += piece
            if len(body) >= _MIDDLE_BYTES:
                strike(call, "middle")
            if len(body) > longest_bytes:
                raise LexError(LexErrorKind.TOO_LONG, f"the input is longer than {LONGEST_SPEECH_S} s of speech")
    except OSError as error:
        record.aborted = True
        raise ConnectionDropped from error
    finally:
        record.audio = bytes(body)
    strike(call, "middle")  # of an upload that was shorter than that
    record.ended = monotonic()
    return bytes(body)
