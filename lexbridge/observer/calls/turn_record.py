"""One turn of a call as the console shows it: when the caller spoke, what Lex made of it, and when it was answered."""

from operator import attrgetter
from typing import Any, Literal

import msgspec

from lexbridge.observer.watched.call_parts import CallTurn

Heard = Literal["yes", "partly", "replaced"]
"""Share of a reply that the caller heard. That an update was taken does not mean that it was heard."""


class Turn(msgspec.Struct):
    """A turn of one media stream. Times in `_ms` are media time of the stream, or durations; None: not known."""

    stream_sid: str
    turn: int
    began_s: float
    """Unix time at which the utterance began, or at which the turn was first told of."""
    x_s: float | None = None
    """Place of `began_s` on the call's axis."""
    started_ms: int | None = None
    ended_ms: int | None = None
    end_ms: int | None = None
    queue_ms: int | None = None
    lex_ms: int | None = None
    update_ms: int | None = None
    reply_ms: int | None = None
    filler: bool = False
    outcome: str | None = None
    """Outcome of the turn: that of `turn-latency`, or `dropped`, `lost`; None while it is open."""
    why: str | None = None
    """Reason for which the turn was dropped, lost or failed, as the log has it."""
    over_s: float | None = None
    """Unix time at which it was over: its reply is heard, or never will be."""
    counts: bool = True
    """Whether the caller said something in it that is a turn of its own. The summary's `turns` counts those."""
    heard: Heard | None = None
    """Whether the caller heard the reply: all, a part, or nothing because another took its place. None: not known."""
    is_said: bool = False
    """Whether the caller has said all of it, or pressed all keys."""
    transcript: str | None = None
    messages: list[Any] = []
    intent: str | None = None
    slots: dict[str, Any] = {}
    slot_to_elicit: str | None = None
    dialog_state: str | None = None
    attributes_changed: dict[str, Any] = {}
    """Session attributes that the answer set, and those that it took away with None as the value."""
    raw: Any = None
    twiml: str | None = None
    keys: str | None = None

    def show(self, turn: CallTurn, stream_began_s: float) -> None:
        """Take over what is known of the turn. `stream_began_s`: Unix time of the stream's media time 0."""
        for name, value in zip(_SAME, _values(turn), strict=True):
            setattr(self, name, value)
        # Its audio is found there: the clock may have run otherwise than the media time.
        is_placed = turn.started_ms is not None
        self.began_s = stream_began_s + (turn.started_ms or 0) / 1000 if is_placed else turn.began_s


_SAME = tuple(name for name in Turn.__struct_fields__ if name not in ("stream_sid", "turn", "began_s", "x_s", "heard"))
"""Fields that a turn has as its facts tell them. Whether its reply was heard is judged as the call goes on."""

_values = attrgetter(*_SAME)
