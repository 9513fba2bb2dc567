"""A call, and a stream of it, as the console's lists show them."""

import msgspec

from lexbridge.observer.call_state import StateName


class Summary(msgspec.Struct):
    """A call in one line, as the list of calls shows it."""

    call_sid: str
    caller: str | None
    called: str | None
    mode: str | None
    state: StateName
    began_s: float
    ended_s: float | None
    worker_pid: int | None
    turns: int
    streams: int
    speaking: str | None
    last_reply_ms: int | None
    worst_reply_ms: int | None
    faults: int
    barge_ins: int
    fillers: int
    intent: str | None
    dialog_state: str | None
    ended_by: str | None
    why: str | None
    has_audio: bool
    opened: bool = False
    """Whether the call comes from a file that somebody opened."""
    dropped_events: int = 0
    dropped_audio_bytes: int = 0


class Stream(msgspec.Struct):
    """One media stream of a call."""

    stream_sid: str
    began_s: float
    """Unix time of the stream's media time 0."""
    ended_s: float | None = None
    worker_pid: int | None = None
    mode: str | None = None
