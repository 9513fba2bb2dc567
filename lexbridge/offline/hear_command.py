"""`python -m lexbridge.offline hear CALL.wav`: what each detector makes of a recording of your own.

Nothing leaves this machine, and nothing that is said is written down. The settings are those of the environment and of
`.env`, as the service has them; only those that decide what is heard are read.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dotenv import load_dotenv

from lexbridge.audio import FRAME_MS
from lexbridge.config import Settings, read_settings
from lexbridge.endpointing import EndpointingRules
from lexbridge.errors import ConfigError
from lexbridge.offline.hearing import Heard, hints, listen, threshold_hint
from lexbridge.offline.sound_file import SoundFileError, read_channel
from lexbridge.vad import detector_factory

DETECTORS = ("amplitude", "webrtc", "adaptive", "silero", "hybrid")
READ = (
    *("VOICE_THRESHOLD", "VOICE_MARGIN_DB", "WEBRTC_MODE", "ONSET_MS", "PRE_ROLL_MS"),
    *("HANGOVER_MS", "HANGOVER_MIN_MS", "HANGOVER_MAX_MS", "MAX_UTTERANCE_MS"),
)
"""The settings that decide what is heard."""

_NOBODY = {
    "AWS_REGION": "us-east-1",
    "LEX_BOT_NAME": "nobody",
    "LEX_BOT_ALIAS": "nobody",
    "TWILIO_AUTH_TOKEN": "nobody",
    "URL": "https://nobody.example.com",
}
"""Those that must be given, and are not needed here."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.description = __doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("recording", type=Path, help="a wav file: PCM, mu-law or A-law, any rate")
    parser.add_argument(
        "--channel", type=int, default=1, help="of the caller; 1 in Twilio's dual-channel recordings (1)"
    )
    parser.add_argument("--vad", choices=("all", *DETECTORS), default="all", help="which detector (all)")
    parser.add_argument("--hangover", metavar="MS", help="instead of HANGOVER_MS, and fixed")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="draw the level and what is voiced")


def run(args: argparse.Namespace) -> int:
    """Prints what is heard. Returns the exit status."""
    load_dotenv(Path.cwd() / ".env")
    own = {name: os.environ[name] for name in READ if name in os.environ}
    if args.hangover:
        own |= {"HANGOVER_MS": args.hangover, "HANGOVER_MIN_MS": "", "HANGOVER_MAX_MS": ""}
    try:
        rules = rules_of(read_settings({**_NOBODY, **own}))
        pcm = read_channel(args.recording, args.channel)
    except (SoundFileError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 2
    heard = list(_heard(pcm, DETECTORS if args.vad == "all" else (args.vad,), own, rules))
    for one in heard:
        print("\n".join([*_told(one), *(f"  {hint}" for hint in hints(one, rules)), ""]))
    if not heard:
        return 2
    print(threshold_hint(heard[-1]))
    if args.picture is not None:
        from lexbridge.offline.hearing_picture import draw

        draw(args.picture, f"{args.recording.name}, channel {args.channel}", heard)
        print(f"drawn: {args.picture}")
    return 0


def rules_of(settings: Settings) -> EndpointingRules:
    """As a call has them."""
    return EndpointingRules(
        onset_ms=settings.onset_ms,
        pre_roll_ms=settings.pre_roll_ms,
        hangover_ms=settings.hangover_ms,
        hangover_min_ms=settings.hangover_min_ms,
        hangover_max_ms=settings.hangover_max_ms,
        max_utterance_ms=settings.max_utterance_ms,
    )


def _heard(pcm: bytes, names: Sequence[str], own: Mapping[str, str], rules: EndpointingRules) -> Iterator[Heard]:
    """By each detector whose packages are there; what the others need is told on standard error."""
    for name in names:
        try:
            settings = read_settings({**_NOBODY, **own, "VAD": name})
        except ConfigError as error:
            print(error, file=sys.stderr)
            continue
        yield listen(pcm, name, detector_factory(settings)(), rules)


def _told(heard: Heard) -> Iterator[str]:
    """Lines for a person."""
    count, voiced_s = len(heard.utterances), heard.voiced.sum() * FRAME_MS / 1000
    yield (
        f"{heard.detector}: {count} utterance{'' if count == 1 else 's'}, {voiced_s:.1f} s voiced, "
        f"speech {heard.speech_dbov:.0f} dBov, noise {heard.noise_dbov:.0f} dBov"
    )
    for one in heard.utterances:
        how = "the recording ended" if one.reason is None else one.reason.value
        yield (
            f"  {one.started_ms / 1000:8.2f} s to {one.ended_ms / 1000:8.2f} s  {how:<19}  "
            f"{one.level_dbov:4.0f} dBov, {one.level_dbov - heard.noise_dbov:3.0f} dB over the noise"
        )
