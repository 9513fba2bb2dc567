"""Hand-over of a call in stream mode: a document ends this stream, and connects the caller to another one."""

from collections.abc import Sequence

from lexbridge.call.context import CallContext
from lexbridge.call.documents import Opening
from lexbridge.call.output.reports import NO_REPORTS, HandedOver, Reports
from lexbridge.call.states import CallState
from lexbridge.lex.model import Message

QUIET_BEFORE_HAND_OVER_MS = 1000
"""Silence of caller and bot before a call is handed over, milliseconds.

Most callers answer within a second of a prompt's end. What they say while one stream ends and the next opens, 0.3 to
0.6 s, is lost."""


class HandOver:
    """Judge of when a call may be handed over because its process leaves: between a prompt and what the caller says."""

    def __init__(self, call: CallContext) -> None:
        self._call = call
        self._quiet_since_ms = 0  # since when neither caller nor bot speaks, or is about to
        self._is_allowed = True  # once for each prompt: while Twilio refuses, the caller is heard

    def allow(self) -> None:
        """Allow another attempt, because the caller has heard a prompt."""
        self._is_allowed = True

    def tick(self, is_waiting: bool) -> Reports:
        """Hand the call over if the process leaves and it has been quiet for long enough.

        `is_waiting`: the caller has nothing to hear, and Lex has nothing to answer.
        """
        call = self._call
        if not is_waiting or call.endpointer.is_voiced:
            self._quiet_since_ms = call.now_ms
        is_quiet = call.now_ms >= self._quiet_since_ms + QUIET_BEFORE_HAND_OVER_MS
        if not (is_quiet and call.is_leaving and self._is_allowed and call.state is CallState.LIVE):
            return NO_REPORTS
        opening = call.next_opening()
        return NO_REPORTS if opening is None else self.begin([], opening)

    def next_due_ms(self) -> int | None:
        """Return the media time at which the call may be handed over if all stays quiet, or None if it is not to be."""
        if self._call.is_leaving and self._is_allowed:
            return self._quiet_since_ms + QUIET_BEFORE_HAND_OVER_MS
        return None

    def begin(self, messages: Sequence[Message], opening: Opening) -> Reports:
        """Hand the call over by a document that says `messages` before it connects the next stream."""
        call = self._call
        document = call.documents.connect(
            messages, opening, voice=call.dialog.directives.voice, query=call.progress.query
        )
        call.update(document, hands_over=True)
        self._is_allowed = False
        return (HandedOver(),)
