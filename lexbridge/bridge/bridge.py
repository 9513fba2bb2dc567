"""The calls of one process, with one pulse for all of them, and turns for those that are behind."""

import time

import gevent

from lexbridge.audio.vad import load_detector
from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.call_tap import CallTap
from lexbridge.bridge.live_call import LiveCall
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.media_turns import MediaTurns
from lexbridge.bridge.model_batches import ModelBatches
from lexbridge.bridge.phrase_audio import PhraseCache
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.documents import CallDocuments
from lexbridge.call.media_clock import PULSE_S
from lexbridge.call.session import CallSession
from lexbridge.config.settings import Settings
from lexbridge.lex.runtime import LexRuntime
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
        settings: Settings,
        documents: CallDocuments,
        lex: LexRuntime,
        call_control: CallControl,
        calls: CallRegistry,
        used_tokens: UsedTokens | None = None,
        start_deadline_s: float = START_DEADLINE_S,
        teller: Teller | None = None,
    ) -> None:
        """`used_tokens`: those of all processes of the server; without them, this process keeps its own.

        `teller`: tells of the calls, or None if nobody watches them.
        """
        self._teller = teller
        self._used_tokens = used_tokens or UsedTokens()
        self._start_deadline_s = start_deadline_s
        self._settings = settings
        self._documents = documents
        self._lex = lex
        self._call_control = call_control
        self._calls = calls
        self._new_detector = load_detector(settings.vad, settings.detector_options)
        self._rules = settings.call_rules
        self._phrases = PhraseCache(lex, settings.phrases, has_limit=settings.max_call_s is not None)
        self._turns = MediaTurns()
        self._batches = ModelBatches()
        self._running: set[LiveCall] = set()
        self._pulse: gevent.Greenlet[..., None] | None = None

    def serve(self, websocket: WebSocket) -> None:
        """Begin to serve a media socket, and return. It is closed at its end. Errors are logged and never raised."""
        session = CallSession(self._rules, self._documents, self._new_detector(), self._phrases.audio)
        if self._settings.reply_mode == "stream":
            self._phrases.learn()
        start_by_s = time.monotonic() + self._start_deadline_s
        services = self._lex, self._call_control, self._calls, self._used_tokens
        shared = self._turns, self._batches
        tap = None if self._teller is None else CallTap(self._teller, session)
        call = LiveCall(session, websocket, self._settings, start_by_s, *services, *shared, self._running.discard, tap)
        self._running.add(call)
        if self._pulse is None:
            self._pulse = gevent.spawn(self._pulse_while_running)
        call.start()

    def _pulse_while_running(self) -> None:
        """Have each call look at the clock now and then, because that would cost too much with each message."""
        while self._running:
            gevent.sleep(PULSE_S)
            waiting = list(self._running)
            while waiting:
                _pulse_some(waiting)
                if waiting:
                    gevent.sleep(PULSE_PAUSE_S)
        self._pulse = None


def _pulse_some(waiting: list[LiveCall]) -> None:
    """Have calls look at the clock for PULSE_SLICE_S at most, and take them out of `waiting`."""
    now_s = time.monotonic()
    end_s = now_s + PULSE_SLICE_S
    while waiting and now_s < end_s:
        call = waiting.pop()
        if now_s >= call.look_from_s:  # false for nearly all calls
            call.pulse(now_s)
            now_s = time.monotonic()
