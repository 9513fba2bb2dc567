"""Lex V2 that counts with its callers, in a process of its own.

    python -m bench.harness.counting_lex --port 0 --turns 15

Each session is a counter. The bot says "turn 1"; the caller says turn 1, in audio that tells its number; the bot says
"turn 2", and so on. After the last turn the bot says "done", with GoodbyeIntent fulfilled. It counts as a duplicate a
turn that was counted before, as lost a turn that comes too early, and as not understood audio that is not one whole
turn; it answers all of these by the present prompt. An upload that breaks off does not count. If a request asks for
audio, the bot's words come as marked audio.

It serves RecognizeUtterance (with live uploads), GetSession, the errors 404 and 409 of both, PutSession with messages,
which are spoken and change no session, and GET /counts, which Lex does not have.
"""

import argparse
import asyncio
import json
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from bench.harness import light_http
from bench.harness.light_http import Request
from bench.harness.marked_audio import LONGEST_SAY_S, murmur, turn_in
from lexbridge.audio.pcm import decode_mulaw
from lexbridge.offline.lex.wire import (
    LexError,
    LexErrorKind,
    Response,
    error_response,
    gzip_json,
    json_response,
    read_gzip_json,
)

THINKING_S = 0.1
SAY_S_PER_CHARACTER = 0.020
PCM = "audio/pcm"
FORGET_AFTER_S = 300.0
"""Lifetime of a session, seconds: Lex's default."""
GOODBYE_INTENT = "GoodbyeIntent"
COUNTING_INTENT = "CountingIntent"
DONE = "done"

_PATH = re.compile(r"/bots/[^/]{10}/botAliases/[^/]+/botLocales/[^/]+/sessions/([0-9a-zA-Z._:-]{2,100})(/utterance)?")


def turns_of(session_id: str, least: int, most: int) -> int:
    """Return the number of turns of a call: between `least` and `most`, and always the same for the same CallSid."""
    return least + int(session_id[-6:], 16) % (most - least + 1)


@dataclass(slots=True)
class Session:
    """One conversation. `expected`: turn that comes next."""

    turns: int
    expected: int = 1
    used_s: float = 0.0
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether the last turn has been counted."""
        return self.expected > self.turns

    @property
    def prompt(self) -> str:
        """Words that the bot says now."""
        return DONE if self.is_done else f"turn {self.expected}"

    def state(self) -> dict[str, Any]:
        """Return Lex's sessionState."""
        if self.is_done:
            action = {"type": "Close"}
            intent = {"name": GOODBYE_INTENT, "slots": {}, "state": "Fulfilled", "confirmationState": "None"}
        else:
            action = {"type": "ElicitSlot", "slotToElicit": "turn"}
            intent = {
                "name": COUNTING_INTENT,
                "slots": {"turn": None},
                "state": "InProgress",
                "confirmationState": "None",
            }
        return {
            "dialogAction": action,
            "intent": intent,
            "activeContexts": [],
            "sessionAttributes": self.attributes,
            "originatingRequestId": "bench",
        }

    def messages(self) -> list[dict[str, str]]:
        """Return the last messages of the bot."""
        return [{"content": self.prompt, "contentType": "PlainText"}]


