"""Faults carried out on a request: in the course of its upload, and in its answer."""

from time import monotonic
from typing import Literal

from lexbridge.offline.lex.answers import (
    AlreadyAnswered,
    read_until_closed,
    reset_on_close,
    send,
    send_broken_speech,
    send_without_end,
    wait_until_closed,
    wrong_answer,
)
from lexbridge.offline.lex.faults import AT_THE_END
from lexbridge.offline.lex.requests import ReceivedRequest
from lexbridge.offline.lex.wire import Response
from lexbridge.offline.loopback_server import ConnectionDropped


def strike(call: ReceivedRequest, when: Literal["start", "middle", "end"]) -> None:
    """Carry out the part of the request's fault that belongs to this point of the upload.

    Raises AlreadyAnswered or ConnectionDropped if nothing else is to come of the request.
    """
    fault = call.fault
    if fault is None or fault.when != when or fault.kind in AT_THE_END:
        return
    match fault.kind:
        case "hang":
            read_until_closed(call.socket)
        case "unread":
            wait_until_closed(call.socket)
        case "reset":
            reset_on_close(call.socket)
        case "infos" | "error endless":
            send_without_end(call.socket, Response(fault.status, {"Content-Type": "application/json"}), fault)
        case _:
            response = wrong_answer(call.record.api, fault)
            call.record.status = response.status
            if when == "end":
                raise AlreadyAnswered(response)
            call.fault = None
            send(call.socket, response)
    raise ConnectionDropped


def break_answer(call: ReceivedRequest, response: Response) -> None:
    """Send the answer as its fault says, and raise ConnectionDropped. Return if there is no such fault."""
    fault = call.fault
    if fault is None or response.status != 200:
        return
    if response.speech_hz and fault.kind in ("broken", "stalled", "dripping"):
        call.record.answered = monotonic()
        send_broken_speech(call, response, fault)
        raise ConnectionDropped
    if fault.kind == "endless":
        call.record.answered = monotonic()
        send_without_end(call.socket, response, fault)
        raise ConnectionDropped
    if fault.kind == "truncated":
        send(call.socket, response, truncated=True)
        raise ConnectionDropped
    if fault.kind == "drip":
        send(call.socket, response, every_s=fault.every_s)
        raise ConnectionDropped
