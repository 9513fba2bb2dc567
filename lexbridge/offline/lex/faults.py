"""Faults of the local Lex: what can go wrong with a request or its answer, on demand."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

_ODD = frozenset({"endless", "compressed", "bomb", "state bomb", "state odd", "voiceless"})
AT_THE_END = frozenset({"drip", "truncated", "slow", "broken", "stalled", "dripping", "mistyped"}) | _ODD
_UTTERANCES = frozenset({"PostContent", "RecognizeUtterance", "PostText", "RecognizeText"})


@dataclass(slots=True)
class LexFault:
    """A fault for the next requests that send speech or text, or for one `operation` only (PutSession, GetSession).

    kind: "status" answers with `status`, "reset" resets the connection, "hang" never answers, "unread" does not even
    read on, "drip" sends the right answer a byte every `every_s`, "truncated" closes in the middle of the right
    answer, "slow" answers right, but `after_s` late, "empty" answers 200 and nothing else, "foreign" answers 200 with
    a page that is not Lex's, "redirect" answers 302 and an address, "infos" answers `100 Continue` without end, "error
    endless" answers `status` with a body without end, "error odd" with JSON that is no object.

    What can be odd about an answer that is right otherwise: "endless" has a body without end, its speech again and
    again; "compressed" has its body in gzip, "bomb" a body that unpacks to 100 MB, "voiceless" none; of "state bomb"
    and "state odd" the session's state unpacks to 20 MB, and is no base64.

    What can go wrong with the speech of an answer: "broken" closes the connection after `after_bytes` of it, "stalled"
    sends no more after `after_bytes` until the client gives up, "dripping" sends `piece_bytes` every `every_s`, all
    three in chunks; "mistyped" answers in `content_type` instead of the one asked for: audio/pcm at the rate it names
    (the one asked for, if it names none), anything else as bytes that are no PCM. An answer without speech is as it
    should be.

    when: before the body is read, after 200 ms of it, or at its end ("drip", "truncated", "slow", what is odd about a
    right answer and what befalls the speech are always at the end). An answer before the end closes the connection at
    once, as a load balancer does, and a client that is still sending sees that. times: how many requests it hits, None
    for all. session: only that session's. The dialog has gone on after those that are always at the end: nobody tells
    Lex that it was not heard.
    """

    status: int = 500
    when: Literal["start", "middle", "end"] = "end"
    times: int | None = 1
    session: str | None = None
    operation: str | None = None
    kind: Literal[
        "status",
        "reset",
        "hang",
        "unread",
        "drip",
        "truncated",
        "slow",
        "empty",
        "foreign",
        "redirect",
        "infos",
        "error endless",
        "error odd",
        "endless",
        "compressed",
        "bomb",
        "state bomb",
        "state odd",
        "voiceless",
        "broken",
        "stalled",
        "dripping",
        "mistyped",
    ] = "status"
    every_s: float = 0.05
    after_s: float = 4.0
    after_bytes: int = 16_000
    piece_bytes: int = 333  # odd: a sample is cut in two
    content_type: str = "audio/mpeg"


def take_fault(faults: Iterable[LexFault], operation: str, session_id: str) -> LexFault | None:
    """Return the first fault that is for this request, and count it. None: nothing goes wrong."""
    for fault in faults:
        befalls = operation == fault.operation if fault.operation else operation in _UTTERANCES
        if befalls and fault.session in (None, session_id) and fault.times != 0:
            if fault.times is not None:
                fault.times -= 1
            return fault
    return None
