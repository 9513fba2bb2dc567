"""The messages of Twilio Media Streams: JSON texts to events of a call, and a call's actions to JSON texts.

Source: https://www.twilio.com/docs/voice/media-streams/websocket-messages . Numbers in messages
are JSON strings there; JSON numbers are accepted, too.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from lexbridge.call.actions import SendAudio, SendMark, StreamOutput
from lexbridge.call.events import (
    Connected,
    Dtmf,
    Mark,
    Media,
    OddMessage,
    Started,
    Stopped,
    StreamEvent,
    UnknownMessage,
)
from lexbridge.errors import MediaStreamError

_LONGEST_MS = 1e12
"""Largest timestamp that is believed, in milliseconds: 30 years."""

_LONGEST_QUICK = 1000
"""Longest message that is decoded in one step, in characters, because a longer one may nest too deep for one of the two
parsers and not for the other. A message of 20 ms has 400."""


class _CallersAudio(msgspec.Struct, frozen=True, gc=False):
    track: Literal["inbound"]
    timestamp: Annotated[float, msgspec.Meta(ge=-_LONGEST_MS, le=_LONGEST_MS)]  # false for NaN, too
    payload: bytes  # base64 in the text


class _CallersMessage(msgspec.Struct, frozen=True, gc=False):
    event: Literal["media"]
    media: _CallersAudio


# `strict=False`: a number may stand in a JSON string.
_decode_callers_message = msgspec.json.Decoder(_CallersMessage, strict=False).decode


def parse(text: str) -> StreamEvent:
    """Return a message of the media socket as an event.

    Fields that lexbridge does not use may hold anything. Raise MediaStreamError, and nothing else, if the call cannot
    go on: the text is not a JSON object, `start` does not name the stream and its call, or audio cannot be decoded.
    """
    # Nearly all messages bring the caller's audio, fifty a second for each call, so those are decoded in one step. It
    # takes less than `parse_any` and never anything else, so what it refuses is read again.
    if len(text) > _LONGEST_QUICK:
        return parse_any(text)
    try:
        audio = _decode_callers_message(text).media
    except (msgspec.MsgspecError, ValueError):  # ValueError: half of a surrogate pair
        return parse_any(text)
    return Media(audio.timestamp, True, audio.payload)


def parse_any(text: str) -> StreamEvent:
    """Return what `parse` returns, or raise what it raises, for any message, slowly."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, or a number of thousands of digits
        raise MediaStreamError("the message is not JSON") from error
    if not isinstance(message, dict):
        raise MediaStreamError("the message is not a JSON object")
    event = message.get("event")
    if not isinstance(event, str):
        return OddMessage("event is not a text")
    read = _READERS.get(event)
    return read(message) if read else UnknownMessage(event[:50])


def _started(message: Mapping[str, Any]) -> Started:
    start = _object(message, "start")
    parameters = start.get("customParameters")
    if not isinstance(parameters, dict):
        parameters = {}
    return Started(
        _sid(start, "streamSid", "MZ"),
        _sid(start, "callSid", "CA"),
        _sid(start, "accountSid", "AC"),
        {name: value for name, value in parameters.items() if isinstance(value, str)},
    )


def _media(message: Mapping[str, Any]) -> Media:
    media = _object(message, "media")
    try:
        mulaw = base64.b64decode(_text(media, "payload"), validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: characters beyond ASCII
        raise MediaStreamError("media.payload is not base64") from error
    # The document asks for the caller's track alone, but Twilio names the track all the same.
    track = media.get("track")
    return Media(_timestamp_ms(media.get("timestamp")), not (isinstance(track, str) and "outbound" in track), mulaw)


def _timestamp_ms(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        timestamp_ms = float(value)
    except (ValueError, OverflowError):
        return None
    return timestamp_ms if abs(timestamp_ms) <= _LONGEST_MS else None  # false for NaN, too


def _dtmf(message: Mapping[str, Any]) -> Dtmf | OddMessage:
    dtmf = message.get("dtmf")
    digit = dtmf.get("digit") if isinstance(dtmf, dict) else None
    if not isinstance(digit, str) or not re.fullmatch(r"[0-9A-Da-d*#]", digit):
        return OddMessage("dtmf.digit is not a key")
    return Dtmf(digit.upper())


def _mark(message: Mapping[str, Any]) -> Mark | OddMessage:
    mark = message.get("mark")
    name = mark.get("name") if isinstance(mark, dict) else None
    return Mark(name) if isinstance(name, str) else OddMessage("mark.name is not a text")


_READERS: dict[str, Callable[[Mapping[str, Any]], StreamEvent]] = {
    "connected": lambda _: Connected(),
    "start": _started,
    "media": _media,
    "dtmf": _dtmf,
    "mark": _mark,
    "stop": lambda _: Stopped(),
}


def _object(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = message.get(name)
    if not isinstance(value, dict):
        raise MediaStreamError(f"{name} is not an object")
    return value


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise MediaStreamError(f"{name} is not a text")
    return value


def _sid(message: Mapping[str, Any], name: str, prefix: str) -> str:
    """Return a Twilio identifier: two letters and 32 hexadecimal digits."""
    value = _text(message, name)
    if not re.fullmatch(prefix + r"[0-9a-fA-F]{32}", value):
        raise MediaStreamError(f"{name} is not a SID ({prefix}...)")
    return value


def encode(action: StreamOutput, stream_sid: str) -> str:
    """Return the JSON text that makes Twilio carry out `action` in the stream `stream_sid`."""
    match action:
        case SendAudio():  # fifty times a second for each call: no json.dumps
            payload = binascii.b2a_base64(action.mulaw, newline=False).decode()
            return f'{{"event":"media","streamSid":"{stream_sid}","media":{{"payload":"{payload}"}}}}'
        case SendMark():
            return json.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": action.name}})
        case _:  # ClearAudio
            return json.dumps({"event": "clear", "streamSid": stream_sid})
