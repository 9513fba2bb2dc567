"""The messages of a bridge on a two-way media stream, read as strictly as Twilio reads them. Pure.

Their form: https://www.twilio.com/docs/voice/media-streams/websocket-messages .
"""

import base64
import binascii
import json

_FIELDS = {"media": {"payload"}, "mark": {"name"}, "clear": set[str]()}


def read_message(payload: bytes, stream_sid: str) -> tuple[str, str | bytes]:
    """Return a bridge's message as (media, mu-law), (mark, name) or (clear, "").

    Raises ValueError for whatever Twilio would call invalid: "anything else, an extra or missing field, a wrong
    streamSid" (/docs/api/errors/31951).
    """
    try:
        message = json.loads(payload)
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(message, dict) or message.get("event") not in _FIELDS:
        raise ValueError("its event is none of media, mark, clear")
    kind: str = message["event"]
    if message.get("streamSid") != stream_sid:
        raise ValueError(f"{kind} names streamSid {message.get('streamSid')!r}, this stream is {stream_sid}")
    if set(message) != {"event", "streamSid"} | ({kind} if _FIELDS[kind] else set()):
        raise ValueError(f"{kind} with the fields {', '.join(sorted(message))}")
    if kind == "clear":
        return kind, ""
    inner = message[kind]
    texts = isinstance(inner, dict) and all(isinstance(value, str) for value in inner.values())
    if not texts or set(inner) != _FIELDS[kind]:
        raise ValueError(f"{kind} is not an object with the text {', '.join(_FIELDS[kind])} alone")
    if kind == "mark":
        return kind, inner["name"]
    try:
        return kind, base64.b64decode(inner["payload"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("media.payload is not base64") from error
