"""A recorded call, read from its files: a recording, a file that the console exported, or a WAV file alone."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexbridge.audio.pcm import encode_mulaw
from lexbridge.observer.calls.call_file import CallFileRefused, read_call
from lexbridge.observer.calls.call_record import CallRecord
from lexbridge.observer.calls.call_summary import Stream
from lexbridge.observer.calls.kept_audio import Track
from lexbridge.offline.hearing.sound_file import read_channel
from lexbridge.offline.replay.comparison import Utterance

_ALONE = "the recording"


class RecordedCallError(Exception):
    """The file cannot be heard. The message is a sentence for whoever gave it."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call, and what was decided in it: None if the file does not tell."""

    record: CallRecord
    then: list[Utterance] | None


def read_recorded_call(path: Path, channel: int) -> RecordedCall:
    """Return the call of a file. `channel`: the caller's in a WAV file without a time line, from 1.

    Raises RecordedCallError, or SoundFileError.
    """
    timeline = path.with_suffix(".json") if path.suffix.lower() == ".wav" else path
    if timeline is not path and not timeline.exists():
        return RecordedCall(_heard_alone(encode_mulaw(read_channel(path, channel))), None)
    try:
        content = json.loads(timeline.read_bytes())
        if isinstance(content, dict) and content.get("wav") and content.get("wav_base64") is None:
            wav = timeline.parent / Path(str(content["wav"])).name
            content["wav_base64"] = base64.b64encode(wav.read_bytes()).decode()
        record = read_call(json.dumps(content).encode(), _ALONE)
    except OSError as error:
        raise RecordedCallError(f"{error.filename} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RecordedCallError(f"{timeline} is no recorded call: {error}") from error
    except CallFileRefused as error:
        raise RecordedCallError(f"{timeline}: {error}") from error
    return RecordedCall(record, _decided(content["events"]))


def _heard_alone(mulaw: bytes) -> CallRecord:
    record = CallRecord(_ALONE, 0.0)
    record.streams[_ALONE] = Stream(_ALONE, 0.0)
    track = record.tracks[_ALONE, "caller"] = Track()
    track.put(0, mulaw)
    return record


def _decided(events: list[Any]) -> list[Utterance]:
    """Return the utterances that the call's log lines tell of."""
    ended = [(stream_sid, fields) for _, stream_sid, _, _, name, fields, *_ in events if name == "utterance-ended"]
    return [
        Utterance(stream_sid, fields["started_ms"], fields["ended_ms"], fields.get("reason"), fields.get("turn"))
        for stream_sid, fields in ended
        if isinstance(fields.get("started_ms"), int) and isinstance(fields.get("ended_ms"), int)
    ]
