"""Messages of a numbered call, as Twilio sends them: the webhook's form, and those of the media stream."""

import json
import secrets
import time

from bench.harness.settings import AUTH_TOKEN
from lexbridge.twilio.stream_token import make_stream_token


def webhook_form(number: int) -> dict[str, str]:
    """Return the form of the voice webhook for the call `number`."""
    sids = {"CallSid": f"CA{number:032x}", "AccountSid": f"AC{number:032x}"}
    return {**sids, "From": "+12065550100", "To": "+12065550199", "Direction": "inbound", "CallStatus": "ringing"}


def stream_token(number: int, nonce: str | None = None) -> str:
    """Return a stream token for the call `number`. `nonce`: random if it is not given."""
    sid = f"{number:032x}"
    return make_stream_token(AUTH_TOKEN, f"CA{sid}", f"AC{sid}", time.time(), nonce=nonce or secrets.token_hex(8))


def start_message(number: int, token: str) -> str:
    """Return the `start` message of the call `number`, with the stream token that the webhook has returned."""
    sid = f"{number:032x}"
    start = {
        "streamSid": f"MZ{sid}",
        "callSid": f"CA{sid}",
        "accountSid": f"AC{sid}",
        "tracks": ["inbound"],
        "customParameters": {"lexbridge:token": token},
    }
    return json.dumps({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": f"MZ{sid}"})


def media_message(number: int, at: int, sent_ns: int | None = None) -> str:
    """Return a `media` message of silence: frame `at` of the call `number`, stamped with `sent_ns` if that is given."""
    stamp = "" if sent_ns is None else f'"sent_ns":{sent_ns},'
    return (
        f'{{"event":"media",{stamp}"sequenceNumber":"{at + 2}","media":{{"track":"inbound","chunk":"{at + 1}",'
        f'"timestamp":"{at * 20}","payload":"{"/" * 213}w=="}},"streamSid":"MZ{number:032x}"}}'
    )
