"""Scripts, in YAML: what a simulated caller does in a call.

    name: Flora orders roses
    voice_level_dbfs: -20           # how loud the caller speaks; the default
    noise_peak: 12                  # the line's noise, peak of 16-bit samples; the default
    patience_s: 10                  # how long the caller waits for the bot; the default
    repeats: 2                      # how often a phrase is said again when it was not understood; the default
    hello: Hello?                   # said when an outbound call is answered, whatever is heard; nothing when not given
    hello_s: 0.5                    # from the answer to the hello; the default
    turns:
      - say: I would like to pick up flowers
      - expect: type of flowers     # the bot's prompt before this turn holds this text, in any case
        say: roses
      - expect: what day
        wav: tomorrow.wav           # mono 16-bit, at any rate, beside the script
        pause_s: 0.4                # from the end of the prompt; 0.6 when not given
      - say: stop, that is wrong
        interrupt_after_s: 1.0      # from the start of the prompt: does not let the bot finish
      - cough: true                 # a noise of 150 ms as loud as the voice, and not the caller's turn
        interrupt_after_s: 2.0
      - press: 12#                  # keys
      - silent_s: 12                # says nothing for that long
      - hang_up: true

A turn has exactly one of say, wav, cough, press, silent_s and hang_up. After the last turn the caller waits for the bot
to hang up. A prompt other than the expected one makes the caller say the phrase before it again, then give up.
"""

import re
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lexbridge.offline.twilio.telephone_audio import SPEECH_LEVEL_DBFS

ACTIONS = ("say", "wav", "cough", "press", "silent_s", "hang_up")


class ScriptError(ValueError):
    """A script that cannot be followed. `problems` holds all of them, one sentence each."""

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{name}: " + "".join(f"\n  {problem}" for problem in self.problems))


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the caller: exactly one of the ACTIONS."""

    say: str = ""
    wav: Path | None = None
    cough: bool = False
    press: str = ""
    silent_s: float = 0.0
    hang_up: bool = False
    expect: str = ""
    """Text of the prompt before this turn; "" takes any."""
    pause_s: float = 0.6
    """Seconds from the end of the bot's prompt to the caller's action."""
    interrupt_after_s: float | None = None
    """Seconds from the start of the bot's prompt to the caller's action, or None if the caller waits for its end."""


@dataclass(frozen=True, slots=True)
class Script:
    """A caller's part. One without turns stays on the line and says what it is told to."""

    turns: tuple[Turn, ...] = ()
    name: str = "a caller"
    voice_level_dbfs: float = SPEECH_LEVEL_DBFS
    noise_peak: int = 12
    patience_s: float = 10.0
    repeats: int = 2
    hello: str = ""
    """What is said when the call is answered, whatever is heard: by people who are called."""
    hello_s: float = 0.5
    """Seconds from the answer to the hello."""


def load_script(path: Path) -> Script:
    """The script in the file `path`. Raises ScriptError with everything that is wrong with it."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(str(path), [f"it cannot be read: {error}"]) from error
    except yaml.YAMLError as error:
        raise ScriptError(str(path), [f"it is not YAML: {' '.join(str(error).split())}"]) from error
    return read_script(content, str(path), path.parent)


def read_script(content: Any, name: str, folder: Path) -> Script:
    """A script from parsed YAML. `name` is for messages, `folder` where its wav files are. Raises ScriptError."""
    problems: list[str] = []
    if not isinstance(content, Mapping):
        raise ScriptError(name, ["it is no mapping with `turns`"])
    fields = _checked(content, _SCRIPT_FIELDS, "", problems)
    turns = content.get("turns")
    if not isinstance(turns, list) or not turns:
        problems.append("turns: a list of at least one turn is needed")
        turns = []
    read = [_turn(turn, f"turn {number}: ", folder, problems) for number, turn in enumerate(turns, start=1)]
    if problems:
        raise ScriptError(name, problems)
    return Script(turns=tuple(read), **fields)


def _turn(content: Any, where: str, folder: Path, problems: list[str]) -> Turn:
    if not isinstance(content, Mapping):
        problems.append(f"{where}is no mapping, such as `say: hello`")
        return Turn()
    fields = _checked(content, _TURN_FIELDS, where, problems)
    actions = [action for action in ACTIONS if action in content]
    if len(actions) != 1:
        given = " and ".join(actions) or "none"
        problems.append(f"{where}exactly one of {', '.join(ACTIONS)} is needed; there is {given}")
    if "wav" in fields:
        fields["wav"] = folder / fields["wav"]
        try:
            read_wav(fields["wav"])
        except (OSError, ValueError) as error:
            problems.append(f"{where}wav: {error}")
    return Turn(**fields)


def read_wav(path: Path) -> tuple[bytes, int]:
    """Samples (16-bit mono) and rate of a wav file. Raises OSError, or ValueError for what is no such file."""
    try:
        with path.open("rb") as opened, wave.open(opened) as sound:
            if (sound.getnchannels(), sound.getsampwidth()) != (1, 2):
                raise ValueError(f"{path} is not mono with 16-bit samples")
            return sound.readframes(sound.getnframes()), sound.getframerate()
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path} is no wav file: {error or 'it is too short'}") from error


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _number(least: float, most: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _count(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _keys(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[0-9A-D*#]+", value))


_Field = tuple[Callable[[Any], bool], str]
_SCRIPT_FIELDS: Mapping[str, _Field] = {
    "name": (_text, "a text"),
    "voice_level_dbfs": (_number(-60, 0), "a number of dBFS from -60 to 0"),
    "noise_peak": (_count(0, 10_000), "a whole number from 0 to 10000"),
    "patience_s": (_number(1, 600), "a number of seconds from 1 to 600"),
    "repeats": (_count(0, 10), "a whole number from 0 to 10"),
    "hello": (_text, "a text"),
    "hello_s": (_number(0, 60), "a number of seconds up to 60"),
    "turns": (lambda _: True, ""),
}
_TURN_FIELDS: Mapping[str, _Field] = {
    "say": (_text, "a text (YAML reads a bare yes or no as something else: put it in quotes)"),
    "wav": (_text, "the name of a wav file"),
    "cough": (lambda value: value is True, "true"),
    "press": (_keys, "keys in quotes, of 0-9 A-D * #"),
    "silent_s": (_number(0.02, 600), "a number of seconds up to 600"),
    "hang_up": (lambda value: value is True, "true"),
    "expect": (_text, "a text"),
    "pause_s": (_number(0, 60), "a number of seconds up to 60"),
    "interrupt_after_s": (_number(0, 60), "a number of seconds up to 60"),
}


def _checked(
    content: Mapping[str, Any], allowed: Mapping[str, _Field], where: str, problems: list[str]
) -> dict[str, Any]:
    """The fields of `content` that are right, but for `turns`; what is wrong with the others goes to `problems`."""
    right = {}
    for name, value in content.items():
        if name not in allowed:
            problems.append(f"{where}{name}: there is no such field; there are {', '.join(allowed)}")
            continue
        holds, rule = allowed[name]
        if not holds(value):
            problems.append(f"{where}{name}: {value!r} is not {rule}")
        elif name != "turns":
            right[name] = value
    return right
