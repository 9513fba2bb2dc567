"""Speech to text over what the dialog expects: 8 kHz telephone audio and a grammar in, the words said out.

The engine (soundswallower, with an 8 kHz telephone model inside its package, nothing is downloaded) is imported in a
process of its own only: `python -m lexbridge.offline.lex.recognition` is that process.
"""

import math
import re
from collections.abc import Callable
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from lexbridge.audio.pcm import RATE_HZ
from lexbridge.offline.lex.side_process import SideProcess, serve

_WINDOW_SAMPLES = RATE_HZ // 100  # 10 ms
_LINE_MS = 100
_JSGF_WORD = re.compile(r"<[^>]*>|[a-z']+")


class Recogniser(Protocol):
    """A speech recogniser."""

    def recognise(self, pcm: bytes, grammar: str) -> str:
        """Return the words in `pcm` (8 kHz, 16-bit little-endian): a sentence of the JSGF grammar, or ""."""
        ...


class ScriptedRecogniser:
    """A recogniser for tests: whatever the audio is, it returns the next line of its script, and "" after the last.

    `heard` keeps what it was given: (pcm, grammar) for each.
    """

    def __init__(self, lines: list[str]) -> None:
        self._lines = list(lines)
        self.heard: list[tuple[bytes, str]] = []

    def recognise(self, pcm: bytes, grammar: str) -> str:
        """Return the next line of the script."""
        self.heard.append((pcm, grammar))
        return self._lines.pop(0) if self._lines else ""


class GrammarRecogniser:
    """Real recognition of one sentence of the grammar; other speech, and noise, are mostly heard as "".

    Use it as a context manager, or call `close()`. Its process starts at once and loads its model meanwhile.
    """

    def __init__(self) -> None:
        self._engine = SideProcess("lexbridge.offline.lex.recognition")

    def recognise(self, pcm: bytes, grammar: str) -> str:
        """Return the words in `pcm` that fit `grammar`, or "". Raises SideProcessError if the engine fails."""
        speech = trim(pcm)
        if not speech:
            return ""
        answer, _ = self._engine.ask({"grammar": grammar}, speech)
        return str(answer["text"])

    def close(self) -> None:
        """Ends the engine's process."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def trim(pcm: bytes) -> bytes:
    """Return the speech in `pcm` (8 kHz, 16-bit) with 100 ms of line noise on each side, or b"" if there is no speech.

    The recogniser learns the line's own sound from these margins, and long ones mislead it: 0.8 s on each side cost it
    12 phrases of 100.
    """
    samples = np.frombuffer(pcm, dtype="<i2")
    windows = len(samples) // _WINDOW_SAMPLES
    if windows == 0:
        return b""
    levels = _levels(samples[: windows * _WINDOW_SAMPLES].reshape(windows, _WINDOW_SAMPLES))
    threshold = max(3.0 * float(np.percentile(levels, 10)), 0.03 * float(levels.max()), 40.0)
    # A single loud window is a click, not speech.
    loud = levels > min(threshold, 0.5 * float(levels.max()))
    spoken = np.flatnonzero(loud[:-1] & loud[1:]) if float(levels.max()) > 80.0 else np.empty(0, np.int64)
    if len(spoken) == 0:
        return b""
    margin = _LINE_MS * RATE_HZ // 1000
    first = int(spoken[0]) * _WINDOW_SAMPLES - margin
    last = (int(spoken[-1]) + 2) * _WINDOW_SAMPLES + margin
    before, after = max(0, -first), max(0, last - len(samples))
    return bytes(2 * before) + samples[max(first, 0) : last].tobytes() + bytes(2 * after)


def _levels(windows: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    levels: npt.NDArray[np.float64] = np.sqrt(np.mean(windows.astype(np.float64) ** 2, axis=1))
    return levels


# Letters as they are mostly said, the longest match first: a rough guess for names the engine's dictionary has not.
_SOUNDS = {
    "tch": "CH",
    "sch": "SH",
    "igh": "AY",
    "tion": "SH AH N",
    "sh": "SH",
    "ch": "CH",
    "th": "TH",
    "ph": "F",
    "ck": "K",
    "ng": "NG",
    "qu": "K W",
    "wh": "W",
    "ee": "IY",
    "ea": "IY",
    "oo": "UW",
    "ou": "AW",
    "ow": "OW",
    "oa": "OW",
    "ai": "EY",
    "ay": "EY",
    "oy": "OY",
    "oi": "OY",
    "au": "AO",
    "aw": "AO",
    "er": "ER",
    "ar": "AA R",
    "or": "AO R",
    "ir": "ER",
    "ur": "ER",
    "a": "AE",
    "b": "B",
    "c": "K",
    "d": "D",
    "e": "EH",
    "f": "F",
    "g": "G",
    "h": "HH",
    "i": "IH",
    "j": "JH",
    "k": "K",
    "l": "L",
    "m": "M",
    "n": "N",
    "o": "AA",
    "p": "P",
    "q": "K",
    "r": "R",
    "s": "S",
    "t": "T",
    "u": "AH",
    "v": "V",
    "w": "W",
    "x": "K S",
    "y": "IY",
    "z": "Z",
    "'": "",
}
_SOUND = re.compile("|".join(sorted(_SOUNDS, key=len, reverse=True)))


def pronunciation(word: str, known: Callable[[str], str | None]) -> str:
    """Return phones (ARPAbet) for a word outside the dictionary: from its singular, or guessed from its letters.

    known: the dictionary, a function that returns the phones of a word that it has.
    """
    for ending, phones in (("'s", "Z"), ("es", "IH Z"), ("s", "Z")):
        singular = known(word.removesuffix(ending)) if word.endswith(ending) and len(word) > len(ending) + 1 else None
        if singular:
            return f"{singular} {'S' if singular.split()[-1] in ('F', 'K', 'P', 'T', 'TH') else phones}"
    silent_e = word[:-1] if len(word) > 3 and word.endswith("e") and word[-2] not in "aeiou" else word
    letters = re.sub(r"([b-df-hj-np-tv-z])\1", r"\1", silent_e)
    return " ".join(filter(None, (_SOUNDS[part] for part in _SOUND.findall(letters)))) or "AH"


_PHONES = [
    *("AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH"),
    *("K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"),
]
# How much worse, log likelihood a 10 ms frame, the grammar's best sentence may explain the sound than the best string
# of any phones does. On the shipped bots' phrases, one voice, three levels of line noise, this kept 99 % of what was
# heard right, and let 7 % of what was in no grammar through.
_FURTHEST_FROM_PHONES = -0.0017


def main() -> None:
    """The engine's own process."""
    engine = _Engine()
    serve(lambda words, pcm: ({"text": engine.recognise(pcm, words["grammar"])}, b""))


