"""What Lex is asked in a turn, sent while the caller is still speaking, and what it answers, heard while it speaks.

boto3 takes any object with `read()` as a request's body and sends what it returns as HTTP chunks, unsigned payload,
on both generations: that is `UtteranceStream`. `Utterance` keeps the bytes, for a second request.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import gevent
from botocore.exceptions import BotoCoreError
from gevent.event import Event
from urllib3.exceptions import HTTPError

from lexbridge.audio.pcm import RATE_HZ
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import LONGEST_SPEECH_MS, Checkpoint, Message, Reply
from lexbridge.lex.voice import ReplyAudio
from lexbridge.logs import Log

_FIRST_BYTES, _READ_BYTES = 640, 1600
"""Of a reply's audio at a time: botocore waits until so many are there. The first are one frame, at 16 kHz."""

SPEECH = "audio/lpcm; sample-rate=8000; sample-size-bits=16; channel-count=1; is-big-endian=false"
TEXT = "text/plain; charset=utf-8"
PCM = "audio/pcm"
"""Content types of what Lex is sent, and of what it is asked for."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long Lex may take, seconds.

    `answer_s`: from the end of the utterance to the end of its answer, a second request included, whatever drips in
    between; where the session is put back first, that included. `recall_s`: for GetSession, to put a session back, and
    to begin to say what it said last once more.
    """

    connect_s: float = 2.0
    answer_s: float = 5.0
    recall_s: float = 1.5


class Utterance:
    """What the caller says in one turn, PCM: appended to as they speak, read live by a request, and kept. Or keys that
    they pressed, as text: then it is complete from the start.

    One greenlet writes, others read; nothing here blocks the writer.
    """

    def __init__(self, keys: str | None = None) -> None:
        self.content_type = SPEECH if keys is None else TEXT
        self._audio = bytearray((keys or "").encode())
        self._is_complete = keys is not None
        self._more = Event()
        self._at_end: Callable[[], object] = _nothing

    def append(self, pcm: bytes) -> None:
        """More audio."""
        self._audio += pcm
        self._more.set()

    def close(self) -> None:
        """There is no more."""
        self._is_complete = True
        self._more.set()
        self._at_end()

    def call_at_end(self, at_end: Callable[[], object]) -> None:
        """`at_end` is called when the utterance is complete, at once if it is. It must not block."""
        self._at_end = at_end
        if self._is_complete:
            at_end()

    @property
    def is_complete(self) -> bool:
        """There is no more to come."""
        return self._is_complete

    def whole(self) -> bytes:
        """All of it; waits for its end."""
        while not self._is_complete:
            self._wait()
        return bytes(self._audio)

    def read_from(self, start: int, size: int) -> bytes:
        """At most `size` bytes from `start` on; waits until there are some. b"" only at the end."""
        while len(self._audio) <= start and not self._is_complete:
            self._wait()
        return bytes(self._audio[start : start + size])

    def _wait(self) -> None:
        self._more.clear()
        self._more.wait()


class UtteranceStream:
    """An utterance as the body of one HTTP request: `read()` returns what is there, and waits if nothing is."""

    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes (any number if negative); b"" at the end of the utterance."""
        pcm = self._utterance.read_from(self._position, size if size >= 0 else 1 << 30)
        self._position += len(pcm)
        return pcm


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Question:
    """What Lex is asked in one turn. `session_attributes` replace the session's; None leaves them."""

    session_id: str
    session_attributes: Mapping[str, str] | None = field(repr=False)
    utterance: Utterance
    intent: str | None = None
    """The bot begins the dialog with it, and the utterance is of no account."""
    checkpoint: Checkpoint | None = field(default=None, repr=False)
    """Where the session is put back to first."""
    waited_s: float = 0.0
    """So long the answer is awaited already: that is less time for it."""


class Speech:
    """Lex's voice for a reply, as it comes. It is awaited little longer than it plays: a peer that drips is cut off.

    It ends after LONGEST_SPEECH_MS at the latest, `is_cut` if that was not all: nobody hears more of it.
    """

    def __init__(self, body: Any, content_type: str, answer_s: float, asked_s: float = math.inf) -> None:
        """`body`: boto3's StreamingBody. `asked_s`: since when it is awaited, monotonic, if that was before now.

        Raises LexUnavailable if `content_type` is no PCM.
        """
        self.audio = ReplyAudio(content_type)
        self.is_cut = False
        self._body = body
        self._answer_s = answer_s
        self._since_s = min(asked_s, time.monotonic())  # until it begins; then since when it plays
        self._played_s = 0.0
        self._is_over = False
        self._begun = b""  # read, and not yet returned by `read`

    def begins(self) -> bool:
        """Whether there is any of it. Waits like `read`, and takes none of it away."""
        try:
            self._begun = self.read()
        except LexUnavailable:
            return False
        return bool(self._begun)

    def read(self) -> bytes:
        """More of it: mu-law, whole frames; b"" at the end, or where it is cut. Blocks the calling greenlet only.

        Raises LexUnavailable if it breaks off, does not begin within `answer_s`, or comes so slowly that it would have
        been silent for as long.
        """
        if self._begun:
            begun, self._begun = self._begun, b""
            return begun
        mulaw = b""
        self.is_cut = not self._is_over and self._played_s * 1000 >= LONGEST_SPEECH_MS
        while not mulaw and not self._is_over and not self.is_cut:
            late_s = time.monotonic() - self._since_s - self._played_s
            received = self._read(self._answer_s - late_s)
            self._is_over = not received
            mulaw = self.audio.push(received) if received else self.audio.flush()
        if not self._played_s:
            self._since_s = time.monotonic()
        self._played_s += len(mulaw) / RATE_HZ
        return mulaw

    def close(self) -> None:
        """What was not read is not wanted."""
        self._body.close()

    def _read(self, within_s: float) -> bytes:
        late = LexUnavailable("its audio does not come")
        try:
            with gevent.Timeout(max(0.001, within_s), late):
                return bytes(self._body.read(_READ_BYTES if self._played_s else _FIRST_BYTES))
        except (BotoCoreError, HTTPError, OSError) as error:
            raise LexUnavailable(f"its audio breaks off: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class Answer:
    """Lex's reply, and its voice if that was asked for."""

    reply: Reply
    speech: Speech | None = None


class LexRuntime(Protocol):
    """A bot that can be asked."""

    def ask(self, question: Question, log: Log) -> Answer:
        """Sends an utterance as it is spoken, or what else the turn is, and returns the bot's answer.

        Blocks the calling greenlet only. Raises LexUnavailable, LexRejected or LexUnreadable; NotPutBack, and asks
        nothing, if the session is to be put back before and that fails.
        """
        ...

    def recall(self, session_id: str) -> Reply | None:
        """What the bot said last in this session, with the state of its dialog; None if there is no such session.

        Blocks the calling greenlet only. Raises LexUnavailable, LexRejected or LexUnreadable.
        """
        ...

    def voice(self, message: Message) -> Speech:
        """`message` in the bot's voice, as it comes; it is said in a session of its own. Both the beginning and each
        piece come soon, or not at all: somebody is waiting.

        Blocks the calling greenlet only. Raises LexUnavailable, LexRejected or LexUnreadable.
        """
        ...

    def speak(self, text: str) -> bytes:
        """`text` in the bot's voice, mu-law, whole frames; it is said in a session of its own.

        Blocks the calling greenlet only. Raises LexUnavailable, LexRejected or LexUnreadable.
        """
        ...
