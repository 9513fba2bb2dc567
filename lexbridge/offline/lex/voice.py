"""Text to speech, for a bot's replies and for a simulated caller.

The engine (hibari, one voice inside its package, nothing is downloaded) is imported in a process of its own only:
`python -m lexbridge.offline.lex.voice` is that process.
"""

import html
import os
import re
from collections import OrderedDict
from datetime import date
from types import TracebackType
from typing import Any, Protocol, Self

from lexbridge.offline.lex.side_process import SideProcess, serve

HIBARI_RATE_HZ = 24000


_TAG = re.compile(r"<[^<>]+>")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_TIME = re.compile(r"\b([01]\d|2[0-3]):([0-5]\d)\b")
_LONG_NUMBER = re.compile(r"\b\d{5,}\b")
_HOURS = [
    *("twelve", "one", "two", "three", "four", "five"),
    *("six", "seven", "eight", "nine", "ten", "eleven"),
]
_ORDINALS = [
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
    *("eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth"),
    *("nineteenth", "twentieth"),
]
_TENS = {2: "twenty", 3: "thirty", 4: "forty", 5: "fifty"}
_UNITS = ["", *_HOURS[1:10]]
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]


def spoken_form(text: str) -> str:
    """Return `text` for an engine that reads words.

    Lex's dates and times become words, long numbers (five digits and more) single digits, and SSML loses its tags.
    """
    text = html.unescape(_TAG.sub("", text)) if "<speak" in text else text
    text = _TIME.sub(_say_time, _DATE.sub(_say_date, text))
    return " ".join(_LONG_NUMBER.sub(lambda written: " ".join(map(_say_digit, written[0])), text).split())


def _say_digit(digit: str) -> str:
    return "zero" if digit == "0" else _UNITS[int(digit)]


def _say_date(written: re.Match[str]) -> str:
    try:
        day = date.fromisoformat(written[0])
    except ValueError:
        return written[0]
    if day.day <= 20:
        return f"{day:%B} {_ORDINALS[day.day - 1]}"
    if day.day == 30:
        return f"{day:%B} thirtieth"
    return f"{day:%B} {_TENS[day.day // 10]} {_ORDINALS[day.day % 10 - 1]}"


def _say_time(written: re.Match[str]) -> str:
    hour, minute = int(written[1]), int(written[2])
    if minute == 0 and hour % 12 == 0:
        return "noon" if hour else "midnight"
    minutes = f"oh {_UNITS[minute]}" if minute < 10 else _say_minutes(minute)
    return " ".join(filter(None, [_HOURS[hour % 12], minutes if minute else "", "p m" if hour >= 12 else "a m"]))


def _say_minutes(minute: int) -> str:
    return _TEENS[minute - 10] if minute < 20 else f"{_TENS[minute // 10]} {_UNITS[minute % 10]}".strip()


class Voice(Protocol):
    """A voice: text in, speech out."""

    @property
    def rate_hz(self) -> int:
        """Sample rate of what `speak` returns, Hz."""
        ...

    def speak(self, text: str) -> bytes:
        """`text` as 16-bit little-endian mono PCM at `rate_hz`; no bytes for a text with no word in it."""
        ...


class SilentVoice:
    """A double: silence, as long as the text would take to say."""

    rate_hz = 16000
    _MS_A_CHARACTER = 60

    def speak(self, text: str) -> bytes:
        """Return 60 ms of silence for each character."""
        return bytes(2 * len(text.strip()) * self._MS_A_CHARACTER * self.rate_hz // 1000)


class HibariVoice:
    """An American English voice. The same text gives the same samples, and is synthesised once.

    `speed`: 1.0 is the usual pace, 0.5 slow, 2.0 fast. `cached_texts`: how many texts' audio is kept. Use it as a
    context manager, or call `close()`. Its process starts at once and loads its model (half a second) meanwhile.
    """

    rate_hz = HIBARI_RATE_HZ

    def __init__(self, speed: float = 1.0, cached_texts: int = 128) -> None:
        self._speed = speed
        self._cached_texts = cached_texts
        self._spoken: OrderedDict[str, bytes] = OrderedDict()
        self._engine = SideProcess("lexbridge.offline.lex.voice")

    def speak(self, text: str) -> bytes:
        """Return `text` as speech. Raises SideProcessError if the engine fails."""
        if text in self._spoken:
            self._spoken.move_to_end(text)
            return self._spoken[text]
        _, pcm = self._engine.ask({"text": spoken_form(text), "speed": self._speed})
        self._spoken[text] = pcm
        while len(self._spoken) > self._cached_texts:
            self._spoken.popitem(last=False)
        return pcm

    def close(self) -> None:
        """Ends the engine's process."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def main() -> None:
    """The engine's own process."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as in lexbridge.audio.vad.silero: this runs on onnxruntime too
    import hibari
    import numpy as np

    speaker = hibari.Hibari()

    def answer(words: dict[str, Any], _: bytes) -> tuple[dict[str, Any], bytes]:
        samples = speaker(words["text"], speed=words["speed"], seed=0)
        return {}, (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()

    serve(answer)


if __name__ == "__main__":
    main()
