"""One open page: its socket, and the call that is on."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import gevent

from lexbridge.audio.pcm import MULAW_FRAME_BYTES
from lexbridge.offline.lex.side_process import SideProcessError
from lexbridge.offline.phone.browser_call import BrowserCall
from lexbridge.offline.phone.line_effects import QUALITIES, LineEffects
from lexbridge.offline.phone.outbox import Outbox, Socket
from lexbridge.offline.phone.switchboard import Switchboard, SwitchRefused

ECHO_DB = -20.0
"""Level of the echo, dB: a poor line's, as `place_call` has it."""

LONGEST_TEXT = 300
"""Characters of a typed phrase at most, because Lex takes no more than 15 s of speech."""

KEYS = frozenset("0123456789*#")


class BrowserSocket(Socket, Protocol):
    """A page's WebSocket."""

    def receive(self) -> str | bytes | None:
        """Return the next message, or None at the end."""
        ...


class Browser:
    """A page, from its connection to its end. Its call ends with it."""

    def __init__(self, switchboard: Switchboard, socket: BrowserSocket) -> None:
        self._switchboard = switchboard
        self._socket = socket
        self._outbox = Outbox(socket)
        self._effects = LineEffects()
        self._has_echo = False
        self._call: BrowserCall | None = None
        self._does: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "call": self._place,
            "hang_up": lambda _: self._hang_up(),
            "key": self._press,
            "say": self._say,
            "line": self._set_line,
            "switch": self._switch,
        }

    def serve(self) -> None:
        """Do what the page says until its connection ends."""
        self._switchboard.watchers.add(self._tell_stage)
        self._tell_stage()
        try:
            while (message := self._socket.receive()) is not None:
                self._take(message)
        finally:
            self._switchboard.watchers.discard(self._tell_stage)
            self._hang_up()
            self._outbox.close()

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            if self._call is not None and len(message) == MULAW_FRAME_BYTES:
                self._call.party.hear(message)
            return
        try:
            said = json.loads(message)
            do = self._does[said["do"]]
        except (ValueError, TypeError, KeyError):
            self._tell({"what": "problem", "texts": ["The page sent what this phone does not know. Load it again."]})
            return
        do(said)

    def _place(self, _: Mapping[str, Any]) -> None:
        if self._call is not None and not self._call.is_over:
            return
        if not self._switchboard.is_ready:
            self._tell_stage()
            return
        self._switchboard.forget_old_calls()
        self._call = BrowserCall(
            self._switchboard.bridge, self._switchboard.twilio, self._effects, self._tell, self._outbox.add_frame
        )
        self._apply_echo()

    def _hang_up(self) -> None:
        if self._call is not None and not self._call.is_over:
            self._call.hang_up()

    def _press(self, said: Mapping[str, Any]) -> None:
        if self._live_call is not None and said.get("key") in KEYS:
            self._live_call.party.phone.press(str(said["key"]))

    def _say(self, said: Mapping[str, Any]) -> None:
        text = " ".join(str(said.get("text", ""))[:LONGEST_TEXT].split())
        if text and (call := self._live_call) is not None:
            gevent.spawn(self._speak, call, text)

    def _speak(self, call: BrowserCall, text: str) -> None:
        try:
            call.party.say(self._switchboard.phrase(text))
        except SideProcessError as error:
            self._tell({"what": "problem", "texts": [f"The voice failed: {error}"]})

    def _set_line(self, said: Mapping[str, Any]) -> None:
        effects = self._effects
        effects.quality = QUALITIES.get(str(said.get("quality")), effects.quality)
        effects.is_coughing = bool(said.get("cough", False))
        effects.is_noisy = bool(said.get("noise", False))
        self._has_echo = bool(said.get("echo", False))
        self._apply_echo()

    def _apply_echo(self) -> None:
        if self._call is not None:
            self._call.call.line.set_echo(ECHO_DB if self._has_echo else None)

    def _switch(self, said: Mapping[str, Any]) -> None:
        gevent.spawn(self._switch_now, str(said.get("mode")), str(said.get("bot")))

    def _switch_now(self, mode: str, bot: str) -> None:
        try:
            self._switchboard.switch(mode, bot)
        except SwitchRefused as refused:
            self._tell({"what": "problem", "texts": [str(refused)]})
            self._tell_stage()  # the page shows what is chosen, not what was asked for

    @property
    def _live_call(self) -> BrowserCall | None:
        return None if self._call is None or self._call.is_over else self._call

    def _tell_stage(self) -> None:
        self._tell(self._switchboard.describe())

    def _tell(self, message: Mapping[str, Any]) -> None:
        self._outbox.add_text(json.dumps(message))
