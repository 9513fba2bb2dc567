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

from lexbridge.audio.pcm import FRAME_MS, MULAW_BYTES_PER_MS, MULAW_FRAME_BYTES, MULAW_SILENCE, Framer
from lexbridge.errors import MediaStreamError

MAX_FILL_MS = 6_000
"""Silence put where audio is missing, at most: longer than the longest hangover, so that it ends an utterance. A
timestamp that jumps further tells of no audio: media time goes on behind it."""

SET_BACK_MS = 2_000
"""Audio that is late by more than this is not late: Twilio's time line has begun anew."""

LATE_RUN_MS = 500
"""So much late audio in a row, without a hole and with nothing new between, is a time line that has begun anew, too."""

_LONGEST_MS = 1e12
"""A timestamp beyond it, 30 years, is none."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The first message of a socket. Nothing in it is needed."""


@dataclass(frozen=True, slots=True)
class Started:
    """A stream begins. `parameters` are the document's `<Parameter>`s."""

    stream_sid: str
    call_sid: str
    account_sid: str
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Media:
    """Audio: `mulaw` is 8 kHz mono, any length. `timestamp_ms` is its first sample's time since the stream's start;
    None: the message does not tell, and the audio follows what came before it."""

    timestamp_ms: float | None
    is_inbound: bool
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


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event that this version does not know. Twilio may add some at any time."""

    event: str


@dataclass(frozen=True, slots=True)
class Odd:
    """A message that cannot be read, and that a call can do without. `why` is one of a small set."""

    why: str


Event = Connected | Started | Media | Dtmf | Marked | Stopped | Unknown | Odd


def parse(text: str) -> Event:
    """One message of the socket as an event.

    A field that nothing goes by may be anything. Raises MediaStreamError, and nothing else, where the call cannot go on
    without what is missing: the text is no JSON object, `start` does not say whose stream it is, or audio is broken.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, or a number of thousands of digits
        raise MediaStreamError("the message is not JSON") from error
    if not isinstance(message, dict):
        raise MediaStreamError("the message is not a JSON object")
    event = message.get("event")
    if not isinstance(event, str):
        return Odd("event is not a text")
    read = _READERS.get(event)
    return read(message) if read else Unknown(event[:50])


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
    # The document asks for the caller's track alone.
    track = media.get("track")
    return Media(_timestamp_ms(media.get("timestamp")), not (isinstance(track, str) and "outbound" in track), mulaw)


def _timestamp_ms(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        timestamp_ms = float(value)
    except (ValueError, OverflowError):
        return None
    return timestamp_ms if abs(timestamp_ms) <= _LONGEST_MS else None  # NaN is not, either


def _dtmf(message: Mapping[str, Any]) -> Dtmf | Odd:
    dtmf = message.get("dtmf")
    digit = dtmf.get("digit") if isinstance(dtmf, dict) else None
    if not isinstance(digit, str) or not re.fullmatch(r"[0-9A-Da-d*#]", digit):
        return Odd("dtmf.digit is not a key")
    return Dtmf(digit.upper())


def _marked(message: Mapping[str, Any]) -> Marked | Odd:
    mark = message.get("mark")
    name = mark.get("name") if isinstance(mark, dict) else None
    return Marked(name) if isinstance(name, str) else Odd("mark.name is not a text")


_READERS: dict[str, Callable[[Mapping[str, Any]], Event]] = {
    "connected": lambda _: Connected(),
    "start": _started,
    "media": _media,
    "dtmf": _dtmf,
    "mark": _marked,
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
    """A Twilio identifier: two letters and 32 hexadecimal digits."""
    value = _text(message, name)
    if not re.fullmatch(prefix + r"[0-9a-fA-F]{32}", value):
        raise MediaStreamError(f"{name} is not a SID ({prefix}...)")
    return value


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
    frame is Twilio's rounding, and is let be. A time line that jumps back is taken as it comes from then on.

    Where no message came, `silence` stands for what the caller did not say. Timestamps that tell of the same time later
    do not bring it once more; and audio that follows without a gap is all heard, as it may be the time line alone that
    stood still.
    """

    def __init__(self) -> None:
        self._framer = Framer()
        self._heard_to_ms: float | None = None  # end of the audio taken so far, on Twilio's time line
        self._made_up_ms = 0  # silence since the last message
        self._late_to_ms = 0.0  # end of the last late message
        self._late_run_ms = 0.0  # late audio in a row
        self.late_messages = 0
        """Messages dropped because their time had been heard already."""
        self.filled_ms = 0
        """Silence put where audio was missing, milliseconds."""
        self.silent_ms = 0
        """Silence put where no message came, milliseconds."""

    def silence(self, ms: int) -> Iterator[bytes]:
        """Yields `ms` of silence, in which no message came, as whole frames. What is less than a frame is not."""
        for _ in range(ms // FRAME_MS):
            self._made_up_ms += FRAME_MS
            self.silent_ms += FRAME_MS
            yield from self._framer.push(_SILENT_FRAME)

    def push(self, media: Media) -> Iterator[bytes]:
        """Yields the frames that `media` completes, MULAW_FRAME_BYTES bytes of mu-law each. Other tracks than the
        caller's yield nothing."""
        if not media.is_inbound:
            return
        if self._heard_to_ms is None:
            self._heard_to_ms = media.timestamp_ms or 0.0
        duration_ms = len(media.mulaw) / MULAW_BYTES_PER_MS
        missing_ms = 0.0 if media.timestamp_ms is None else media.timestamp_ms - self._heard_to_ms
        if duration_ms + missing_ms <= 0:
            if not self._is_set_back(self._heard_to_ms + missing_ms, -missing_ms, duration_ms):
                self.late_messages += 1
                return
            self._heard_to_ms += missing_ms
            missing_ms = 0.0
        self._late_run_ms = 0.0
        made_up_ms, self._made_up_ms = self._made_up_ms, 0
        mulaw = media.mulaw
        if missing_ms >= FRAME_MS:
            self._heard_to_ms += missing_ms // FRAME_MS * FRAME_MS
            for _ in range(int(min(missing_ms - made_up_ms, MAX_FILL_MS) // FRAME_MS)):
                self.filled_ms += FRAME_MS
                yield from self._framer.push(_SILENT_FRAME)
        elif missing_ms <= -FRAME_MS:  # its beginning has been heard
            mulaw = mulaw[int(-missing_ms // FRAME_MS) * MULAW_FRAME_BYTES :]
        self._heard_to_ms += len(mulaw) / MULAW_BYTES_PER_MS
        yield from self._framer.push(mulaw)

    def _is_set_back(self, at_ms: float, late_ms: float, duration_ms: float) -> bool:
        """Whether audio of `at_ms`, which is late by `late_ms`, is the beginning of a new time line."""
        if abs(at_ms - self._late_to_ms) >= FRAME_MS:
            self._late_run_ms = 0.0
        self._late_to_ms = at_ms + duration_ms
        self._late_run_ms += duration_ms
        return late_ms > SET_BACK_MS or self._late_run_ms > LATE_RUN_MS
