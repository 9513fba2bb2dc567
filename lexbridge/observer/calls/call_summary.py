"""A call, and a stream of it, as the console's lists show them."""

import msgspec

from lexbridge.observer.calls.call_state import StateName


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
    """Warnings and errors of the whole call."""
    barge_ins: int
    fillers: int
    intent: str | None
    dialog_state: str | None
    ended_by: str | None
    why: str | None
    has_audio: bool
    errors: int = 0
    warnings: int = 0
    fault_counts: dict[str, int] = {}
    """Warnings and errors by event."""
    no_inputs: int = 0
    """Number of times that the caller was silent, and was asked again or given up."""
    worker_pids: list[int] = []
    """Workers that served the call, the first one first."""
    lost_workers: list[int] = []
    """Workers that ended while they served the call."""
    line: str = ""
    """Name of the line that serves it; "" for the default line."""
    line_bot: str = ""
    """Name of the bot that the call was handed to, if it was."""
    line_locale: str = ""
    search: str = ""
    """Text in lower case that holds all by which an operator may look for the call."""
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
    x_began_s: float | None = None
    """Place of its media time 0 on the call's axis, Unix time. It is `began_s` unless media was faster or slower."""
    pace: float | None = None
    """Media seconds per second of the clock, if that differs by more than 10 % over 5 s or more."""
    how: str | None = None
    """Reason for the end of the stream: `why` of `call-left` and `call-ended`, else that name; or `worker-ended`."""


def with_search(told: Summary) -> Summary:
    """Return the summary with its text for searching."""
    ends = (told.state, told.ended_by and f"ended by {told.ended_by}", told.why)
    names = (told.call_sid, told.caller, told.called, told.mode, told.intent, told.dialog_state, *ends)
    counted = {"barged-in": told.barge_ins, "filler-said": told.fillers, "no-input": told.no_inputs}
    events = [*told.fault_counts, *(name for name, count in counted.items() if count)]
    lines = [f"line {told.line}"] if told.line else []
    workers = [*(f"worker {pid}" for pid in told.worker_pids), *(f"lost worker {pid}" for pid in told.lost_workers)]
    told.search = " ".join(one for one in (*names, told.line_bot, *lines, *events, *workers) if one).lower()
    return told