class CountingLex:
    """Handler of the bot's requests.

    `least`, `most`: turns of a call. `thinking_s`: time from the end of the audio, or of a PutSession, to the answer.
    `say_s`: time that the bot speaks for each character.
    """

    def __init__(
        self, least: int, most: int, thinking_s: float = THINKING_S, say_s: float = SAY_S_PER_CHARACTER
    ) -> None:
        self._least = least
        self._most = most
        self._thinking_s = thinking_s
        self._say_s = say_s
        self._sessions: dict[str, Session] = {}
        self._holders: dict[str, Request] = {}  # by session, the utterance that is being heard
        self.counts: Counter[str] = Counter()

    def began(self, request: Request) -> None:
        """Reserve the session for an utterance as soon as its head has arrived."""
        found = _PATH.fullmatch(request.path)
        if request.method == "POST" and found and found[2]:
            self._holders.setdefault(found[1], request)

    def broke_off(self, request: Request) -> None:
        """Count an utterance that broke off: nothing of it was heard."""
        self.counts["broken off"] += 1
        self._release(request)

    def finished(self, request: Request) -> None:
        """Answer a request, after the thinking time if it is an utterance."""
        if request.path.partition("?")[0] == "/counts":
            _send(request, json_response(self._counted()))
            return
        try:
            self._hear(request)
        except LexError as error:
            self._release(request)
            _send(request, error_response("v2", error))

    def _counted(self) -> dict[str, int]:
        """Return the counts so far, and forget sessions that have not been used for long."""
        old_s = time.monotonic() - FORGET_AFTER_S
        for session_id in [known for known, session in self._sessions.items() if session.used_s < old_s]:
            del self._sessions[session_id]
        names = "turns", "duplicates", "lost", "not understood", "broken off", "conflicts", "done", "asked back", "said"
        return {name: self.counts[name] for name in names}

    def _hear(self, request: Request) -> None:
        found = _PATH.fullmatch(request.path)
        if found is None:
            raise LexError(LexErrorKind.NOT_FOUND, "no such resource")
        session_id = found[1]
        if not found[2]:
            if request.method == "POST":
                self._put_session(request, session_id)
            else:
                self._get_session(request, session_id)
            return
        if self._holders.get(session_id) is not request:
            self.counts["conflicts"] += 1
            raise LexError(LexErrorKind.CONFLICT, "the session is busy with another request")
        state = read_gzip_json(request.headers.get("x-amz-lex-session-state"), "sessionState") or {}
        turn = turn_in(_samples(request))
        asyncio.get_running_loop().call_later(self._thinking_s, self._answer, request, session_id, turn, state)

    def _get_session(self, request: Request, session_id: str) -> None:
        session = self._sessions.get(session_id)
        if session is None:
            raise LexError(LexErrorKind.NOT_FOUND, f"no session {session_id}")
        self.counts["asked back"] += 1
        body = {
            "sessionId": session_id,
            "messages": session.messages(),
            "interpretations": [{"intent": session.state()["intent"], "interpretationSource": "Lex"}],
            "sessionState": session.state(),
        }
        _send(request, json_response(body))

    def _put_session(self, request: Request, session_id: str) -> None:
        """Have the bot say something that belongs to no session."""
        messages = json.loads(request.body or b"{}").get("messages")
        if not messages:
            raise LexError(LexErrorKind.BAD_REQUEST, "a PutSession without messages is not served here")
        self.counts["said"] += 1
        headers = {"x-amzn-RequestId": "bench", "x-amz-lex-session-id": session_id}
        response = self._spoken(request, headers, " ".join(message["content"] for message in messages))
        asyncio.get_running_loop().call_later(self._thinking_s, _send, request, response)

    def _spoken(self, request: Request, headers: dict[str, str], text: str) -> Response:
        """Return an answer, with the words as audio if the request asks for audio."""
        asked = request.headers.get("response-content-type") or request.headers.get("responsecontenttype", "")
        if not asked.startswith(PCM):
            return Response(200, headers)
        audio = decode_mulaw(murmur(text, min(LONGEST_SAY_S, len(text) * self._say_s)))
        return Response(200, {**headers, "Content-Type": f"{PCM}; rate=8000"}, audio)

    def _answer(self, request: Request, session_id: str, turn: int | None, state: dict[str, Any]) -> None:
        """Count the turn at the end of the thinking time, and answer, even if the service does not wait any more."""
        session = self._sessions.get(session_id)
        if session is None:
            session = self._sessions[session_id] = Session(turns_of(session_id, self._least, self._most))
        session.used_s = time.monotonic()
        if state.get("sessionAttributes") is not None:
            session.attributes = state["sessionAttributes"]
        self._count(session, turn)
        self._release(request)
        if not request.connection.is_open:
            self.counts["not waited for"] += 1
        _send(request, self._spoken(request, _headers(session, session_id, turn), session.prompt))

    def _count(self, session: Session, turn: int | None) -> None:
        if turn is None:
            self.counts["not understood"] += 1
        elif turn == session.expected and not session.is_done:
            session.expected += 1
            self.counts["turns"] += 1
            self.counts["done"] += session.is_done
        else:
            self.counts["duplicates" if turn < session.expected else "lost"] += 1

    def _release(self, request: Request) -> None:
        found = _PATH.fullmatch(request.path)
        if found and self._holders.get(found[1]) is request:
            del self._holders[found[1]]


def _samples(request: Request) -> bytes:
    kind = request.headers.get("content-type", "")
    if kind.startswith("audio/lpcm") and "sample-rate=8000" in kind.replace(" ", ""):
        return bytes(request.body)
    raise LexError(LexErrorKind.UNSUPPORTED_MEDIA_TYPE, f"only audio of the telephone is served here, not {kind}")


_packed = lru_cache(maxsize=1024)(lambda text: gzip_json(json.loads(text)))


def _headers(session: Session, session_id: str, turn: int | None) -> dict[str, str]:
    state = session.state()
    interpretations = [{"intent": state["intent"], "interpretationSource": "Lex"}]
    return {
        "Content-Type": "text/plain;charset=utf-8",
        "x-amzn-RequestId": "bench",
        "x-amz-lex-input-mode": "Speech",
        "x-amz-lex-session-id": session_id,
        "x-amz-lex-messages": _packed(json.dumps(session.messages())),
        "x-amz-lex-interpretations": _packed(json.dumps(interpretations)),
        "x-amz-lex-input-transcript": _packed(json.dumps("" if turn is None else f"turn {turn}")),
        "x-amz-lex-session-state": gzip_json(state),
    }


def _send(request: Request, response: Response) -> None:
    request.connection.answer(response.status, response.headers, response.body)


async def serve(lex: CountingLex, port: int) -> None:
    """Print the port, and serve until SIGTERM."""
    server = await light_http.serve(lex, port)
    stop_requested = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop_requested.set)
    # Listened for by now: whoever reads the line may end the program at once.
    print(light_http.port_of(server), flush=True)
    await stop_requested.wait()
    server.close()


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--turns", type=int, default=15, help="most turns of a call (default: %(default)s)")
    parser.add_argument("--least-turns", type=int, default=None, help="fewest turns of a call (default: as --turns)")
    parser.add_argument(
        "--thinking-s", type=float, default=THINKING_S, help="seconds to an answer (default: %(default)g)"
    )
    parser.add_argument("--say-s", type=float, default=SAY_S_PER_CHARACTER, help="seconds of speech for each character")
    options = parser.parse_args()
    least = options.turns if options.least_turns is None else options.least_turns
    asyncio.run(serve(CountingLex(least, options.turns, options.thinking_s, options.say_s), options.port))


if __name__ == "__main__":
    main()
