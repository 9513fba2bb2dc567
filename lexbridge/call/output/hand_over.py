"""Hand-over of a call in stream mode: a document ends this stream, and connects the caller to another one."""

from collections.abc import Sequence

from lexbridge.call import carried_along
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
        self._is_allowed = True  # once for each prompt: while Twilio refuses, the caller is heard

    def allow(self) -> None:
        """Allow another attempt, because the caller has heard a prompt."""
        self._is_allowed = True

    def tick(self) -> Reports:
        """Hand the call over if it is to be by now. The caller has nothing to hear."""
        due_ms = self.next_due_ms()
        opening = None if due_ms is None or self._call.now_ms < due_ms else carried_along.next_opening(self._call)
        return NO_REPORTS if opening is None else self.begin([], opening)

    def next_due_ms(self) -> int | None:
        """Return the media time at which the call is handed over if all stays quiet, or None if it is not to be.

        The caller has nothing to hear.
        """
        call = self._call
        if not (call.is_leaving and call.next_stream and self._is_allowed and call.state is CallState.LIVE):
            return None
        if not call.is_idle:
            return None
        return max(call.quiet_from_ms, call.endpointer.voiced_until_ms) + QUIET_BEFORE_HAND_OVER_MS

    def begin(self, messages: Sequence[Message], opening: Opening) -> Reports:
        """Hand the call over by a document that says `messages` before it connects the next stream."""
        call, voice = self._call, self._call.dialog.directives.voice
        document = call.documents.connect(messages, opening, voice=voice, query=carried_along.query(call))
        call.update(document, hands_over=True)
        self._is_allowed = False
        return (HandedOver(),)
