"""`python -m lexbridge.offline hear CALL.wav`: what each detector makes of a recording of your own.

Nothing leaves this machine, and nothing that is said is written down. The settings are those of the environment and of
`.env`, as the service has them; only those that decide what is heard are read.
"""

import argparse
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from lexbridge.audio.endpointing import EndpointingRules
from lexbridge.audio.pcm import FRAME_MS
from lexbridge.audio.vad import DETECTORS, load_detector
from lexbridge.config.env_file import read_env_file
from lexbridge.config.reading import read_settings
from lexbridge.config.settings import Settings
from lexbridge.errors import ConfigError
from lexbridge.offline.commands.arguments import new_file
from lexbridge.offline.hearing.analysis import Heard, hints, listen, threshold_hint
from lexbridge.offline.hearing.sound_file import SoundFileError, read_channel

READ = (
    *("VOICE_THRESHOLD", "VOICE_MARGIN_DB", "WEBRTC_MODE", "ONSET_MS", "PRE_ROLL_MS"),
    *("HANGOVER_MS", "HANGOVER_MIN_MS", "HANGOVER_MAX_MS", "MAX_UTTERANCE_MS"),
)
"""The settings that decide what is heard."""

NOBODY = {
    "AWS_REGION": "us-east-1",
    "LEX_BOT_NAME": "nobody",
    "LEX_BOT_ALIAS": "nobody",
    "TWILIO_AUTH_TOKEN": "nobody",
    "URL": "https://nobody.example.com",
}
"""Values for required settings that this command does not use."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `hear` to `parser`."""
    parser.description = __doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("recording", type=Path, help="a wav file: PCM, mu-law or A-law, any rate")
    parser.add_argument(
        "--channel", type=int, default=1, help="of the caller; 1 in Twilio's dual-channel recordings (1)"
    )
    parser.add_argument("--vad", choices=("all", *DETECTORS), default="all", help="which detector (all)")
    parser.add_argument("--hangover", metavar="MS", help="instead of HANGOVER_MS, and fixed")
    parser.add_argument("--picture", type=new_file(".png"), metavar="PNG", help="draw the level and what is voiced")


def run(args: argparse.Namespace) -> int:
    """Print what the detectors hear, and return the exit status."""
    if args.picture is not None and find_spec("matplotlib") is None:
        print("--picture needs matplotlib: pip install -r requirements-offline.txt", file=sys.stderr)
        return 2
    try:
        own = _own_settings(args.hangover)
        rules = rules_of(read_settings({**NOBODY, **own}))
        pcm = read_channel(args.recording, args.channel)
    except (SoundFileError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 2
    heard = list(_heard(pcm, tuple(DETECTORS) if args.vad == "all" else (args.vad,), own, rules))
    for one in heard:
        print("\n".join([*_told(one), *(f"  {hint}" for hint in hints(one, rules)), ""]))
    if not heard:
        return 2
    print(threshold_hint(heard[-1]))
    if args.picture is None:
        return 0
    return _draw(args.picture, f"{args.recording.name}, channel {args.channel}", heard)


def _own_settings(hangover: str | None) -> dict[str, str]:
    """The settings that decide what is heard. Raises ConfigError if `.env` cannot be read."""
    read_env_file(Path(".env"))
    own = {name: os.environ[name] for name in READ if name in os.environ}
    if hangover:
        own |= {"HANGOVER_MS": hangover, "HANGOVER_MIN_MS": "", "HANGOVER_MAX_MS": ""}
    return own


def _draw(path: Path, title: str, heard: Sequence[Heard]) -> int:
    """Draw the picture, and return the exit status."""
    from lexbridge.offline.hearing.picture import draw

    try:
        draw(path, title, heard)
    except OSError as error:
        print(f"{path} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"drawn: {path}")
    return 0


def rules_of(settings: Settings) -> EndpointingRules:
    """Return the endpointing rules that a call has with these settings."""
    return EndpointingRules(
        onset_ms=settings.line.onset_ms,
        pre_roll_ms=settings.line.pre_roll_ms,
        hangover_ms=settings.line.hangover_ms,
        hangover_min_ms=settings.line.hangover_min_ms,
        hangover_max_ms=settings.line.hangover_max_ms,
        max_utterance_ms=settings.line.max_utterance_ms,
    )


def _heard(pcm: bytes, names: Sequence[str], own: Mapping[str, str], rules: EndpointingRules) -> Iterator[Heard]:
    """Yield what each detector hears. Of a detector whose packages are missing, standard error says which ones."""
    for name in names:
        try:
            settings = read_settings({**NOBODY, **own, "VAD": name})
        except ConfigError as error:
            print(error, file=sys.stderr)
            continue
        yield listen(pcm, name, load_detector(settings.line.vad, settings.line.detector_options)(), rules)


def _told(heard: Heard) -> Iterator[str]:
    """Lines for a person."""
    count, voiced_s = len(heard.utterances), heard.voiced.sum() * FRAME_MS / 1000
    yield (
        f"{heard.detector}: {count} utterance{'' if count == 1 else 's'}, {voiced_s:.1f} s voiced, "
        f"speech {_shown(heard.speech_dbov, 'dBov')}, noise {_shown(heard.noise_dbov, 'dBov')}"
    )
    for one in heard.utterances:
        how = "the recording ended" if one.reason is None else one.reason.value
        yield (
            f"  {one.started_ms / 1000:8.2f} s to {one.ended_ms / 1000:8.2f} s  {how:<19}  "
            f"{one.level_dbov:4.0f} dBov, {_shown(one.level_dbov - heard.noise_dbov, 'dB'):>6} over the noise"
        )


def _shown(level: float, unit: str) -> str:
    """A level for a person. There may be none: a recording need not have both speech and noise."""
    return "none" if math.isnan(level) else f"{level:.0f} {unit}"
