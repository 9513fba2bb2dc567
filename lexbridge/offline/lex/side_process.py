"""A helper process of our own, asked over pipes, one question at a time.

Speech recognition and synthesis hold the interpreter lock for tens to hundreds of milliseconds. In the process that
serves calls that would stop every call, so each runs in a process of its own; the asking greenlet waits on a pipe, and
the others go on.

A message, either way: two big-endian 32-bit lengths, then that many bytes of JSON, then that many bytes of audio.
"""

import contextlib
import json
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from gevent import subprocess
from gevent.lock import BoundedSemaphore

Words = dict[str, Any]
Answer = Callable[[Words, bytes], tuple[Words, bytes]]

_LENGTHS = struct.Struct("!II")
_ROOT = Path(__file__).resolve().parents[3]


class SideProcessError(RuntimeError):
    """The helper process failed: it could not start, it died, or it says that it cannot answer."""


class SideProcess:
    """`python -m module`, started at once (it loads its model while we go on) and again when it was lost.

    Use it as a context manager, or call `close()`.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._turn = BoundedSemaphore(1)
        self._closed = False
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C is for us; the helper ends when its standard input does
        )

    def ask(self, words: Words, audio: bytes = b"") -> tuple[Words, bytes]:
        """The helper's answer. Waits for the questions before it. Raises SideProcessError."""
        with self._turn:
            if self._closed:
                raise SideProcessError(f"{self._module} is closed")
            if self._process.poll() is not None:
                self._process = self._start()
            try:
                answer = self._exchange(words, audio)
            except (OSError, EOFError) as error:
                self._end()
                raise SideProcessError(f"{self._module} stopped in the middle of an answer") from error
            except BaseException:  # a gevent.Timeout of the caller's: what is in the pipe answers nobody now
                self._end()
                raise
        if "error" in answer[0]:
            raise SideProcessError(f"{self._module}: {answer[0]['error']}")
        return answer

    def _exchange(self, words: Words, audio: bytes) -> tuple[Words, bytes]:
        questions, answers = self._pipes()
        write_message(questions, words, audio)
        return read_message(answers)

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        questions, answers = self._process.stdin, self._process.stdout
        if questions is None or answers is None:
            raise AssertionError("both are pipes")
        return questions, answers

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in self._pipes():
            with contextlib.suppress(OSError):  # what was still to be written goes nowhere now
                pipe.close()

    def close(self) -> None:
        """Ends the helper. What is being asked right now fails."""
        if not self._closed:
            self._closed = True
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_message(pipe: IO[bytes], words: Words, audio: bytes) -> None:
    """One message, flushed."""
    text = json.dumps(words).encode()
    pipe.write(_LENGTHS.pack(len(text), len(audio)) + text + audio)
    pipe.flush()


def read_message(pipe: IO[bytes]) -> tuple[Words, bytes]:
    """The next message. Raises EOFError where the pipe ends."""
    text_length, audio_length = _LENGTHS.unpack(_exactly(pipe, _LENGTHS.size))
    text = _exactly(pipe, text_length)
    return json.loads(text), _exactly(pipe, audio_length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    read = b""
    while len(read) < length:
        more = pipe.read(length - len(read))
        if not more:
            raise EOFError
        read += more
    return read


def serve(answer: Answer) -> None:
    """The helper's side: answers each message on standard input until it ends.

    Standard output carries answers only: whatever a library prints goes to standard error instead.
    """
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            words, audio = read_message(questions)
        except EOFError:
            return
        try:
            reply = answer(words, audio)
        except Exception as error:  # the asker gets to know; the next question may be a better one
            reply = {"error": f"{type(error).__name__}: {error}"}, b""
        write_message(answers, *reply)
