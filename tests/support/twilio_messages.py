"""Messages of the media stream as Twilio writes them, and their SIDs."""

import base64
import json
from collections.abc import Mapping

STREAM_SID = "MZ" + "0123456789abcdef" * 2
CALL_SID = "CA" + "0123456789abcdef" * 2
ACCOUNT_SID = "AC" + "0123456789abcdef" * 2


def media_text(timestamp_ms: int, mulaw: bytes, track: str = "inbound") -> str:
    """Return a media message as Twilio writes it."""
    payload = base64.b64encode(mulaw).decode()
    media = {"track": track, "chunk": "1", "timestamp": str(timestamp_ms), "payload": payload}
    return json.dumps({"event": "media", "sequenceNumber": "2", "media": media, "streamSid": STREAM_SID})


def start_text(parameters: Mapping[str, str] | None = None) -> str:
    """Return the start message as Twilio writes it."""
    start = {
        "accountSid": ACCOUNT_SID,
        "streamSid": STREAM_SID,
        "callSid": CALL_SID,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": dict(parameters or {}),
    }
    return json.dumps({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": STREAM_SID})


def stop_text() -> str:
    """Return the stop message as Twilio writes it."""
    stop = {"accountSid": ACCOUNT_SID, "callSid": CALL_SID}
    return json.dumps({"event": "stop", "sequenceNumber": "9", "streamSid": STREAM_SID, "stop": stop})


def mark_text(name: str) -> str:
    """Return a mark as Twilio sends it back."""
    return json.dumps({"event": "mark", "sequenceNumber": "4", "streamSid": STREAM_SID, "mark": {"name": name}})


def dtmf_text(key: str) -> str:
    """Return a key as Twilio reports it."""
    dtmf = {"track": "inbound_track", "digit": key}
    return json.dumps({"event": "dtmf", "sequenceNumber": "5", "streamSid": STREAM_SID, "dtmf": dtmf})
