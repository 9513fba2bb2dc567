"""A client of the phone's server that does what its page does, without a browser."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import websocket

from lexbridge.offline.phone.bridges import Bridge
from lexbridge.offline.phone.rehearsal import Rehearsal
from lexbridge.offline.phone.server import PhoneServer
from lexbridge.offline.phone.switchboard import Switchboard
from tests.support.rig import PATIENCE_S, HummingVoice, Rig

Message = dict[str, Any]


class Page:
    """A connection to the phone's server. `messages`: what it has told; `frames`: the bot's voice."""

    def __init__(self, url: str, origin: str | None = None) -> None:
        self.messages: list[Message] = []
        self.frames: list[bytes] = []
        self.is_closed = False
        self._socket = websocket.create_connection(
            f"{url.replace('http', 'ws')}/line", origin=origin or url, timeout=PATIENCE_S
        )
        self._reader = gevent.spawn(self._read)

    def tells(self, do: str, **more: object) -> None:
        """Tell the server to do something."""
        self._socket.send(json.dumps({"do": do, **more}))

    def speaks(self, mulaw: bytes) -> None:
        """Send a frame of the microphone."""
        self._socket.send_binary(mulaw)

    def of(self, what: str) -> list[Message]:
        """Return the messages of one kind, in order."""
        return [message for message in self.messages if message["what"] == what]

    def waits_for(self, what: str, where: Callable[[Message], bool] = lambda _: True) -> Message:
        """Wait for a message of a kind for which `where` holds, and return it."""
        with gevent.Timeout(PATIENCE_S):
            while not (found := [message for message in self.of(what) if where(message)]):
                gevent.sleep(0.01)
        return found[0]

    def waits_for_silence(self) -> None:
        """Wait until the bot has spoken and is silent."""
        with gevent.Timeout(PATIENCE_S):
            while not (told := self.of("bot")) or told[-1]["speaks"]:
                gevent.sleep(0.01)

    def close(self) -> None:
        """Close the connection, as a browser does whose page is closed."""
        self._reader.kill()
        self._socket.close()

    def _read(self) -> None:
        while True:
            try:
                opcode, data = self._socket.recv_data()
            except websocket.WebSocketException:
                opcode = websocket.ABNF.OPCODE_CLOSE
            if opcode == websocket.ABNF.OPCODE_BINARY:
                self.frames.append(data)
            elif opcode == websocket.ABNF.OPCODE_TEXT:
                self.messages.append(json.loads(data))
            else:
                self.is_closed = True
                return


class RigBridge(Bridge):
    """The bridge of a rig, whose Lex is the rig's."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(f"{rig.settings.service.url}/twiml", {}, rig.base)
        self._rig = rig

    @property
    def knows_lex(self) -> bool:
        return True

    def lex_requests(self, call_sid: str) -> Any:
        return [each for each in self._rig.lex.requests if each.session_id == call_sid]


@contextmanager
def phone_at(bridge: Bridge, rehearsal: Rehearsal, twilio: Any) -> Iterator[PhoneServer]:
    """Run the phone's server for a bridge. The caller's voice hums."""
    switchboard = Switchboard(bridge, twilio, HummingVoice())
    with PhoneServer(switchboard, rehearsal, port=0) as server:
        switchboard.warm_up()
        yield server


@contextmanager
def page_of(server: PhoneServer) -> Iterator[Page]:
    """Open a page of the phone."""
    page = Page(server.url)
    try:
        yield page
    finally:
        page.close()
