"""Twilio Media Streams: the JSON texts of the socket as typed events, and the inbound track as frames.

Source: https://www.twilio.com/docs/voice/media-streams/websocket-messages . Numbers inside messages are JSON strings
there; JSON numbers are taken too.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lexbridge.audio import FRAME_MS, MULAW_BYTES_PER_MS, MULAW_FRAME_BYTES, MULAW_SILENCE, Framer
from lexbridge.errors import MediaStreamError

MAX_GAP_MS = 60_000
"""Missing audio that is filled with silence. A timestamp that jumps further is not a gap but a broken peer."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The first message of a socket."""

    protocol: str
    version: str


@dataclass(frozen=True, slots=True)
class Started:
    """A stream begins. `parameters` are the document's `<Parameter>`s; `tracks` is ("inbound",) for ours."""

    stream_sid: str
    call_sid: str
    account_sid: str
    tracks: tuple[str, ...]
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Media:
    """Audio: `mulaw` is 8 kHz mono, any length; `timestamp_ms` is its first sample's time since the stream's start."""

    timestamp_ms: int
    track: str
    mulaw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key press (bidirectional streams only)."""

    digit: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Marked:
    """Audio sent before the mark `name` was played or cleared (bidirectional streams only)."""

    name: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The stream was stopped or the call ended."""

    call_sid: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event that this version does not know. Twilio may add some at any time."""

    event: str


Event = Connected | Started | Media | Dtmf | Marked | Stopped | Unknown


def parse(text: str) -> Event:
    """One message of the socket as an event. Raises MediaStreamError, and nothing else, if it is not one."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, or a number of thousands of digits
        raise MediaStreamError("the message is not JSON") from error
    if not isinstance(message, dict):
        raise MediaStreamError("the message is not a JSON object")
    event = _text(message, "event")
    read = _READERS.get(event)
    return read(message) if read else Unknown(event[:50])


def _connected(message: Mapping[str, Any]) -> Connected:
    return Connected(_text(message, "protocol"), _text(message, "version"))


def _started(message: Mapping[str, Any]) -> Started:
    start = _object(message, "start")
    tracks = start.get("tracks")
    if not isinstance(tracks, list) or not all(isinstance(track, str) for track in tracks):
        raise MediaStreamError("start.tracks is not a list of texts")
    parameters = start.get("customParameters", {})
    if not isinstance(parameters, dict) or not all(isinstance(value, str) for value in parameters.values()):
        raise MediaStreamError("start.customParameters is not a flat object of texts")
    return Started(
        _sid(start, "streamSid", "MZ"),
        _sid(start, "callSid", "CA"),
        _sid(start, "accountSid", "AC"),
        tuple(tracks),
        parameters,
    )


def _media(message: Mapping[str, Any]) -> Media:
    media = _object(message, "media")
    try:
        mulaw = base64.b64decode(_text(media, "payload"), validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: characters beyond ASCII
        raise MediaStreamError("media.payload is not base64") from error
    return Media(_count(media, "timestamp"), _text(media, "track"), mulaw)


def _dtmf(message: Mapping[str, Any]) -> Dtmf:
    digit = _text(_object(message, "dtmf"), "digit")
    if not re.fullmatch(r"[0-9A-D*#]", digit):
        raise MediaStreamError("dtmf.digit is not a key")
    return Dtmf(digit)


def _marked(message: Mapping[str, Any]) -> Marked:
    return Marked(_text(_object(message, "mark"), "name"))


def _stopped(message: Mapping[str, Any]) -> Stopped:
    return Stopped(_sid(_object(message, "stop"), "callSid", "CA"))


_READERS: dict[str, Callable[[Mapping[str, Any]], Event]] = {
    "connected": _connected,
    "start": _started,
    "media": _media,
    "dtmf": _dtmf,
    "mark": _marked,
    "stop": _stopped,
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
    """A Twilio identifier: two letters and 32 hexadecimal digits."""
    value = _text(message, name)
    if not re.fullmatch(prefix + r"[0-9a-fA-F]{32}", value):
        raise MediaStreamError(f"{name} is not a SID ({prefix}...)")
    return value


def _count(message: Mapping[str, Any], name: str) -> int:
    value = message.get(name)
    # 15 digits of milliseconds are 30,000 years; str() keeps true and 1.5 out along with the texts.
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,15}", str(value)):
        raise MediaStreamError(f"{name} is not a count")
    return int(str(value))


def media_text(stream_sid: str, mulaw: bytes) -> str:
    """Audio for the caller: mu-law at 8 kHz, any length. Twilio plays it after what it has already."""
    payload = base64.b64encode(mulaw).decode("ascii")
    return f'{{"event":"media","streamSid":"{stream_sid}","media":{{"payload":"{payload}"}}}}'


def mark_text(stream_sid: str, name: str) -> str:
    """Asks Twilio to send the mark `name` back when what was sent before it has been played, or cleared."""
    return json.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}})


def clear_text(stream_sid: str) -> str:
    """Makes Twilio forget what it has not played yet, and send its marks back."""
    return json.dumps({"event": "clear", "streamSid": stream_sid})


_SILENT_FRAME = MULAW_SILENCE * MULAW_FRAME_BYTES


class InboundAudio:
    """The inbound track put in order: whole frames without holes, whatever came.

    Time missing between two messages becomes silence: Twilio may skip it. Of a message whose time was partly heard the
    rest is taken; one whose time has all been heard is a repeated or late one and is dropped. A difference under a
    frame is Twilio's rounding, and is let be.
    """

    def __init__(self) -> None:
        self._framer = Framer()
        self._heard_to_ms: float | None = None  # end of the audio taken so far, on Twilio's time line
        self.late_messages = 0
        """Messages dropped because their time had been heard already."""
        self.filled_ms = 0
        """Silence put where audio was missing, milliseconds."""

    def push(self, media: Media) -> Iterator[bytes]:
        """Yields the frames that `media` completes, MULAW_FRAME_BYTES bytes of mu-law each.

        Raises MediaStreamError if the timestamp jumps further than MAX_GAP_MS. Other tracks than the caller's yield
        nothing.
        """
        if media.track != "inbound":
            return
        duration_ms = len(media.mulaw) / MULAW_BYTES_PER_MS
        if self._heard_to_ms is None:
            self._heard_to_ms = float(media.timestamp_ms)
        missing_ms = media.timestamp_ms - self._heard_to_ms
        if duration_ms + missing_ms <= 0:
            self.late_messages += 1
            return
        if missing_ms > MAX_GAP_MS:
            raise MediaStreamError(f"media.timestamp jumps by {missing_ms:.0f} ms")
        if missing_ms >= FRAME_MS:
            frames = int(missing_ms // FRAME_MS)
            self.filled_ms += frames * FRAME_MS
            self._heard_to_ms += frames * FRAME_MS
            for _ in range(frames):
                yield from self._framer.push(_SILENT_FRAME)
        mulaw = media.mulaw
        if missing_ms <= -FRAME_MS:  # its beginning has been heard
            mulaw = mulaw[int(-missing_ms // FRAME_MS) * MULAW_FRAME_BYTES :]
        self._heard_to_ms += len(mulaw) / MULAW_BYTES_PER_MS
        yield from self._framer.push(mulaw)
