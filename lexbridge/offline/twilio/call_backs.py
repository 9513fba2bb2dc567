"""Requests about a call whose answer Twilio does not wait for: its progress, and callbacks of all kinds."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import gevent

from lexbridge.offline.twilio.line import Line
from lexbridge.offline.twilio.verbs import Progress
from lexbridge.offline.twilio.webhooks import Answer, OverrideError

CALLBACK_LIMIT_S = 15.0


class ToldCall(Protocol):
    """The call that is told about, as far as this needs it."""

    line: Line
    progress: Progress
    answer_facts: Mapping[str, str]

    def parameters(self) -> dict[str, str]:
        """Return the parameters of every request about the call."""
        ...

    def tell(self, url: str, parameters: Mapping[str, str], purpose: str, method: str = "POST") -> Answer:
        """Send a signed request to the bridge. Raises OverrideError."""
        ...

    def complain(self, code: int, message: str) -> None:
        """Record what Twilio would refuse or warn about."""
        ...


class CallBacks:
    """The callbacks of `call`, each `latency_s` of the clock after its event."""

    def __init__(self, call: ToldCall, latency_s: float) -> None:
        self._call = call
        self._latency_s = latency_s
        self._sequence_number = 0  # of what was told of the progress
        self._sending: list[gevent.Greenlet[..., Any]] = []

    def join(self) -> None:
        """Wait until all that was to be told is told, CALLBACK_LIMIT_S at most."""
        gevent.joinall(self._sending, timeout=CALLBACK_LIMIT_S)

    def tell_progress(self, event: str) -> None:
        """Tell that the call was initiated, rings, was answered or is completed, if that was asked for.

        https://www.twilio.com/docs/voice/api/call-resource#statuscallbackevent
        """
        progress = self._call.progress
        if not progress.url or event not in progress.events:
            return
        more = {
            "SequenceNumber": str(self._sequence_number),
            "CallbackSource": "call-progress-events",
            "Timestamp": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000"),
        }
        self._sequence_number += 1
        if event == "completed":
            seconds = max(0, round(self._call.line.now_ms / 1000))
            more |= {"CallDuration": str(seconds), "Duration": str(-(-seconds // 60)), **self._call.answer_facts}
        self.send(progress.url, {**self._call.parameters(), **more}, "call-status", progress.method)

    def send(self, url: str, parameters: Mapping[str, str], purpose: str, method: str = "POST") -> None:
        """Tell the bridge of something. Nobody waits for the answer."""

        def greenlet() -> None:
            """A greenlet: nobody waits for a callback."""
            gevent.sleep(self._latency_s)
            try:
                answer = self._call.tell(url, parameters, purpose, method)
            except OverrideError as error:
                self._call.complain(error.code, f"{url}: {error}")
                return
            if not 200 <= answer.status < 300:
                self._call.complain(15003, f"Warning response to callback URL {url}: {answer.status or answer.text}")

        self._sending.append(gevent.spawn(greenlet))
