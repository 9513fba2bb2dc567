"""Peer of the load measurement: picows on uvloop, with msgspec's typed JSON. No Python server that we know is cheaper.

python -m bench.load.peers.picows PORT
"""

import sys

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from bench.harness import proc
from bench.load.peers.voice import Voice


class Media(msgspec.Struct, gc=False):
    """Audio of a media message. msgspec decodes its base64."""

    payload: bytes


class Message(msgspec.Struct, gc=False):
    """Message of Twilio's."""

    event: str
    media: Media | None = None


read = msgspec.json.Decoder(Message).decode


class Listener(WSListener):  # type: ignore[misc]  # it has no types where it is not installed
    """Listener of one call. picows calls it for each frame, without a task or a queue in between."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin the call."""
        del transport
        self._voice = Voice()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame."""
        if frame.msg_type == WSMsgType.TEXT:
            message = read(frame.get_payload_as_memoryview())
            if message.media is not None:
                self._voice.take(message.media.payload)
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    server = await ws_create_server(lambda _: Listener(), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    proc.raise_descriptor_limit()
    uvloop.run(serve(int(sys.argv[1])))