class _Engine:
    """Two decoders over one model: one hears the grammar, one any phones at all, to know when it was neither."""

    def __init__(self) -> None:
        import soundswallower

        model = soundswallower.get_model_path("en-us")
        common = {"hmm": model, "samprate": RATE_HZ, "loglevel": "FATAL"}
        # Beams wider than the engine's own: in those, sentences of one short word get lost.
        wide = {"beam": 1e-80, "wbeam": 1e-60, "pbeam": 1e-80}
        self._words: Any = soundswallower.Decoder(**common, **wide, wip=0.3, lw=4.5)
        with NamedTemporaryFile("w", suffix=".dict") as dictionary:
            dictionary.write("".join(f"ph{phone.lower()} {phone}\n" for phone in _PHONES))
            dictionary.flush()
            self._phones: Any = soundswallower.Decoder(
                **common, dict=dictionary.name, beam=1e-20, wbeam=1e-20, pbeam=1e-20, wip=0.5, lw=1.0
            )
        any_phone = " | ".join(f"ph{phone.lower()}" for phone in _PHONES)
        self._phones.set_jsgf_string(f"#JSGF V1.0;\ngrammar phones;\npublic <phones> = ({any_phone})+;\n")
        self._grammar = ""

    def recognise(self, pcm: bytes, grammar: str) -> str:
        """Return the words in `pcm`, which is trimmed first."""
        if grammar != self._grammar:
            self._grammar = ""
            self._learn(grammar)
            self._words.set_jsgf_string(grammar)
            self._grammar = grammar
        text, likelihood = self._decode(self._words, pcm)
        if not text:
            return ""
        _, of_phones = self._decode(self._phones, pcm)
        return text if likelihood - of_phones >= _FURTHEST_FROM_PHONES else ""

    def _learn(self, grammar: str) -> None:
        """Add a pronunciation for each unknown word of `grammar`, for the engine refuses one with unknown words."""
        rules = grammar.split("\n", 2)[-1].replace("public", "")
        for word in set(_JSGF_WORD.findall(rules)):
            if word[0] != "<" and self._words.lookup_word(word) is None:
                self._words.add_word(word, pronunciation(word, self._words.lookup_word))

    @staticmethod
    def _decode(decoder: Any, pcm: bytes) -> tuple[str, float]:
        """(text, acoustic log likelihood a frame)."""
        decoder.start_utt()
        decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()
        found = decoder.hyp
        if found is None or not found.text:
            return "", 0.0
        return str(found.text), sum(math.log(max(part.ascore, 1e-300)) for part in decoder.seg) / decoder.n_frames


if __name__ == "__main__":
    main()
