"""Levels of the calls that somebody looks at, measured when they are asked for."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from lexbridge.audio.vad import Detector, DetectorOptions, load_detector
from lexbridge.observer.admin.call_settings import CallSettings
from lexbridge.observer.admin.stream_levels import StreamLevels, measure_all
from lexbridge.observer.admin.what_if import detector_for
from lexbridge.observer.calls.call_record import CallRecord

MAX_STREAMS = 64
"""Most streams whose levels are kept, because few calls are looked at; an hour of levels takes 1.3 MB."""


class LevelStore:
    """Levels by call and stream. Those that were not looked at for longest are dropped, and measured anew if needed."""

    def __init__(self, call_settings: CallSettings) -> None:
        self._call_settings = call_settings
        # Loaded when somebody looks: a model takes 100 MB. Lines with the same detector share it.
        self._detectors: dict[tuple[str, DetectorOptions | None], Callable[[], Detector]] = {}
        self._levels: OrderedDict[tuple[str, str], StreamLevels] = OrderedDict()

    def of(self, record: CallRecord, stream_sid: str) -> StreamLevels:
        """Return the levels of a stream, as far as they were measured."""
        key = record.call_sid, stream_sid
        if key not in self._levels:
            self._levels[key] = StreamLevels(self._detector_of(record))
            if len(self._levels) > MAX_STREAMS:
                self._levels.popitem(last=False)
        self._levels.move_to_end(key)
        return self._levels[key]

    def _detector_of(self, record: CallRecord) -> Detector:
        settings = self._call_settings.find(record)
        key = ("", None) if settings is None else (settings.vad, settings.detector_options)
        if key not in self._detectors:
            # A line that is gone leaves the levels, without what its own detector would have heard.
            self._detectors[key] = (
                load_detector("amplitude", DetectorOptions()) if settings is None else detector_for(settings)
            )
        return self._detectors[key]()

    def view(self, record: CallRecord, after_ms: int, give_way: Callable[[], object]) -> dict[str, Any]:
        """Return all levels of a call from a place of each stream on. `give_way`: called between slices."""
        found: list[dict[str, Any]] = []
        for stream_sid in list(record.streams):
            measure_all(self.of(record, stream_sid), record.track(stream_sid, "caller"), give_way)
            found += self.measured(record, stream_sid, after_ms)
        return {"streams": found}

    def measured(self, record: CallRecord, stream_sid: str, after_ms: int) -> Iterator[dict[str, Any]]:
        """Yield the levels of a stream that were measured, from a place on."""
        levels = self.of(record, stream_sid)
        end_ms = levels.parts[-1].end_ms if levels.parts else 0
        bot = record.track(stream_sid, "bot")
        stream = record.streams[stream_sid]
        for part in levels.view(stream_sid, stream.began_s, bot, after_ms, end_ms):
            yield part | {"x_began_s": stream.x_began_s}
