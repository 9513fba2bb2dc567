"""The calls of one process, with one pulse for all of them, and turns for those that are behind."""

import time
from collections.abc import Sequence
from functools import partial

import gevent

from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.call_services import CallServices
from lexbridge.bridge.call_tap import CallTap
from lexbridge.bridge.lines import LineRuntime, LineRuntimes
from lexbridge.bridge.live_call import LiveCall
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.stream_check import StreamCheck
from lexbridge.bridge.stream_opening import StreamOpening
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.events import Started
from lexbridge.call.media_clock import PULSE_S
from lexbridge.call.session import CallSession
from lexbridge.call.stream_parameters import rules_of_call
from lexbridge.call.switching import Switchboard
from lexbridge.config.route import CallRoute
from lexbridge.lex.runtime import LexRuntime
from lexbridge.logs import Log
from lexbridge.net.receiver import Message
from lexbridge.telemetry.teller import Teller
from lexbridge.twilio.used_tokens import UsedTokens

START_DEADLINE_S = 10.0
"""The longest wait for a stream's `start` on an open socket, in seconds, because Twilio sends it at once."""

PULSE_SLICE_S = 0.002
"""The longest time for which calls look at the clock in one go, in seconds, because everything else waits meanwhile.

For most there is nothing to do. A ping takes 15 us of CPU, and the token of a next stream up to 0.4 ms. Calls that
began together need new tokens together. One more call may be under way. A slice of the reading of sockets, which takes
4 ms, may fall into the same turn of the loop.
"""

PULSE_PAUSE_S = 0.001
"""The pause before the next of them do, in seconds, in which the loop has its turn."""


class Bridge:
    """The runner of all calls of one process."""

    def __init__(
        self,
        auth_tokens: Sequence[str],
        lines: LineRuntimes,
        call_control: CallControl,
        calls: CallRegistry,
        used_tokens: UsedTokens | None = None,
        start_deadline_s: float = START_DEADLINE_S,
        teller: Teller | None = None,
    ) -> None:
        """`auth_tokens`: Twilio's, with which tokens of streams are signed: with the first, or before with another.

        `used_tokens`: those of all processes of the server; without them, this process keeps its own. `teller`: tells
        of the calls, or None if nobody watches them.
        """
        self._teller = teller
        self._start_deadline_s = start_deadline_s
        self.lines = lines
        """The lines of the process."""
        self._calls = calls
        self._services = CallServices(auth_tokens[0], call_control, calls)
        self._check = StreamCheck(auth_tokens, used_tokens or UsedTokens(), calls)
        self._running: set[LiveCall | StreamOpening] = set()
        self._pulse: gevent.Greenlet[..., None] | None = None

    def serve(self, websocket: WebSocket) -> None:
        """Begin to serve a media socket, and return. It is closed at its end. Errors are logged and never raised."""
        start_by_s = time.monotonic() + self._start_deadline_s
        ended = self._running.discard
        opening = StreamOpening(websocket, self.lines, self._check, start_by_s, self._serve_call, ended)
        self._running.add(opening)
        if self._pulse is None:
            self._pulse = gevent.spawn(self._pulse_while_running)
        opening.start()

    def _serve_call(
        self, websocket: WebSocket, started: Started, line: LineRuntime, kept: list[list[Message]], log: Log
    ) -> None:
        """Serve a stream that was checked."""
        rules = rules_of_call(line.rules, started.parameters)
        switchboard = Switchboard(line.route, partial(self.lines.route_after_switch, line))
        session = CallSession(rules, line.documents, line.new_detector(), line.phrases.audio, switchboard)
        if line.is_two_way:
            line.phrases.learn()
        tap = None if self._teller is None else CallTap(self._teller, session)
        find_lex = partial(self._find_lex, line, started.account_sid)
        call = LiveCall(session, websocket, line, self._services, self._running.discard, find_lex, tap)
        self._running.add(call)
        call.begin(started, kept, log)

    def _find_lex(self, line: LineRuntime, account_sid: str, route: CallRoute) -> LexRuntime | None:
        """Return the bot of another route of a call's line, or None if there is none.

        No proof goes with such a route, so it may not lead to another line.
        """
        runtime = self.lines.find(route, account_sid) if route.line == line.route.line else None
        return None if runtime is None else runtime.lex

    def _pulse_while_running(self) -> None:
        """Have each call look at the clock now and then, because that would cost too much with each message."""
        while self._running:
            gevent.sleep(PULSE_S)
            self._calls.let_go_of_released()
            waiting = list(self._running)
            while waiting:
                _pulse_some(waiting)
                if waiting:
                    gevent.sleep(PULSE_PAUSE_S)
        self._pulse = None


def _pulse_some(waiting: list[LiveCall | StreamOpening]) -> None:
    """Have calls look at the clock for PULSE_SLICE_S at most, and take them out of `waiting`."""
    now_s = time.monotonic()
    end_s = now_s + PULSE_SLICE_S
    while waiting and now_s < end_s:
        call = waiting.pop()
        if now_s >= call.look_from_s:  # false for nearly all calls
            call.pulse(now_s)
            now_s = time.monotonic()
