"""The end of a live call: which close code a fault leads to, and what is done at the end."""

from lexbridge.bridge.action_runner import ActionRunner
from lexbridge.bridge.departure import Departure
from lexbridge.bridge.served_stream import ServedStream
from lexbridge.bridge.stream_check import StreamRefused
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.events import StreamLost
from lexbridge.call.session import CallSession
from lexbridge.errors import MediaStreamError
from lexbridge.net import close_codes

_REASONS = {
    close_codes.GOING_AWAY: "service stopped",
    close_codes.INVALID_PAYLOAD: "bad message",
    close_codes.POLICY_VIOLATION: "stream refused",
    close_codes.INTERNAL_ERROR: "bug",
}
"""What `call-left` says of a stream that was closed with each of these codes."""


class CallEnding:
    """The end of one call: its session and the registry are told, its socket is closed, and nothing is left of it."""

    __slots__ = ("_actions", "_departure", "_session", "_stream", "_websocket")

    def __init__(
        self,
        session: CallSession,
        websocket: WebSocket,
        actions: ActionRunner,
        stream: ServedStream,
        departure: Departure,
    ) -> None:
        self._session = session
        self._websocket = websocket
        self._actions = actions
        self._stream = stream
        self._departure = departure

    def code_after(self, error: Exception) -> int:
        """Log `error`, which is being handled: a fault of the peer, or a bug. Return the close code of its call."""
        log = self._actions.log
        match error:
            case MediaStreamError():
                log.warning("bad-message", error=str(error))
                return close_codes.INVALID_PAYLOAD
            case StreamRefused():
                self._session.actions()  # none of them is carried out
                log.warning("stream-refused", why=str(error), **error.hints)
                return error.code
            case _:
                log.exception("call-broken")
                return close_codes.INTERNAL_ERROR

    def end(self, code: int) -> None:
        """End the call, once, and close its socket with `code`, or with another code after a bug. Raise nothing."""
        try:
            if code != close_codes.INTERNAL_ERROR:
                self._session.receive(StreamLost())
                self._actions.run(self._session.actions())
        except Exception:
            self._actions.log.exception("call-broken")
            code = close_codes.INTERNAL_ERROR
        try:
            self._stream.unregister()
            self._actions.cancel_all()
            self._departure.cancel()
        except Exception:
            self._actions.log.exception("call-broken")
        self._websocket.close(code)
        self._stream.leave(_REASONS.get(code))
